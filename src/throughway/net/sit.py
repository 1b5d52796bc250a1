"""The kernel's own 6to4: ``sit`` devices, where the kernel has them.

One device an endpoint, since the outer source must be that of the inner one. The kernel checks by
itself that outer and inner source are the same (RFC 3964, section 5.2); what it lets through
beyond that is cut off by an nftables table of ours. Devices outlive a killed daemon: whoever makes
them removes first what is there under their names. Everything goes through ``ip`` and ``nft``.
"""

import contextlib
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from throughway.model.errors import Stage, TransportError
from throughway.net.firewall import MARK
from throughway.wire.ipv6 import MIN_MTU

CLIENT_INTERFACE = "sixtofour0"
"""Of a client's 6to4, whoever carries the packets."""
TABLE = "throughway-sixtofour"
RULE_PREFERENCE = 218
"""Of the rules that choose the device by the endpoint: before those for outer addresses."""
FIRST_ROUTES = 2640
"""Number of the first device's routing table; the others count on from it."""
HOP_LIMIT = 64
ICMP_RATE = 1000
"""ICMPv6 packets a second that are let in, of all sources."""
NOT_PUBLIC = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
    *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
)
"""IPv4 addresses that nobody reaches from outside (RFC 3964, section 5.3.1; RFC 6890)."""
_TIMEOUT = 10.0
"""Seconds; ip and nft answer within milliseconds or not at all."""

Command = tuple[str, ...]
Run = Callable[[Command, str], str]


@dataclass(frozen=True, slots=True)
class Device:
    """One ``sit`` device."""

    name: str
    local: str
    """Its IPv4 address."""
    endpoint: str
    """The IPv6 address of 6to4 that belongs to it."""


def refusal(name: str, run: Run | None = None) -> str:
    """Say why the kernel cannot make a ``sit`` device of that name, "" when it can."""
    run = run or run_command
    error = run(("ip", "link", "add", name, "type", "sit", "remote", "any", "local", "any"), "")
    if not error:
        run(("ip", "link", "delete", name), "")
    return error


def client_commands(device: Device) -> tuple[Command, ...]:
    """Return what makes a client's device, without any route to the gateway."""
    return (*_device_commands(device), _address(device))


def gateway_commands(devices: Sequence[Device]) -> tuple[Command, ...]:
    """Return what makes a gateway's devices: answers leave by that of their own endpoint."""
    commands: list[Command] = []
    for number, device in enumerate(devices):
        table = str(FIRST_ROUTES + number)
        commands += _device_commands(device)
        commands.append(_ip("route", "replace", "2002::/16", "dev", device.name, "table", table))
        commands.append(_ip("rule", "add", *_rule(device, table)))
    # For what is yet to be encrypted: only then its source is an endpoint.
    first = ("dev", devices[0].name, "metric", "1024")
    return (*commands, _ip("route", "replace", "2002::/16", *first))


def removal_commands(devices: Sequence[Device]) -> tuple[Command, ...]:
    """Return what takes all of it away; some of it may not be there."""
    return tuple(
        command
        for number, device in enumerate(devices)
        for command in (
            _ip("rule", "delete", *_rule(device, str(FIRST_ROUTES + number))),
            ("ip", "link", "delete", device.name),
        )
    )


def render_guard(devices: Sequence[Device]) -> str:
    """Return the table for ``nft -f`` that lets in what a gateway's endpoints are for."""
    names = ", ".join(f'"{device.name}"' for device in devices)
    endpoints = ", ".join(device.endpoint for device in devices)
    bogus = ", ".join(map(_within_sixtofour, NOT_PUBLIC))
    return f"""{render_removal()}
table inet {TABLE} {{
  set bogus {{ type ipv6_addr; flags interval; elements = {{ {bogus} }} }}
  chain incoming {{
    type filter hook prerouting priority -310; policy accept;
    iifname != {{ {names} }} accept
    ip6 saddr != 2002::/16 counter drop
    ip6 saddr @bogus counter drop
    ip6 saddr {{ {endpoints} }} counter drop
    ip6 daddr != {{ {endpoints} }} counter drop
    meta l4proto ipv6-icmp limit rate over {ICMP_RATE}/second counter drop
  }}
}}
"""


def render_client_guard(device: Device, peers: Sequence[str]) -> str:
    """Return the same for a client: only the gateway's endpoints may come in."""
    return f"""{render_removal()}
table inet {TABLE} {{
  chain incoming {{
    type filter hook prerouting priority -310; policy accept;
    iifname "{device.name}" ip6 saddr != {{ {", ".join(peers)} }} counter drop
  }}
}}
"""


def render_removal() -> str:
    """Return what removes the table, also where there is none."""
    return f"table inet {TABLE}\ndelete table inet {TABLE}\n"


def make(commands: Sequence[Command], guard: str = "", run: Run | None = None) -> None:
    """Carry commands out, the guard first; raises TransportError with what was refused."""
    run = run or run_command
    steps: list[tuple[Command, str]] = [(("nft", "-f", "-"), guard)] if guard else []
    for command, text in (*steps, *((command, "") for command in commands)):
        if error := run(command, text):
            raise TransportError(
                Stage.LINK,
                f"{' '.join(command)}: {error}",
                problem="sixtofour-interface-down",
            )


def remove(devices: Sequence[Device], run: Run | None = None) -> None:
    """Take everything away; what is not there is no error."""
    run = run or run_command
    for command in removal_commands(devices):
        run(command, "")
    run(("nft", "-f", "-"), render_removal())


def remove_devices(names: Sequence[str]) -> None:
    """Remove devices by name, and the table; nothing is there unless the kernel has ``sit``."""
    left = [name for name in names if exists(name)]
    for name in left:
        run_command(("ip", "link", "delete", name), "")
    if left:
        run_command(("nft", "-f", "-"), render_removal())


def exists(name: str) -> bool:
    """Whether there is a device of that name."""
    try:
        return bool(socket.if_nametoindex(name))
    except OSError:
        return False


def traffic(name: str) -> tuple[int, int]:
    """Return how many bytes came in and went out by a device."""
    for line in Path("/proc/thread-self/net/dev").read_text().splitlines():
        interface, _, counters = line.partition(":")
        if interface.strip() == name:
            fields = counters.split()
            return int(fields[0]), int(fields[8])
    return 0, 0


def run_command(command: Command, text: str) -> str:
    """Run a command and return what is wrong, "" when nothing is."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        try:
            answer = subprocess.run(
                command, input=text, capture_output=True, text=True, timeout=_TIMEOUT, check=False
            )
        except OSError as error:
            return f"{command[0]}: {error.strerror}"
        if answer.returncode == 0:
            return ""
        return answer.stderr.strip() or f"{command[0]} failed"
    return f"{command[0]} did not answer"


def _device_commands(device: Device) -> tuple[Command, ...]:
    kind = ("type", "sit", "remote", "any", "local", device.local, "ttl", str(HOP_LIMIT))
    return (
        ("ip", "link", "add", device.name, *kind, "fwmark", f"{MARK:#x}"),
        ("ip", "link", "set", device.name, "mtu", str(MIN_MTU), "addrgenmode", "none", "up"),
    )


def _address(device: Device) -> Command:
    return _ip("address", "add", f"{device.endpoint}/128", "dev", device.name, "nodad")


def _rule(device: Device, table: str) -> Command:
    return ("from", device.endpoint, "lookup", table, "pref", str(RULE_PREFERENCE))


def _ip(*words: str) -> Command:
    return ("ip", "-6", *words)


def _within_sixtofour(prefix: str) -> str:
    """Return the 6to4 prefix of all addresses of an IPv4 prefix."""
    network = IPv4Network(prefix)
    high, low = network.network_address.packed[:2].hex(), network.network_address.packed[2:].hex()
    return f"2002:{high}:{low}::/{16 + network.prefixlen}"
