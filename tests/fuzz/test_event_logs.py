"""Event logs and policies as files, mutated: read, or ParseError; never for long."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from tests.doctor.parsers.logs.evtx_file import FILE_HEADER, NAMESPACE, event_log
from throughway.doctor.parsers.logs import evtx
from throughway.doctor.parsers.registry import registry_pol
from throughway.doctor.sources.hypertext import shown_text
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence
from throughway.wire.registrypol import Entry, RegistryType, build_registry_pol

LOG = event_log(
    [
        f"<Event xmlns='{NAMESPACE}'><System><Provider Name='Microsoft-Windows-Iphlpsvc'/>"
        "<EventID>4302</EventID></System><EventData><Data Name='ErrorCode'>183</Data></EventData>"
        "</Event>"
    ]
)
USED = FILE_HEADER + 2048
KEY = "Software\\Policies\\Microsoft\\Windows NT\\DNSClient\\DnsPolicyConfig\\{1}"
POLICY = build_registry_pol([Entry(KEY, "Name", RegistryType.MULTI_SZ, b".\0a\0\0\0\0\0")] * 3)
CHANGES = st.lists(st.tuples(st.integers(0, USED), st.integers(0, 255)), max_size=8)


def changed(content: bytes, changes: list[tuple[int, int]], end: int) -> bytes:
    data = bytearray(content)
    for at, byte in changes:
        data[at % len(data)] = byte
    return bytes(data[: end or None])


@given(CHANGES, st.sampled_from([0, 0, 0, 100, FILE_HEADER, USED]))
def test_event_logs(changes: list[tuple[int, int]], end: int) -> None:
    with contextlib.suppress(ParseError):
        list(evtx.parse(Evidence("a.evtx", content=changed(LOG, changes, end))))


@given(CHANGES, st.integers(0, len(POLICY)))
def test_policies(changes: list[tuple[int, int]], end: int) -> None:
    with contextlib.suppress(ParseError):
        list(registry_pol.parse(Evidence("a.pol", content=changed(POLICY, changes, end))))


@given(st.text(st.sampled_from("<>!-/ apretdscih&;\n"), max_size=400))
def test_pages(text: str) -> None:
    shown_text(f"<html>{text}")
