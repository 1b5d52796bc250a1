"""What a server's answer to a hello says, and which hello to send next."""

from dataclasses import dataclass, field
from enum import StrEnum

from throughway.model.probing import SuiteSeen, VersionSeen
from throughway.wire.tls import Opening, Stream, read_stream, recognise
from throughway.wire.tls_handshake import (
    NULL_SUITES,
    VERSIONS,
    Certificate,
    CertificateRequest,
    HandshakeType,
    ServerHello,
)
from throughway.wire.tls_suites import is_worn_out, suite_name

MAXIMUM_SUITES = 64
"""Suites asked for of one version; each costs a connection, and nobody has more."""
MAXIMUM_ANSWER = 256 * 1024
"""Bytes of an answer that are read; the longest chains have a tenth of it."""


class Kind(StrEnum):
    """What an answer is."""

    CHOSEN = "chosen"
    REFUSED = "refused"
    NOT_TLS = "not TLS"
    SILENT = "no answer"
    BROKEN = "broken"


MAXIMUM_WARNINGS = 4
"""Alerts of a server that does not come to an end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one server said to one hello."""

    kind: Kind
    version: int = 0
    suite: int = 0
    words: str = ""
    chain: tuple[bytes, ...] = ()
    request: CertificateRequest | None = None


def is_whole(data: bytes, *, to_the_end: bool) -> bool:
    """Whether enough came: the choice, or, ``to_the_end``, all that is sent in the clear."""
    if len(data) >= MAXIMUM_ANSWER:
        return True
    if recognise(data[:8]) is not Opening.TLS:
        return len(data) >= 8
    stream = read_stream(data)
    warned = len(stream.alerts) > MAXIMUM_WARNINGS
    if stream.broken or warned or any(alert.fatal for alert in stream.alerts):
        return True
    kinds = [message.type for message in stream.messages]
    if HandshakeType.SERVER_HELLO not in kinds:
        return False
    return not to_the_end or HandshakeType.SERVER_HELLO_DONE in kinds or stream.ciphered


def read_answer(data: bytes, *, ended: bool = True) -> Answer:
    """Judge what came; ``ended``: the server closed, or else the time was up."""
    if not data:
        words = "it closes the connection" if ended else "it does not answer in time"
        return Answer(kind=Kind.REFUSED if ended else Kind.SILENT, words=words)
    opening = recognise(data[:8])
    if opening is not Opening.TLS:
        what = (opening or Opening.OTHER).value
        return Answer(kind=Kind.NOT_TLS, words=f"it does not speak TLS: {what}")
    stream = read_stream(data)
    hello = next((m for m in stream.messages if isinstance(m, ServerHello)), None)
    if hello is None:
        return _without_hello(stream, ended)
    return Answer(
        kind=Kind.CHOSEN,
        version=hello.version,
        suite=hello.suite,
        chain=next((m.chain for m in stream.messages if isinstance(m, Certificate)), ()),
        request=next((m for m in stream.messages if isinstance(m, CertificateRequest)), None),
        words=stream.broken,
    )


def _without_hello(stream: Stream, ended: bool) -> Answer:
    if stream.alerts:
        return Answer(kind=Kind.REFUSED, words=f"alert {stream.alerts[0].name}")
    if stream.broken:
        return Answer(kind=Kind.BROKEN, words=f"its answer is broken: {stream.broken}")
    words = "its answer is cut off" if ended else "its answer does not come to an end in time"
    return Answer(kind=Kind.BROKEN, words=words)


@dataclass(slots=True)
class Hunt:
    """Asks for one version's suites, one after the other: what was chosen is not offered again."""

    version: int
    left: tuple[int, ...]
    found: list[int] = field(default_factory=list)
    spoken: bool | None = None
    complete: bool = False
    words: str = ""

    @property
    def over(self) -> bool:
        """Whether there is nothing more to ask."""
        return self.complete or bool(self.words)

    def take(self, answer: Answer) -> None:
        """Learn from the answer to an offer of everything that is left."""
        chosen = answer.kind is Kind.CHOSEN
        if chosen and answer.version == self.version and answer.suite in self.left:
            self.spoken = True
            self.found.append(answer.suite)
            self.left = tuple(suite for suite in self.left if suite != answer.suite)
            self.complete = not self.left
            if len(self.found) >= MAXIMUM_SUITES and self.left:
                self.words = f"it takes more than {MAXIMUM_SUITES} suites"
        elif chosen and answer.version < self.version:
            self._refused(f"it offers {version_name(answer.version)} instead")
        elif chosen:
            self.words = "it chose what was not offered"
        elif answer.kind is Kind.REFUSED:
            self._refused(answer.words)
        else:
            self.words = answer.words

    def _refused(self, words: str) -> None:
        self.complete = True
        if self.spoken is None:
            self.spoken, self.words = False, words

    def seen(self, seconds: float, words: str = "") -> VersionSeen:
        """Say what was learnt."""
        return VersionSeen(
            version=version_name(self.version),
            spoken=self.spoken,
            suites=tuple(map(see_suite, self.found)),
            complete=self.complete,
            seconds=seconds,
            words=self.words or words,
        )


def version_name(number: int) -> str:
    """Return a version as people write it."""
    return VERSIONS.get(number, f"{number:#06x}")


def see_suite(number: int) -> SuiteSeen:
    """Say what is known of a suite."""
    return SuiteSeen(
        number=number,
        name=suite_name(number),
        null=number in NULL_SUITES,
        worn_out=is_worn_out(number),
    )
