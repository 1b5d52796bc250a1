"""Other packet filters of the gateway: they may not drop what its clients need."""

import asyncio
from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from throughway.catalogue.firewall import DROPS_TUNNELS
from throughway.gateway.operations.parts import Parts
from throughway.health.checking import CannotTell, Check, Found
from throughway.model.config import GatewayConfig
from throughway.model.findings import Component
from throughway.net import filters, netlink
from throughway.net.filters import Needed
from throughway.net.firewall import FirewallError, GatewayFirewall
from throughway.net.listeners import endpoints_of
from throughway.wire.nftables import Packet

INTERVAL = 10.0
TUNNEL = GatewayFirewall().tunnel_interface


def checks(parts: Parts) -> tuple[Check, ...]:
    """Return the check."""

    async def look() -> Iterable[Found] | str:
        wanted = (*_outside(parts.config()), *_inside(parts.devices()))
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
