"""What the gateway needs of its machine: adapters, IPv6, forwarding, routes."""

from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

from throughway.catalogue.gateway import NETWORK_ADAPTER_DOWN
from throughway.catalogue.host import IPV6_DISABLED
from throughway.catalogue.iphttps import FORWARDING_DISABLED, ROUTE_UNPUBLISHED
from throughway.health.checking import Check, Found
from throughway.model.config import GatewayConfig
from throughway.model.findings import Component
from throughway.net import netlink
from throughway.net.firewall import MARK
from throughway.net.listeners import endpoints_of

SETTINGS = Path("/proc/sys/net/ipv6/conf")
_IFF_UP, _IFF_LOWER_UP = 0x1, 0x10000


def checks(
    config: Callable[[], GatewayConfig], devices: Callable[[], tuple[str, ...]]
) -> tuple[Check, ...]:
    """Return the checks; ``devices`` are the links of the workers, in order."""

    async def look_at_adapters() -> Iterable[Found] | str:
        addresses = tuple(_own_addresses(config()))
        return list(_adapters(addresses)) or f"{', '.join(addresses)} on adapters that are up"

    async def look_at_ipv6() -> Iterable[Found] | str:
        adapters = _bare_adapters(_own_addresses(config()))
        return list(_disabled((*devices(), *adapters))) or "IPv6 is on, on every link"

    async def look_at_forwarding() -> Iterable[Found] | str:
        return list(_unforwarded(devices())) or "IPv6 is forwarded"

    async def look_at_routes() -> Iterable[Found] | str:
        prefixes = dict(zip(devices(), _prefixes(config()), strict=False))
        return list(_unrouted(prefixes)) or f"{len(prefixes)} prefixes lead to their links"

    return (
        Check(
            name="adapters",
            title="Network adapters",
            component=Component.GATEWAY,
            problems=(NETWORK_ADAPTER_DOWN,),
            look=look_at_adapters,
        ),
        Check(
            name="ipv6",
            title="IPv6 of this machine",
            component=Component.HOST,
            problems=(IPV6_DISABLED,),
            look=look_at_ipv6,
        ),
        Check(
            name="forwarding",
            title="Forwarding",
            component=Component.IPHTTPS,
            problems=(FORWARDING_DISABLED,),
            look=look_at_forwarding,
        ),
        Check(
            name="route",
            title="Routes to clients",
            component=Component.IPHTTPS,
            problems=(ROUTE_UNPUBLISHED,),
            look=look_at_routes,
        ),
    )


def _own_addresses(config: GatewayConfig) -> Iterator[str]:
    """Yield the addresses that others know this machine by, wildcards left out."""
    for address, _port in endpoints_of(config.iphttps):
        if not ip_address(address.partition("%")[0]).is_unspecified:
            yield address
    if config.publish is not None and config.publish.serve is not None:
        yield config.publish.serve[0]
    if config.teredo is not None:
        yield config.teredo.address


def _adapters(addresses: Iterable[str]) -> Iterator[Found]:
    there = {str(own.address): own.interface for own in netlink.addresses()}
    links = netlink.links()
    for address in dict.fromkeys(addresses):
        interface = there.get(str(ip_address(address.partition("%")[0])))
        if interface is None:
            words = f"no adapter has the address {address}"
            yield Found(NETWORK_ADAPTER_DOWN, words, address)
        elif why := down(links.get(interface, 0)):
            words = f"{interface}, which has {address}, {why}"
            yield Found(NETWORK_ADAPTER_DOWN, words, address, interface)


def down(flags: int) -> str:
    """Say why an interface with these flags cannot carry, "" when it can."""
    if not flags & _IFF_UP:
        return "is switched off"
    return "" if flags & _IFF_LOWER_UP else "has no carrier: its cable is pulled"


def _disabled(devices: Iterable[str]) -> Iterator[Found]:
    for name in dict.fromkeys(("all", *devices)):
        if _setting(name, "disable_ipv6") == "1":
            words = f"net.ipv6.conf.{name}.disable_ipv6 is 1"
            yield Found(IPV6_DISABLED, words, name, name)


def _unforwarded(devices: Iterable[str]) -> Iterator[Found]:
    for name in ("all", *devices):
        if _setting(name, "forwarding") == "0":
            words = f"net.ipv6.conf.{name}.forwarding is 0"
            yield Found(FORWARDING_DISABLED, words, name)
            return  # with "all" it is off everywhere


def _bare_adapters(addresses: Iterable[str]) -> Iterator[str]:
    """Yield the adapters that are up, where the gateway has lost an IPv6 address.

    To switch IPv6 off takes all addresses away, so nothing says on which adapter it was. While
    none is lost, an adapter without IPv6 is somebody's wish.
    """
    there = {own.address for own in netlink.addresses()}
    wanted = (ip_address(address.partition("%")[0]) for address in addresses)
    if any(address.version == 6 and address not in there for address in wanted):
        yield from (name for name, flags in netlink.links().items() if flags & _IFF_UP)


def _setting(interface: str, name: str) -> str:
    """Return a setting of the kernel, "" where there is no such interface."""
    try:
        return (SETTINGS / interface / name).read_text().strip()
    except OSError:
        return ""


def _prefixes(config: GatewayConfig) -> Iterator[str]:
    """Yield the /64 of each worker, in order."""
    for link in ip_network(config.iphttps.prefix).subnets(new_prefix=64):
        yield str(link)


def routed(prefix: str, device: str) -> bool:
    """Whether a prefix leads to a device."""
    return any(
        (route.prefix, route.interface, route.kind) == (prefix, device, "unicast")
        for route in netlink.routes(netlink.MAIN_TABLE)
    )


def _unrouted(prefixes: dict[str, str]) -> Iterator[Found]:
    there = {
        (route.prefix, route.interface)
        for route in netlink.routes(netlink.MAIN_TABLE)
        if route.kind == "unicast"
    }
    for device, prefix in prefixes.items():
        if (prefix, device) not in there:
            words = f"no route leads to {prefix} by {device}"
            yield Found(ROUTE_UNPUBLISHED, words, device, device)
        elif why := _led_astray(prefix, device):
            yield Found(ROUTE_UNPUBLISHED, f"{prefix}: {why}", device, device)


def _led_astray(prefix: str, device: str) -> str:
    """Say where another route or rule takes what is for clients; "" when it goes by the device."""
    somebody = str(ip_network(prefix)[-2])  # nobody's: an address of ours would be local
    by = netlink.interface_towards(somebody, MARK)
    if by == device:
        return ""
    if not by:
        return "another route or rule makes it unreachable, see `ip -6 route; ip -6 rule`"
    return f"another route or rule leads it to {by} instead of {device}"
