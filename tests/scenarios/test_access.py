"""Active Directory says who may come in and how far, and takes it back while they are in."""

import time
from collections.abc import Iterator

import pytest

from tests.scenarios.actions import (
    gateway_status,
    kept,
    login,
    refusal,
    shown,
    wait_gateway,
)
from throughway.lab.deployment import GATEWAY_CONFIG
from throughway.lab.lab import Lab
from throughway.lab.observe import PAGE_BY_ADDRESS, Observer, problems, tunnel

ACCESS = """
[directory]
domain = "corp.example.com"
keytab = "gateway.keytab"
principal = "EDGE1$"
interval = 1.0

[[access]]
computers = ["DA Computers"]
users = ["DA Users"]
prefixes = ["2001:db8:c0:2::/64"]
"""


BEYOND = "2001:db8:c0:3::fe"
"""Of core1, in the intranet, but in no prefix of the rule."""


def samba(lab: Lab, *command: str) -> None:
    lab.run("dc1", ["samba-tool", *command], check=True)


@pytest.fixture
def guarded(fresh: Lab) -> Iterator[Lab]:
    """A gateway that asks the directory: client1 and alice may come."""
    samba(fresh, "group", "add", "DA Computers")
    samba(fresh, "group", "add", "DA Users")
    samba(fresh, "group", "addmembers", "DA Computers", "CLIENT1$")
    samba(fresh, "group", "addmembers", "DA Users", "alice")
    try:
        with kept(fresh, "edge1", GATEWAY_CONFIG):
            text = fresh.read("edge1", GATEWAY_CONFIG)
            fresh.write("edge1", GATEWAY_CONFIG, text + ACCESS)
            fresh.stop_gateway()
            fresh.start_gateway()
            yield fresh
    finally:
        fresh.stop_gateway()
        fresh.start_gateway()
        samba(fresh, "group", "delete", "DA Computers")
        samba(fresh, "group", "delete", "DA Users")


def test_the_directory_decides_at_every_moment(guarded: Lab) -> None:
    lab = guarded
    wait_gateway(
        lab,
        "the directory, and no problem",
        lambda s: "dc1.corp" in str(row(s, "domain")) and not problems(s),
    )
    lab.start_client("client1")
    client = Observer(lab, "client1")
    client.wait_tunnel("infrastructure")
    assert login(client, "alice").returncode == 0
    assert client.wait_page(PAGE_BY_ADDRESS)
    up = tunnel(gateway_status(lab), "intranet")
    assert up["prefixes"] == ["2001:db8:c0:2::/64"], "what the rule leaves of the intranet"
    # Beyond it nothing hangs; docs/operate/access.md says so.
    beyond = ["bash", "-c", f"exec 3<>/dev/tcp/{BEYOND}/80"]
    assert "Permission denied" in lab.run("client1", beyond).stderr

    # bob has a good ticket, and is in no group of a rule.
    began = time.time()
    assert login(client, "bob", wait=3).returncode == 1
    assert refusal(lab, "bob@CORP.EXAMPLE.COM", after=began)["problem"] == "access-group-missing"

    assert login(client, "alice").returncode == 0
    assert client.wait_page(PAGE_BY_ADDRESS)
    samba(lab, "user", "disable", "alice")
    try:
        wait_gateway(lab, "the cut", lambda s: "access-account-disabled" in problems(s))
        client.wait("cut", lambda s: not tunnel(s, "intranet"))
        assert client.fetch(PAGE_BY_ADDRESS, 1.0) == ""
        answer = shown(lab, "edge1", "gateway")
        assert "alice is disabled in the directory" in answer.text
        assert tunnel(client.status(), "infrastructure"), "the computer is as good as before"
    finally:
        samba(lab, "user", "enable", "alice")
    assert client.wait_page(PAGE_BY_ADDRESS), "it comes back by itself"

    samba(lab, "group", "removemembers", "DA Computers", "CLIENT1$")
    client.wait("shut out", lambda s: not tunnel(s, "infrastructure"))
    told = refusal(lab, "CLIENT1$ is in no group of computers", after=began)
    assert told["problem"] == "access-group-missing"


def row(status: dict[str, object], component: str) -> object:
    components = status["components"]
    assert isinstance(components, list)
    return next((one for one in components if one["component"] == component), None)
