"""Other packet filters of the gateway: they may not drop what its clients need."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address, ip_address

from throughway.catalogue.firewall import DROPS_TUNNELS
from throughway.gateway.operations.parts import Parts
from throughway.health.checking import CannotTell, Check, Found
from throughway.model.config import GatewayConfig
from throughway.model.findings import Component
from throughway.net import filters, netlink
from throughway.net.filters import Needed
from throughway.net.firewall import FirewallError, GatewayFirewall
from throughway.net.listeners import endpoints_of
from throughway.wire.ipv6 import parse_address
from throughway.wire.nftables import Packet
from throughway.wire.sixtofour import embedded_address
from throughway.wire.teredo import secondary_address

INTERVAL = 10.0
TEREDO = 3544
"""RFC 4380, section 2.7."""
TUNNEL = GatewayFirewall().tunnel_interface


def checks(parts: Parts) -> tuple[Check, ...]:
    """Return the check."""

    async def look() -> Iterable[Found] | str:
        config = parts.config()
        wanted = (*_outside(config), *_transitions(config), *_inside(parts.devices()))
        try:
            ends = await asyncio.to_thread(filters.dropped, wanted)
        except FirewallError as error:
            raise CannotTell(str(error)) from error
        found = [Found(DROPS_TUNNELS, f"{words}: {end} drops it", words) for words, end in ends]
        return found or "no other firewall of this machine drops what clients need"

    return (
        Check(
            name="other-firewalls",
            title="Other packet filters",
            component=Component.FIREWALL,
            problems=(DROPS_TUNNELS,),
            look=look,
            interval=INTERVAL,
        ),
    )


def _outside(config: GatewayConfig) -> Iterator[Needed]:
    """Yield what IP-HTTPS needs: who connects comes from anywhere."""
    by = {str(own.address): own.interface for own in netlink.addresses()}
    for address, port in dict.fromkeys(endpoints_of(config.iphttps)):
        own = ip_address(address.partition("%")[0])
        some = None if own.is_unspecified else str(own)
        link = by.get(str(own)) if some else None
        version = f"ipv{own.version}"
        yield Needed(
            f"TCP {port} of IP-HTTPS, in to {address}",
            Packet(
                hook="input",
                version=version,
                protocol="tcp",
                iif=link,
                destination=some,
                dport=port,
                state="new",
            ),
        )
        yield Needed(
            f"TCP {port} of IP-HTTPS, out from {address}",
            Packet(
                hook="output",
                version=version,
                protocol="tcp",
                oif=link,
                source=some,
                sport=port,
                state="established",
            ),
        )


def _transitions(config: GatewayConfig) -> Iterator[Needed]:
    """Yield what 6to4 and Teredo need at the public IPv4 addresses."""
    if config.teredo is not None:
        first = config.teredo.address
        second = str(IPv4Address(secondary_address(IPv4Address(first).packed)))
        asked = Packet(hook="input", protocol="udp", dport=TEREDO)
        for address in (first, second):
            yield from _both(f"UDP {TEREDO} of Teredo", asked, address)
    if config.sixtofour is not None:
        for endpoint in (config.ipsec.infrastructure_endpoint, config.ipsec.intranet_endpoint):
            address = str(IPv4Address(embedded_address(parse_address(endpoint))))
            yield from _both("6to4", Packet(hook="input", protocol="ipv6"), address)


def _both(what: str, packet: Packet, address: str) -> Iterator[Needed]:
    """Yield a packet that comes from anywhere, and the answer to it."""
    into = replace(packet, version="ipv4", destination=address, state="new")
    yield Needed(f"{what}, in to {address}", into)
    back = replace(into, hook="output", destination=None, source=address, state="established")
    yield Needed(f"{what}, out from {address}", replace(back, dport=None, sport=packet.dport))


def _inside(devices: Iterable[str]) -> Iterator[Needed]:
    """Yield what goes on the links, and through the tunnels into the intranet and back."""
    for device in devices:
        yield from filters.ike(device, "untracked")  # by our own table
    if TUNNEL in netlink.links():  # else the kernel encrypts, and there is no such way
        yield Needed(
            "what comes out of the tunnels, on its way into the intranet",
            Packet(hook="forward", iif=TUNNEL, state="new"),
        )
        yield Needed(
            "answers of the intranet, on their way into the tunnels",
            Packet(hook="forward", oif=TUNNEL, state="established"),
        )
    for kind, words in ((135, "solicitation"), (136, "advertisement")):
        yield Needed(
            f"ICMPv6 {kind}, neighbour {words}, in",
            Packet(hook="input", protocol="ipv6-icmp", icmp_type=kind),
        )
