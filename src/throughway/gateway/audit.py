"""Every authentication on the gateway and its outcome: put together, limited and handed on.

What charon and the workers tell becomes a draft; whose certificate it was and from where on the
Internet it came is asked for afterwards, one draft after the other, so that nobody waits for it.
"""

import asyncio
import contextlib
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from cryptography import x509

from throughway.catalogue import find
from throughway.gateway.codes import Refusal
from throughway.gateway.ipsec import GatewayIPsec
from throughway.gateway.refusals import MISMATCH, UNHEALTHY, Refused
from throughway.gateway.whence import Origin, Sessions, Whence, split_peer
from throughway.health.tracker import Tracker
from throughway.model.audit import (
    AuditEvent,
    AuditRecord,
    CertificateSeen,
    Outcome,
    Reason,
    record_of,
)
from throughway.model.config import Computer, GatewayConfig
from throughway.model.errors import ThroughwayError
from throughway.model.status import SessionStatus, TransportKind
from throughway.net.audit import AuditLog, audit_log
from throughway.net.causes import meaning
from throughway.net.listeners import source_of
from throughway.net.sas import IKESA, ChildChanged, Event, IKEChanged, LineLogged
from throughway.pki import judgement
from throughway.pki.authority import is_health
from throughway.pki.pem import UNREADABLE
from throughway.proto.flood import FloodGate

SIDE = "gateway"
INTRANET = "intranet"
MAX_PENDING = 1000
"""Drafts that wait for their particulars; more are recorded without."""
SWEEP = 10.0
"""Seconds between two looks for what was left out of a flood."""
MAX_TOLD = 1000
"""Refusals that are remembered for those whom they concern."""
TOLD_FOR = 900.0
"""Seconds for which a refusal is remembered: a client asks at once."""

_OF_ROUND_1 = ("ipsec-cert-", "ipsec-crl-")
"""What is wrong with the computer's certificate."""
UNTRUSTED = "ipsec-cert-wrong-chain"
OUT_OF_DATE = ("ipsec-cert-expired", "ipsec-cert-not-yet-valid")

_QUICK_MODE = re.compile(
    r"traffic selectors .*unacceptable|no acceptable (traffic selectors|proposal)"
    r"|no matching CHILD_SA config|no local address found in traffic selector"
)
"""What charon says when all are authenticated and the CHILD_SA cannot be."""


@dataclass(slots=True)
class _Particulars:
    """What one IKE_SA's records have in common, once it was asked for."""

    port: int = 0
    """Of IKE."""
    shown: bool = False
    """Whether a certificate was shown, which charon may still have."""
    subject: str = ""
    """Of that, as charon's log had it."""
    proven: bool = False
    """Whether its key was there, too."""
    known: bool = False
    origin: Origin = field(default_factory=Origin)
    certificate: CertificateSeen | None = None


@dataclass(frozen=True, slots=True)
class _Draft:
    record: AuditRecord
    particulars: _Particulars | None = None


@dataclass(frozen=True, slots=True)
class _Tunnel:
    """A tunnel that is up."""

    record: AuditRecord
    particulars: _Particulars


class GatewayAudit:
    """Binds what the parts of the gateway tell to the audit.

    ``computer_of`` knows whose connection of charon's it is, ``shown`` asks charon for the
    certificates it was shown (and ``forget`` lets it forget them), ``sessions`` asks the workers.
    """

    def __init__(
        self,
        log: AuditLog,
        *,
        prefix: str,
        computer_of: Callable[[str], Computer | None],
        shown: Callable[[], Awaitable[tuple[bytes, ...]]],
        forget: Callable[[], Awaitable[None]],
        sessions: Sessions,
    ) -> None:
        self._log = log
        self._computer_of = computer_of
        self._shown = shown
        self._forget = forget
        self._whence = Whence(prefix, sessions)
        self._gate = FloodGate()
        self._up: dict[int, _Tunnel] = {}
        """The tunnels that are up, by charon's number."""
        self._childless: set[int] = set()
        """Those of which it was told already that they lead nowhere."""
        self._drafts: asyncio.Queue[_Draft] = asyncio.Queue(MAX_PENDING)
        self._told: OrderedDict[tuple[str, str], AuditRecord] = OrderedDict()
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    def start(self) -> None:
        """Begin; what is told before waits."""
        work = (self._complete_forever(), self._sweep_forever())
        self._tasks = tuple(asyncio.create_task(one, name="audit") for one in work)

    @property
    def outcomes(self) -> Mapping[tuple[AuditEvent, Outcome], int]:
        """How often what has happened, since the start."""
        return self._log.outcomes

    async def close(self) -> None:
        """Record what is left, and end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while not self._drafts.empty():
            self._log.record(self._drafts.get_nowait().record)
        self._sweep(everything=True)
        await self._log.close()

    def reasons_of(self, thumbprint: str) -> tuple[Reason, ...]:
        """Return the last refusal of exactly this certificate, of each tunnel."""
        now = time.time()
        mine = (told for (owner, _), told in self._told.items() if owner == thumbprint)
        return tuple(
            Reason(
                age=max(0.0, now - told.at),
                tunnel=told.tunnel,
                problem=told.problem,
                reason=told.reason,
            )
            for told in mine
            if told.at > now - TOLD_FOR
        )

    # What the parts tell

    def ipsec_event(self, event: Event) -> None:
        """Take an event of charon's."""
        match event:
            case IKEChanged(up=True, sa=sa):
                self._established(sa)
            case IKEChanged(up=False, sa=sa):
                self._ended(self._number(sa))
            case ChildChanged(up=up, sa=sa):
                self._child(self._number(sa), up=up, prefixes=_selectors(sa))
            case LineLogged(unique_id=number, text=text) if number in self._up:
                if _QUICK_MODE.search(text) and number not in self._childless:
                    self._failed_child(number, text)

    def cut(self, reason: str, problem: str, peer: str) -> None:
        """Take why tunnels of ``name (address)`` are about to be ended; their end will say it."""
        address = peer.rpartition("(")[2].rstrip(")")
        for number, tunnel in self._up.items():
            record = tunnel.record
            if record.inner_address == address and reason.startswith(f"the {record.tunnel} "):
                record = replace(record, reason=reason, problem=problem)
                self._up[number] = replace(tunnel, record=record)

    def charon_ended(self, reason: str) -> None:
        """charon died, and every tunnel with it; its numbers begin anew."""
        for number in tuple(self._up):
            self._ended(number, reason)

    def refused(self, refused: Refused) -> None:
        """Take a refusal by charon, or by the authoriser behind it."""
        seen = refused.seen
        computer = self._computer_of(seen.connection)
        tunnel = seen.connection.partition("-")[0]
        event = _failure(refused)
        record = record_of(
            event,
            at=time.time(),
            side=SIDE,
            computer=computer.identity if computer else seen.identity,
            account=seen.account or _account(refused, computer),
            user=seen.user,
            inner_address=seen.address,
            problem=refused.problem,
            reason=refused.reason,
            tunnel=tunnel,
            ike_sa=seen.unique_id,
        )
        particulars = _Particulars(
            port=seen.port,
            # charon keeps no certificate that it could not lead to an authority: what it has of
            # that name is another one's.
            shown=bool(seen.certificate) and refused.problem != UNTRUSTED,
            subject=seen.certificate,
            proven=seen.rounds > 0,
        )
        self._draft(_Draft(record, particulars))
        if seen.user and event is AuditEvent.EXTENDED_MODE_FAILED:
            self._draft(_Draft(_as(record, AuditEvent.USER_LOGON_FAILED), particulars))

    def code_refused(self, refusal: Refusal) -> None:
        """Take a one-time code that was worth nothing."""
        record = record_of(
            AuditEvent.USER_LOGON_FAILED,
            at=time.time(),
            side=SIDE,
            computer=refusal.computer,
            user=refusal.user,
            inner_address=refusal.address,
            problem=refusal.problem,
            reason=refusal.reason,
        )
        self._draft(_Draft(record, _Particulars()))

    def session_opened(self, session: SessionStatus) -> None:
        """Take a client that is there over IP-HTTPS."""
        self._session(AuditEvent.IPHTTPS_OPENED, session.peer, _of_session(session))

    def session_closed(self, session: SessionStatus, reason: str) -> None:
        """Take a client that is gone."""
        self._whence.closed(session)
        self._session(AuditEvent.IPHTTPS_CLOSED, session.peer, _of_session(session), detail=reason)

    def session_refused(self, peer: str, problem: str, reason: str) -> None:
        """Take a client that was refused before it had a session."""
        self._session(AuditEvent.IPHTTPS_REFUSED, peer, None, problem=problem, reason=reason)

    # Drafts

    def _established(self, sa: IKESA) -> None:
        tunnel = sa.name.partition("-")[0]
        computer = self._computer_of(sa.name)
        user = sa.remote_eap_identity or sa.remote_identity if tunnel == INTRANET else ""
        record = record_of(
            AuditEvent.MAIN_MODE_ESTABLISHED,
            at=time.time(),
            side=SIDE,
            computer=computer.identity if computer else "",
            account="" if user or computer is None else computer.account,
            user=user,
            inner_address=sa.remote_address,
            tunnel=tunnel,
            ike_sa=sa.unique_id,
        )
        particulars = _Particulars(port=sa.remote_port, shown=True, proven=True)
        self._up[sa.unique_id] = _Tunnel(record, particulars)
        self._draft(_Draft(record, particulars))
        if user:
            self._draft(_Draft(_as(record, AuditEvent.USER_LOGON), particulars))

    def _number(self, sa: IKESA) -> int:
        """Return the number under which a tunnel was told; a new key gives it another one."""
        if sa.unique_id in self._up or sa.state == "CONNECTING":
            return sa.unique_id
        where = (sa.name.partition("-")[0], sa.remote_address)
        same = (
            number
            for number, tunnel in self._up.items()
            if (tunnel.record.tunnel, tunnel.record.inner_address) == where
        )
        return next(same, sa.unique_id)

    def _ended(self, number: int, reason: str = "") -> None:
        self._childless.discard(number)
        tunnel = self._up.pop(number, None)
        if tunnel is None:
            return
        record = replace(tunnel.record, reason=reason or tunnel.record.reason)
        self._draft(_Draft(_as(record, AuditEvent.MAIN_MODE_ENDED), tunnel.particulars))
        if record.user:
            self._draft(_Draft(_as(record, AuditEvent.USER_LOGOFF), tunnel.particulars))

    def _child(self, number: int, *, up: bool, prefixes: str) -> None:
        if (tunnel := self._up.get(number)) is not None:
            event = AuditEvent.QUICK_MODE_ESTABLISHED if up else AuditEvent.QUICK_MODE_ENDED
            record = replace(_as(tunnel.record, event), detail=prefixes)
            self._draft(_Draft(record, tunnel.particulars))

    def _failed_child(self, number: int, text: str) -> None:
        tunnel = self._up[number]
        failed = replace(
            _as(tunnel.record, AuditEvent.QUICK_MODE_FAILED),
            problem=meaning(text) or "ipsec-policy-mismatch",
            reason=text,
        )
        self._childless.add(number)
        self._draft(_Draft(failed, tunnel.particulars))

    def _session(
        self, event: AuditEvent, peer: str, certificate: CertificateSeen | None, **words: str
    ) -> None:
        address, port = split_peer(peer)
        record = record_of(
            event,
            at=time.time(),
            side=SIDE,
            transport=str(TransportKind.IPHTTPS),
            outer_address=address,
            outer_port=port,
            certificate=certificate,
            **words,
        )
        self._draft(_Draft(record))

    def _draft(self, draft: _Draft) -> None:
        try:
            self._drafts.put_nowait(draft)
        except asyncio.QueueFull:
            self._record(draft.record)

    # Particulars

    async def _complete_forever(self) -> None:
        while True:
            draft = await self._drafts.get()
            record = draft.record
            try:
                # Of a certificate, too, that nobody can read: whose it was is then not told.
                with contextlib.suppress(ThroughwayError, *UNREADABLE):
                    record = await self._completed(draft)
            finally:  # also where the gateway ends meanwhile
                self._record(record)
                self._drafts.task_done()

    async def _completed(self, draft: _Draft) -> AuditRecord:
        record, particulars = draft.record, draft.particulars
        if particulars is None:
            return record
        if not particulars.known:
            await self._inquire(record, particulars)
        origin = particulars.origin
        record = replace(
            record,
            transport=str(origin.transport),
            outer_address=origin.address,
            outer_port=origin.port,
            certificate=particulars.certificate,
        )
        return record

    async def _inquire(self, record: AuditRecord, particulars: _Particulars) -> None:
        """Ask whence it came and what was shown; of what cannot be answered the rest is told."""
        particulars.known = True
        if particulars.subject:
            particulars.certificate = CertificateSeen(subject=particulars.subject)
        if particulars.shown and record.computer:
            found = await self._certificate(record, proven=particulars.proven)
            particulars.certificate = found or particulars.certificate
            # Its owner may ask already, while the workers are still being asked.
            self._remember(replace(record, certificate=particulars.certificate))
        particulars.origin = await self._whence.find(record.inner_address, particulars.port)

    async def _certificate(self, record: AuditRecord, *, proven: bool) -> CertificateSeen | None:
        """Return the certificate that was shown for an identity, as far as charon still has it."""
        named = [
            certificate
            for data in await self._shown()
            if (certificate := _parsed(data)) and _names(certificate, record.computer)
        ]
        healthy = [c for c in named if is_health(c)]
        shows_health = record.tunnel == INTRANET and record.problem != UNHEALTHY
        named = (
            healthy
            if healthy and shows_health
            else [c for c in named if c not in healthy] or healthy
        )
        if len(named) > 1:
            # Renewed, or stolen: from the next time on it is sure again which of them it is.
            await self._forget()
        now = datetime.fromtimestamp(record.at, UTC)
        if proven or record.problem in OUT_OF_DATE:
            named = [c for c in named if judgement.in_force(c, now) is proven]
        if not named:
            return None
        newest = max(named, key=lambda certificate: certificate.not_valid_before_utc)
        return replace(judgement.seen(newest), others=len(named) - 1)

    def _remember(self, record: AuditRecord) -> None:
        """Keep what the certificate's owner may ask for; nothing where it is in doubt whose."""
        if record.event is AuditEvent.MAIN_MODE_ESTABLISHED or record.problem == MISMATCH:
            # It came in; or nothing is said, for a thief need not hear what has given them away,
            # and what was said before does not explain this.
            self._forget_told(record.computer, record.tunnel)
            return
        certificate = record.certificate
        if certificate is None or certificate.others or not certificate.thumbprint:
            return
        if record.outcome is Outcome.REFUSED:
            key = (certificate.thumbprint, record.tunnel)
            self._told.pop(key, None)
            self._told[key] = record
            while len(self._told) > MAX_TOLD:
                self._told.popitem(last=False)

    def _forget_told(self, computer: str, tunnel: str) -> None:
        """Forget why a computer was refused, whichever certificate it had, that tunnel or all."""
        for key, told in tuple(self._told.items()):
            if told.computer == computer and told.tunnel in (tunnel, ""):
                del self._told[key]

    # Records

    def _record(self, record: AuditRecord) -> None:
        """Record it, unless its source has filled its share of this minute."""
        if _by_strangers(record):
            # Whoever has a network of IPv6 has all of its addresses; ours are one to a client.
            outer = record.outer_address
            source = source_of(outer) if outer else record.inner_address
            if not self._gate.admits(source, time.monotonic()):
                return
        self._log.record(record)

    async def _sweep_forever(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            self._sweep()

    def _sweep(self, *, everything: bool = False) -> None:
        for left in self._gate.due(time.monotonic(), everything=everything):
            words = "refused, or come and gone, more often than is recorded"
            self._log.record(
                record_of(
                    AuditEvent.LEFT_OUT,
                    at=time.time(),
                    side=SIDE,
                    outer_address=left.source,
                    count=left.count,
                    reason=words,
                )
            )


def audit_of(
    config: GatewayConfig,
    tracker: Tracker,
    *,
    ipsec: Callable[[], GatewayIPsec],
    sessions: Sessions,
) -> GatewayAudit:
    """Make the audit of a gateway; ``ipsec`` is asked for when it is needed."""
    problem = find("audit-not-written")

    def trouble(words: str) -> None:
        if words:
            tracker.set(problem, words)
        else:
            tracker.clear(problem)

    return GatewayAudit(
        audit_log(config.audit, SIDE, trouble),
        prefix=config.iphttps.prefix,
        computer_of=lambda connection: ipsec().computer_of(connection),
        shown=lambda: ipsec().shown_certificates(),
        forget=lambda: ipsec().forget_shown(),
        sessions=sessions,
    )


def _of_session(session: SessionStatus) -> CertificateSeen | None:
    if not session.certificate:
        return None
    return CertificateSeen(subject=session.certificate, thumbprint=session.fingerprint)


def _parsed(data: bytes) -> x509.Certificate | None:
    try:
        return x509.load_der_x509_certificate(data)
    except UNREADABLE:
        return None


def _names(certificate: x509.Certificate, identity: str) -> bool:
    try:
        return identity.lower() in (name.lower() for name in judgement.names(certificate))
    except ValueError:  # an extension that does not parse
        return False


def _as(record: AuditRecord, event: AuditEvent) -> AuditRecord:
    """Return the same as another event of this moment."""
    fresh = record_of(event, at=time.time(), side=record.side)
    return replace(
        record, event=event, at=fresh.at, windows=fresh.windows, outcome=fresh.outcome, detail=""
    )


def _account(refused: Refused, computer: Computer | None) -> str:
    """Return the account of round 2; charon names it only where it is another one's."""
    infrastructure = not refused.seen.connection.startswith(INTRANET)
    return computer.account if computer and infrastructure and refused.seen.rounds else ""


def _failure(refused: Refused) -> AuditEvent:
    """Say in which of Windows' modes a refusal falls."""
    if refused.seen.certificate and refused.problem.startswith(_OF_ROUND_1):
        return AuditEvent.MAIN_MODE_FAILED  # charon looks at it twice, the second time at the end
    if refused.seen.rounds or refused.problem == "ipsec-smart-card-required":
        return AuditEvent.EXTENDED_MODE_FAILED
    if refused.seen.certificate:
        return AuditEvent.MAIN_MODE_FAILED
    return AuditEvent.MAIN_MODE_FAILED_EARLY


def _selectors(sa: IKESA) -> str:
    pairs = [
        f"{', '.join(child.local_ts)} === {', '.join(child.remote_ts)}" for child in sa.children
    ]
    return "; ".join(pairs)


def _by_strangers(record: AuditRecord) -> bool:
    """Whether anybody can bring such a record about, without a certificate of ours."""
    session = (AuditEvent.IPHTTPS_OPENED, AuditEvent.IPHTTPS_CLOSED)
    return record.outcome is Outcome.REFUSED or record.event in session
