"""Hellos of our own making, to OpenSSL."""

import asyncio
from pathlib import Path

from tests.net.iphttps_world import NAME
from tests.probe.probe_world import HOME, RSA_KEY, answering, make, s_server, speaking, write
from throughway.probe.analysis.hellos import MAXIMUM_ANSWER, Hunt, Kind
from throughway.probe.hellos import hunt_suites, say_hello
from throughway.wire.tls_offer import TLS12, TLS13, Offer, suites_for

OFFER = Offer(version=TLS12, suites=suites_for(TLS12), server_name=NAME)


def test_suites_are_found_one_by_one(tmp_path: Path) -> None:
    """The server's own order is kept."""
    files = write(tmp_path, make(NAME, names=[NAME], key=RSA_KEY))
    wanted = ["ECDHE-RSA-AES256-GCM-SHA384", "AES128-SHA", "ECDHE-RSA-AES128-GCM-SHA256"]
    words = ("-cipher", ":".join(wanted), "-tls1_2", "-serverpref", "-www")
    hunt = Hunt(TLS12, suites_for(TLS12))
    with s_server(files, *words) as port:
        asyncio.run(hunt_suites(HOME, port, NAME, hunt))
    assert [suite.name for suite in hunt.seen(0).suites] == [
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_RSA_WITH_AES_128_CBC_SHA",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    ]
    assert hunt.seen(0).complete


def test_another_group_is_asked_for(tmp_path: Path) -> None:
    """A HelloRetryRequest names the suite as well."""
    files = write(tmp_path, make(NAME, names=[NAME]))
    with s_server(files, "-tls1_3", "-groups", "P-384", "-www") as port:
        offer = Offer(version=TLS13, suites=suites_for(TLS13))
        answer = asyncio.run(say_hello(HOME, port, offer))
    assert (answer.kind, answer.version) == (Kind.CHOSEN, TLS13)


def test_no_more_is_read_than_makes_sense() -> None:
    async def scenario() -> None:
        data = bytes.fromhex("1603034000") + b"\x0b\x03\xff\xff" + bytes(2 * MAXIMUM_ANSWER)
        async with speaking(answering(data)) as port:
            answer = await say_hello(HOME, port, OFFER, to_the_end=True)
        assert answer.kind is Kind.BROKEN

    asyncio.run(scenario())


def test_silence_and_a_door_that_shuts() -> None:
    async def scenario() -> None:
        async def shut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)

        async with speaking(answering(b"")) as port:
            assert (await say_hello(HOME, port, OFFER, seconds=0.2)).kind is Kind.SILENT
        async with speaking(shut) as port:
            assert (await say_hello(HOME, port, OFFER)).kind is Kind.REFUSED
        assert (await say_hello(HOME, 1, OFFER)).kind is Kind.SILENT

    asyncio.run(scenario())
