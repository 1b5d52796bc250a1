"""Who does not come in, what both ends say of it, and that it is well again when it is mended."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.scenarios.actions import (
    OTHER,
    edited,
    foreign_root,
    gateway_status,
    hang_up,
    kept,
    log_of,
    login,
    page_stays,
    put_certificate,
    read,
    reconfigured,
    refusal,
    reload,
    root_of,
    shown,
    stays_well,
    wait_gateway,
    wait_gateway_well,
    wait_sessions,
)
from throughway.lab.deployment import CONFIGURATION, GATEWAY_CONFIG
from throughway.lab.lab import Lab
from throughway.lab.observe import PAGE_BY_ADDRESS, PATIENCE, Observer, problems, tunnel
from throughway.lab.processes import wait_until
from throughway.lab.topology import GATEWAY_NAME
from throughway.lab.trust import CRL_URL
from throughway.pki import pem
from throughway.pki.judgement import serial_of
from throughway.pki.pem import parse_certificate

CLIENT_CONFIG = f"{CONFIGURATION}/client.toml"
COMPUTER = (f"{CONFIGURATION}/computer.crt", f"{CONFIGURATION}/computer.key")
ACCOUNT = f"{CONFIGURATION}/account.password"
BY_ITSELF = (("gateway.crt", "other.crt"), ("gateway.key", "other.key"))
"""In [iphttps]: a certificate that is not also IKE's."""
OWN_REVOKED = "gateway-cert-revoked"
BLOCK_443 = """
table inet blocked {
  chain forward {
    type filter hook forward priority filter;
    ip daddr 131.107.0.2 tcp dport 443 drop
  }
}
"""
SILENCE = """
table inet silent {
  chain input {
    type filter hook input priority filter
    meta l4proto { tcp, udp } th dport { 53, 88 } drop
  }
}
"""


# The gateway's certificate


@contextmanager
def other_certificate(lab: Lab, put: Callable[[], None], text: str) -> Iterator[None]:
    """Let the gateway show another certificate for IP-HTTPS than it should."""
    with kept(lab, "edge1", f"{OTHER}.crt", f"{OTHER}.key"):
        put()
        with reconfigured(lab, text):
            yield


def assert_not_trusted(client: Observer, code: str, windows: str) -> None:
    """The link never comes up, and the status says whose certificate is wrong and how."""
    client.wait(code, lambda s: problems(s) == {code})
    answer = shown(client.lab, client.host)
    assert answer.code == 1
    assert answer.text.startswith("Not connected: The gateway's ")
    assert f"[{code}]" in answer.text
    assert f"As Windows says it    {windows} " in answer.text
    for word in ("Cause:", "Resolution:", "Mend:", "Prove:", f"-connect {GATEWAY_NAME}:443"):
        assert word in answer.text
    assert not any(tunnel(client.status(), name) for name in ("infrastructure", "intranet"))
    assert client.fetch(PAGE_BY_ADDRESS, 1.0) == ""


def links_up(lab: Lab, host: str = "client1") -> int:
    """Return how often the link has come up since the lab is there."""
    return log_of(lab, host, "client").count("state=link-up")


def assert_well_again(client: Observer) -> None:
    """Everything comes back by itself."""
    client.wait_tunnel("infrastructure")
    stays_well(client)


def test_a_gateway_with_a_certificate_of_another_root(fresh: Lab) -> None:
    text = edited(fresh, *BY_ITSELF, table="iphttps")
    with other_certificate(fresh, lambda: put_certificate(fresh, OTHER, foreign_root()), text):
        before = links_up(fresh)
        fresh.start_client("client1")
        client = Observer(fresh, "client1")
        assert_not_trusted(client, "iphttps-cert-untrusted-root", "0x800B0109")
        assert links_up(fresh) == before
    hang_up(fresh)
    assert_well_again(client)


def test_a_gateway_whose_certificate_was_revoked(fresh: Lab) -> None:
    """It is so by default, without a word of configuration."""
    text = edited(fresh, *BY_ITSELF, table="iphttps")
    flush = ["throughway", "pki", "cache", "flush"]
    with other_certificate(fresh, lambda: put_certificate(fresh, OTHER, root_of(fresh)), text):
        shown_now = parse_certificate(read(fresh, "edge1", f"{OTHER}.crt"))
        fresh.publish_crl(shown_now.serial_number)
        fresh.run("client1", flush, check=True)
        reload(fresh)
        before = links_up(fresh)
        fresh.start_client("client1")
        client = Observer(fresh, "client1")
        assert_not_trusted(client, "iphttps-cert-revoked", "0x80092010")
        assert CRL_URL in fresh.run("client1", ["throughway", "pki", "cache", "list"]).stdout
        seen = wait_gateway(fresh, OWN_REVOKED, lambda s: OWN_REVOKED in problems(s))
        (detail,) = (p["detail"] for p in seen["problems"] if p["code"] == OWN_REVOKED)
        for word in (f"{OTHER}.crt (IP-HTTPS): ", serial_of(shown_now), "revoked on", CRL_URL):
            assert word in detail
        assert links_up(fresh) == before
        fresh.publish_crl()
    hang_up(fresh)
    fresh.run("client1", flush, check=True)
    assert_well_again(client)
    wait_gateway(fresh, "its own again", lambda s: OWN_REVOKED not in problems(s))


def test_a_gateway_whose_public_name_is_another_one(fresh: Lab) -> None:
    text = edited(fresh, *BY_ITSELF, (GATEWAY_NAME, "other.example.com"), table="iphttps")
    before = links_up(fresh)
    client = Observer(fresh, "client1")
    try:
        with kept(fresh, "edge1", GATEWAY_CONFIG, f"{OTHER}.crt", f"{OTHER}.key"):
            put_certificate(fresh, OTHER, root_of(fresh), "other.example.com")
            fresh.write("edge1", GATEWAY_CONFIG, text)
            restart_gateway(fresh)
            fresh.start_client("client1")
            assert_not_trusted(client, "iphttps-cert-name-mismatch", "0x800B010F")
            assert links_up(fresh) == before
    finally:
        restart_gateway(fresh)
    assert_well_again(client)


def restart_gateway(lab: Lab) -> None:
    """A change of the URL needs a restart."""
    lab.stop_gateway()
    lab.start_gateway()


def test_a_gateway_whose_certificate_expires_while_it_runs(client: Observer) -> None:
    lab = client.lab
    client.wait_tunnel("infrastructure")
    text = edited(lab, *BY_ITSELF, table="iphttps")
    # It must hold until the gateway has taken it: what that takes here is seen first.
    began = time.monotonic()
    reload(lab)
    ends = datetime.now(UTC) + timedelta(seconds=10 + 5 * (time.monotonic() - began))
    with other_certificate(lab, lambda: put_certificate(lab, OTHER, root_of(lab), ends=ends), text):
        wait_gateway(lab, "soon", lambda s: problems(s) == {"iphttps-cert-ends-this-week"})
        status = wait_gateway(lab, "expired", lambda s: problems(s) == {"iphttps-cert-expired"})
        assert status["state"] == "error"
        lab.stop_client("client1")
        lab.start_client("client1")
        assert_not_trusted(client, "iphttps-cert-expired", "0x800B0101")
        refused = lab.run("edge1", ["throughway", "gateway", "reload"])
        assert refused.returncode == 1
        assert f"iphttps.certificate: {OTHER}.crt expired on " in refused.stderr
    assert_well_again(client)
    wait_gateway_well(lab)


# The computer


def assert_refused(client: Observer, code: str) -> None:
    """The link is there, the tunnel is not, and the status says what it can."""
    answers = []

    def is_shown(status: dict[str, Any]) -> bool:
        # What the gateway has to say may come in between the two.
        if problems(status) == {code}:
            answers.append(shown(client.lab, client.host))
        return bool(answers) and f"[{code}]" in answers[-1].text

    status = client.wait(code, is_shown)
    assert status["link"]["state"] == "link-up"
    assert answers[-1].code == 1
    assert answers[-1].text.startswith("Not connected: ")
    assert not tunnel(status, "infrastructure")


def test_a_computer_with_a_wrong_password(fresh: Lab) -> None:
    client = Observer(fresh, "client1")
    with kept(fresh, "client1", ACCOUNT):
        fresh.write("client1", ACCOUNT, "guessed\n", 0o600)
        began = time.time()
        fresh.start_client("client1")
        assert_refused(client, "ipsec-computer-account-refused")
        told = refusal(fresh, "ipsec-computer-account-refused", after=began)
        assert told["peer"].startswith("client1.corp.example.com (2001:db8:da:1000:")
        wait_gateway_well(fresh)  # one wrong password is no fault of ours
        assert shown(fresh, "edge1", "gateway").code == 0
        assert_told(client, "EAP-MS-CHAPv2 verification failed")
        assert_audited(fresh)
        fresh.stop_client("client1")
    fresh.start_client("client1")
    assert_well_again(client)


def assert_told(client: Observer, words: str) -> None:
    """The status has the gateway's own words for it, marked as such."""

    said = f"the gateway says: {words}"

    def told(status: dict[str, Any]) -> bool:
        # Each attempt may take them back for a moment.
        (infrastructure, *_) = status["tunnels"]
        return (
            said in str(status["problems"])
            and infrastructure["last_error"].startswith(said)
            and said in shown(client.lab, client.host).text
        )

    client.wait("the gateway's words", told)


def assert_audited(lab: Lab) -> None:
    """Both ends have written down who was refused in which round, from where, with what."""
    asked = ["throughway", "events", "--json", "--failed", "--computer", "client1"]
    answer = lab.run("edge1", asked)
    assert answer.returncode == 1, "refusals were found"
    record = json.loads(answer.stdout.splitlines()[-1])
    assert (record["windows"], record["account"]) == (4984, "CLIENT1$")
    assert (record["transport"], record["outer_address"]) == ("iphttps", "131.107.0.100")
    own = lab.run("client1", ["openssl", "x509", "-in", COMPUTER[0], "-noout", "-serial"])
    assert f"serial={record['certificate']['serial']}" in own.stdout
    mine = lab.run("client1", [*asked, "--event", "4984"])
    assert "the gateway says: EAP-MS-CHAPv2" in mine.stdout


def test_a_computer_that_is_not_listed(fresh: Lab) -> None:
    text = fresh.read("edge1", GATEWAY_CONFIG)
    without = text[: text.index('[[computers]]\naccount = "CLIENT2$"')]
    client = Observer(fresh, "client2")
    with reconfigured(fresh, without):
        began = time.time()
        fresh.start_client("client2")
        assert_refused(client, "access-computer-unknown")
        assert_told(client, "client2.corp.example.com is in no [[computers]] entry")
        told = refusal(fresh, "client2.corp.example.com", after=began)
        assert told["problem"] == "access-computer-unknown"
        assert told["reason"] == "client2.corp.example.com is in no [[computers]] entry"
    # The list has it again: the next attempt succeeds, and nobody has to be told.
    assert_well_again(client)


def test_a_computer_whose_certificate_iphttps_does_not_take(connected: Observer) -> None:
    """In mode Certificates, by authorities that are not its own; then by its own."""
    lab = connected.lab
    asked = 'authentication = "certificates"\nclient_ca = "{}"\nprefix'

    def asking(authority: str) -> str:
        return edited(lab, ("prefix", asked.format(authority)), table="iphttps", count=1)

    code = "iphttps-client-cert-rejected"
    with kept(lab, "edge1", f"{OTHER}.crt"):
        foreign = pem.build_certificate_pem(foreign_root().certificate)
        lab.write("edge1", f"{OTHER}.crt", foreign)
        began = time.time()
        with reconfigured(lab, asking(f"{OTHER}.crt")):
            connected.wait(code, lambda s: problems(s) == {code})
            answer = shown(lab, "client1")
            assert "As Windows says it    0x80090327 " in answer.text
            own = f"this computer's certificate is {COMPUTER[0]} of client1.corp.example.com"
            assert own in " ".join(answer.text.split())
            told = refusal(lab, "iphttps-client-cert-untrusted", after=began)
            assert "does not lead to an authority of client_ca" in told["reason"]
    with reconfigured(lab, asking("root.crt")):
        assert_well_again(connected)
        (session,) = wait_sessions(lab, 1)
        assert session["certificate"] == "commonName=client1.corp.example.com"
        assert session["suite"].startswith("TLSv1.3 ")
    assert_well_again(connected)


@pytest.fixture
def thief(connected: Observer) -> Iterator[Observer]:
    """Return client2 with client1's certificate and key, and its own account and password."""
    lab = connected.lab
    with kept(lab, "client2", CLIENT_CONFIG, *COMPUTER):
        for path in COMPUTER:
            lab.write("client2", path, read(lab, "client1", path), 0o600)
        mine = lab.read("client2", CLIENT_CONFIG)
        lab.write("client2", CLIENT_CONFIG, mine.replace('"client2.corp.', '"client1.corp.'))
        lab.start_client("client2")
        yield Observer(lab, "client2")
        lab.stop_client("client2")
    assert lab.run("edge1", ["throughway", "gateway", "reload"]).returncode == 0


def test_a_stolen_certificate_with_another_account(connected: Observer, thief: Observer) -> None:
    lab = connected.lab
    mismatch = "ipsec-account-certificate-mismatch"
    told = refusal(lab, mismatch, after=0)
    assert_refused(thief, "ipsec-auth-failure-unspecified")
    assert "the gateway says" not in shown(lab, "client2").text, "no thief is told"
    assert told["reason"] == "the certificate of client1.corp.example.com came with CLIENT2$"
    answer = shown(lab, "edge1", "gateway")
    assert answer.code == 1, "a person must look at this one"
    assert f"[{mismatch}]" in answer.text
    assert "throughway pki revoke COMPUTER --reason key-compromise" in answer.text
    # Whom it was stolen from is not troubled.
    page_stays(connected)
    assert tunnel(connected.status(), "infrastructure")
    lab.stop_client("client2")
    # Its last attempt may be judged yet.
    wait_until(lambda: well_after_reload(lab), PATIENCE, "a gateway without problems")


def well_after_reload(lab: Lab) -> bool:
    """Say whether nothing is wrong any more once a person has been there."""
    reload(lab)
    return not gateway_status(lab)["problems"]


# The user


@pytest.mark.parametrize(
    ("user", "password", "said"),
    [
        ("alice", "nonsense", "alice@CORP.EXAMPLE.COM: the password is wrong"),
        ("nobody", "nonsense", "nobody@CORP.EXAMPLE.COM: there is no such user"),
    ],
)
def test_a_user_who_is_refused(client: Observer, user: str, password: str, said: str) -> None:
    client.wait_tunnel("infrastructure")
    answer = login(client, user, password)
    assert answer.returncode == 1
    assert said in answer.stderr
    assert "  Cause:      " in answer.stderr
    assert "  Resolution: " in answer.stderr
    assert password not in answer.stdout + answer.stderr
    assert "Traceback" not in answer.stderr
    assert client.status()["user"] == ""
    client.wait_well()  # the computer is not worse for it


def test_logging_on_while_the_gateway_is_down(client: Observer) -> None:
    client.wait_tunnel("infrastructure")
    client.lab.stop_gateway()
    client.wait("refused", lambda s: "iphttps-connection-refused" in problems(s))
    answer = login(client, "alice", wait=0.5)
    assert answer.returncode == 1
    assert "Logging on needs the infrastructure tunnel." in answer.stderr
    assert "[iphttps-connection-refused]" in answer.stderr
    assert "systemctl start throughway-gateway" in answer.stderr
    client.lab.start_gateway()
    client.wait_tunnel("infrastructure")
    assert login(client, "alice").returncode == 0


@contextmanager
def filtered(lab: Lab, host: str, ruleset: str) -> Iterator[None]:
    """Let a host's firewall drop something for a while."""
    lab.run(host, ["nft", "-f", "-"], stdin=ruleset, check=True)
    try:
        yield
    finally:
        table = ruleset.split()[2]
        lab.run(host, ["nft", "delete", "table", "inet", table], check=True)


def test_a_domain_controller_that_is_silent(client: Observer) -> None:
    lab = client.lab
    client.wait_tunnel("infrastructure")
    with filtered(lab, "dc1", SILENCE):
        began = time.monotonic()
        answer = login(client, "alice", wait=4)
        assert time.monotonic() - began < 30, "less than libkrb5 would take by itself"
        assert answer.returncode == 1
        assert "no domain controller answers" in answer.stderr
        assert "  Resolution: " in answer.stderr
        assert not asked_for_the_first_time(lab)
        status = client.wait("DNS", lambda s: problems(s) == {"nrpt-dns-server-unreachable"})
        assert tunnel(status, "infrastructure"), "it is not the tunnel's fault"
    wait_until(lambda: bool(asked_for_the_first_time(lab)), PATIENCE, "the domain controller")
    assert login(client, "alice").returncode == 0
    client.wait_well()
    assert client.wait_page()


def test_a_domain_controller_that_is_lost_later(connected: Observer) -> None:
    with filtered(connected.lab, "dc1", SILENCE):
        assert connected.fetch(PAGE_BY_ADDRESS) != "", "what was reached goes on"
        assert connected.wait_page() != "", "nor is its name forgotten"
        assert not asked_for_the_first_time(connected.lab)
        assert tunnel(connected.status(), "intranet")
    lab = connected.lab
    wait_until(lambda: bool(asked_for_the_first_time(lab)), PATIENCE, "the domain controller")


def asked_for_the_first_time(lab: Lab) -> str:
    """What DNS says of a name that nothing else asks for."""
    command = ["dig", "+short", "+tries=1", "+time=3", "SRV", "_kpasswd._udp.corp.example.com"]
    answer = lab.run("client1", command)
    return "" if answer.returncode else answer.stdout


# The way


def test_a_network_that_drops_the_port(fresh: Lab) -> None:
    client = Observer(fresh, "client1")
    with filtered(fresh, "homenat", BLOCK_443):
        fresh.start_client("client1")
        began = time.monotonic()
        client.wait("blocked", lambda s: problems(s) == {"iphttps-port-blocked"})
        assert time.monotonic() - began < 30
        assert_no_answer(client)
    client.lab.run("client1", ["throughway", "client", "refresh"], check=True)
    assert_well_again(client)


def assert_no_answer(client: Observer) -> None:
    status = client.wait("blocked", lambda s: problems(s) == {"iphttps-port-blocked"})
    assert status["link"]["windows_code"] == 0x274C
    answer = shown(client.lab, client.host)
    assert answer.code == 1
    assert answer.text.startswith("Not connected: No answer from the gateway's port")
    assert "As Windows says it    0x274C WSAETIMEDOUT" in answer.text
    assert "Try from another network." in answer.text
