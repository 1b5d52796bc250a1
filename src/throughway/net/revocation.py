"""Judge the revocation of a TLS server's chain: from what is kept at once, else by asking.

Where everything is at hand, nothing is waited for. Else all certificates are asked about at the
same time, lists and responders beside each other, and the first answer that settles it counts;
what comes later is kept for the next time, and may still end a connection that was let in.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509

from throughway.catalogue.iphttps_revocation import BY_FAULT
from throughway.model.errors import Stage, TransportError
from throughway.model.revocation import Fault, Revocation, Standing, Verdict
from throughway.net.revocation_cache import OCSP
from throughway.net.revocation_lists import Answer, RevocationLists, Want
from throughway.pki.pem import UNREADABLE
from throughway.pki.revocation import Question, further, judge, questions, refusal

PATIENCE = {Revocation.WEAK: 3.0, Revocation.STRONG: 8.0}
"""Seconds that a connection waits. The gateway gives ten for TLS and the request together; under
the weak policy silence lets the connection in, so that waiting longer is worth nothing."""
MAXIMUM_CHAIN = 8
"""Certificates."""

REVOKED, OFFLINE, NO_CHECK = 0x80092010, 0x80092013, 0x80092012
"""CRYPT_E_REVOKED, CRYPT_E_REVOCATION_OFFLINE, CRYPT_E_NO_REVOCATION_CHECK."""
_NO_CHECK = (Fault.UNUSABLE, Fault.OCSP_UNKNOWN, Fault.NO_POINT)
_NUMBERS = {Fault.REVOKED: REVOKED} | dict.fromkeys(_NO_CHECK, NO_CHECK)
PROBLEMS: Mapping[Fault, tuple[str, int]] = {
    fault: (problem.code, _NUMBERS.get(fault, OFFLINE)) for fault, problem in BY_FAULT.items()
}
"""By fault: the problem of the catalogue and Windows' number."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one chain."""

    verdicts: tuple[Verdict, ...]
    refused: Verdict | None

    def __str__(self) -> str:
        unknown = [str(v) for v in self.verdicts if v.standing is not Standing.GOOD]
        return "; ".join(unknown) or "not revoked"


class Checker:
    """Judges chains by a policy.

    ``on_late(error)`` is told when the chain that was let in last is refused after all: because
    an answer came late, or a list that was renewed has it now.
    """

    def __init__(
        self,
        lists: RevocationLists,
        *,
        policy: Revocation,
        on_late: Callable[[TransportError], None] = lambda error: None,
        patience: Mapping[Revocation, float] | None = None,
    ) -> None:
        self._lists = lists
        self.policy = policy
        self._patience = patience
        self._on_late = on_late
        self._admitted: tuple[Question, ...] = ()

    async def check(self, connection: ssl.SSLObject) -> Judged:
        """Judge the server of a connection; TransportError when it is refused."""
        return await self.check_chain(chain_of(connection))

    async def check_chain(self, chain: Sequence[bytes]) -> Judged:
        """Judge a chain, its leaf first and the anchor last (DER)."""
        self._admitted = ()
        if self.policy is Revocation.NONE:
            return Judged((), None)
        asked = _read(chain)
        judged = await self._judge(asked)
        if judged.refused is not None:
            raise error_of(judged.refused)
        self._admitted = asked
        return judged

    async def judge_kept(self, chain: Sequence[bytes]) -> Judged:
        """Judge a chain by what is kept: nothing is refused, nobody is waited for.

        What there is to know is fetched from now on where the lists were started; who subscribes
        to them hears when to judge again. TransportError for what is no chain.
        """
        asked = _read(chain)
        for question in asked:
            for want in _wants(question):
                self._lists.want(want)
        judged, deltas = await asyncio.to_thread(self._look, asked)
        for delta in deltas:
            self._lists.want(delta)
        return judged

    def look_again(self) -> None:
        """Judge anew what was let in, by what is kept now."""
        admitted = self._admitted
        refused = self._by_kept(admitted).refused if admitted else None
        # Only what is proven: a list that could not be renewed cuts nobody off.
        if refused is not None and refused.standing is Standing.REVOKED:
            self._admitted = ()
            self._on_late(error_of(refused))

    def forget(self) -> None:
        """Take note that the connection is gone."""
        self._admitted = ()

    def _by_kept(self, asked: Sequence[Question]) -> Judged:
        return self._look(asked)[0]

    def _look(self, asked: Sequence[Question]) -> tuple[Judged, list[Want]]:
        """Judge by what is kept; return also the delta lists that kept lists name."""
        now = datetime.now(UTC)
        verdicts, named = [], []
        for question in asked:
            answers, deltas = self._at_hand(question)
            verdicts.append(judge(question, answers, now))
            named += [_want(question, url) for url in deltas]
        return Judged(tuple(verdicts), refusal(verdicts, self.policy)), named

    async def _judge(self, asked: Sequence[Question]) -> Judged:
        # Apart: a list of a hundred thousand entries takes a fifth of a second.
        judged = await asyncio.to_thread(self._by_kept, asked)
        for question in asked:
            for want in _wants(question):
                self._lists.want(want)
        if all(v.standing is not Standing.UNKNOWN for v in judged.verdicts):
            return judged
        if any(v.standing is Standing.REVOKED for v in judged.verdicts):
            return judged
        inquiries = [_Inquiry(self._lists, question) for question in asked]
        deadline = asyncio.get_running_loop().time() + (self._patience or PATIENCE)[self.policy]
        verdicts = await asyncio.gather(*(each.settle(deadline) for each in inquiries))
        return Judged(tuple(verdicts), refusal(verdicts, self.policy))

    def _at_hand(self, question: Question) -> tuple[dict[str, Answer], tuple[str, ...]]:
        answers: dict[str, Answer] = {}
        for want in _wants(question):
            if (data := self._lists.cache.get(want.url)) is not None:
                answers[want.url] = data
        deltas = further(question, answers)
        for url in deltas:
            if (data := self._lists.cache.get(url)) is not None:
                answers[url] = data
        return answers, deltas


class _Inquiry:
    """Asks about one certificate."""

    def __init__(self, lists: RevocationLists, question: Question) -> None:
        self._lists, self._question = lists, question
        self._answers: dict[str, Answer] = {}

    async def settle(self, deadline: float) -> Verdict:
        """Ask until it is settled or nobody is left; return the verdict."""
        kept = self._verdict(self._kept())
        if kept.standing is not Standing.UNKNOWN:
            return kept
        tasks = {asyncio.create_task(each) for each in (self._ask_lists(), self._ask_responders())}
        try:
            while tasks:
                wait = deadline - asyncio.get_running_loop().time()
                done, tasks = await asyncio.wait(
                    tasks, timeout=max(0.0, wait), return_when=asyncio.FIRST_COMPLETED
                )
                verdict = self._verdict(self._answers)
                if not done or verdict.standing is not Standing.UNKNOWN:
                    break
                for task in done:
                    task.result()
        finally:
            await _end(tasks)
        return self._final()

    def _final(self) -> Verdict:
        """Judge by what came; silence is an answer too, and what is kept may be newer."""
        silent = {want.url: "no answer came in time" for want in _wants(self._question)}
        return self._verdict(silent | self._kept_lists() | self._answers)

    async def _ask_lists(self) -> None:
        """Ask one distribution point after the other, until one settles it."""
        question = self._question
        deltas = [asyncio.create_task(self._get(url)) for url in question.deltas]
        try:
            for url in question.lists:
                await self._get(url)
                await asyncio.gather(*deltas, *map(self._get, further(question, self._answers)))
                if self._verdict(self._answers).standing is not Standing.UNKNOWN:
                    return
        finally:
            await _end(set(deltas))

    async def _ask_responders(self) -> None:
        for want in _wants(self._question):
            if want.kind == OCSP:
                self._answers[want.url] = await self._lists.get(want)
                if self._verdict(self._answers).standing is not Standing.UNKNOWN:
                    return

    async def _get(self, url: str) -> None:
        self._answers[url] = await self._lists.get(_want(self._question, url))

    def _kept(self) -> dict[str, Answer]:
        answers = self._kept_lists()
        for url in further(self._question, answers):
            if (data := self._lists.cache.get(url)) is not None:
                answers[url] = data
        return answers

    def _kept_lists(self) -> dict[str, Answer]:
        found = {want.url: self._lists.cache.get(want.url) for want in _wants(self._question)}
        return {url: data for url, data in found.items() if data is not None}

    def _verdict(self, answers: Mapping[str, Answer]) -> Verdict:
        return judge(self._question, answers, datetime.now(UTC))


def error_of(verdict: Verdict) -> TransportError:
    """Return what a refusal is called."""
    problem, code = PROBLEMS[verdict.fault or Fault.NO_POINT]
    words = f"the server is refused: {verdict}"
    return TransportError(Stage.TLS, words, windows_code=code, problem=problem)


def chain_of(connection: ssl.SSLObject) -> tuple[bytes, ...]:
    """Return the chain by which TLS has verified the server, its anchor last (DER)."""
    # Public from Python 3.13 on; before, the C object has had it since 3.10.
    found: Any = getattr(connection, "get_verified_chain", None)
    if found is not None:
        return tuple(found())
    import _ssl

    inner: Any = connection._sslobj  # type: ignore[attr-defined]
    return tuple(each.public_bytes(_ssl.ENCODING_DER) for each in inner.get_verified_chain())


def _read(chain: Sequence[bytes]) -> tuple[Question, ...]:
    if not 0 < len(chain) <= MAXIMUM_CHAIN:
        # Asking about a part of it would be worse than nothing: an authority that was revoked has
        # only to put some more below itself.
        words = f"the server's chain has {len(chain)} certificates, at most {MAXIMUM_CHAIN} may be"
        problem = "iphttps-cert-chain-invalid"
        raise TransportError(Stage.TLS, words, windows_code=0x800B010A, problem=problem)
    try:
        return questions([x509.load_der_x509_certificate(each) for each in chain])
    except UNREADABLE as error:
        words = f"a certificate of the server cannot be read: {error}"
        problem = "iphttps-tls-handshake-failed"
        raise TransportError(Stage.TLS, words, windows_code=0x80090327, problem=problem) from error


def _wants(question: Question) -> tuple[Want, ...]:
    """Return all places of a question, as they are kept."""
    lists = (_want(question, url) for url in (*question.lists, *question.deltas))
    responders = (
        Want(key, OCSP, (question.issuer,), question.certificate, responder)
        for responder, key in question.answer_urls()
    )
    return (*lists, *responders)


def _want(question: Question, url: str) -> Want:
    return Want(url, issuers=(question.issuer,))


async def _end(tasks: "set[asyncio.Task[None]]") -> None:
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)
