"""The lab's world as data: networks, hosts, and the places between which clients move.

A new network or host is an entry here; nothing else knows addresses. ``DIRECTACCESS`` is
the world of the documentation: a home, the Internet, the edge and an intranet.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_interface, ip_network

DOMAIN = "corp.example.com"
REALM = "CORP.EXAMPLE.COM"
NETBIOS_DOMAIN = "CORP"
GATEWAY_NAME = "da.example.com"
CRL_NAME = "crl.example.com"
PROBE_NAME = "probe.example.com"
PROBE = "131.107.0.5"
"""Nothing else is there, so that a capture tells probes from pages."""
NLS_NAME = f"nls.{DOMAIN}"
MANAGER_ADDRESS = "2001:db8:c0:1::20"
INTRANET_PAGE = f"http://app1.{DOMAIN}/"
INFRASTRUCTURE_ENDPOINT = "2002:836b:2::836b:2"
INTRANET_ENDPOINT = "2002:836b:3::836b:3"
IPHTTPS_PREFIX = "2001:db8:da:1000::/64"
IPHTTPS_PREFIXES = "2001:db8:da:1000::/59"
"""One /64 for each worker of the gateway."""
SIXTOFOUR_PREFIX = "2002::/16"
TEREDO_PREFIX = "2001::/32"
"""Clients that come by 6to4: the gateway is their router."""
INTRANET_PREFIX = "2001:db8:c0::/48"
INTRANET_NETWORKS = frozenset({"infra", "apps", "corp"})
INFRASTRUCTURE_PREFIX = "2001:db8:c0:1::/64"
DC_ADDRESSES = ("2001:db8:c0:1::10", "10.0.1.10")

SWITCH = "switch"
"""The namespace that holds the bridges; no host may bear this name."""
LOOPBACK = "lo"
MOBILE_INTERFACE = "eth0"
MAX_INTERFACE_NAME = 15
"""Characters (IFNAMSIZ - 1)."""


class Role(StrEnum):
    """What a host is besides its addresses; services look hosts up by it."""

    DOMAIN_CONTROLLER = "domain controller"
    GATEWAY = "gateway"
    CLIENT = "client"
    SERVER = "server"
    ROUTER = "router"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One Ethernet segment."""

    name: str
    prefixes: tuple[str, ...]
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A host's port on a network; a port on ``""`` is the loopback interface."""

    name: str
    network: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A static route; ``prefix`` may be ``default``."""

    prefix: str
    via: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """A DNS server for people outside: forwards, and answers for some names itself."""

    listen: str
    upstream: str = ""
    """Where other questions go; empty: every other name does not exist."""
    records: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A web site of one page."""

    name: str
    listen: str
    """Address as nginx wants it: IPv6 in brackets."""
    page: str
    tls: bool = False
    files: tuple[tuple[str, str], ...] = ()
    """What else it has: names and contents."""

    @property
    def port(self) -> int:
        """The port that the site is served on."""
        return 443 if self.tls else 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """An HTTP proxy for those who have no other way out."""

    listen: str
    nameserver: str
    """Where it looks names up."""
    port: int = 3128
    connect_ports: tuple[int, ...] = (443,)
    """Where CONNECT may lead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host of the lab; mobile ones get interface and routes from the place they are in."""

    name: str
    role: Role
    purpose: str
    interfaces: tuple[Interface, ...] = ()
    routes: tuple[Route, ...] = ()
    nameservers: tuple[str, ...] = ()
    search: str = ""
    forwarding: bool = False
    masquerade: str = ""
    """The interface behind whose IPv4 address everybody else hides; empty: no NAT."""
    outward_ports: tuple[int, ...] = ()
    """The TCP ports that those behind it reach outside; empty: everything passes."""
    proxy: Proxy | None = None
    names: Names | None = None
    sites: tuple[Site, ...] = ()
    number: int = 0
    """Of a mobile host: the host part of its addresses wherever it is."""

    @property
    def mobile(self) -> bool:
        """Whether the host moves between places."""
        return self.number > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a mobile host can be, and what DHCP or an administrator gives it there."""

    name: str
    network: str
    """Empty: no network at all."""
    purpose: str
    prefixes: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    nameservers: tuple[str, ...] = ()
    search: str = ""
    proxy: str = ""
    """``HOST:PORT`` of the proxy that is the only way out, as people are told it."""
    shift: int = 0
    """What is added to a mobile host's number here."""

    def addresses(self, number: int) -> tuple[str, ...]:
        """Return the addresses here of the mobile host with this number."""
        return tuple(_host_address(prefix, number + self.shift) for prefix in self.prefixes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """A whole world."""

    networks: tuple[Network, ...]
    hosts: tuple[Host, ...]
    places: tuple[Place, ...]
    start: str = "home"
    """The place where mobile hosts begin."""
    _hosts: dict[str, Host] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hosts", {host.name: host for host in self.hosts})

    def host(self, name: str) -> Host:
        """Return the host of this name; :exc:`KeyError` when there is none."""
        return self._hosts[name]

    def place(self, name: str) -> Place:
        """Return the place of this name; :exc:`KeyError` when there is none."""
        return {place.name: place for place in self.places}[name]

    def with_role(self, role: Role) -> tuple[Host, ...]:
        """Return the hosts of this role."""
        return tuple(host for host in self.hosts if host.role is role)

    @property
    def clients(self) -> tuple[str, ...]:
        """Names of the computers that connect through the gateway."""
        return tuple(host.name for host in self.with_role(Role.CLIENT))


def port_name(host: str, interface: str) -> str:
    """Return the name that a host's port has in the switch."""
    return f"{host}.{interface}"


def fqdn(host: str) -> str:
    """Return the name of a host in the intranet's domain."""
    return f"{host}.{DOMAIN}"


def _host_address(prefix: str, number: int) -> str:
    network = ip_network(prefix)
    # The decimal number is read as the address is written: .101 and ::101.
    part = number if network.version == 4 else int(str(number), 16)
    return f"{network[part]}/{network.prefixlen}"


def _interface(name: str, network: str, *addresses: str) -> Interface:
    for address in addresses:
        ip_interface(address)
    return Interface(name=name, network=network, addresses=addresses)


def _client(name: str, number: int) -> Host:
    return Host(name=name, role=Role.CLIENT, purpose="a client computer", number=number)


def _corp_routes(segment: int) -> tuple[Route, ...]:
    return (
        Route(prefix="default", via=f"2001:db8:c0:{segment}::fe"),
        Route(prefix="default", via=f"10.0.{segment}.254"),
    )


NETWORKS = (
    Network(
        name="internet",
        prefixes=("131.107.0.0/24", "2001:db8:1::/64"),
        purpose="the Internet, which has IPv6 for those who want it",
    ),
    Network(
        name="infra",
        prefixes=(INFRASTRUCTURE_PREFIX, "10.0.1.0/24"),
        purpose="intranet: infrastructure servers and the gateway's inside",
    ),
    Network(
        name="apps",
        prefixes=("2001:db8:c0:2::/64", "10.0.2.0/24"),
        purpose="intranet: application servers",
    ),
    Network(
        name="corp",
        prefixes=("2001:db8:c0:3::/64", "10.0.3.0/24"),
        purpose="intranet: desks, where clients are plugged in",
    ),
    Network(name="home", prefixes=("192.168.137.0/24",), purpose="a home behind NAT"),
    Network(name="hotel", prefixes=("192.168.138.0/24",), purpose="a hotel: web and DNS only"),
    Network(name="office", prefixes=("192.168.139.0/24",), purpose="an office behind a proxy"),
    Network(
        name="cgn",
        prefixes=("131.108.0.0/24",),
        purpose="a provider whose customers' addresses look public but are behind NAT",
    ),
    Network(
        name="isp6",
        prefixes=("192.168.140.0/24", "2001:db8:66::/64"),
        purpose="a provider with native IPv6",
    ),
)

INET1 = Host(
    name="inet1",
    role=Role.SERVER,
    purpose="the Internet: public DNS, CRL, probe page",
    interfaces=(_interface("eth0", "internet", "131.107.0.1/24", f"{PROBE}/24"),),
    # It forwards nowhere, so that it answers "unreachable" instead of swallowing packets.
    forwarding=True,
    nameservers=("131.107.0.1",),
    names=Names(
        listen="131.107.0.1",
        records=(
            (GATEWAY_NAME, "131.107.0.2"),
            (CRL_NAME, "131.107.0.1"),
            (PROBE_NAME, PROBE),
            ("www.example.com", "131.107.0.1"),
        ),
    ),
    sites=(
        Site(name=CRL_NAME, listen="131.107.0.1", page="certificate revocation lists"),
        Site(name=PROBE_NAME, listen=PROBE, page="throughway probe"),
        Site(name="www.example.com", listen="131.107.0.1", page="a public page"),
    ),
)

HOMENAT = Host(
    name="homenat",
    role=Role.ROUTER,
    purpose="the router of the home: NAT and DNS forwarder",
    interfaces=(
        _interface("wan", "internet", "131.107.0.100/24"),
        _interface("lan", "home", "192.168.137.1/24"),
    ),
    routes=(Route(prefix="default", via="131.107.0.1"),),
    nameservers=("131.107.0.1",),
    forwarding=True,
    masquerade="wan",
    names=Names(listen="192.168.137.1", upstream="131.107.0.1"),
)


def _behind_nat(
    name: str,
    purpose: str,
    network: str,
    outside: str,
    inside: str,
    *,
    outward_ports: tuple[int, ...] = (),
    routes: tuple[Route, ...] = (),
) -> Host:
    """Return a router with NAT and DNS, between the Internet and a network of its own."""
    return Host(
        name=name,
        role=Role.ROUTER,
        purpose=purpose,
        interfaces=(
            _interface("wan", "internet", *outside.split()),
            _interface("lan", network, *inside.split()),
        ),
        routes=(Route(prefix="default", via="131.107.0.1"), *routes),
        nameservers=("131.107.0.1",),
        forwarding=True,
        masquerade="wan",
        names=Names(listen=inside.partition("/")[0], upstream="131.107.0.1"),
        outward_ports=outward_ports,
    )


HOTELNAT = _behind_nat(
    "hotelnat",
    "the router of the hotel: TCP 80 and 443 and DNS, nothing else",
    "hotel",
    "131.107.0.110/24",
    "192.168.138.1/24",
    outward_ports=(80, 443),
)
CGNNAT = _behind_nat(
    "cgnnat",
    "the NAT of a provider, behind which addresses look public",
    "cgn",
    "131.107.0.130/24",
    "131.108.0.1/24",
)
ISP6 = _behind_nat(
    "isp6",
    "the router of a provider with native IPv6, and NAT for IPv4",
    "isp6",
    "131.107.0.140/24 2001:db8:1::140/64",
    "192.168.140.1/24 2001:db8:66::1/64",
    # The relay that a provider with 6to4 customers has, for the gateway's two sites alone.
    routes=tuple(
        Route(prefix=prefix, via="2001:db8:1::2")
        for prefix in ("2002:836b:2::/48", "2002:836b:3::/48")
    ),
)
WPAD_SCRIPT = 'function FindProxyForURL(url, host) { return "PROXY 192.168.139.1:3128"; }\n'
OFFICEGW = Host(
    name="officegw",
    role=Role.SERVER,
    purpose="the office's proxy; nothing passes by it",
    interfaces=(
        _interface("wan", "internet", "131.107.0.120/24"),
        _interface("lan", "office", "192.168.139.1/24"),
    ),
    routes=(Route(prefix="default", via="131.107.0.1"),),
    nameservers=("131.107.0.1",),
    names=Names(
        listen="192.168.139.1",
        upstream="131.107.0.1",
        records=(("wpad.office.example", "192.168.139.1"),),
    ),
    # Computers find their way out by themselves: the network says where its proxy is (WPAD).
    sites=(
        Site(
            name="wpad.office.example",
            listen="192.168.139.1",
            page="the office's proxy: 192.168.139.1:3128",
            files=(("wpad.dat", WPAD_SCRIPT),),
        ),
    ),
    proxy=Proxy(listen="192.168.139.1", nameserver="131.107.0.1"),
)

EDGE1 = Host(
    name="edge1",
    role=Role.GATEWAY,
    purpose="the gateway, da.example.com",
    interfaces=(
        _interface("outside", "internet", "131.107.0.2/24", "131.107.0.3/24", "2001:db8:1::2/64"),
        _interface("inside", "infra", "2001:db8:c0:1::1/64", "10.0.1.1/24"),
        _interface(LOOPBACK, "", f"{INFRASTRUCTURE_ENDPOINT}/128", f"{INTRANET_ENDPOINT}/128"),
    ),
    routes=(
        Route(prefix="default", via="131.107.0.1"),
        Route(prefix="2001:db8:66::/64", via="2001:db8:1::140"),
        Route(prefix="10.0.0.0/16", via="10.0.1.254"),
        Route(prefix=INTRANET_PREFIX, via="2001:db8:c0:1::fe"),
    ),
    nameservers=DC_ADDRESSES,
    search=DOMAIN,
    forwarding=True,
)

CORE1 = Host(
    name="core1",
    role=Role.ROUTER,
    purpose="the intranet's router, and its way to the IPv4 Internet",
    interfaces=(
        _interface("outside", "internet", "131.107.0.10/24"),
        _interface("infra", "infra", "2001:db8:c0:1::fe/64", "10.0.1.254/24"),
        _interface("apps", "apps", "2001:db8:c0:2::fe/64", "10.0.2.254/24"),
        _interface("corp", "corp", "2001:db8:c0:3::fe/64", "10.0.3.254/24"),
    ),
    routes=(
        Route(prefix="default", via="131.107.0.1"),
        # Clients have the addresses of their transports: IP-HTTPS, 6to4, Teredo, native.
        *(
            Route(prefix=prefix, via="2001:db8:c0:1::1")
            for prefix in (IPHTTPS_PREFIXES, SIXTOFOUR_PREFIX, TEREDO_PREFIX, "2001:db8:66::/64")
        ),
    ),
    nameservers=DC_ADDRESSES,
    search=DOMAIN,
    forwarding=True,
    masquerade="outside",
)

DC1 = Host(
    name="dc1",
    role=Role.DOMAIN_CONTROLLER,
    purpose="Samba AD domain controller: DNS, Kerberos, LDAP, a file share",
    interfaces=(
        _interface(
            "eth0", "infra", *(f"{a}/{n}" for a, n in zip(DC_ADDRESSES, (64, 24), strict=True))
        ),
    ),
    routes=_corp_routes(1),
    nameservers=DC_ADDRESSES,
    search=DOMAIN,
)


def _server(name: str, purpose: str, address: str, site: Site) -> Host:
    v6 = ":" in address
    return Host(
        name=name,
        role=Role.SERVER,
        purpose=purpose,
        interfaces=(_interface("eth0", "apps", address),),
        routes=tuple(route for route in _corp_routes(2) if (":" in route.via) == v6),
        nameservers=DC_ADDRESSES[:1] if v6 else DC_ADDRESSES[1:],
        search=DOMAIN,
        sites=(site,),
    )


MGMT1 = Host(
    name="mgmt1",
    role=Role.SERVER,
    purpose="management server: reaches clients outside, before any user logs on",
    interfaces=(_interface("eth0", "infra", f"{MANAGER_ADDRESS}/64"),),
    routes=_corp_routes(1)[:1],
    nameservers=DC_ADDRESSES[:1],
    search=DOMAIN,
)
PROXY1 = Host(
    name="proxy1",
    role=Role.SERVER,
    purpose="the intranet's way to the web, for clients that send everything through the tunnels",
    interfaces=(_interface("eth0", "apps", "2001:db8:c0:2::31/64", "10.0.2.31/24"),),
    routes=_corp_routes(2),
    nameservers=DC_ADDRESSES,
    search=DOMAIN,
    proxy=Proxy(listen="[2001:db8:c0:2::31]", nameserver=DC_ADDRESSES[1], connect_ports=(80, 443)),
)
APP1 = _server(
    "app1",
    "intranet web server",
    "2001:db8:c0:2::80/64",
    Site(name=fqdn("app1"), listen="[2001:db8:c0:2::80]", page="Welcome to the intranet: app1"),
)
APP4 = _server(
    "app4",
    "intranet web server without IPv6",
    "10.0.2.84/24",
    Site(name=fqdn("app4"), listen="10.0.2.84", page="Welcome to the intranet: app4 (IPv4 only)"),
)
NLS = _server(
    "nls",
    "Network Location Server",
    "2001:db8:c0:2::81/64",
    Site(name=NLS_NAME, listen="[2001:db8:c0:2::81]", page="inside", tls=True),
)

HOME = Place(
    name="home",
    network="home",
    purpose="at home, behind NAT",
    prefixes=("192.168.137.0/24",),
    routes=(Route(prefix="default", via="192.168.137.1"),),
    nameservers=("192.168.137.1",),
    search="home.arpa",
)
HOTEL = Place(
    name="hotel",
    network="hotel",
    purpose="in a hotel: TCP 80 and 443 and DNS only",
    prefixes=("192.168.138.0/24",),
    routes=(Route(prefix="default", via="192.168.138.1"),),
    nameservers=("192.168.138.1",),
    search="hotel.example",
)
OFFICE = Place(
    name="office",
    network="office",
    purpose="in somebody's office: no way out but an HTTP proxy",
    prefixes=("192.168.139.0/24",),
    nameservers=("192.168.139.1",),
    search="office.example",
    proxy="192.168.139.1:3128",
)
DIRECT = Place(
    name="direct",
    network="internet",
    purpose="on the Internet with a public IPv4 address",
    prefixes=("131.107.0.0/24",),
    routes=(Route(prefix="default", via="131.107.0.1"),),
    nameservers=("131.107.0.1",),
    shift=-51,
)
CGN = Place(
    name="cgn",
    network="cgn",
    purpose="behind NAT with an IPv4 address that looks public",
    prefixes=("131.108.0.0/24",),
    routes=(Route(prefix="default", via="131.108.0.1"),),
    nameservers=("131.108.0.1",),
)
NATIVE6 = Place(
    name="native6",
    network="isp6",
    purpose="at a provider with native IPv6",
    prefixes=("192.168.140.0/24", "2001:db8:66::/64"),
    routes=(
        Route(prefix="default", via="192.168.140.1"),
        Route(prefix="default", via="2001:db8:66::1"),
    ),
    nameservers=("192.168.140.1",),
)
CORP = Place(
    name="corp",
    network="corp",
    purpose="plugged into the intranet",
    prefixes=("2001:db8:c0:3::/64", "10.0.3.0/24"),
    routes=_corp_routes(3),
    nameservers=DC_ADDRESSES,
    search=DOMAIN,
)
OFFLINE = Place(name="offline", network="", purpose="without any network")

DIRECTACCESS = Topology(
    networks=NETWORKS,
    hosts=(
        INET1,
        HOMENAT,
        HOTELNAT,
        OFFICEGW,
        CGNNAT,
        ISP6,
        EDGE1,
        CORE1,
        DC1,
        APP1,
        APP4,
        NLS,
        MGMT1,
        PROXY1,
        _client("client1", 101),
        _client("client2", 102),
    ),
    places=(HOME, HOTEL, OFFICE, DIRECT, CGN, NATIVE6, CORP, OFFLINE),
)
