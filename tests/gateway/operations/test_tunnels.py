"""Connections of the IKE daemon, the keytab of users' tickets, revocation lists."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.operations_world import Daemon, config, look, only, parts_of
from throughway.gateway.operations import tunnels
from throughway.gateway.revocation import make_lists
from throughway.health.checking import CannotTell
from throughway.health.tracker import Tracker
from throughway.model.config import AuthenticationMode, GatewayConfig, UsersConfig
from throughway.model.errors import IPsecError
from throughway.model.revocation import Revocation
from throughway.net.revocation_cache import CRL, Kept
from throughway.net.revocation_lists import RevocationLists, Want
from throughway.pki.authority import Credential, build_crl, create_root
from throughway.pki.pem import build_crl_pem

WRONG = "ipsec-connections-wrong"
URL = "http://crl.example.com/root.crl"
LACKS = "charon lacks: intranet-client1"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnels, "SETTLE", 0.0)


def connections(tmp_path: Path, daemon: Daemon) -> list[tuple[str, str]] | str:
    return look(tunnels.checks(parts_of(config(tmp_path), ike=daemon)), "connections")


def test_connections_that_are_missing_and_that_are_nobody_s(tmp_path: Path) -> None:
    both = {"infrastructure-client1", "intranet-client1"}
    assert (
        connections(tmp_path, Daemon((both, both))) == "2 loaded, those of all admitted computers"
    )
    missing = Daemon(({"infrastructure-client1"}, both))
    assert connections(tmp_path, missing) == [(WRONG, LACKS)]
    stray = Daemon((both | {"evil"}, both))
    told = "charon has, though nobody is admitted by it: evil"
    assert connections(tmp_path, stray) == [(WRONG, told)]
    many = Daemon((set(), {f"intranet-client{n}" for n in range(1, 6)}))
    assert only(connections(tmp_path, many)) == (
        WRONG,
        f"{LACKS}, intranet-client2, intranet-client3 and 2 more",
    )


def test_endpoints_that_were_missing_are_told_once(tmp_path: Path) -> None:
    gateway = config(tmp_path)
    assert look(tunnels.checks(parts_of(gateway)), "endpoints") == "they are here"
    there = parts_of(gateway, endpoints=("2001:db8::1",))
    told = "2001:db8::1 was missing and has been put back"
    assert look(tunnels.checks(there), "endpoints") == [("ipsec-endpoint-missing", told)]

    def refuse() -> tuple[str, ...]:
        raise OSError(13, "Permission denied")

    refused = replace(there, endpoints=refuse)
    why = "cannot be put back: Permission denied"
    assert look(tunnels.checks(refused), "endpoints") == [("ipsec-endpoint-missing", why)]


def test_connections_that_are_only_just_being_loaded_are_well(tmp_path: Path) -> None:
    both = {"infrastructure-client1", "intranet-client1"}
    loading = Daemon((set(), both), ({"intranet-client1"}, both | {"intranet-client2"}))
    assert connections(tmp_path, loading) == [(WRONG, "charon lacks: infrastructure-client1")]
    loading = Daemon((set(), both), (both, both))
    assert connections(tmp_path, loading) == "0 loaded, those of all admitted computers"


def test_of_a_daemon_that_is_gone_nothing_is_known(tmp_path: Path) -> None:
    with pytest.raises(CannotTell, match="charon has ended"):
        connections(tmp_path, Daemon(IPsecError("charon has ended")))


def test_a_keytab_that_is_not_there(tmp_path: Path) -> None:
    keytab = tmp_path / "gone.keytab"
    users = UsersConfig(realm="CORP.TEST", keytab=keytab, service="host@da.example.com")
    checks = tunnels.checks(parts_of(replace(config(tmp_path), users=users)))
    code, words = only(look(checks, "user-tickets"))
    assert code == "user-keytab-unusable"
    assert str(keytab) in words


def test_a_keytab_with_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(tunnels, "check_keytab", lambda *what: asked.append(what))
    users = UsersConfig(realm="CORP.TEST", keytab=tmp_path / "a", service="host@da.example.com")
    checks = tunnels.checks(parts_of(replace(config(tmp_path), users=users)))
    assert look(checks, "user-tickets") == f"{tmp_path / 'a'} has a key for host@da.example.com"
    assert asked == [(tmp_path / "a", "host@da.example.com", "CORP.TEST")]


def lists_of(tmp_path: Path, *ends: float) -> RevocationLists:
    lists = make_lists(tmp_path, Tracker(time.time), lambda: Revocation.WEAK)
    lists.want(Want("http://crl.example.com/never.crl"))
    for number, end in enumerate(ends):
        url = f"{URL}{number}"
        lists.want(Want(url))
        kept = Kept(url=url, kind=CRL, fetched_at=end - 60, begins_at=end - 60, ends_at=end)
        lists.cache.put(kept, b"a list")
    return lists


def revocation(
    gateway: GatewayConfig, lists: RevocationLists | None
) -> list[tuple[str, str]] | str:
    return look(tunnels.checks(parts_of(gateway, lists=lists)), "revocation-lists")


def test_lists_that_are_kept_and_fresh_or_over(tmp_path: Path) -> None:
    gateway, later = config(tmp_path), datetime(2099, 1, 2, 3, 4, tzinfo=UTC).timestamp()
    fresh = lists_of(tmp_path / "fresh", later, later + 600)
    words = "2 kept, good until 2099-01-02 03:04 UTC at least"
    assert revocation(gateway, fresh) == words
    over = lists_of(tmp_path / "over", later, 1e9)
    told = f"{URL}1: what is kept ended on 2001-09-09 01:46 UTC"
    assert revocation(gateway, over) == [("ipsec-crl-not-renewed", told)]
    strong = replace(gateway, ipsec=replace(gateway.ipsec, revocation=Revocation.STRONG))
    assert revocation(strong, over) == [("ipsec-crl-expired", told)]


def test_lists_of_which_nothing_is_known(tmp_path: Path) -> None:
    with pytest.raises(CannotTell, match="no list has been fetched"):
        revocation(config(tmp_path), lists_of(tmp_path))
    with pytest.raises(CannotTell, match="was not started"):
        revocation(config(tmp_path), None)


def listed(by: Credential, now: datetime) -> bytes:
    """Return a list of nobody that is good for a week."""
    crl = build_crl(by, (), number=1, now=now, next_update=now + timedelta(days=7))
    return build_crl_pem(crl)


def test_lists_of_iphttps(tmp_path: Path) -> None:
    root, file = (
        create_root("Clients", datetime.now(UTC) - timedelta(days=60)),
        tmp_path / "clients.crl",
    )
    asked = replace(
        config(tmp_path).iphttps,
        authentication=AuthenticationMode.CERTIFICATES,
        client_crls=(file,),
    )
    checks = tunnels.checks(parts_of(replace(config(tmp_path), iphttps=asked)))
    file.write_bytes(listed(root, datetime.now(UTC)))
    assert look(checks, "client-lists") == "1 in force"
    long_ago = datetime.now(UTC) - timedelta(days=30)
    file.write_bytes(listed(root, long_ago))
    code, words = only(look(checks, "client-lists"))
    assert code == "iphttps-client-crl-unusable"
    assert " ended on " in words


def test_what_is_not_asked_for_is_not_looked_at(tmp_path: Path) -> None:
    gateway = config(tmp_path)
    unchecked = replace(gateway.ipsec, revocation=Revocation.NONE)
    checks = tunnels.checks(parts_of(replace(gateway, ipsec=unchecked)))
    assert {check.name: check.wanted() for check in checks} == {
        "connections": "",
        "endpoints": "",
        "user-tickets": "no [users] are configured",
        "revocation-lists": 'ipsec.revocation is "none"',
        "client-lists": "IP-HTTPS asks for no certificates",
    }
    asked = replace(gateway.iphttps, authentication=AuthenticationMode.CERTIFICATES)
    (*_, lists) = tunnels.checks(parts_of(replace(gateway, iphttps=asked)))
    assert lists.wanted() == "no client_crls are configured"
