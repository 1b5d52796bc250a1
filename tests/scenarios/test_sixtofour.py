"""6to4 in the whole world: the real gateway with its firewall, a client with a public address."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

import pytest

from tests.scenarios.actions import gateway_status, shown, wait_gateway
from throughway.lab.lab import Lab
from throughway.lab.observe import PATIENCE, POLL
from throughway.lab.topology import INFRASTRUCTURE_ENDPOINT, INTRANET_ENDPOINT

ROOT = Path(__file__).parent.parent.parent
DRIVER = f"""
import asyncio, json, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "src")!r}]
from tests.pki.test_bundle import POLICY
from throughway.client.sixtofour import SixToFour
async def live():
    changed = asyncio.Event()
    transport = SixToFour(POLICY, changed.set)
    transport.start()
    while not transport.up and transport.failure is None:
        changed.clear()
        await changed.wait()
    problem = transport.failure.problem if transport.failure else ""
    print(json.dumps([transport.address, transport.interface, problem]), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await transport.stop()
asyncio.run(live())
"""


@contextmanager
def transport(lab: Lab, host: str = "client1") -> Iterator[tuple[str, str, str]]:
    """Run 6to4 alone on a client; yields its address, its device, and why it failed."""
    process = lab.popen(host, [sys.executable, "-c", DRIVER], stdin=PIPE, stdout=PIPE)
    try:
        assert process.stdout is not None
        address, interface, problem = json.loads(process.stdout.readline())
        yield address, interface, problem
    finally:
        process.communicate(timeout=PATIENCE)


@pytest.fixture
def direct(fresh: Lab) -> Lab:
    """Return the lab with client1 on the Internet, with an address of its own."""
    fresh.move("client1", "direct")
    return fresh


def test_ike_passes_and_nothing_else(direct: Lab) -> None:
    lab = direct
    before = wait_gateway(lab, "6to4 serves", lambda s: s["sixtofour"]["state"] == "serving")
    with transport(lab) as (address, interface, problem):
        assert (address, problem) == ("2002:836b:32::836b:32", "")
        for endpoint in (INFRASTRUCTURE_ENDPOINT, INTRANET_ENDPOINT):
            route = ["ip", "-6", "route", "add", f"{endpoint}/128", "dev", interface]
            lab.run("client1", route, check=True)
            lab.run("client1", ["ping", "-c", "1", "-W", "30", endpoint], check=True)
            answer = lab.run("client1", [sys.executable, "-c", IKE, endpoint], check=True)
            assert answer.stdout.strip() == "answered"
        inside = ["ip", "-6", "route", "add", "2001:db8:c0::/48", "dev", interface]
        lab.run("client1", inside, check=True)
        page = ["curl", "-s", "-m", "2", "http://[2001:db8:c0:2::80]/"]
        assert lab.run("client1", page).returncode != 0, "nothing is forwarded in plain"
        after = gateway_status(lab)["sixtofour"]
    assert after["bytes_in"] > before["sixtofour"]["bytes_in"]
    assert "6to4" in shown(lab, "edge1", "gateway").text
    assert interface not in lab.run("client1", ["ip", "link"]).stdout


IKE = """
import socket, sys
# An IKE_SA_INIT with an unknown critical payload: any answer proves that charon has read it.
head = bytes(range(8)) + bytes(8) + bytes((254, 0x20, 34, 0x08)) + bytes(4)
packet = head + (36).to_bytes(4, "big") + bytes((0, 0x80, 0, 8)) + bytes(4)
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as ike:
    ike.settimeout(2)
    ike.connect((sys.argv[1], 500))
    for _ in range(5):
        ike.send(packet)
        try:
            answer = ike.recv(2000)
        except TimeoutError:
            continue
        assert answer[:8] == head[:8]
        print("answered")
        break
"""


def test_an_address_that_only_looks_public(fresh: Lab) -> None:
    fresh.move("client1", "cgn")
    with transport(fresh) as (address, _, problem):
        assert (address, problem) == ("", "sixtofour-pseudo-public-address")


def test_the_gateway_is_killed(direct: Lab) -> None:
    """Nothing stays behind, and the next one serves."""
    lab = direct
    devices = ["sh", "-c", "ip -br link; ip -6 route"]
    lab.stop_gateway()
    without = lab.run("edge1", devices).stdout
    lab.start_gateway()
    serving = wait_gateway(lab, "6to4 serves", lambda s: s["sixtofour"]["state"] == "serving")
    pid = lab.run("edge1", ["cat", f"/proc/{serving['sixtofour']['pid']}/stat"]).stdout.split()[3]
    lab.run("edge1", ["kill", "-9", pid], check=True)
    lab.stop_gateway()
    assert "sixtofour" not in without
    deadline = time.monotonic() + PATIENCE
    while "sixtofour" in (left := lab.run("edge1", devices).stdout):
        assert time.monotonic() < deadline, left  # its process is killed a moment after it
        time.sleep(POLL)
    lab.start_gateway()
    wait_gateway(lab, "6to4 serves", lambda s: s["sixtofour"]["state"] == "serving")
    with transport(lab) as (address, _, _):
        assert address
