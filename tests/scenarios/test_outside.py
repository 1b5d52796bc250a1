"""What the lab's gateway and its networks look like to `probe` and `netcheck`."""

import json
from typing import Any

from throughway.lab.lab import Lab


def told(lab: Lab, *command: str) -> dict[str, Any]:
    answer = lab.run("client1", ["throughway", *command, "--json"])
    assert answer.returncode == 0, answer.stdout + answer.stderr
    data: dict[str, Any] = json.loads(answer.stdout)
    return data


def test_the_gateway_from_home(fresh: Lab) -> None:
    data = told(fresh, "probe", "da.example.com")
    assert data["diagnosis"] == []
    seen = data["seen"]
    (http,) = seen["http"]
    assert http["accepted"] is True
    assert http["advertisement"]["routes"]
    assert [point["state"] for point in seen["revocation"]] == ["good"]
    assert seen["chains"][0]["trusted"] is True


def test_what_the_networks_allow(fresh: Lab) -> None:
    """The gateway is the policy's; 6to4 works where the address is public, and only there."""
    for place, sixtofour in (("home", False), ("cgn", False), ("direct", True)):
        fresh.move("client1", place)
        data = told(fresh, "netcheck")
        ways = {way["transport"]: way["possible"] for way in data["ways"]}
        assert ways["iphttps"] is True, place
        assert ways["6to4"] is sixtofour, place
        assert ways["teredo"] is not False, place
        assert data["seen"]["seconds"] < 5
        assert [page["open"] for page in data["seen"]["portals"]] == [True]
