"""Facts about a Linux machine that is our client or gateway, as ``throughway collect`` has it."""

from dataclasses import dataclass
from typing import ClassVar

from throughway.model.evidence import Platform, Role, Source
from throughway.model.facts.base import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class LinuxFact(Fact):
    """What only a Linux machine says."""

    PLATFORM = Platform.LINUX
    COLLECT: ClassVar[tuple[str, ...]] = ("throughway collect",)


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonState(LinuxFact):
    """Whether one of our daemons should run here, and whether it answers."""

    QUESTION = "Do our daemons run?"

    daemon: Role
    configured: bool
    answers: bool | None
    """None: we were not allowed to ask."""
    why: str = ""
    """Why it does not answer."""

    @property
    def role_shown(self) -> Role | None:
        """A machine is what it is configured to be."""
        return self.daemon if self.configured else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonReport(LinuxFact):
    """The head of ``throughway client status --json`` or ``gateway status --json``."""

    QUESTION = "What does the daemon say of itself?"
    COLLECT = ("throughway client status --json", "throughway gateway status --json")

    daemon: Role
    version: str
    taken_at: float
    state: str
    """The client's connection, the gateway's state."""
    interfaces: tuple[str, ...] = ()
    """The devices that it has now."""

    @property
    def role_shown(self) -> Role | None:
        """Whose daemon it is."""
        return self.daemon


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeWay(LinuxFact):
    """The daemon says that everything is well, from one end to the other."""

    QUESTION = DaemonReport.QUESTION
    COLLECT = DaemonReport.COLLECT


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedProblem(LinuxFact):
    """A problem that a daemon has named."""

    QUESTION = DaemonReport.QUESTION

    by: str
    """Who says so, such as ``the client``."""
    code: str
    detail: str = ""
    fix: tuple[str, ...] = ()
    """The problem's commands with this case's values."""
    verify: tuple[str, ...] = ()
    sure: bool = True
    also: tuple[Source, ...] = ()
    """Other lines that it stands on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenProblem(ReportedProblem):
    """A problem that ``throughway netcheck`` or ``probe`` has named."""

    QUESTION = "What does the network let through?"


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSetting(LinuxFact):
    """One line of ``sysctl net``."""

    QUESTION = "How is the kernel set?"
    COLLECT = ("sysctl -a -r '^net.ipv[46].conf.*(forwarding|disable_ipv6|accept_ra)$'",)

    name: str
    """Such as ``net.ipv6.conf.all.forwarding``."""
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState(LinuxFact):
    """One device of ``ip -j link`` or ``ip -j address``."""

    QUESTION = "Which network devices are there?"
    COLLECT = ("ip -j -p address show",)

    name: str
    up: bool
    carrier: bool
    addresses: tuple[str, ...] | None = None
    """None where only the link was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelRoute(LinuxFact):
    """One route of ``ip -j -6 route``."""

    QUESTION = "Which routes does the kernel have?"
    COLLECT = ("ip -j -p -6 route show table all",)

    prefix: str
    """With its length, also where the kernel prints ``default`` or an address alone."""
    interface: str
    kind: str = "unicast"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListeningSocket(LinuxFact):
    """One line of ``ss -tulnp``."""

    QUESTION = "Who listens on which ports?"
    COLLECT = ("ss -tulnp",)

    protocol: str
    address: str
    """"*" for any."""
    port: int
    process: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterRule(LinuxFact):
    """One rule of ``nft list ruleset`` that drops or rejects."""

    QUESTION = "What does the packet filter keep out?"
    COLLECT = ("nft list ruleset",)

    table: str
    hook: str
    """``input``, ``output``, ``forward``; "" where its chain is none of a hook."""
    text: str
    ports: tuple[int, ...] = ()
    """Destination ports of TCP that it is about, one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfiguration(LinuxFact):
    """What of ``gateway.toml`` can be compared with the machine."""

    QUESTION = "How is the gateway configured?"
    COLLECT = ("cat /etc/throughway/gateway.toml",)
    ROLE = Role.SERVER

    prefix: str = ""
    interface: str = "iphttps0"
    listen: tuple[str, ...] = ()
    """``address:port``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredCertificate(LinuxFact):
    """A certificate that a configuration names."""

    QUESTION = "Until when are the certificates valid?"

    setting: str
    """The key in the file: ``iphttps.certificate``."""
    file: str
    subject: str
    not_before: str
    """ISO 8601, UTC."""
    not_after: str
    judged_at: str
    """The machine's clock when it was read."""
    of: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableCertificate(LinuxFact):
    """A certificate that a configuration names, and that cannot be read."""

    setting: str
    file: str
    why: str
