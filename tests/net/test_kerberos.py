"""Tickets and tokens, with a real domain controller on the other side of a wire."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ipsec_world import PASSWORDS, REALM, SERVICE, DomainController, shared_domain
from tests.ipsec_world import shared_world as shared
from throughway.model.errors import TransportError, TrustError
from throughway.net.kerberos import (
    check_keytab,
    get_ticket,
    make_token,
    make_token_apart,
    ticket_expiry,
    ticket_principal,
    token_acceptor,
)

ALICE = f"alice@{REALM}"


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch) -> DomainController:
    domain = shared_domain()
    monkeypatch.setenv("KRB5_CONFIG", str(domain.krb5_conf))
    return domain


@pytest.fixture
def ccache(domain: DomainController, tmp_path: Path) -> Path:
    """Alice's ticket."""
    path = tmp_path / "ccache"
    shared().corp.call(get_ticket, ALICE, PASSWORDS["alice"], path)
    return path


@pytest.fixture
def accept(domain: DomainController, tmp_path: Path) -> Callable[[bytes], str]:
    return token_acceptor(domain.keytab, SERVICE, REALM, replay_cache=tmp_path / "rcache")


def token(ccache: Path) -> bytes:
    return shared().corp.call(make_token, ccache, SERVICE)


@pytest.mark.lab
def test_a_ticket_is_kept_privately_and_has_a_name_and_an_end(ccache: Path) -> None:
    assert ccache.stat().st_mode & 0o777 == 0o600
    assert ticket_principal(ccache) == ALICE
    assert 3600 < ticket_expiry(ccache) - time.time() < 90000


@pytest.mark.lab
@pytest.mark.parametrize(
    ("principal", "password", "problem"),
    [
        (ALICE, "wrong", "kerberos-password-wrong"),
        (f"nobody@{REALM}", "x", "kerberos-user-unknown"),
        (f"disabled@{REALM}", PASSWORDS["disabled"], "kerberos-account-disabled"),
        (f"expired@{REALM}", PASSWORDS["expired"], "kerberos-password-expired"),
    ],
)
def test_a_refusal_says_why(
    domain: DomainController, tmp_path: Path, principal: str, password: str, problem: str
) -> None:
    with pytest.raises(TrustError) as caught:
        shared().corp.call(get_ticket, principal, password, tmp_path / "ccache")
    assert caught.value.problem == problem
    assert not (tmp_path / "ccache").exists()


@pytest.mark.lab
@pytest.mark.parametrize(
    ("realm", "problem", "words"),
    [
        (REALM, "kerberos-unreachable", f"alice@{REALM}: no domain controller answers"),
        (
            "NOWHERE.EXAMPLE.COM",
            "kerberos-realm-unknown",
            "no domain controller is known for the realm NOWHERE.EXAMPLE.COM",
        ),
    ],
)
def test_a_domain_controller_out_of_reach_says_so(
    domain: DomainController,
    tmp_path: Path,
    realm: str,
    problem: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # On the gateway's loopback nobody listens: refused at once, where a black hole takes 15 s.
    nearby = tmp_path / "krb5.conf"
    nearby.write_text(domain.krb5_conf.read_text().replace("2001:db8:c0:1::10", "::1"))
    monkeypatch.setenv("KRB5_CONFIG", str(nearby))
    with pytest.raises(TransportError) as caught:
        shared().gateway.call(get_ticket, f"alice@{realm}", "x", tmp_path / "ccache")
    assert (caught.value.problem, str(caught.value)) == (problem, words)


@pytest.mark.lab
def test_a_token_proves_its_user_once(ccache: Path, accept: Callable[[bytes], str]) -> None:
    first = token(ccache)
    assert accept(first) == ALICE
    with pytest.raises(TrustError, match="used before") as caught:
        accept(first)
    assert caught.value.problem == "ipsec-user-refused"
    assert accept(token(ccache)) == ALICE


@pytest.mark.lab
def test_a_token_made_apart_is_as_good(ccache: Path, accept: Callable[[bytes], str]) -> None:
    made = shared().corp.run(make_token_apart(ccache, SERVICE, realm=REALM))
    assert accept(made) == ALICE


@pytest.mark.lab
@pytest.mark.parametrize("damage", [b"", b"junk", b"\x60\x82\xff\xff", bytes(3000)])
def test_garbage_proves_nothing(damage: bytes, accept: Callable[[bytes], str]) -> None:
    with pytest.raises(TrustError) as caught:
        accept(damage)
    assert caught.value.problem == "ipsec-user-refused"


@pytest.mark.lab
def test_a_used_token_does_not_become_new_by_changing_it(
    ccache: Path, accept: Callable[[bytes], str]
) -> None:
    """Not all of an AP-REQ is encrypted; the replay cache must not look at the rest."""
    good = token(ccache)
    assert accept(good) == ALICE
    for place in range(len(good)):
        changed = bytearray(good)
        changed[place] ^= 0x01
        with pytest.raises(TrustError):
            accept(bytes(changed))


@pytest.mark.lab
def test_a_service_that_the_domain_does_not_know(ccache: Path) -> None:
    with pytest.raises(TrustError) as caught:
        shared().corp.call(make_token, ccache, "host@other.example.com")
    assert caught.value.problem == "kerberos-service-unknown"
    with pytest.raises(TrustError) as caught:
        shared().corp.run(make_token_apart(ccache, "host@other.example.com"))
    assert caught.value.problem == "kerberos-service-unknown"


def test_without_a_ticket_there_is_no_token(tmp_path: Path) -> None:
    for attempt in (
        lambda: make_token(tmp_path / "none", SERVICE),
        lambda: ticket_expiry(tmp_path / "none"),
        lambda: asyncio.run(make_token_apart(tmp_path / "none", SERVICE)),
    ):
        with pytest.raises(TrustError) as caught:
            attempt()
        assert caught.value.problem == "kerberos-ticket-missing"


def test_a_keytab_that_is_not_there_is_told_as_such(tmp_path: Path) -> None:
    accept = token_acceptor(tmp_path / "none", SERVICE, REALM, replay_cache=tmp_path / "rcache")
    with pytest.raises(TrustError) as caught:
        accept(b"junk")
    assert caught.value.problem == "user-keytab-unusable"


@pytest.mark.lab
def test_a_keytab_must_have_the_service_s_key(domain: DomainController, tmp_path: Path) -> None:
    check_keytab(domain.keytab, SERVICE, REALM)
    for keytab, service in (
        (domain.keytab, "host@other.example.com"),
        (tmp_path / "gone.keytab", SERVICE),
    ):
        with pytest.raises(TrustError, match=str(keytab)) as caught:
            check_keytab(keytab, service, REALM)
        assert caught.value.problem == "user-keytab-unusable"
