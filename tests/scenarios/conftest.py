"""One lab for all scenarios: real Samba AD, strongSwan, nginx, a gateway and two clients."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.actions import wait_gateway_well, wait_sessions
from throughway.lab.lab import Lab
from throughway.lab.observe import Observer

HERE = Path(__file__).parent
CLIENTS = ("client1", "client2")
RUNTIME = "/run/throughway/client"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the scenarios, and keep each half of them on one worker: these share a lab.

    They are the longest way through the tests, most of it waiting: so they begin at once, beside
    everything else.
    """
    scenarios = [item for item in items if HERE in item.path.parents]
    files = sorted({item.path for item in scenarios})
    for item in scenarios:
        item.add_marker(pytest.mark.lab)
        half = files.index(item.path) % 2
        item.add_marker(pytest.mark.xdist_group(f"scenarios-{half}"))
    items.sort(key=lambda item: HERE not in item.path.parents)


@pytest.fixture(scope="session")
def world(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Return a lab that is up, gateway running, clients joined but not started."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        assert any("@scenarios" in item.nodeid for item in request.session.items), "no groups"
    with Lab(f"scenarios-{os.getpid()}") as lab:
        lab.up()
        # What it needs from elsewhere may come late on a busy machine, and is told until then.
        wait_gateway_well(lab)
        for host in CLIENTS:
            # The way that every network has; what roams takes the others too: see anyhow().
            lab.allow_transports(host, "iphttps")
        yield lab


@pytest.fixture
def fresh(world: Lab) -> Iterator[Lab]:
    """Return the lab with both clients at home and their daemons stopped; so it is left."""
    settle(world)
    yield world
    settle(world)


def settle(lab: Lab) -> None:
    """Bring clients home, stopped; the gateway runs."""
    for host in CLIENTS:
        # Whatever daemon ran there since has made its folder, and none takes it away.
        if Path(f"/proc/{lab.namespaces(host).pid}/root{RUNTIME}").exists():
            if lab.service(host, "client"):
                lab.run(host, ["throughway", "logout"])
            lab.stop_client(host)
            # What a killed daemon leaves closed stays closed until somebody says otherwise.
            lab.run(host, ["throughway", "client", "reset"], check=True)
            lab.run(host, ["rm", "-rf", RUNTIME])
        lab.move(host, "home")
    if not lab.service("edge1", "gateway"):
        lab.start_gateway()
    # Nobody's session is taken for that of the next one.
    wait_sessions(lab, 0)


@pytest.fixture
def client(fresh: Lab) -> Observer:
    """Return client1, its daemon just started at home."""
    fresh.start_client("client1")
    return Observer(fresh, "client1")


@pytest.fixture
def anyhow(fresh: Lab) -> Iterator[Lab]:
    """Return the lab with clients that may use every transport."""
    for host in CLIENTS:
        fresh.allow_transports(host)
    yield fresh
    for host in CLIENTS:
        fresh.allow_transports(host, "iphttps")


@pytest.fixture
def connected(client: Observer) -> Observer:
    """Return client1 with both tunnels up, alice logged on."""
    client.wait_tunnel("infrastructure")
    client.log_on("alice")
    client.wait_page()
    return client
