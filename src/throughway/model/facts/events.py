"""Facts from event logs that have no form of their own."""

from dataclasses import dataclass

from throughway.model.evidence import Role
from throughway.model.facts.base import Fact

IPHLPSVC = "Microsoft-Windows-Iphlpsvc"
NCASVC = "Microsoft-Windows-Ncasvc"
NCSI = "Microsoft-Windows-NCSI"
DNS_CLIENT = "Microsoft-Windows-DNS-Client"
SECURITY = "Microsoft-Windows-Security-Auditing"
SCHANNEL = "Schannel"
_ONLY_SERVERS = frozenset({4300, 4302, 4303, 4304, 4500})
"""Events of IP Helper about its own IP-HTTPS server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvent(Fact):
    """One event of a log, with its data by name; for rules that look for an event."""

    QUESTION = "What do the event logs say?"
    COLLECT = (
        "wevtutil qe System /f:xml /c:500 /rd:true",
        "wevtutil qe Microsoft-Windows-NCSI/Operational /f:xml /c:200 /rd:true",
        "wevtutil qe Microsoft-Windows-Ncasvc/Operational /f:xml /c:200 /rd:true",
    )

    provider: str
    event: int
    level: int | None = None
    """1 critical, 2 error, 3 warning, 4 information."""
    when: str | None = None
    """ISO 8601; with "Z" where the log gives UTC, else local time."""
    computer: str = ""
    data: tuple[tuple[str, str], ...] = ()
    message: str = ""

    def value(self, name: str) -> str | None:
        """Return one of the data."""
        return dict(self.data).get(name)

    @property
    def role_shown(self) -> Role | None:
        """What only a client, or only a server, writes into its log."""
        if self.provider == NCASVC:
            return Role.CLIENT
        server = self.provider == IPHLPSVC and self.event in _ONLY_SERVERS
        return Role.SERVER if server else None
