"""The index: what was issued can be found again, and revoked for good."""

import json
from datetime import UTC, datetime

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import ConfigError
from throughway.pki.authority import Profile, create_root, issue
from throughway.pki.index import Entry, Index, Reason, build_index, parse_index

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROOT = create_root("Corp Root", NOW)
MADE = issue(ROOT, Profile.COMPUTER, ["Client1.corp.example.com"], now=NOW)
INDEX = Index(crl_url="http://crl.example.com/x.crl", crl_number=4).added(
    MADE.certificate, Profile.COMPUTER, "/x/client1.crt"
)


def changed(**changes: object) -> bytes:
    values = json.loads(build_index(INDEX))
    values["entries"][0] |= changes
    return json.dumps(values).encode()


def test_it_comes_back_whole() -> None:
    revoked = INDEX.with_revoked(INDEX.entries[0].serial, NOW, Reason.SUPERSEDED)
    assert parse_index(build_index(INDEX), "index.json") == INDEX
    assert parse_index(build_index(revoked), "index.json") == revoked
    assert parse_index(build_index(Index()), "index.json") == Index()


def test_certificates_are_found_as_people_name_them() -> None:
    serial = INDEX.entries[0].serial
    colons = ":".join(serial[i : i + 2] for i in range(0, len(serial), 2)).lower()
    for wanted in ("client1.corp.example.com", "CLIENT1.corp.example.com", serial, colons):
        assert INDEX.find(wanted) == INDEX.entries
    assert INDEX.find("client2.corp.example.com") == ()
    assert INDEX.find("") == ()


def test_what_is_revoked_stands_in_the_crl() -> None:
    assert INDEX.revoked() == ()
    revoked = INDEX.with_revoked(INDEX.entries[0].serial, NOW, Reason.KEY_COMPROMISE)
    (entry,) = revoked.revoked()
    assert entry.serial == MADE.certificate.serial_number
    assert (entry.at, entry.reason) == (NOW, x509.ReasonFlags.key_compromise)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_flag(reason: Reason) -> None:
    revoked = INDEX.with_revoked(INDEX.entries[0].serial, NOW, reason)
    assert revoked.revoked()[0].reason.name == reason.replace("-", "_")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not JSON"),
        (b"[]", "format"),
        (b'{"format": 2}', "format"),
        (changed(serial="xyz"), "serial"),
        (changed(profile="queen"), "profile"),
        (changed(not_after="tomorrow"), "not_after"),
        (changed(not_after="2026-01-01T00:00:00"), "time zone"),
        (changed(revoked_at="2026-01-01T00:00:00+00:00"), "reason"),
        (changed(revoked_at="2026-01-01T00:00:00+00:00", reason="mood"), "reason"),
        (changed(colour="red"), "colour"),
    ],
    ids=range(10),
)
def test_damage_is_told(data: bytes, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parse_index(data, "index.json")


@given(st.sampled_from(Entry.__slots__), st.text(max_size=10) | st.integers() | st.none())
def test_any_damage_raises_only_config_error(field: str, value: object) -> None:
    try:
        index = parse_index(changed(**{field: value}), "index.json")
    except ConfigError:
        return
    assert parse_index(build_index(index), "index.json") == index
    index.revoked()
