"""Security associations and events as charon wrote them, made into values."""

from throughway.net.sas import (
    IKESA,
    ChildChanged,
    ChildSA,
    IKEChanged,
    LineLogged,
    parse_event,
    parse_sa,
)
from throughway.net.vici import Section

MESSAGE: Section = {
    "uniqueid": b"3",
    "version": b"2",
    "state": b"ESTABLISHED",
    "local-host": b"2001:db8:e::1",
    "local-port": b"4500",
    "local-id": b"da.example.com",
    "remote-host": b"2001:db8:f1::2",
    "remote-id": b"CLIENT1$",
    "established": b"7",
    "child-sas": {
        "infrastructure-4": {
            "name": b"infrastructure",
            "uniqueid": b"4",
            "state": b"INSTALLED",
            "bytes-in": b"84",
            "bytes-out": b"168",
            "local-ts": [b"2001:db8:c0:1::/64"],
            "remote-ts": [b"2001:db8:f1::2/128"],
        }
    },
}
SA = IKESA(
    name="infrastructure-client1",
    unique_id=3,
    state="ESTABLISHED",
    local_address="2001:db8:e::1",
    remote_address="2001:db8:f1::2",
    local_identity="da.example.com",
    remote_identity="CLIENT1$",
    established=7,
    children=(
        ChildSA(
            name="infrastructure",
            state="INSTALLED",
            local_ts=("2001:db8:c0:1::/64",),
            remote_ts=("2001:db8:f1::2/128",),
            bytes_in=84,
            bytes_out=168,
        ),
    ),
)


def test_a_security_association() -> None:
    sa = parse_sa("infrastructure-client1", MESSAGE)
    assert sa == SA
    assert sa.up


def test_it_is_up_only_with_a_child_that_is_installed() -> None:
    child = MESSAGE["child-sas"]["infrastructure-4"] | {"state": b"REKEYED"}
    assert not parse_sa("x", MESSAGE | {"child-sas": {"c": child}}).up
    assert not parse_sa("x", MESSAGE | {"child-sas": {}}).up
    assert not parse_sa("x", MESSAGE | {"state": b"DELETING"}).up


def test_events() -> None:
    message = {"up": b"yes", "infrastructure-client1": MESSAGE}
    assert list(parse_event("ike-updown", message)) == [IKEChanged(True, SA)]
    assert list(parse_event("child-updown", message)) == [ChildChanged(True, SA)]
    del message["up"]
    assert list(parse_event("ike-updown", message)) == [IKEChanged(False, SA)]


def test_lines_of_the_log() -> None:
    line: Section = {"group": b"IKE", "level": b"1", "thread": b"9", "msg": b"hello"}
    assert list(parse_event("log", line)) == [LineLogged("IKE", 0, "", "hello")]
    line |= {"ikesa-name": b"intranet", "ikesa-uniqueid": b"12"}
    assert list(parse_event("log", line)) == [LineLogged("IKE", 12, "intranet", "hello")]


def test_what_is_missing_or_odd_is_empty() -> None:
    assert parse_sa("x", {"uniqueid": b"many", "state": [b"odd"]}).unique_id == 0
