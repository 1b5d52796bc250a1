"""docs/operate/health.md: a computer without a firewall has no intranet, until it has one."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.actions import (
    CLIENT_BUNDLE,
    gateway_status,
    kept,
    login,
    read,
    refusal,
    reload,
    shown,
    wait_gateway,
)
from throughway.lab.deployment import BUNDLE, GATEWAY_CONFIG
from throughway.lab.lab import Lab
from throughway.lab.observe import PAGE_BY_ADDRESS, Observer, problems, tunnel

PAGE = (Path(__file__).parents[2] / "docs" / "operate" / "health.md").read_text()
INIT = 'throughway pki init --name "Corp Health" --directory /etc/throughway/health'
TURN_ON = ("throughway gateway check", "throughway policy build", "throughway gateway reload")
REFRESH, STATUS = "throughway client refresh", "throughway client status"
EVENTS = "throughway events --failed"
AUTHORITY, CERTIFICATE = "/etc/throughway/health", "/run/throughway/client/health.pem"
TABLE = f'''
[health]
mode = "full"
required = ["firewall"]
authority = "{AUTHORITY}"
'''
FIREWALL = """
add table inet own
add chain inet own input { type filter hook input priority 10; policy drop; }
add rule inet own input accept
"""
"""Good to the check, which looks at the policy of the chain; the lab needs what comes in."""
MISSING, FAILED = "ipsec-health-certificate-missing", "health-check-failed"


@pytest.fixture
def demanding(fresh: Lab) -> Iterator[Lab]:
    """A gateway that wants a firewall on every computer, set up as the page says."""
    with kept(fresh, "edge1", GATEWAY_CONFIG, BUNDLE), kept(fresh, "client1", CLIENT_BUNDLE):
        text = fresh.read("edge1", GATEWAY_CONFIG)
        fresh.write("edge1", GATEWAY_CONFIG, text + TABLE)
        for command in (INIT, *TURN_ON):
            told(fresh, "edge1", command)
        fresh.write("client1", CLIENT_BUNDLE, read(fresh, "edge1", BUNDLE))
        yield fresh
        fresh.stop_client("client1")
        fresh.run("client1", ["nft", "delete", "table", "inet", "own"])
    fresh.run("edge1", ["rm", "-r", AUTHORITY], check=True)
    reload(fresh)


def told(lab: Lab, host: str, command: str) -> str:
    """Run a command of the page."""
    assert command in PAGE
    return lab.run(host, ["sh", "-c", command], check=True).stdout


def test_who_has_no_firewall_is_told_so_and_comes_in_with_one(demanding: Lab) -> None:
    lab = demanding
    lab.start_client("client1")
    client = Observer(lab, "client1")
    client.wait_tunnel("infrastructure")
    began = time.time()
    assert login(client, "alice", wait=2).returncode == 1
    client.wait(
        "told by the gateway",
        lambda s: FAILED in problems(s) and "is not healthy" in str(s["tunnels"]),
    )
    text = shown(lab, "client1").text
    assert "not good enough, mode full" in text
    assert "nothing filters what comes in" in text
    assert "to mend it: ufw enable" in text
    assert client.fetch(PAGE_BY_ADDRESS, 1.0) == ""
    assert tunnel(client.status(), "infrastructure")["state"] == "up", (
        "what mends it is within reach"
    )
    assert refusal(lab, "ufw enable", after=began)["problem"] == MISSING
    (one,) = gateway_status(lab)["health"]
    assert (one["computer"], one["healthy"]) == ("client1.corp.example.com", False)
    events = lab.run("edge1", [*EVENTS.split(), "--json"]).stdout.splitlines()
    assert EVENTS in PAGE
    recorded = [event for event in map(json.loads, events) if event["problem"] == MISSING]
    assert recorded[-1]["windows"] == 4984
    assert recorded[-1]["computer"] == "client1.corp.example.com"

    lab.run("client1", ["nft", "-f", "-"], stdin=FIREWALL, check=True)
    told(lab, "client1", REFRESH)
    assert client.wait_page(PAGE_BY_ADDRESS)
    assert STATUS in PAGE
    assert "health certificate until" in shown(lab, "client1").text
    assert lab.run("client1", ["stat", "-c", "%a", CERTIFICATE]).stdout.strip() == "600"
    client.wait("well", lambda s: not problems(s) & {FAILED, MISSING})

    lab.run("client1", ["nft", "delete", "table", "inet", "own"], check=True)
    told(lab, "client1", REFRESH)
    client.wait("not healthy", lambda s: FAILED in problems(s) and not up(s))
    wait_gateway(lab, "cut", lambda s: not tunnel(s, "intranet"))
    assert client.fetch(PAGE_BY_ADDRESS, 1.0) == ""
    assert lab.run("client1", ["test", "-e", CERTIFICATE]).returncode == 1


def up(status: dict[str, object]) -> bool:
    return tunnel(status, "intranet").get("state") == "up"
