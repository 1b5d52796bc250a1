"""Events as XML: ``wevtutil qe LOG /f:xml``, or what Event Viewer saves and shows.

Sample (one line; wevtutil writes no root around its events)::

    <Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider
    Name='Microsoft-Windows-Iphlpsvc'/><EventID>4302</EventID><Level>2</Level><TimeCreated
    SystemTime='2024-03-05T08:00:00.000Z'/><Computer>DA1.corp.example.com</Computer></System>
    <EventData><Data Name='ErrorCode'>183</Data></EventData></Event>
"""

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.logs import meaning
from throughway.doctor.parsers.logs.event import Event, described, moment
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence, Source
from throughway.model.facts.base import Fact

_BEGINNING = re.compile(r"<Event[ >]")
_END = "</Event>"
_BROWSER_MARKS = re.compile(r"^([ \t]*)[-+][ \t]*(?=<)", re.MULTILINE)
"""Event Viewer shows XML as a browser does, with a dash before what can be folded."""
MAXIMUM_EVENT = 1 << 20
"""Characters of one event; the largest that Windows writes have 64 KiB."""
_DEPTH = 8


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield what the events say; the last one may be cut off."""
    yield from meaning.facts(_events(evidence))


def _events(evidence: Evidence) -> Iterator[Event]:
    text = _BROWSER_MARKS.sub(r"\1 ", evidence.text) if "- <" in evidence.text else evidence.text
    line, counted, read = evidence.first_line, 0, 0
    at = _BEGINNING.search(text)
    while at is not None:
        start = at.start()
        end = text.find(_END, start, start + MAXIMUM_EVENT)
        line += text.count("\n", counted, start) * evidence.step
        counted = start
        if end < 0:
            break
        end += len(_END)
        event = of_xml(text[start:end], evidence.file, line)
        if event is not None:
            read += 1
            yield event
        at = _BEGINNING.search(text, end)
    if not read and not text.isspace() and text:
        raise ParseError("no whole event is in it", line)


def of_xml(text: str, file: str, line: int | None) -> Event | None:
    """Read one event; None when it is no XML or has no number."""
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError):
        return None
    system = _child(root, "System")
    if system is None:
        return None
    provider = _child(system, "Provider")
    number = (_text(system, "EventID") or "").strip()
    if provider is None or not number.isdecimal() or len(number) > 5:
        return None
    name = provider.get("Name") or provider.get("EventSourceName") or ""
    created = _child(system, "TimeCreated")
    when = moment(created.get("SystemTime", "")) if created is not None else None
    data = tuple(_data(root))
    level = (_text(system, "Level") or "").strip()
    return Event(
        provider=name,
        number=int(number),
        source=Source(file, line, described(name, int(number), when, data)),
        level=int(level) if level.isdecimal() and len(level) < 4 else None,
        when=when,
        computer=(_text(system, "Computer") or "").strip(),
        data=data,
        message=_message(root),
    )


def _child(element: ElementTree.Element, name: str) -> ElementTree.Element | None:
    return next((child for child in element if _name(child) == name), None)


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: ElementTree.Element, name: str) -> str | None:
    child = _child(element, name)
    return None if child is None else child.text


def _data(root: ElementTree.Element) -> Iterator[tuple[str, str]]:
    event_data = _child(root, "EventData")
    if event_data is not None:
        for number, item in enumerate(event_data):
            if _name(item) == "Data":
                yield item.get("Name") or f"{number + 1}", (item.text or "").strip()
    user_data = _child(root, "UserData")
    if user_data is not None:
        yield from _leaves(user_data, 0)


def _leaves(element: ElementTree.Element, depth: int) -> Iterator[tuple[str, str]]:
    for child in element:
        if not len(child):
            yield _name(child), (child.text or "").strip()
        elif depth < _DEPTH:
            yield from _leaves(child, depth + 1)


def _message(root: ElementTree.Element) -> str:
    rendering = _child(root, "RenderingInfo")
    return "" if rendering is None else (_text(rendering, "Message") or "").strip()


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if "schemas.microsoft.com/win/2004/08/events/event" in head else 0


PARSER = Parser(
    name="wevtutil qe /f:xml",
    parse=parse,
    command=re.compile(r"\bwevtutil(?:\.exe)?\s+(?:qe|query-events)\b.*/f(?:ormat)?:\w*xml", re.I),
    signature=signature,
)
