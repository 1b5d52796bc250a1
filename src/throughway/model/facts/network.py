"""Facts about the machine and the network it stands in."""

from dataclasses import dataclass

from throughway.model.facts.base import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputerName(Fact):
    """The name which the machine calls itself."""

    name: str
    domain: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemInformation(Fact):
    """``systeminfo``, Get-ComputerInfo, ver."""

    QUESTION = "Which Windows is it, and on what machine?"
    COLLECT = ("systeminfo",)

    product: str | None = None
    """As printed: "Microsoft Windows 10 Pro"."""
    version: str | None = None
    """"10.0.19045"."""
    manufacturer: str | None = None
    model: str | None = None
    domain: str | None = None
    hotfixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter(Fact):
    """One block of ``ipconfig /all``."""

    QUESTION = "Which adapters and addresses does the machine have?"
    COLLECT = ("ipconfig /all",)

    name: str
    """As after the word for its kind: "iphttpsinterface", "Teredo Tunneling Pseudo-Interface"."""
    heading: str = ""
    """The whole heading."""
    tunnel: bool | None = None
    description: str = ""
    connected: bool | None = None
    """False when the medium is disconnected, True when it has an address."""
    ipv4: tuple[str, ...] = ()
    ipv6: tuple[str, ...] = ()
    """Not the link-local ones; without zone and mark."""
    link_local: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    dns_servers: tuple[str, ...] = ()
    suffix: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Fact):
    """One route of ``route print``, ``netsh interface ipv6 show route`` or Get-NetRoute."""

    QUESTION = "Which routes are there?"
    COLLECT = ("route print", "netsh interface ipv6 show route")

    prefix: str
    gateway: str = ""
    """"" is on-link."""
    interface: str = ""
    """Its name, index or address, as printed."""
    metric: int | None = None
    published: bool | None = None
    persistent: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PingResult(Fact):
    """``ping`` of one target."""

    QUESTION = "Does the target answer a ping?"
    COLLECT = ("ping HOST",)

    target: str
    address: str | None = None
    resolved: bool | None = None
    replied: bool | None = None
    unix: bool = False
    """The form of the ping of Unix, as of a Linux in WSL on the same machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceResult(Fact):
    """``tracert`` to one target."""

    QUESTION = "Where does the way to the target end?"
    COLLECT = ("tracert -d HOST",)

    target: str
    address: str | None = None
    hops: tuple[str, ...] = ()
    """The addresses that answered, in order."""
    reached: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NameLookup(Fact):
    """``nslookup`` or Resolve-DnsName of one name."""

    QUESTION = "What do the DNS servers answer?"
    COLLECT = ("nslookup HOST", "Resolve-DnsName HOST")

    name: str
    """What was asked for; "" where only the command would say, of a server that was silent."""
    server: str | None = None
    addresses: tuple[str, ...] = ()
    failed: bool | None = None
    timed_out: bool | None = None
    through_nrpt: bool | None = None
    """False for nslookup, which asks past the NRPT; True for Resolve-DnsName."""
    record_type: str | None = None
    """The only type that was asked for, where the command says one: "A"."""
    both_kinds: bool | None = None
    """Whether IPv4 and IPv6 addresses were asked for; None where the command is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortTest(Fact):
    """Test-NetConnection or a telnet to a TCP port."""

    QUESTION = "Can the port be connected to?"
    COLLECT = ("Test-NetConnection HOST -Port 443",)

    target: str
    address: str | None = None
    port: int | None = None
    succeeded: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkShare(Fact):
    r"""``net view \\server``."""

    QUESTION = "Can an intranet share be opened?"
    COLLECT = (r"net view \\SERVER",)

    server: str
    """Of "" nothing is known but an error that says all itself."""
    succeeded: bool | None = None
    error_code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WinHTTPProxy(Fact):
    """``netsh winhttp show proxy``: what the services of the machine use."""

    QUESTION = "Which proxy do the services of the machine use?"
    COLLECT = ("netsh winhttp show proxy",)

    direct: bool | None = None
    proxy: str | None = None
    bypass: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserProxy(Fact):
    """The Internet Settings of a user or of the system, from the registry."""

    QUESTION = "Which proxy does the browser use?"
    COLLECT = (
        r'reg query "HKCU\Software\Microsoft\Windows\CurrentVersion\Internet Settings"',
        r'reg query "HKU\S-1-5-18\Software\Microsoft\Windows\CurrentVersion\Internet Settings"',
    )

    enabled: bool | None = None
    proxy: str | None = None
    script: str | None = None
    """The URL of a configuration script."""
    system: bool | None = None
    """It is the one of the system account, which IP-HTTPS uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryValue(Fact):
    """One value of ``reg query``, a .reg file or Registry.pol."""

    key: str
    name: str
    type: str = ""
    """REG_DWORD, REG_SZ, …; "" for a value that is missing."""
    value: int | str | tuple[str, ...] | None = None
    """None: the registry has no such value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisabledComponents(Fact):
    """The bits that switch IPv6 or parts of it off."""

    QUESTION = "Are IPv6 components disabled in the registry?"
    COLLECT = (
        r"reg query HKLM\SYSTEM\CurrentControlSet\Services\tcpip6\Parameters /v DisabledComponents",
    )

    bits: int
    """0 where the value does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState(Fact):
    """``sc query``, Get-Service, ``net start``."""

    QUESTION = "Do the services run?"
    COLLECT = ("sc query iphlpsvc", "sc query mpssvc", "sc query ikeext", "sc query ncasvc")

    name: str
    """The short name, lower case: iphlpsvc, mpssvc, bfe, ikeext, policyagent, ncasvc, ramgmtsvc."""
    running: bool | None = None
    disabled: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainReplication(Fact):
    """``dfsrmig /getglobalstate``: by what SYSVOL is replicated."""

    QUESTION = "How is SYSVOL replicated?"
    COLLECT = ("dfsrmig /getglobalstate",)

    dfsr: bool | None = None
