"""The kernel's 6to4: the commands, on a machine whose kernel may have none of it."""

import subprocess

import pytest

from tests.net.namespace import in_namespace, run, wait_until
from throughway.model.errors import TransportError
from throughway.net import sit
from throughway.net.sit import Command, Device

DEVICES = (
    Device("sixtofour0", "131.107.0.2", "2002:836b:2::836b:2"),
    Device("sixtofour1", "131.107.0.3", "2002:836b:3::836b:3"),
)
CLIENT = Device("sixtofour0", "131.107.0.50", "2002:836b:32::836b:32")


class Recorder:
    """Takes commands, and refuses those which begin with the given words."""

    def __init__(self, *refused: str) -> None:
        self.commands: list[str] = []
        self.texts: list[str] = []
        self._refused = refused

    def __call__(self, command: Command, text: str) -> str:
        line = " ".join(command)
        self.commands.append(line)
        self.texts.append(text)
        return "no" if line.startswith(self._refused) and self._refused else ""


def lines(commands: tuple[Command, ...]) -> list[str]:
    return [" ".join(command) for command in commands]


def test_a_client_s_device() -> None:
    assert lines(sit.client_commands(CLIENT)) == [
        "ip link add sixtofour0 type sit remote any local 131.107.0.50 ttl 64 fwmark 0x42",
        "ip link set sixtofour0 mtu 1280 addrgenmode none up",
        "ip -6 address add 2002:836b:32::836b:32/128 dev sixtofour0 nodad",
    ]


def test_a_gateway_answers_by_the_device_of_the_endpoint() -> None:
    commands = lines(sit.gateway_commands(DEVICES))
    for number, device in enumerate(DEVICES):
        table = 2640 + number
        assert f"ip -6 route replace 2002::/16 dev {device.name} table {table}" in commands
        assert f"ip -6 rule add from {device.endpoint} lookup {table} pref 218" in commands
    assert commands[-1] == "ip -6 route replace 2002::/16 dev sixtofour0 metric 1024"
    assert not any("address add" in command for command in commands), "the endpoints are there"


def test_what_is_made_is_removed() -> None:
    recorder = Recorder("ip")
    sit.remove(DEVICES, recorder)
    assert {"ip link delete sixtofour0", "ip link delete sixtofour1"} < set(recorder.commands)
    made = lines(sit.gateway_commands(DEVICES))
    for rule in (command for command in made if " rule add " in command):
        assert rule.replace(" add ", " delete ") in recorder.commands
    assert sit.render_removal() in recorder.texts


def test_the_guard_stands_before_the_first_device() -> None:
    recorder = Recorder()
    sit.make(sit.gateway_commands(DEVICES), sit.render_guard(DEVICES), recorder)
    assert recorder.commands[0] == "nft -f -"
    assert recorder.texts[0] == sit.render_guard(DEVICES)


def test_a_refused_command_is_told() -> None:
    with pytest.raises(TransportError, match=r"ip link add .*: no") as caught:
        sit.make(sit.client_commands(CLIENT), "", Recorder("ip link add"))
    assert caught.value.problem == "sixtofour-interface-down"


def test_a_kernel_is_asked_and_nothing_stays() -> None:
    recorder = Recorder()
    assert sit.refusal("sixtofour0", recorder) == ""
    assert recorder.commands[-1] == "ip link delete sixtofour0"
    refusing = Recorder("ip link add")
    assert sit.refusal("sixtofour0", refusing) == "no"
    assert len(refusing.commands) == 1


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("10.0.0.0/8", "2002:0a00:0000::/24"),
        ("172.16.0.0/12", "2002:ac10:0000::/28"),
        ("192.0.2.0/24", "2002:c000:0200::/40"),
        ("224.0.0.0/3", "2002:e000:0000::/19"),
    ],
)
def test_prefixes(prefix: str, expected: str) -> None:
    assert sit._within_sixtofour(prefix) == expected


def test_a_command_that_is_not_there() -> None:
    assert "No such file" in sit.run_command(("no-such-program",), "")
    assert sit.run_command(("false",), "") == "false failed"
    assert sit.run_command(("true",), "") == ""


@pytest.mark.lab
def test_the_tables_are_taken_by_the_kernel() -> None:
    def inside() -> None:
        peers = tuple(device.endpoint for device in DEVICES)
        for table in (sit.render_guard(DEVICES), sit.render_client_guard(CLIENT, peers)):
            assert sit.run_command(("nft", "-f", "-"), table) == ""
            assert sit.TABLE in run("nft", "list", "tables")
        sit.remove(DEVICES)
        assert run("nft", "list", "tables") == ""

    in_namespace(inside)


GUARDED = """
import socket
from ipaddress import IPv6Address
for number, (source, destination) in enumerate((
    ("2002:836b:32::1", "2002:836b:2::836b:2"),
    ("2002:836b:32::1", "2001:db8::1"),
    ("2001:db8::7", "2002:836b:2::836b:2"),
    ("2002:a00:1::1", "2002:836b:2::836b:2"),
)):
    head = bytes([0x60, 0, 0, 0, 0, 8, 17, 64])
    packet = head + IPv6Address(source).packed + IPv6Address(destination).packed
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as raw:
        to = IPv6Address("::").packed
        raw.sendto(packet + bytes([1, 244, 1, 244, 0, 8, 0, 0]), ("w0", 0x86DD, 0, 0, b"\\xff" * 6))
"""


@pytest.mark.lab
def test_the_guard_drops_what_is_not_for_an_endpoint() -> None:
    """The rules are held against real packets, on a device that bears a sit device's name."""

    def inside() -> None:
        run("ip", "link", "add", "w0", "type", "veth", "peer", "name", "sixtofour0")
        for name in ("w0", "sixtofour0"):
            run("ip", "link", "set", name, "addrgenmode", "none")
            run("ip", "link", "set", name, "up")
        # Before the kernel has seen both ends, what is sent is lost.
        wait_until(lambda: "state UP" in run("ip", "link", "show", "dev", "w0"))
        assert sit.run_command(("nft", "-f", "-"), sit.render_guard(DEVICES)) == ""
        run("python3", "-c", GUARDED)

        def dropped() -> list[int]:
            table = run("nft", "list", "table", "inet", sit.TABLE)
            counters = [line.strip() for line in table.splitlines() if "counter packets" in line]
            return [int(line.partition("packets ")[2].split()[0]) for line in counters][:4]

        wait_until(lambda: sum(dropped()) == 3)
        assert dropped() == [1, 1, 0, 1]

    in_namespace(inside)


@pytest.mark.lab
def test_devices_of_a_killed_daemon_are_removed() -> None:
    def inside() -> None:
        run("ip", "link", "add", "sixtofour0", "type", "veth", "peer", "name", "w0")
        assert sit.exists("sixtofour0")
        assert sit.traffic("sixtofour0") == (0, 0)
        sit.remove_devices(("sixtofour0", "sixtofour1"))
        assert not sit.exists("sixtofour0")

    in_namespace(inside)


@pytest.mark.lab
def test_a_kernel_that_has_it() -> None:
    """Skipped where there is no sit; else the commands are taken and leave nothing."""

    def inside() -> None:
        sit.make(sit.gateway_commands(DEVICES), sit.render_guard(DEVICES))
        assert sit.exists("sixtofour1")
        sit.remove(DEVICES)
        assert not sit.exists("sixtofour1")
        assert "2640" not in run("ip", "-6", "rule")

    answer = subprocess.run(
        ("unshare", "-n", "ip", "link", "add", "s", "type", "sit"), capture_output=True, check=False
    )
    if answer.returncode:
        pytest.skip("this kernel has no sit")
    in_namespace(inside)
