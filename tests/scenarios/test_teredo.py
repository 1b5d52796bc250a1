"""Teredo in the whole world: the real gateway with its firewall, a client behind the home's NAT."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

from tests.scenarios.actions import gateway_status, shown, wait_gateway
from tests.scenarios.test_sixtofour import IKE
from tests.teredo_world import wait
from throughway.lab.lab import Lab
from throughway.lab.observe import PATIENCE, Observer
from throughway.lab.topology import INFRASTRUCTURE_ENDPOINT, INTRANET_ENDPOINT

ROOT = Path(__file__).parent.parent.parent
DRIVER = f"""
import asyncio, json, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "src")!r}]
from tests.teredo_world import POLICY
from throughway.client.teredo import Teredo
async def live():
    changed = asyncio.Event()
    transport = Teredo(POLICY, changed.set)
    transport.start()
    while not transport.up and transport.failure is None:
        changed.clear()
        await changed.wait()
    problem = transport.failure.problem if transport.failure else ""
    nat = dict(transport.status().details)["NAT"]
    print(json.dumps([transport.address, nat, problem]), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await transport.stop()
asyncio.run(live())
"""
INTERFACE = "teredo0"
PAGE = (ROOT / "docs" / "operate" / "transition.md").read_text()
(FIREWALL,) = re.findall(r"```nft\n(.*?)```", PAGE, re.DOTALL)
ON_THE_GATEWAY, ON_A_CLIENT = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
SHOWN = (
    r"131\.107\.0\.2/24 131\.107\.0\.3/24",
    r"no errors",
    r"^6to4 +serving ",
    r"^Teredo +serving ",
    r"131\.107\.0\.2:3544 ",
    r"131\.107\.0\.3:3544 ",
    r"^2001::/32 dev teredo0 ",
    r"^2002::/16 dev sixtofour0 ",
)
"""What the page's commands show on a gateway."""


@contextmanager
def transport(lab: Lab, host: str = "client1") -> Iterator[tuple[str, str, str]]:
    """Run Teredo alone on a client; yields its address, its NAT, and why it failed."""
    process = lab.popen(host, [sys.executable, "-c", DRIVER], stdin=PIPE, stdout=PIPE)
    try:
        assert process.stdout is not None
        address, nat, problem = json.loads(process.stdout.readline())
        yield address, nat, problem
    finally:
        process.communicate(timeout=PATIENCE)


def test_ike_passes_and_nothing_else(fresh: Lab) -> None:
    lab = fresh
    before = wait_gateway(lab, "Teredo serves", lambda s: s["teredo"]["state"] == "serving")
    with transport(lab) as (address, nat, problem):
        assert (nat, problem) == ("restricted (port)", "")
        assert address.startswith("2001:0:836b:2:")
        for endpoint in (INFRASTRUCTURE_ENDPOINT, INTRANET_ENDPOINT):
            route = ["ip", "-6", "route", "add", f"{endpoint}/128", "dev", INTERFACE]
            lab.run("client1", route, check=True)
            lab.run("client1", ["ping", "-c", "1", "-W", "30", endpoint], check=True)
            answer = lab.run("client1", [sys.executable, "-c", IKE, endpoint], check=True)
            assert answer.stdout.strip() == "answered"
        inside = ["ip", "-6", "route", "add", "2001:db8:c0::/48", "dev", INTERFACE]
        lab.run("client1", inside, check=True)
        page = ["curl", "-s", "-m", "2", "http://[2001:db8:c0:2::80]/"]
        assert lab.run("client1", page).returncode != 0, "nothing is forwarded in plain"
        after = gateway_status(lab)["teredo"]
    assert after["bytes_in"] > before["teredo"]["bytes_in"]
    assert after["clients"] >= 1
    assert "Teredo" in shown(lab, "edge1", "gateway").text
    assert INTERFACE not in lab.run("client1", ["ip", "link"]).stdout


def test_a_network_without_udp(fresh: Lab) -> None:
    fresh.move("client1", "hotel")
    with transport(fresh) as (address, _, problem):
        assert (address, problem) == ("", "teredo-udp-blocked")


def test_the_gateway_is_killed(fresh: Lab) -> None:
    """Nothing stays behind, and the next one serves."""
    lab = fresh
    serving = wait_gateway(lab, "Teredo serves", lambda s: s["teredo"]["state"] == "serving")
    pid = lab.run("edge1", ["cat", f"/proc/{serving['teredo']['pid']}/stat"]).stdout.split()[3]
    lab.run("edge1", ["kill", "-9", pid], check=True)
    lab.stop_gateway()
    devices = ["sh", "-c", "ip -br link; ip -6 route"]
    wait(lambda: "teredo" not in lab.run("edge1", devices).stdout, "the kernel takes the device")
    lab.start_gateway()
    wait_gateway(lab, "Teredo serves", lambda s: s["teredo"]["state"] == "serving")
    with transport(lab) as (address, _, _):
        assert address


def test_the_page_for_administrators(anyhow: Lab) -> None:
    """docs/operate/transition.md: its firewall lets both in, its commands show what it says."""
    lab = anyhow
    lab.run("edge1", ["nft", "-f", "-"], stdin=FIREWALL, check=True)
    try:
        for place, carrier in (("direct", "6to4"), ("home", "teredo")):
            lab.allow_transports("client1", carrier)
            lab.move("client1", place)
            lab.start_client("client1")
            client = Observer(lab, "client1")
            client.wait_tunnel("infrastructure")
            said = lab.run("client1", ["bash", "-eu", "-c", ON_A_CLIENT], check=True).stdout
            assert re.search(rf"^{carrier} +yes ", said, re.MULTILINE), said
            assert re.search(rf"^Transport +{carrier}$", said, re.MULTILINE), said
            lab.stop_client("client1")
        said = lab.run("edge1", ["bash", "-eu", "-c", ON_THE_GATEWAY], check=True).stdout
        for pattern in SHOWN:
            assert re.search(pattern, said, re.MULTILINE), (pattern, said)
    finally:
        lab.run("edge1", ["nft", "delete", "table", "inet", "edge"], check=True)
