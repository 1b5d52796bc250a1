"""The TUN device: batches over a socket pair, configuration in a namespace."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.net.iphttps_world import CORP, ROUTER, FakeTUN, packet
from tests.net.segments_world import ALIKE
from throughway.model.errors import TransportError
from throughway.net import tun as module
from throughway.net.offload import choose, pure
from throughway.net.segments import VNET
from throughway.net.tun import global_addresses, open_tun
from throughway.proto.iphttps.stream import cut_packets


@pytest.fixture(params=["native", "pure"])
def tun(request: pytest.FixtureRequest) -> Iterator[FakeTUN]:
    pump = choose({}) if request.param == "native" else pure("asked for")
    if pump.name != request.param:
        pytest.skip(pump.why)
    tun = FakeTUN(pump=pump)
    yield tun
    tun.close()
    tun.close()


def test_packets_are_read_until_there_are_none_or_enough(
    tun: FakeTUN, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_SIZE", 2000)
    sent = [packet(CORP, ROUTER, bytes(1000 + n)) for n in range(5)]
    for one in (*sent[:3], b"\x45" + bytes(90), *sent[3:]):
        tun.kernel.send(one)
    got = [list(cut_packets(tun.batch, 0, tun.read())) for _ in range(5)]
    assert got == [sent[:2], sent[2:4], sent[4:], [], []]  # and no IPv4


def test_a_super_packet_is_read_as_packets(tun: FakeTUN) -> None:
    whole = ALIKE.datagram(bytes(range(250)) * 10)
    header = VNET.pack(1, 5, 48, 1000, 40, 6)
    pseudo = whole[:46] + ALIKE.pseudo_sum(len(whole) - 40, 17).to_bytes(2) + whole[48:]
    tun.kernel.send(pseudo, header)
    end = tun.read()
    parts = [bytes(range(250)) * 4, bytes(range(250)) * 4, bytes(range(250)) * 2]
    assert end == 3 * 48 + 2500
    assert tun.batch[:end] == b"".join(map(ALIKE.datagram, parts))


def test_a_run_is_written_packet_by_packet_where_nothing_merges(tun: FakeTUN) -> None:
    packets = [packet(CORP, ROUTER, bytes(n)) for n in range(5)]
    data = b"".join(packets)
    assert tun.write(data, 0, len(data)) == 0
    assert [tun.kernel.recv() for _ in packets] == packets
    tun.kernel.close()
    assert tun.write(data, 0, len(data)) == len(packets)


@pytest.mark.parametrize("name", ["", "x" * 16])
def test_names_are_checked(name: str) -> None:
    with pytest.raises(TransportError) as caught:
        open_tun(name)
    assert caught.value.windows_code == 0x34
    assert caught.value.problem == "iphttps-interface-creation-failed"


def test_addresses_are_those_of_the_interface() -> None:
    assert global_addresses("no-such-interface") == ()
    assert "::1" not in global_addresses("lo")


def in_namespace(script: str) -> str:
    """Run something in a network namespace of its own."""
    answer = subprocess.run(
        ["unshare", "-n", sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")},
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.mark.lab
def test_the_gateway_s_device() -> None:
    script = """
import subprocess
from pathlib import Path
from throughway.net.tun import add_address, configure_gateway, open_tun
from throughway.wire.ipv6 import parse_address
subprocess.run(["ip", "link", "add", "uplink", "type", "veth"], check=True)
tun = open_tun("iphttps0")
addresses = tuple(map(parse_address, ("2001:db8:da:1000::1", "fe80::1")))
configure_gateway(tun, addresses)
add_address("iphttps0", addresses[0], 64)
conf = Path("/proc/sys/net/ipv6/conf")
print((conf / "all/forwarding").read_text(), (conf / "uplink/accept_ra").read_text())
for what in ("addr", "link"):
    print(subprocess.run(["ip", "-o", what, "show", "dev", "iphttps0"], text=True,
        capture_output=True).stdout)
"""
    said = in_namespace(script)
    assert f" qlen {module.QUEUE_LENGTH}" in said
    assert said.split()[:2] == ["1", "2"]  # it forwards, and keeps listening to its own router
    assert said.count("inet6") == 2
    assert "2001:db8:da:1000::1/64" in said
    assert "fe80::1/64" in said


@pytest.mark.lab
def test_what_became_of_a_device_is_seen() -> None:
    script = """
import subprocess
from throughway.net.tun import configure_gateway, is_configured, open_tun
from throughway.wire.ipv6 import parse_address
tun = open_tun("iphttps0")
addresses = tuple(map(parse_address, ("2001:db8:da:1000::1", "fe80::1")))
print(is_configured(tun, addresses), tun.gone)
configure_gateway(tun, addresses)
print(is_configured(tun, addresses), tun.gone)
for words in (
    "addr del 2001:db8:da:1000::1/64 dev iphttps0", "link set iphttps0 down",
):
    subprocess.run(["ip", *words.split()], check=True)
    print(is_configured(tun, addresses), tun.gone)
    configure_gateway(tun, addresses)
    print(is_configured(tun, addresses), tun.gone)
subprocess.run("ip link set iphttps0 name other".split(), check=True)
print(is_configured(tun, addresses), tun.gone)
subprocess.run("ip link del other".split(), check=True)
print(is_configured(tun, addresses), tun.gone)
"""
    whole, changed, gone = ["True", "False"], ["False", "False"], ["False", "True"]
    expected = [changed, whole, changed, whole, changed, whole, gone, gone]
    assert [line.split() for line in in_namespace(script).splitlines()] == expected


@pytest.mark.lab
def test_the_client_s_address_is_stable_with_a_secret() -> None:
    script = """
from throughway.net.tun import configure_client, global_addresses, open_tun
from throughway.proto.router import Link, Router
packet = Router(Link.of("2001:db8:da:1000::/64"), now=0).advertisement()
for secret in (bytes(16), bytes(16), bytes(range(16))):
    tun = open_tun("iphttps0")
    configure_client(tun, secret=secret)
    assert tun.write(packet, 0, len(packet)) == 0
    while not global_addresses("iphttps0"):
        pass
    print(*global_addresses("iphttps0"))
    tun.close()
"""
    first, second, other = in_namespace(script).split()
    assert first == second != other
    assert first.startswith("2001:db8:da:1000:")


@pytest.mark.lab
def test_an_interface_that_exists_is_said() -> None:
    script = """
from throughway.model.errors import TransportError
from throughway.net.tun import open_tun
one = open_tun("iphttps0")
try:
    open_tun("iphttps0")
except TransportError as error:
    print(error)
"""
    assert "cannot make the interface iphttps0: Device or resource busy" in in_namespace(script)
