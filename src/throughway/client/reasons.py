"""Why the gateway refused this computer: asked of the gateway itself, where its policy allows.

IKE tells a refused client nothing but AUTHENTICATION_FAILED (RFC 7296, 2.21.2). The gateway knows
more, and tells it to whoever proves the key of the certificate that was refused: by TLS, at its
infrastructure endpoint, before any tunnel.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from throughway.catalogue import PROBLEMS
from throughway.client.computer_key import shown_by_tls
from throughway.control.codec import decode_line, from_json
from throughway.model.audit import Reason
from throughway.model.config import ClientConfig
from throughway.model.errors import IPsecError, ThroughwayError, WireError
from throughway.model.policy import Policy
from throughway.model.status import TunnelState, TunnelStatus
from throughway.net import firewall
from throughway.net.audit import clean
from throughway.net.causes import UNSPECIFIED
from throughway.net.fetch import fetch
from throughway.net.tls import client_context

PATH = "/refusal"
PAUSES = (0.6, 1.5, 3.0)
"""Seconds before each question after a refusal: charon's log reaches the gateway a little late."""
ASK_INTERVAL = 30.0
"""Seconds after which a refusal that repeats itself is asked about again."""
FRESH = 10.0
"""Seconds by which an answer may be older than the attempt that it explains."""
LIMIT = 16 * 1024
"""Bytes of an answer: a few refusals of some hundred characters each."""
TIMEOUT = 5.0
MARK = "the gateway says: "
"""What stands before words that are not ours."""
REFUSALS = frozenset(
    {
        *(UNSPECIFIED, "ipsec-computer-account-refused", "ipsec-user-refused"),
        *("ipsec-smart-card-required", "ipsec-health-certificate-missing"),
        *("ipsec-policy-mismatch", "ipsec-cert-wrong-chain"),
        *("user-certificate-expired", "user-certificate-untrusted"),
        *("user-certificate-revoked", "user-certificate-wrong-usage"),
    }
)
"""Problems that may mean that the gateway has refused, and knows more."""

OnTold = Callable[[str, IPsecError], None]


class Reasons:
    """Asks the gateway; ``on_told(tunnel, error)`` hears what it says."""

    def __init__(self, config: ClientConfig, policy: Policy, on_told: OnTold) -> None:
        self._config = config
        self._policy = policy
        self._on_told = on_told
        self._told: dict[str, IPsecError] = {}
        self._asked: dict[str, float] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def update_policy(self, policy: Policy) -> None:
        """Take a newer policy."""
        self._policy = policy

    def failed(self, tunnel: str, error: IPsecError) -> IPsecError:
        """Take a failure; return it in the gateway's words, where it has said them already."""
        if error.problem not in REFUSALS or not self._policy.reasons_port:
            self._unsay(tunnel)
            return error
        now = time.monotonic()
        running = self._tasks.get(tunnel)
        if now >= self._asked.get(tunnel, float("-inf")) + ASK_INTERVAL and (
            running is None or running.done() or running.cancelling()
        ):
            self._asked[tunnel] = now
            self._tasks[tunnel] = asyncio.get_running_loop().create_task(self._ask(tunnel, now))
        return self._told.get(tunnel, error)

    def forget(self, tunnel: str) -> None:
        """The tunnel is up, or another user's: what was said, or is being asked, holds no more."""
        self._unsay(tunnel)
        if (task := self._tasks.get(tunnel)) is not None:
            task.cancel()

    def _unsay(self, tunnel: str) -> None:
        self._told.pop(tunnel, None)
        self._asked.pop(tunnel, None)

    def shown(self, tunnels: Sequence[TunnelStatus]) -> tuple[TunnelStatus, ...]:
        """Return the tunnels with the gateway's words as their last error."""
        return tuple(self._shown(tunnel) for tunnel in tunnels)

    async def close(self) -> None:
        """Ask no more."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _shown(self, tunnel: TunnelStatus) -> TunnelStatus:
        told = self._told.get(tunnel.name)
        if told is None or tunnel.state is TunnelState.UP or not tunnel.last_error:
            return tunnel
        return replace(tunnel, last_error=str(told))

    async def _ask(self, tunnel: str, since: float) -> None:
        for pause in PAUSES:
            await asyncio.sleep(pause)
            with contextlib.suppress(ThroughwayError, OSError):
                within = time.monotonic() - since + FRESH
                if reason := chosen(await self._answer(), tunnel, within):
                    self._told[tunnel] = error = error_of(reason)
                    self._on_told(tunnel, error)
                    return
        self._told.pop(tunnel, None)

    async def _answer(self) -> tuple[Reason, ...]:
        policy = self._policy
        host = urlsplit(policy.iphttps_url).hostname or ""
        context = await asyncio.to_thread(self._context)

        async def resolve(_name: str) -> Sequence[str]:
            return (policy.infrastructure.endpoint,)

        url = f"https://{host}:{policy.reasons_port}{PATH}"
        data = await fetch(
            url, tls=context, resolve=resolve, mark=firewall.MARK, limit=LIMIT, seconds=TIMEOUT
        )
        return parse(data)

    def _context(self) -> ssl.SSLContext:
        own = self._config.iphttps_ca
        return client_context(
            anchors=self._policy.trust_anchors if own is None else (own.read_text(),),
            system=own is None,
            **shown_by_tls(self._config),
        )


def parse(data: bytes) -> tuple[Reason, ...]:
    """Read an answer; WireError when it is none."""
    match decode_line(data):
        case {"refusals": list(refusals)}:
            return tuple(from_json(Reason, refusal) for refusal in refusals)
    raise WireError("not an answer about refusals")


def chosen(reasons: Sequence[Reason], tunnel: str, within: float) -> Reason | None:
    """Return what was said of this tunnel, or of the computer as a whole, not long ago."""
    fitting = [r for r in reasons if r.tunnel in (tunnel, "") and r.age <= within]
    return min(fitting, key=lambda reason: reason.age, default=None)


def error_of(reason: Reason) -> IPsecError:
    """Return the gateway's words, marked as such; a code that is not known here is none."""
    problem = reason.problem if reason.problem in PROBLEMS else UNSPECIFIED
    return IPsecError(f"{MARK}{clean(reason.reason)}", problem=problem)
