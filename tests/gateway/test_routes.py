"""Routes to clients, in a network of their own."""

import pytest

from tests.net.namespace import in_namespace, run
from throughway.gateway.routes import republish
from throughway.model.status import WorkerStatus

WORKER = WorkerStatus(number=0, state="serving", interface="iphttps0", prefix="2001:db8:da::/64")


def _republish() -> None:
    run("ip", "link", "add", "iphttps0", "type", "veth", "peer", "name", "far")
    for name in ("iphttps0", "far"):
        run("ip", "link", "set", name, "up")
    run("ip", "address", "add", "2001:db8:da::1/64", "dev", "iphttps0", "nodad")
    shown = run("ip", "-6", "route", "show", "dev", "iphttps0")
    assert republish([WORKER]) == "no route is missing"
    run("ip", "-6", "route", "delete", WORKER.prefix, "dev", "iphttps0")
    assert republish([WORKER]) == f"made again: {WORKER.prefix}"
    assert run("ip", "-6", "route", "show", "dev", "iphttps0") == shown
    assert republish([WORKER]) == "no route is missing"


@pytest.mark.lab
def test_a_route_that_was_taken_away_is_put_back() -> None:
    in_namespace(_republish)
