"""What the lab's gateway and its networks look like to `probe` and `netcheck`."""

import json
import time
from typing import Any

from throughway.lab.lab import Lab
from throughway.lab.observe import PATIENCE

ENOUGH = 20.0
"""Seconds for a look that gives itself 4.5, on a machine that is busy with other things."""


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
    """The gateway is the policy's; the office lets out nothing but by the proxy of its script."""
    for place, allowed in (
        ("cgn", {"teredo", "iphttps"}),
        ("direct", {"6to4", "teredo", "iphttps"}),
        ("native6", {"native", "teredo", "iphttps"}),
        ("office", {"iphttps"}),
    ):
        fresh.move("client1", place)
        seen = allowed, [None if place == "office" else True]
        deadline = time.monotonic() + PATIENCE
        # Who answers late does not answer; on a busy machine another look sees more.
        while (found := looked(fresh)) != seen:
            assert time.monotonic() < deadline, (place, found)


def looked(lab: Lab) -> tuple[set[str], list[bool | None]]:
    """Return which ways there are, and what the pages that anybody may see look like."""
    data = told(lab, "netcheck")
    assert data["seen"]["seconds"] < ENOUGH
    ways = {way["transport"] for way in data["ways"] if way["possible"]}
    return ways, [page["open"] for page in data["seen"]["portals"]]
