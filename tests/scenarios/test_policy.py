"""The policy: expired, forged, old and new, on the client's disk and through the tunnel."""

import time
from collections.abc import Callable, Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.scenarios.actions import (
    CLIENT_BUNDLE,
    edited,
    kept,
    login,
    page_stays,
    policy_of,
    read,
    reconfigured,
    shown,
    sign,
    stays_well,
    wait_gateway,
    wait_gateway_well,
)
from throughway.lab.deployment import BUNDLE, GATEWAY_CONFIG
from throughway.lab.lab import Lab
from throughway.lab.observe import Observer, Status, problems, tunnel
from throughway.model.revocation import Revocation, RevocationPolicy

DAY = 86400
CARRIED = "/tmp/carried.bundle"
Make = Callable[[Lab], bytes]
BUILD = ["throughway", "policy", "build", "--config", GATEWAY_CONFIG]


@pytest.fixture
def bundles(fresh: Lab) -> Iterator[Lab]:
    """Return the lab; afterwards its bundles are those that were there."""
    with kept(fresh, "edge1", BUNDLE), kept(fresh, "client1", CLIENT_BUNDLE):
        yield fresh
        fresh.stop_client("client1")


def expired(lab: Lab) -> bytes:
    """Return a bundle of the deployment that ended yesterday."""
    now = int(time.time())
    return sign(lab, issued_at=now - 90 * DAY, expires_at=now - DAY)


def forged(lab: Lab) -> bytes:
    """Return the next version of the policy, signed by somebody else."""
    return sign(lab, Ed25519PrivateKey.generate(), version=policy_of(lab).version + 1)


def garbage(_: Lab) -> bytes:
    """Return no bundle at all."""
    return b"\x00" * 1000


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (expired, "policy-expired"),
        (forged, "policy-signature-invalid"),
        (garbage, "policy-signature-invalid"),
    ],
)
def test_a_policy_that_does_not_hold_brings_nothing_up(bundles: Lab, make: Make, code: str) -> None:
    lab, client = bundles, Observer(bundles, "client1")
    lab.write("client1", CLIENT_BUNDLE, make(lab))
    lab.start_client("client1")
    status = client.wait(code, lambda s: problems(s) == {code})
    assert status["connection"] == "error"
    answer = shown(lab, "client1")
    assert answer.code == 1
    assert answer.text.startswith("Not connected: The policy ")
    for word in (f"[{code}]", "Cause:", "Resolution:", "throughway client join policy.bundle"):
        assert word in answer.text
    assert "has joined no deployment" not in answer.text
    assert "iphttps0" not in lab.run("client1", ["ip", "link"]).stdout
    assert lab.run("client1", ["pgrep", "charon"]).stdout == ""
    assert "nameserver 192.168.137.1" in lab.read("client1", "/etc/resolv.conf")
    refused = login(client, "alice", wait=0.3)
    assert refused.returncode == 1
    assert f"[{code}]" in refused.stderr
    # A new one is built and carried there: it is seen, without a restart.
    lab.run("edge1", BUILD, check=True)
    lab.write("client1", CARRIED, read(lab, "edge1", BUNDLE))
    lab.run("client1", ["throughway", "client", "join", CARRIED], check=True)
    client.wait_tunnel("infrastructure")
    stays_well(client)


def test_a_forged_policy_cannot_be_joined(bundles: Lab) -> None:
    before = read(bundles, "client1", CLIENT_BUNDLE)
    bundles.write("client1", CARRIED, forged(bundles))
    answer = bundles.run("client1", ["throughway", "client", "join", CARRIED])
    assert answer.returncode == 1
    assert "the policy bundle is signed by" in answer.stderr
    assert "compare it with the administrator's" in answer.stderr
    assert read(bundles, "client1", CLIENT_BUNDLE) == before


def refresh(client: Observer) -> None:
    """Ask for the newest policy."""
    client.lab.run(client.host, ["throughway", "client", "refresh"], check=True)


@pytest.mark.usefixtures("bundles")
def test_a_newer_policy_comes_through_the_tunnel(connected: Observer) -> None:
    lab = connected.lab
    version = policy_of(lab).version
    since = tunnel(connected.status(), "infrastructure")["since"]
    more = '\n[[publish.nrpt]]\nnamespace = ".elsewhere.example"\nservers = ["2001:db8:c0:1::10"]\n'
    text = edited(lab, ("\n[[computers]]", f"{more}\n[[computers]]"), count=1)
    with reconfigured(lab, text):
        lab.run("edge1", BUILD, check=True)
    refresh(connected)
    connected.wait("newer", lambda s: s["policy_version"] == version + 1)
    rule = ".elsewhere.example → 2001:db8:c0:1::10"
    connected.wait("its rules", lambda s: rule in s["names"]["rules"])
    assert read(lab, "client1", CLIENT_BUNDLE) == read(lab, "edge1", BUNDLE)
    status = connected.wait_well()
    page_stays(connected)
    assert tunnel(status, "infrastructure")["since"] == since
    # It is the one in force after a restart, too.
    lab.stop_client("client1")
    lab.start_client("client1")
    connected.wait("newer", lambda s: s["policy_version"] == version + 1)


SITE = """
[[publish.probes]]
kind = "http"
target = "http://app1.corp.example.com/"
name = "intranet site"
interval = 10
"""


def resource(status: Status) -> Status:
    """Return the last stage of the chain."""
    return next(stage for stage in status["chain"] if stage["stage"] == "resource")


@pytest.mark.usefixtures("bundles")
def test_a_resource_that_does_not_answer_is_named(connected: Observer) -> None:
    lab = connected.lab
    text = edited(lab, ("\n[[computers]]", f"{SITE}\n[[computers]]"), count=1)
    with reconfigured(lab, text):
        lab.run("edge1", BUILD, check=True)
    refresh(connected)
    connected.wait("tried", lambda s: "answers 200" in resource(s)["reason"])
    lab.run("app1", ["pkill", "-KILL", "-x", "nginx"], check=True)
    try:
        status = connected.wait("named", lambda s: problems(s) == {"resource-unreachable"})
        assert status["connection"] == "connected-remotely"
        assert (resource(status)["state"], resource(status)["problems"]) == (
            "warning",
            ["resource-unreachable"],
        )
        others = {stage["state"] for stage in status["chain"] if stage["stage"] != "resource"}
        assert others == {"ok"}
        answer = shown(lab, "client1")
        assert answer.code == 1
        assert "intranet site: app1.corp.example.com port 80 cannot be reached" in answer.text
    finally:
        lab.run("app1", ["nginx", "-c", "/etc/nginx/nginx.conf"], check=True)
    connected.wait("gone", lambda s: not s["problems"] and resource(s)["state"] == "ok")


@pytest.mark.usefixtures("bundles")
def test_what_the_gateway_must_not_serve_is_refused(connected: Observer) -> None:
    lab = connected.lab
    good = read(lab, "client1", CLIENT_BUNDLE)
    version = policy_of(lab).version
    newer = sign(lab, version=version + 1)
    wrong = forged(lab)
    lab.write("edge1", BUNDLE, wrong)
    refresh(connected)
    connected.wait("forged", lambda s: problems(s) == {"policy-signature-invalid"})
    assert connected.status()["policy_version"] == version
    assert read(lab, "client1", CLIENT_BUNDLE) == good
    answer = shown(lab, "client1")
    assert answer.code == 1
    assert answer.text.startswith("Connected remotely: "), "the last good one stays in force"
    assert "the last good one stays in force" in answer.text
    page_stays(connected)

    lab.write("edge1", BUNDLE, newer)
    refresh(connected)
    connected.wait("newer", lambda s: s["policy_version"] == version + 1 and not s["problems"])
    lab.write("edge1", BUNDLE, good)
    refresh(connected)
    connected.wait("older", lambda s: problems(s) == {"policy-rolled-back"})
    assert connected.status()["policy_version"] == version + 1
    page_stays(connected)


@pytest.mark.usefixtures("bundles")
def test_a_gateway_without_a_bundle_says_so(fresh: Lab) -> None:
    fresh.run("edge1", ["rm", BUNDLE], check=True)
    wait_gateway(fresh, "missing", lambda s: problems(s) == {"policy-not-built"})
    assert "throughway policy build" in shown(fresh, "edge1", "gateway").text
    fresh.run("edge1", BUILD, check=True)
    wait_gateway_well(fresh)


UNPUBLISHED = ("unreachable", "131.107.0.1")
"""A route to the lists, which are known on the Internet and not inside."""


@pytest.fixture
def strict(bundles: Lab) -> Iterator[Lab]:
    """Return the lab with a client that checks location servers as Windows does."""
    checked = RevocationPolicy(location=Revocation.STRONG)
    policy = sign(bundles, version=policy_of(bundles).version + 1, revocation=checked)
    bundles.write("client1", CLIENT_BUNDLE, policy)
    bundles.run("client1", ["throughway", "pki", "cache", "flush"], check=True)
    bundles.move("client1", "corp")
    bundles.run("client1", ["ip", "route", "add", *UNPUBLISHED], check=True)
    yield bundles
    bundles.run("client1", ["ip", "route", "del", *UNPUBLISHED])


def test_a_list_that_is_not_published_inside_strands_clients_inside(strict: Lab) -> None:
    """The trap of DirectAccess: the location server is near, and proves nothing."""
    strict.start_client("client1")
    client = Observer(strict, "client1")
    status = client.wait("the trap", lambda s: "nls-crl-unreachable" in problems(s))
    assert status["location"] == "outside"
    told = shown(strict, "client1").text
    for word in ("[nls-crl-unreachable]", "believes to be outside", "http://crl.example.com/"):
        assert word in told
    strict.run("client1", ["ip", "route", "del", *UNPUBLISHED], check=True)
    strict.run("client1", ["throughway", "client", "refresh"], check=True)
    status = client.wait("inside", lambda s: s["location"] == "inside")
    assert "nls-crl-unreachable" not in problems(status)
