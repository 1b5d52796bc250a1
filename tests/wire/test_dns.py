"""Answers of DNS servers, written by dnspython; what the stub needs is in proto/test_nrpt."""

import struct

import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import WireError
from throughway.wire.dns import (
    MAXIMUM_RECORDS,
    NXDOMAIN,
    TYPE_CNAME,
    TYPE_SRV,
    Service,
    labels_of,
    name_of,
    parse_addresses,
    parse_answer,
)


def answer(name: str, kind: str, *records: tuple[str, str, str], rcode: int = 0) -> bytes:
    message = dns.message.make_response(dns.message.make_query(name, kind))
    message.set_rcode(rcode)  # type: ignore[arg-type]
    for owner, record, text in records:
        message.answer.append(dns.rrset.from_text(owner + ".", 60, "IN", record, text))
    return message.to_wire()


def test_a_chain_of_aliases() -> None:
    data = answer(
        "da.example.com",
        "AAAA",
        ("da.example.com", "CNAME", "edge.cdn.example.com."),
        ("edge.cdn.example.com", "AAAA", "2001:db8::1"),
        ("edge.cdn.example.com", "A", "192.0.2.1"),
    )
    read = parse_answer(data)
    assert read.message.question.name == "da.example.com"
    assert read.message.response
    assert (read.records[0].type, read.records[0].value) == (TYPE_CNAME, "edge.cdn.example.com")
    assert (read.records[1].name, read.records[1].ttl) == ("edge.cdn.example.com", 60)
    assert read.addresses == parse_addresses(data) == ("2001:db8::1", "192.0.2.1")
    assert not read.cut_off


def test_where_domain_controllers_are() -> None:
    name = "_ldap._tcp.dc._msdcs.corp.example.com"
    read = parse_answer(answer(name, "SRV", (name, "SRV", "0 100 389 dc1.corp.example.com.")))
    assert read.records[0].type == TYPE_SRV
    assert read.records[0].value == Service(0, 100, 389, "dc1.corp.example.com")


def test_other_records_keep_their_bytes() -> None:
    read = parse_answer(answer("example.com", "TXT", ("example.com", "TXT", '"hello"')))
    assert read.records[0].value == b"\x05hello"
    assert read.addresses == ()


def test_no_such_name() -> None:
    read = parse_answer(answer("no.example.com", "A", rcode=NXDOMAIN))
    assert (read.message.rcode, read.records) == (NXDOMAIN, ())


def test_an_answer_that_is_cut_off_says_so() -> None:
    data = answer(
        "a.example", "A", ("a.example", "A", "192.0.2.1"), ("b.example", "A", "192.0.2.2")
    )
    read = parse_answer(data[:-3])
    assert (read.addresses, read.cut_off) == (("192.0.2.1",), True)
    with pytest.raises(WireError):
        parse_addresses(data[:-3])


def test_only_the_internet_class() -> None:
    data = bytearray(answer("a.example", "A", ("a.example", "A", "192.0.2.1")))
    data[-11] = 3
    assert parse_answer(bytes(data)).records == ()


def with_record(name: bytes, count: int = 1, kind: int = 1, value: bytes = bytes(4)) -> bytes:
    question = b"\1a\0" + struct.pack("!HH", 1, 1)
    record = name + struct.pack("!HHIH", kind, 1, 60, len(value)) + value
    return struct.pack("!6H", 1, 0x8000, 1, count, 0, 0) + question + record * count


@pytest.mark.parametrize(
    "data",
    [
        with_record(b"\xc0\x13"),
        with_record(b"\xc0\xff"),
        with_record(b"\x01b\xc0\x13"),
        with_record(b"\x80\x00"),
        with_record(b"\xc0\x0c", kind=5, value=b"\xc0\x1f"),
    ],
    ids=["itself", "forward", "own label", "unknown label", "alias to itself"],
)
def test_names_that_lead_nowhere(data: bytes) -> None:
    with pytest.raises(WireError):
        parse_answer(data)


def test_pointers_have_a_limit() -> None:
    name = b"\xc0\x0c"
    at = 12 + 7
    chain = b""
    for n in range(40):
        chain += struct.pack("!H", 0xC000 | (at + 12 + 2 * (n - 1) if n else 0x0C))
    value = with_record(name, kind=16, value=chain)[12 + 7 :]
    last = struct.pack("!H", 0xC000 | (at + 12 + 2 * 39))
    data = struct.pack("!6H", 1, 0x8000, 1, 2, 0, 0) + b"\1a\0" + struct.pack("!HH", 1, 1)
    data += value + last + struct.pack("!HHIH", 1, 1, 60, 4) + bytes(4)
    with pytest.raises(WireError, match="circle"):
        parse_answer(data)


def test_names_have_a_limit() -> None:
    names = [b"\x3f" + b"b" * 63 + struct.pack("!H", 0xC000 | 12)]
    at = 12 + 7
    data = b""
    for number in range(20):
        record = names[-1] + struct.pack("!HHIH", 1, 1, 60, 4) + bytes(4)
        names.append(b"\x3f" + b"b" * 63 + struct.pack("!H", 0xC000 | at + len(data)))
        data += record
        whole = struct.pack("!6H", 1, 0x8000, 1, number + 1, 0, 0) + b"\1a\0\0\1\0\1" + data
        if number < 3:
            assert len(parse_answer(whole).records) == number + 1
    with pytest.raises(WireError, match="too long"):
        parse_answer(whole)


def test_records_have_a_limit() -> None:
    read = parse_answer(with_record(b"\xc0\x0c", MAXIMUM_RECORDS + 1))
    assert (len(read.records), read.cut_off) == (MAXIMUM_RECORDS, True)
    assert parse_answer(with_record(b"\xc0\x0c", value=bytes(5))).addresses == ()


@given(st.lists(st.from_regex(r"[a-z_][a-z0-9-]{0,20}", fullmatch=True), max_size=6))
def test_names_come_back(labels: list[str]) -> None:
    name = ".".join(labels) or "."
    assert name_of(labels_of(name)) == name
