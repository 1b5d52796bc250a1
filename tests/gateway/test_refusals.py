"""From charon's lines to who was refused and why."""

from pathlib import Path

import pytest

from throughway.gateway.refusals import (
    MAX_SUSPECTS,
    MISMATCH,
    STRANGERS_SHOWN,
    Lately,
    Refusals,
    Refused,
)
from throughway.model.config import Computer
from throughway.model.status import RefusedClient
from throughway.net.radius import Refusal
from throughway.net.sas import LineLogged
from throughway.proto.access import Withheld

CLIENT1 = Computer(account="CLIENT1$", identity="client1.corp.example.com", nt_hash=Path("x"))
PEER = "client1.corp.example.com (2001:db8:f1::2)"


@pytest.fixture
def refusals() -> Refusals:
    return Refusals({"infrastructure-client1": CLIENT1}.get)


def tell(refusals: Refusals, *lines: str, unique_id: int = 3) -> list[bool]:
    begin = (
        "2001:db8:f1::2 is initiating an IKE_SA",
        "looking for peer configs matching "
        "2001:db8:e::1[da.example.com]...2001:db8:f1::2[client1.corp.example.com]",
    )
    name = "infrastructure-client1"
    return [refusals.line(LineLogged("IKE", unique_id, name, t)) for t in (*begin, *lines)]


def test_a_line_that_proves_the_cause_is_the_reason(refusals: Refusals) -> None:
    line = "subject certificate invalid (valid from Oct 01 to Oct 31)"
    tell(refusals, line, "no alternative config found")
    assert refusals.ended(3) == Refused(line, "ipsec-cert-expired", PEER)
    assert refusals.ended(3) is None


def test_what_came_up_was_not_refused(refusals: Refusals) -> None:
    tell(refusals, "certificate was revoked on Nov 20")
    refusals.came_up(3)
    assert refusals.ended(3) is None


def test_an_end_without_a_reason_is_no_refusal(refusals: Refusals) -> None:
    tell(refusals, "sending packet: from 2001:db8:e::1[500]")
    assert refusals.ended(3) is None


def test_a_tunnel_that_dies_later_was_not_refused(refusals: Refusals) -> None:
    refusals.line(LineLogged("IKE", 3, "infrastructure-client1", "giving up after 4 retransmits"))
    assert refusals.ended(3) is None


def test_another_account_is_named(refusals: Refusals) -> None:
    tell(
        refusals,
        "EAP-MS-CHAPv2 username: 'CLIENT2$'",
        "constraint check failed: EAP identity 'CLIENT1$' required ",
    )
    reason = "the certificate of client1.corp.example.com came with CLIENT2$"
    assert refusals.ended(3) == Refused(reason, MISMATCH, PEER)


def test_the_same_account_in_other_letters_is_no_mismatch(refusals: Refusals) -> None:
    tell(refusals, "EAP-MS-CHAPv2 username: 'client1$'")
    assert refusals.ended(3) is None


def test_a_client_that_gives_up_first_ends_it_without_an_event(refusals: Refusals) -> None:
    assert tell(
        refusals,
        "EAP-MS-CHAPv2 verification failed, retry (1)",
        "parsed INFORMATIONAL request 4 [ N(AUTH_FAILED) ]",
    ) == [False, False, False, True]
    refused = refusals.ended(3)
    assert refused is not None
    assert refused.problem == "ipsec-computer-account-refused"


def test_a_client_that_refuses_the_gateway_is_told_of(refusals: Refusals) -> None:
    assert tell(refusals, "parsed INFORMATIONAL request 2 [ N(AUTH_FAILED) ]")[-1]
    refused = refusals.ended(3)
    assert refused is not None
    assert refused.reason == "the client refused the gateway"
    assert refused.problem == "ipsec-auth-failure-unspecified"


def test_the_authorisers_reason_replaces_charons(refusals: Refusals) -> None:
    tell(refusals, "RADIUS authentication of 'alice@CORP' failed")
    refusals.user(
        Refusal(
            principal="alice@CORP",
            reason="the clocks differ too much",
            problem="kerberos-clock-skew",
            unique_id=3,
            peer="",
        )
    )
    reason = "alice@CORP: the clocks differ too much"
    assert refusals.ended(3) == Refused(reason, "kerberos-clock-skew", PEER)


@pytest.mark.parametrize(
    "line", ["no matching peer config found", "no EAP key found for hosts 'da' - 'CLIENT1$'"]
)
def test_who_has_lost_its_connection_is_told_why(line: str) -> None:
    """Its secret may go while an attempt is under way."""
    why = Withheld("access-group-missing", "CLIENT1$ is in no group")
    refusals = Refusals(lambda connection: CLIENT1, {"client1.corp.example.com": why}.get)
    tell(refusals, line)
    assert refusals.ended(3) == Refused(why.reason, why.problem, PEER)


def test_a_flood_is_forgotten_from_its_begin(refusals: Refusals) -> None:
    for unique_id in range(1, MAX_SUSPECTS + 2):
        tell(refusals, "no matching peer config found", unique_id=unique_id)
    assert refusals.ended(1) is None
    assert refusals.ended(2) is not None
    refusals.clear()
    assert refusals.ended(3) is None


def client(number: int, problem: str) -> RefusedClient:
    return RefusedClient(at=float(number), peer=f"peer{number}", reason="", problem=problem)


def test_scanners_push_nobody_out() -> None:
    lately = Lately(20)
    lately.append(client(0, "ipsec-computer-account-refused"))
    for number in range(1, 100):
        lately.append(client(number, "iphttps-client-cert-none"))
    lately.append(client(100, "iphttps-client-cert-expired"))
    assert [one.at for one in lately] == [0, *range(100 - STRANGERS_SHOWN, 101)]


def test_the_latest_are_remembered() -> None:
    lately = Lately(3)
    for number in range(9):
        lately.append(client(number, "ipsec-computer-account-refused"))
    assert [one.at for one in lately] == [6, 7, 8]
