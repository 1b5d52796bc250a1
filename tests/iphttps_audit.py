"""What the gateway's audit writes of clients over IP-HTTPS, for tests that have real ones."""

from tests.ipsec_world import Recorder
from throughway.gateway.audit import GatewayAudit
from throughway.model.audit import AuditEvent, AuditRecord
from throughway.model.status import SessionStatus
from throughway.proto.flood import FloodGate
from throughway.proto.iphttps.server import ClientRefused

Event = tuple[AuditEvent, str]


async def _nothing() -> tuple[bytes, ...]:
    return ()


async def _nobody() -> tuple[SessionStatus, ...]:
    return ()


async def _forget() -> None:
    """There is nothing."""


class Book:
    """An audit, and what it has written."""

    def __init__(self) -> None:
        self.records: list[AuditRecord] = []
        self.audit = GatewayAudit(
            Recorder(self.records),
            prefix="2001:db8:da::/64",
            computer_of=lambda connection: None,
            shown=_nothing,
            forget=_forget,
            sessions=_nobody,
        )

    def refused(self, refused: ClientRefused) -> None:
        """Bind it to a server."""
        self.audit.session_refused(refused.peer, refused.problem, refused.reason)

    def take(self) -> list[Event]:
        """Return who came in or was refused, with the problem, once for each of them."""
        drafts = self.audit._drafts
        while not drafts.empty():
            self.audit._record(drafts.get_nowait().record)
        told = (AuditEvent.IPHTTPS_OPENED, AuditEvent.IPHTTPS_REFUSED)
        found = [(r.event, r.problem) for r in self.records if r.event in told]
        self.records.clear()
        # It records so much of one address in a minute, and counts what is more.
        self.audit._gate = FloodGate()
        return list(dict.fromkeys(found))


OPENED: list[Event] = [(AuditEvent.IPHTTPS_OPENED, "")]


def refused_as(problem: str) -> list[Event]:
    """Return what is written of a refusal, of one that the gateway does not see nothing."""
    return [(AuditEvent.IPHTTPS_REFUSED, problem)] if problem else []
