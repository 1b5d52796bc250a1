"""Whether what charon took for a computer's certificate is one: it looks at no key usage.

charon does not tell which certificate has proven an IKE_SA, but it remembers the last ones, and
has that of round 1 when it says that the round is done. Of all that it remembers with a
computer's name none may be somebody else's: who holds such a one is refused, also where the
computer's own was shown as well. Then charon forgets them, so that the computer itself comes in.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable

from cryptography import x509

from throughway.model.config import Computer
from throughway.model.errors import IPsecError, TrustError
from throughway.net.radius import Admit, Login
from throughway.net.sas import LineLogged
from throughway.pki import judgement
from throughway.pki.computer_certificate import WRONG_USAGE, check_usage
from throughway.pki.pem import UNREADABLE, load_certificate

MAX_JUDGED = 1000
"""IKE_SAs of which the verdict is remembered until they are up or gone."""
JUDGED_WITHIN = 5.0
"""Seconds; charon's log comes by another thread than its questions, and later on a busy machine."""
HOLD = 60.0
"""Seconds for which a computer has no connection after somebody else had come in by it."""
_ROUND_1 = re.compile(r"^authentication of '.*' with (?!EAP )\S+ successful$")

Shown = Callable[[], Awaitable[tuple[bytes, ...]]]


class UsageCheck:
    """Judges an IKE_SA once round 1 is done: ``on_unfit(unique_id, words)`` is to end it.

    ``shown`` asks charon for the certificates that it remembers, ``forget`` lets it forget them.
    """

    def __init__(
        self,
        shown: Shown,
        forget: Callable[[], Awaitable[None]],
        on_unfit: Callable[[int, str], Awaitable[None]],
    ) -> None:
        self._shown, self._forget, self._on_unfit = shown, forget, on_unfit
        self._verdicts: OrderedDict[int, asyncio.Future[str]] = OrderedDict()
        self._begun: set[int] = set()
        self._waiting: dict[int, str] = {}
        self._impostors: set[str] = set()
        """Identities of which somebody has shown such a certificate."""
        self._task: asyncio.Task[None] | None = None

    def line(self, line: LineLogged, computer: Computer | None) -> None:
        """Take a line of charon's log, with the computer that its connection is for."""
        if computer is None or not _ROUND_1.search(line.text) or line.unique_id in self._begun:
            return
        self._verdict(line.unique_id)
        self._begun.add(line.unique_id)
        self._waiting[line.unique_id] = computer.identity
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._judge_waiting())

    def before(self, admit: Admit) -> Admit:
        """Return what admits once the verdict is there, and good."""

        async def after(login: Login) -> None:
            await self.judged(login.unique_id)
            await admit(login)

        return after

    async def judged(self, unique_id: int) -> None:
        """Wait for the verdict on an IKE_SA; TrustError when its certificate is no computer's."""
        verdict = self._verdict(unique_id)
        # Not to be cancelled with who waits: others may wait for it, too.
        await asyncio.wait((verdict,), timeout=JUDGED_WITHIN)
        there = verdict.done() and not verdict.cancelled()
        why = verdict.result() if there else "nobody could look at the computer's certificate"
        if why:
            raise TrustError(why, problem=WRONG_USAGE)

    def ended(self, unique_id: int) -> None:
        """Forget an IKE_SA."""
        self._begun.discard(unique_id)
        if (verdict := self._verdicts.pop(unique_id, None)) is not None:
            verdict.cancel()

    def _verdict(self, unique_id: int) -> asyncio.Future[str]:
        """Return the verdict to be: whoever needs it may come before charon's line does."""
        if unique_id not in self._verdicts:
            self._verdicts[unique_id] = asyncio.get_running_loop().create_future()
            if len(self._verdicts) > MAX_JUDGED:
                self.ended(next(iter(self._verdicts)))
        return self._verdicts[unique_id]

    async def stop(self) -> None:
        """Judge no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for number in tuple(self._verdicts):
            self.ended(number)

    async def _judge_waiting(self) -> None:
        """Ask once for all that wait: many come back in one moment."""
        while self._waiting:
            waiting, self._waiting = self._waiting, {}
            try:
                unfit = self._unfit(await self._shown(), waiting)
            except IPsecError:
                continue  # charon is gone, and all that was to be judged with it
            for number in waiting:
                verdict = self._verdicts.get(number)
                if verdict is not None and not verdict.done():
                    verdict.set_result(unfit.get(number, ""))
            for number, words in unfit.items():
                await self._on_unfit(number, words)
            if unfit:
                await self._forget()

    def _unfit(self, shown: Iterable[bytes], waiting: dict[int, str]) -> dict[int, str]:
        """Return who is to be refused, and why."""
        certificates = [(data, _parsed(data)) for data in shown]
        found: dict[int, str] = {}
        for number, identity in waiting.items():
            named = [parsed for data, parsed in certificates if _names(data, parsed, identity)]
            whys = [why for why in map(_why_not, named) if why]
            if whys:
                self._impostors.add(identity)
                found[number] = whys[0]
            elif not named and identity in self._impostors:
                found[number] = f"which certificate of {identity} was shown cannot be told"
        return found


def _parsed(data: bytes) -> x509.Certificate | None:
    """Return a certificate, None for one that charon can read and we cannot."""
    try:
        certificate = load_certificate(data)
        return certificate if certificate.extensions else None
    except UNREADABLE:
        return None


def _names(data: bytes, certificate: x509.Certificate | None, identity: str) -> bool:
    if certificate is None:
        return identity.lower().encode() in data.lower()
    return identity.lower() in (name.lower() for name in judgement.names(certificate))


def _why_not(certificate: x509.Certificate | None) -> str:
    if certificate is None:
        return "the certificate cannot be read"
    try:
        check_usage(certificate)
    except TrustError as error:
        return str(error)
    return ""
