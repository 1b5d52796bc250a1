"""The computer's token; through a real KDC proxy and a real domain: gateway/test_kdc.py."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from throughway.model.errors import ThroughwayError
from throughway.net import computer_token as module
from throughway.net.computer_token import ComputerTicket, make_computer_token, settings_text

TICKET = ComputerTicket(
    principal="CLIENT1$@CORP.EXAMPLE.COM",
    service="host@da.example.com",
    realm="CORP.EXAMPLE.COM",
    kdc_proxy="https://da.example.com:8443/KdcProxy",
    directory="/nonexistent",
    anchors=("anchor",),
)


def test_the_settings_lead_to_the_proxy_alone() -> None:
    text = settings_text(TICKET, Path("/run/anchors"))
    assert "kdc = https://da.example.com:8443/KdcProxy" in text
    assert "dns_lookup_kdc = false" in text
    assert "http_anchors = FILE:/run/anchors" in text


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("print('error kerberos-unreachable no KDC')", "kerberos-unreachable"),
        ("print('error kerberos-password-wrong wrong')", "kerberos-password-wrong"),
        ("pass", "ipsec-computer-account-refused"),
        ("import time; time.sleep(60)", "kerberos-unreachable"),
    ],
)
def test_what_goes_wrong_has_a_name(
    monkeypatch: pytest.MonkeyPatch, script: str, problem: str
) -> None:
    monkeypatch.setattr(module, "COMMAND", (sys.executable, "-c", script))
    monkeypatch.setattr(module, "TIMEOUT", 0.5 if "sleep" in script else PATIENCE)
    with pytest.raises(ThroughwayError) as caught:
        asyncio.run(make_computer_token(TICKET))
    assert getattr(caught.value, "problem", "") == problem


def test_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMMAND", (sys.executable, "-c", "print('token 6162')"))
    assert asyncio.run(make_computer_token(TICKET)) == b"ab"
