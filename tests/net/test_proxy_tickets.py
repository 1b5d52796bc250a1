"""Tickets for proxies, with a real domain controller on the other side of a wire."""

import asyncio
from pathlib import Path

import pytest

from tests.ipsec_world import PASSWORDS, REALM, DomainController, shared_domain
from tests.ipsec_world import shared_world as shared
from tests.patience import PATIENCE
from throughway.model.errors import ThroughwayError, TrustError
from throughway.net import proxy_tickets as module
from throughway.net.kerberos import get_ticket
from throughway.net.proxy_tickets import TicketRequest, make_ticket, make_ticket_apart

HOST = "proxy.corp.example.com"
SPNEGO = b"\x06\x06\x2b\x06\x01\x05\x05\x02"
"""The mechanism's identifier: where a token of RFC 4559 begins."""


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch) -> DomainController:
    domain = shared_domain()
    monkeypatch.setenv("KRB5_CONFIG", str(domain.krb5_conf))
    monkeypatch.setattr(module, "TICKET_TIME", PATIENCE)
    return domain


def asking(**changes: object) -> TicketRequest:
    return TicketRequest(**({"host": HOST, "realm": REALM} | changes))  # type: ignore[arg-type]


@pytest.mark.lab
@pytest.mark.usefixtures("domain")
def test_by_the_ticket_of_a_user(tmp_path: Path) -> None:
    ccache, none = tmp_path / "ccache", tmp_path / "none"
    shared().corp.call(get_ticket, f"alice@{REALM}", PASSWORDS["alice"], ccache)
    request = asking(ccaches=(str(none), str(ccache)))
    assert SPNEGO in shared().corp.run(make_ticket_apart(request))[:20]


@pytest.mark.lab
@pytest.mark.usefixtures("domain")
def test_by_the_first_account_that_may() -> None:
    accounts = (("alice", "wrong"), ("bob", PASSWORDS["bob"]))
    assert SPNEGO in shared().corp.run(make_ticket_apart(asking(accounts=accounts)))[:20]


@pytest.mark.lab
@pytest.mark.usefixtures("domain")
def test_every_reason_is_told_and_no_password() -> None:
    request = asking(accounts=(("alice", "wr0ng"), ("nobody", "wr0ng")))
    with pytest.raises(ThroughwayError) as caught:
        shared().corp.run(make_ticket_apart(request))
    assert f"alice@{REALM}" in str(caught.value)
    assert f"nobody@{REALM}" in str(caught.value)
    assert "wr0ng" not in str(caught.value)


@pytest.mark.lab
@pytest.mark.usefixtures("domain")
def test_a_proxy_that_the_domain_does_not_know() -> None:
    request = asking(host="other.example.com", accounts=(("bob", PASSWORDS["bob"]),))
    with pytest.raises(ThroughwayError, match="not found in Kerberos database"):
        shared().corp.run(make_ticket_apart(request))


@pytest.mark.lab
@pytest.mark.usefixtures("domain")
def test_too_late_is_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICKET_TIME", 0.0)
    with pytest.raises(ThroughwayError, match="in time"):
        shared().corp.run(make_ticket_apart(asking()))


def test_nobody_has_a_ticket(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="nobody has a ticket"):
        make_ticket(asking(ccaches=(str(tmp_path / "none"),)))


def test_where_nothing_can_be_started_there_is_no_ticket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    with pytest.raises(ThroughwayError, match="No such file"):
        asyncio.run(make_ticket_apart(asking()))
