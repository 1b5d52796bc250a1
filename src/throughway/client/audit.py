"""The client's own view of its authentications, for its audit.

What it does not know (why the gateway refused it) the gateway's audit has, and what the gateway
told of it stands here in the gateway's words. A failure that repeats itself is counted.
"""

import ssl
import time
from collections.abc import Mapping
from hashlib import sha256

from throughway.catalogue import find
from throughway.health.tracker import Tracker
from throughway.model.audit import AuditEvent, CertificateSeen, Outcome, record_of
from throughway.model.config import ClientConfig
from throughway.model.errors import IPsecError, TransportError
from throughway.model.status import TransportKind, TunnelStatus
from throughway.net.audit import AuditLog, audit_log

SIDE = "client"
REPEATED = 900.0
"""Seconds after which a failure that repeats itself is recorded again, with a count."""

_SECOND_ROUND = frozenset(
    {
        *("ipsec-computer-account-refused", "ipsec-user-refused", "ipsec-smart-card-required"),
        "ipsec-account-certificate-mismatch",
    }
)
_WITHOUT_CERTIFICATE = frozenset({"ipsec-negotiation-timeout", "ipsec-endpoint-unreachable"})


class ClientAudit:
    """Takes what happens; the file follows."""

    def __init__(self, config: ClientConfig, log: AuditLog) -> None:
        self._config = config
        self._log = log
        self._certificate = CertificateSeen(subject=config.identity)
        self._user = ""
        self._linked = False
        self._repeated: dict[str, tuple[tuple[str, str], float, int]] = {}
        """By what fails: how it fails, when that was recorded, and how often since."""

    def start(self) -> None:
        """Look at the certificate that the gateway will be shown."""
        try:
            text = self._config.certificate.read_text()
            end = "-----END CERTIFICATE-----"
            data = ssl.PEM_cert_to_DER_cert(text[: text.index(end) + len(end)].strip())
        except (OSError, ValueError):
            return  # said where it is used
        self._certificate = CertificateSeen(
            subject=self._config.identity, thumbprint=sha256(data).hexdigest()
        )

    @property
    def outcomes(self) -> Mapping[tuple[AuditEvent, Outcome], int]:
        """How often what has happened, since the start."""
        return self._log.outcomes

    async def close(self) -> None:
        """Write what waits."""
        await self._log.close()

    def tunnel_up(self, tunnel: TunnelStatus, transport: str) -> None:
        """A tunnel came up."""
        self._repeated.pop(tunnel.name, None)
        self._tunnel(AuditEvent.MAIN_MODE_ESTABLISHED, tunnel, transport=transport)

    def tunnel_down(self, tunnel: TunnelStatus) -> None:
        """A tunnel that was up is gone."""
        self._tunnel(AuditEvent.MAIN_MODE_ENDED, tunnel)

    def tunnel_failed(self, name: str, error: IPsecError, transport: str) -> None:
        """An attempt failed."""
        count = self._count(name, error.problem, str(error))
        if count < 0:
            return
        event = AuditEvent.MAIN_MODE_FAILED
        if error.problem in _SECOND_ROUND:
            event = AuditEvent.EXTENDED_MODE_FAILED
        elif error.problem in _WITHOUT_CERTIFICATE:
            event = AuditEvent.MAIN_MODE_FAILED_EARLY
        elif error.problem == "ipsec-policy-mismatch":
            event = AuditEvent.QUICK_MODE_FAILED
        intranet = name == "intranet"
        self._record(
            event,
            account="" if intranet else self._config.account,
            user=self._user if intranet else "",
            tunnel=name,
            transport=transport,
            problem=error.problem,
            reason=str(error),
            count=count,
        )

    def link_up(self, way: str) -> None:
        """The IP-HTTPS link came up."""
        self._repeated.pop("link", None)
        self._linked = True
        kind = str(TransportKind.IPHTTPS)
        self._record(AuditEvent.IPHTTPS_OPENED, transport=kind, detail=way)

    def link_failed(self, error: TransportError, *, connected: bool = True) -> None:
        """It did not, or was lost; nobody refuses anything where there is no network."""
        kind = str(TransportKind.IPHTTPS)
        if self._linked:
            self._linked = False
            self._record(
                AuditEvent.IPHTTPS_CLOSED, transport=kind, problem=error.problem, reason=str(error)
            )
            return
        if not connected:
            return
        count = self._count("link", error.problem, str(error))
        if count >= 0:
            self._record(
                AuditEvent.IPHTTPS_REFUSED,
                transport=kind,
                problem=error.problem,
                reason=str(error),
                count=count,
            )

    def set_user(self, principal: str) -> None:
        """Take who is logged on, "" for nobody."""
        self._user = principal

    def user(self, event: AuditEvent, principal: str, reason: str = "") -> None:
        """A user logged on, was refused, or logged off."""
        if event is not AuditEvent.USER_LOGON_FAILED:
            self.set_user(principal if event is AuditEvent.USER_LOGON else "")
        self._record(event, user=principal, reason=reason)

    def _count(self, what: str, problem: str, reason: str) -> int:
        """Return how often this failure was not recorded since it was; -1: nor shall it be now."""
        now, how = time.monotonic(), (problem, reason)
        former, at, count = self._repeated.get(what, (("", ""), 0.0, 0))
        if former == how and now < at + REPEATED:
            self._repeated[what] = (former, at, count + 1)
            return -1
        self._repeated[what] = (how, now, 0)
        return count if former == how else 0

    def _tunnel(self, event: AuditEvent, tunnel: TunnelStatus, transport: str = "") -> None:
        intranet = tunnel.name == "intranet"
        self._record(
            event,
            account="" if intranet else self._config.account,
            user=tunnel.account if intranet else "",
            inner_address=tunnel.local_address,
            transport=transport,
            tunnel=tunnel.name,
            detail=", ".join(tunnel.prefixes),
        )

    def _record(self, event: AuditEvent, **values: object) -> None:
        self._log.record(
            record_of(
                event,
                at=time.time(),
                side=SIDE,
                computer=self._config.identity,
                certificate=self._certificate,
                **values,
            )
        )


def client_audit(config: ClientConfig, tracker: Tracker) -> ClientAudit:
    """Make the audit that a configuration asks for."""
    problem = find("audit-not-written")

    def trouble(words: str) -> None:
        if words:
            tracker.set(problem, words)
        else:
            tracker.clear(problem)

    return ClientAudit(config, audit_log(config.audit, SIDE, trouble))
