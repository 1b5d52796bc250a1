"""Which resources a policy may let its clients try: their form, checked alike on both sides."""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from throughway.model.policy import (
    LONGEST_INTERVAL,
    PROBE_INTERVAL,
    SHORTEST_INTERVAL,
    ProbeKind,
    ResourceProbe,
)
from throughway.pki.fields import (
    Fields,
    check_dns_name,
    check_ipv6_address,
    check_text,
    check_web_url,
)

SMB_PORT = 445
MAX_PORT = 65535
_FILE_SERVER = re.compile(
    r"(\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<host>[^][:/\\\s]+))(:(?P<port>[0-9]{1,5}))?"
)


def check_probe(kind: ProbeKind, target: str) -> str:
    """Return the host that is tried; ValueError where a kind cannot try the target."""
    match kind:
        case ProbeKind.HTTP:
            check_web_url(target)
            return _check_host(urlsplit(target).hostname or "")
        case ProbeKind.FILE:
            return file_server(target)[0]
        case ProbeKind.PING:
            return _check_host(target)
        case ProbeKind.DNS:
            return check_dns_name(target)


def file_server(target: str) -> tuple[str, int]:
    """Return host and port of ``host``, ``host:port`` or ``[address]:port``."""
    if target.count(":") > 1 and not target.startswith("["):
        return _check_host(target), SMB_PORT
    parts = _FILE_SERVER.fullmatch(target)
    port = int(parts["port"] or SMB_PORT) if parts else 0
    if parts is None or not 0 < port <= MAX_PORT:
        raise ValueError(f"{target!r} is not host or host:port, such as files.corp.example.com")
    return _check_host(parts["host"] or parts["address"]), port


def check_names(probes: Sequence[ResourceProbe]) -> Iterator[tuple[int, str]]:
    """Yield which of them cannot be told from one before, and why."""
    seen: set[str] = set()
    for index, probe in enumerate(probes):
        if probe.title in seen:
            yield index, f"{probe.title!r} is there already: give each a name of its own"
        seen.add(probe.title)


def read_probe(table: Fields) -> ResourceProbe:
    """Read one of a policy bundle's."""
    kind = table.text("kind", _check_kind)
    probe = ResourceProbe(
        kind=ProbeKind(kind or ProbeKind.DNS),
        target=table.text("target"),
        name=table.optional_text("name", check_text),
        interval=table.integer("interval", SHORTEST_INTERVAL, PROBE_INTERVAL),
    )
    if probe.interval > LONGEST_INTERVAL:
        table.refuse("interval", f"must be at most {LONGEST_INTERVAL}, is {probe.interval}")
    if kind and not table.refused("target"):
        try:
            check_probe(probe.kind, probe.target)
        except ValueError as error:
            table.refuse("target", str(error))
    table.gather()
    return probe


def _check_kind(value: str) -> str:
    if value not in list(ProbeKind):
        raise ValueError(f"{value!r} is not one of {', '.join(ProbeKind)}")
    return value


def _check_host(value: str) -> str:
    """Only IPv6 goes through the tunnels."""
    return check_ipv6_address(value) if ":" in value else check_dns_name(value)
