"""Events as text: ``wevtutil qe LOG /f:text``, or copied from Event Viewer.

Sample::

    Event[0]:
      Log Name: Security
      Source: Microsoft-Windows-Security-Auditing
      Date: 2024-03-05T08:00:00.000
      Event ID: 4653
      Task: IPsec Main Mode
      Level: Information
      Keyword: Audit Failure
      User: N/A
      Computer: CLIENT1.corp.example.com
      Description:
    An IPsec Main Mode negotiation failed.
    …

All labels are translated. A head is known by its values: the name of a provider, a time, a number.
"""

import re
from collections.abc import Iterator, Sequence

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.doctor.parsers.forms import labelled
from throughway.doctor.parsers.logs import meaning, security
from throughway.doctor.parsers.logs.event import Event, moment
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.events import SECURITY

_PROVIDER = re.compile(r"(?:Microsoft-Windows-[\w .-]{1,80}|RemoteAccess|Schannel)$")
_NUMBER = re.compile(r"\d{1,5}$")
_COMPUTER = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){0,10}$")
_LABELS_OF_NUMBERS = ("id", "\u6807\u8bc6")
_LEVELS = (
    (1, ("critical", "kritisch", "critique", "cr\u00edtico", "\u5173\u952e")),
    (2, ("error", "fehler", "erreur", "\u9519\u8bef")),
    (3, ("warning", "warnung", "avertissement", "advertencia", "\u8b66\u544a")),
    (4, ("information", "informationen", "informaci\u00f3n", "\u4fe1\u606f")),
)
_KNOWN = re.compile(
    r"\bIPsec ((?:Main|Quick|Extended) Mode "
    r"(?:negotiation failed|security association (?:was )?\w{3,20}))",
    re.IGNORECASE,
)
_ELSEWHERE = (
    (
        re.compile(
            r"ipsec.{0,4}hauptmodus|mode principal.{0,6}ipsec|modo principal.{0,6}ipsec"
            "|ipsec.{0,2}\u4e3b\u6a21\u5f0f\u534f\u5546|ipsec.{0,2}\u4e3b\u8981\u6a21\u5f0f"
        ),
        "main mode negotiation failed",
    ),
    (
        re.compile(
            r"ipsec.{0,4}schnellmodus|mode rapide.{0,6}ipsec|modo r\u00e1pido.{0,6}ipsec"
            "|ipsec.{0,2}\u5feb\u901f\u6a21\u5f0f"
        ),
        "quick mode negotiation failed",
    ),
    (
        re.compile(
            r"ipsec.{0,4}erweiterten? ?modus|mode \u00e9tendu.{0,6}ipsec"
            r"|modo extendido.{0,6}ipsec|ipsec.{0,2}\u6269\u5c55\u6a21\u5f0f"
        ),
        "extended mode negotiation failed",
    ),
)
"""The modes in German, French, Spanish and Chinese."""
_FAILED = re.compile(
    "fehler|fehlgeschlagen|\u00e9chec|\u00e9chou|\\berror\\b|no se pudo|\u5931\u8d25|\u5931\u6557"
)
_DESCRIBED = (
    ("main mode negotiation failed", 4653),
    ("quick mode negotiation failed", 4654),
    ("extended mode negotiation failed", 4984),
    ("main mode security association was established", 4651),
    ("quick mode security association was established", 5451),
)
"""What the first sentence of a description says."""
_TEMPLATE = re.compile(r":\s*%\d{1,2}\s*$")
"""The description of no event, but of its kind."""
_SHORTEST = 4
"""Lines that every head has: log, source, time, number."""
MAXIMUM_LINES = 400
"""Lines of one description that are looked at."""


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield what the events say; the last one may be cut off."""
    events = [*_events(evidence)] or [*_bare(evidence)]
    known = _KNOWN.search(evidence.text) or any(
        map(_first_sentence, filter(None, evidence.text.split("\n")))
    )
    if not events and not known and evidence.text.strip():
        raise ParseError("no head of an event is in it", evidence.first_line)
    yield from meaning.facts(events)


def _events(evidence: Evidence) -> Iterator[Event]:
    head: list[labelled.Line] | None = None
    run: list[labelled.Line] = []
    body: list[str] = []
    for number, text in evidence.lines():
        line = labelled.split(number, text) if text else None
        if line is not None and line.label:
            run.append(line)
            body.append(text)
            continue
        if _is_head(run):
            if head is not None:
                yield _event(head, body[: len(body) - len(run)], evidence)
            head, body = run, []
        run = []
        body.append(text)
    if _is_head(run):
        if head is not None:
            yield _event(head, body[: len(body) - len(run)], evidence)
        head, body = run, []
    if head is not None:
        yield _event(head, body, evidence)


def _bare(evidence: Evidence) -> Iterator[Event]:
    """Descriptions without their heads, as somebody copies what the viewer shows first."""
    start: tuple[int, str, str] | None = None
    body: list[str] = []
    for number, text in [*evidence.lines(), (0, "An IPsec")]:
        what = _first_sentence(text) if number and text else ""
        if start is not None and (what or not number):
            yield from _bare_event(start, body, evidence)
        if what:
            start, body = (number, text, what), []
        else:
            body.append(text)


def _first_sentence(text: str) -> str:
    """Return what a description's first sentence says, in English; "" for any other line."""
    if match := _KNOWN.search(text):
        return match[1].lower()
    lower = text.lower()
    if "ipsec" not in lower or not _FAILED.search(lower):
        return ""
    return next((what for mode, what in _ELSEWHERE if mode.search(lower)), "")


def _bare_event(
    start: tuple[int, str, str], body: list[str], evidence: Evidence
) -> Iterator[Event]:
    number, text, what = start
    event = next((n for words, n in _DESCRIBED if what.startswith(words)), None)
    if event is None or any(_TEMPLATE.search(line) for line in body):
        return
    data = security.data_of_text(event, body[:MAXIMUM_LINES])
    yield Event(provider=SECURITY, number=event, source=evidence.at(number, text), data=data)


def _is_head(run: Sequence[labelled.Line]) -> bool:
    return (
        len(run) >= _SHORTEST
        and _provider(run) is not None
        and any(_NUMBER.match(line.value) for line in run)
        and any(moment(line.value) for line in run)
    )


def _provider(run: Sequence[labelled.Line]) -> labelled.Line | None:
    """The last name that is no path of a log (``…/Operational``)."""
    return next((line for line in run if _PROVIDER.match(line.value)), None)


def _event(head: list[labelled.Line], body: list[str], evidence: Evidence) -> Event:
    provider = _provider(head)
    numbers = [line for line in head if _NUMBER.match(line.value)]
    called = [n for n in numbers if n.label.lower().endswith(_LABELS_OF_NUMBERS)]
    number = (called or numbers)[0]
    name = provider.value if provider is not None else ""
    lines = body[:MAXIMUM_LINES]
    data = security.data_of_text(int(number.value), lines) if name == SECURITY else ()
    return Event(
        provider=name,
        number=int(number.value),
        source=number.source(evidence),
        level=_level(head),
        when=next((when for line in head if (when := moment(line.value))), None),
        computer=_computer(head),
        data=data,
        message=" ".join(" ".join(lines).split())[:1000],
    )


def _level(head: Sequence[labelled.Line]) -> int | None:
    words = {line.value.lower() for line in head}
    return next((level for level, names in _LEVELS if words & set(names)), None)


def _computer(head: Sequence[labelled.Line]) -> str:
    """The last line of a head with a value; what follows begins the description."""
    last = [line.value for line in head if line.value][-1]
    return last if _COMPUTER.match(last) and not last.isdecimal() else ""


def signature(head: str) -> int:
    """Score the head of a text."""
    if "<event" in head or "providername" in head:
        return 0
    has_head = "microsoft-windows-" in head and (": microsoft-windows-" in head or ":  " in head)
    has_head = has_head or "schannel\n" in head
    if head.lstrip().startswith("event[0]"):
        return CERTAIN
    names = ("event id:", "ereignis-id:", "id de l", "id. del evento", "\u4e8b\u4ef6 id")
    if has_head and any(name in head for name in names):
        return CERTAIN
    described = "ipsec " in head and " mode negotiation failed" in head
    described = described or ("ipsec" in head and "authip" in head and bool(_first_sentence(head)))
    return LIKELY if described or " mode security association " in head else 0


PARSER = Parser(
    name="wevtutil qe /f:text",
    parse=parse,
    command=re.compile(r"\bwevtutil(?:\.exe)?\s+(?:qe|query-events)\b(?!.*/f\w*:\w*xml)", re.I),
    signature=signature,
)
