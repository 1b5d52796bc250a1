"""Registering a name where it cannot be done; where it can: tests/scenarios/test_manage_out.py."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ports import free_port
from throughway.model.errors import TransportError, TrustError
from throughway.net.registration import Registration, update, update_apart

STUB = "127.0.89.1"
WANTED = Registration(
    name="client1.corp.example.com",
    addresses=("2001:db8::1",),
    servers=(STUB,),
    principal="CLIENT1$@CORP.EXAMPLE.COM",
    password_file="/nonexistent",
)


@contextmanager
def dnsmasq(*options: str) -> Iterator[int]:
    """Serve names; a real server that knows no TKEY and takes no updates."""
    port = free_port(STUB)
    command = ("dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--log-facility=-")
    process = subprocess.Popen(
        (*command, "--bind-interfaces", f"--listen-address={STUB}", f"--port={port}", *options),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert "started" in process.stderr.readline()
        yield port
    finally:
        process.kill()
        process.communicate()


def test_nobody_answers() -> None:
    port = free_port(STUB)
    with pytest.raises(TransportError, match=r"the intranet.s DNS: .*refused") as caught:
        update(WANTED, port=port)
    assert caught.value.problem == "client-name-not-registered"
    with pytest.raises(TransportError, match="no DNS server is known"):
        update(replace(WANTED, servers=()), port=port)


@pytest.mark.lab
def test_a_server_without_the_zone() -> None:
    with dnsmasq() as port, pytest.raises(TrustError, match=r"no zone that holds client1\.corp"):
        update(WANTED, port=port)


@pytest.mark.lab
def test_a_zone_whose_server_makes_no_security_context(tmp_path: Path) -> None:
    """Without a ticket nothing is sent; the account's domain cannot be asked here."""
    password = tmp_path / "password"
    password.touch(0o600)
    password.write_text("secret\n")
    zone = "--auth-zone=corp.example.com", f"--auth-server=dc1.corp.example.com,{STUB}"
    with dnsmasq(*zone, "--auth-soa=1") as port:
        wanted = replace(WANTED, password_file=str(password))
        with pytest.raises(TrustError, match=r"no ticket for CLIENT1\$|no zone"):
            update(wanted, port=port)


def test_the_other_process_says_why() -> None:
    """The stub's port 53 is not open: nobody listens there."""
    with pytest.raises(TransportError, match="the intranet's DNS") as caught:
        asyncio.run(update_apart(WANTED))
    assert caught.value.problem == "client-name-not-registered"
