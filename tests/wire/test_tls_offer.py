"""Hellos that ask: read back by our own reader, and taken by OpenSSL in tests/probe."""

import pytest

from throughway.model.errors import WireError
from throughway.wire.tls import read_stream
from throughway.wire.tls_handshake import NULL_SUITES, ClientHello
from throughway.wire.tls_offer import (
    OFFERED_VERSIONS,
    TLS10,
    TLS12,
    TLS13,
    Offer,
    build_offer,
    suites_for,
)
from throughway.wire.tls_suites import is_worn_out

CHANCE = bytes(range(96))


@pytest.mark.parametrize("version", OFFERED_VERSIONS)
def test_what_is_offered_is_read_back(version: int) -> None:
    offer = Offer(version=version, suites=suites_for(version), server_name="da.example.com")
    stream = read_stream(build_offer(offer, CHANCE))
    (hello,) = stream.messages
    assert isinstance(hello, ClientHello)
    assert hello.versions == (version,)
    assert hello.suites == offer.suites
    assert hello.server_name == "da.example.com"
    assert hello.version == min(version, TLS12)
    assert not stream.broken


def test_null_suites_are_offered_when_asked_for() -> None:
    suites = tuple(number for number in NULL_SUITES if number)
    (hello,) = read_stream(build_offer(Offer(version=TLS10, suites=suites), CHANCE)).messages
    assert isinstance(hello, ClientHello)
    assert hello.null_suites == suites
    assert hello.server_name is None


def test_good_suites_stand_before_worn_out_ones() -> None:
    worn = [is_worn_out(number) for number in suites_for(TLS12)]
    assert worn == sorted(worn)
    assert True in worn
    assert not set(suites_for(TLS12)) & set(suites_for(TLS13))


@pytest.mark.parametrize(("suites", "chance"), [((), CHANCE), ((1,) * 300, CHANCE), ((1,), b"")])
def test_what_cannot_be_offered(suites: tuple[int, ...], chance: bytes) -> None:
    with pytest.raises(WireError):
        build_offer(Offer(version=TLS12, suites=suites), chance)
