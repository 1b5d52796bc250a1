"""What the events of a log say, each kind once: of many alike the newest stands for all."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from throughway.doctor.parsers.logs import security
from throughway.doctor.parsers.logs.event import Event
from throughway.model.facts.base import Fact
from throughway.model.facts.events import (
    DNS_CLIENT,
    IPHLPSVC,
    NCASVC,
    NCSI,
    SCHANNEL,
    SECURITY,
    LogEvent,
)
from throughway.model.facts.ipsec import NegotiationFailure
from throughway.model.facts.names import NCALog
from throughway.model.facts.network import ComputerName

MAXIMUM_KINDS = 20_000
"""Different events that are kept of one log."""
_IKEEXT_STOPPED = 5453
_NUMBERS = {
    SECURITY: security.KNOWN | {_IKEEXT_STOPPED},
    NCSI: frozenset({4010, 4012, 4014, 4028, 4052}),
    NCASVC: frozenset({2, 7}),
    DNS_CLIENT: frozenset({1013, 1014, 1023}),
    SCHANNEL: frozenset({36870, 36871, 36874, 36882, 36884, 36887}),
}
"""Of these providers only these; what they write besides says nothing of DirectAccess."""
_WHOLE = frozenset({IPHLPSVC, "RemoteAccess"})
_WHOLE_BEGINNING = "Microsoft-Windows-RemoteAccess"
_PROBE = 7
_VOLATILE = frozenset(
    {"MMFilterID", "QMFilterID", "InitiatorCookie", "MMSAID", "MessageID", "LocalKeyModPort"}
    | {"RemoteKeyModPort", "LocalPort", "RemotePort", "IfLuid", "InterfaceGuid", "RetryInterval"}
    | {"MainModeSaId", "QuickModeSaId", "InboundSpi", "OutboundSpi", "CorporateLocationMetadata"}
)
"""Data that differ each time without saying anything new."""


def wanted(provider: str, number: int) -> bool:
    """Whether such an event says anything."""
    if provider in _NUMBERS:
        return number in _NUMBERS[provider]
    return provider in _WHOLE or provider.startswith(_WHOLE_BEGINNING)


def facts(events: Iterable[Event]) -> Iterator[Fact]:
    """Yield what the events say."""
    newest: dict[object, Event] = {}
    times: Counter[object] = Counter()
    computers: dict[str, Event] = {}
    for event in events:
        if event.computer:
            computers.setdefault(event.computer.partition(".")[0].lower(), event)
        if not wanted(event.provider, event.number):
            continue
        key = _kind(event)
        if key in newest or len(newest) < MAXIMUM_KINDS:
            newest[key] = _newer(newest.get(key), event)
            times[key] += 1
    yield from _computer(computers)
    for key, event in newest.items():
        for fact in _meaning(event):
            if isinstance(fact, NegotiationFailure):
                yield replace(fact, times=times[key])
            else:
                yield fact
    yield from _probes([e for e in newest.values() if e.provider == NCASVC])


def _kind(event: Event) -> object:
    steady = tuple(pair for pair in event.data if pair[0] not in _VOLATILE)
    return event.provider, event.number, steady, "" if event.data else event.message


def _newer(known: Event | None, event: Event) -> Event:
    """Logs are exported from either end."""
    if known is None or known.when is None or event.when is None:
        return event
    return event if event.when >= known.when else known


def _computer(computers: dict[str, Event]) -> Iterator[Fact]:
    """A log in which several computers write (renamed, or collected) does not name this one."""
    if len(computers) == 1:
        event = next(iter(computers.values()))
        name, _, domain = event.computer.partition(".")
        yield ComputerName(source=event.source, name=name, domain=domain)


def _meaning(event: Event) -> Iterator[Fact]:
    if event.provider == SECURITY and event.number != _IKEEXT_STOPPED:
        yield from security.meaning(event)
        return
    yield LogEvent(
        source=event.source,
        provider=event.provider,
        event=event.number,
        level=event.level,
        when=event.when,
        computer=event.computer,
        data=event.data,
        message=event.message,
    )


def _probes(events: list[Event]) -> Iterator[Fact]:
    """Yield the newest result of each probe of the Network Connectivity Assistant."""
    results: dict[str, Event] = {}
    for event in events:
        resource = event.value("Resource")
        if event.number == _PROBE and resource and event.value("Result").isdecimal():
            results[resource] = _newer(results.get(resource), event)
    if results:
        failed = tuple(r for r, e in results.items() if int(e.value("Result")))
        passed = tuple(r for r in results if r not in failed)
        source = results[(failed or passed)[0]].source
        yield NCALog(source=source, failed_probes=failed, passed_probes=passed)
