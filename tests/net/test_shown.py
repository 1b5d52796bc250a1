"""The certificates of a server that nobody trusts, so that it can be said whose they are."""

import asyncio
import socket
import ssl
from datetime import timedelta
from pathlib import Path

from tests.net.iphttps_world import end_server
from tests.revocation_world import DAY, NOW, ROOT, certify, chain
from throughway.model.errors import Stage, TransportError
from throughway.net.shown import full_size_passes, shown_chain
from throughway.pki.judgement import words_of
from throughway.pki.pem import build_certificate_der, build_certificate_pem, build_key_pem

CHAIN = chain()


async def to(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setblocking(False)
    return sock


async def nowhere(_host: str, _port: int) -> socket.socket:
    raise TransportError(Stage.CONNECT, "no")


def test_what_a_server_shows(tmp_path: Path) -> None:
    pem = b"".join(build_certificate_pem(c.certificate) for c in (CHAIN.leaf, CHAIN.issuing))
    (tmp_path / "server.crt").write_bytes(pem)
    (tmp_path / "server.key").write_bytes(build_key_pem(CHAIN.leaf.key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    said: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.append(await reader.read())
        writer.close()

    async def scenario() -> tuple[bytes, ...]:
        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        found = await shown_chain(lambda host, _: to(port), "da.example.com", 443)
        assert await full_size_passes(lambda host, _: to(port), "da.example.com", 443)
        await end_server(server)
        return found

    assert asyncio.run(scenario()) == CHAIN.ders[:2]
    assert set(said) <= {b""}


def test_a_server_that_cannot_be_looked_at() -> None:
    assert asyncio.run(shown_chain(nowhere, "da.example.com", 443)) == ()

    async def scenario() -> tuple[bytes, ...]:
        def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 What?\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        found = await shown_chain(lambda host, _: to(port), "da.example.com", 443)
        await end_server(server)
        return found

    assert asyncio.run(scenario()) == ()


def test_what_is_larger_than_a_packet_and_is_read_has_passed() -> None:
    read: list[int] = []

    async def scenario(answer: bytes) -> bool:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            read.append(len(await reader.readexactly(1500)))
            writer.write(answer)
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        passes = await full_size_passes(lambda host, _: to(port), "da.example.com", 443)
        await end_server(server)
        return passes

    assert asyncio.run(scenario(b"HTTP/1.1 400 What?\r\n\r\n"))
    assert read == [1500]
    assert not asyncio.run(full_size_passes(nowhere, "da.example.com", 443))


def test_words() -> None:
    words = words_of(CHAIN.ders[:2], NOW)
    assert words.startswith("it shows the certificate of da.example.com, serial ")
    assert "for da.example.com (usage: server), issued by Corp Issuing" in words
    assert words.endswith("the chain ends with Corp Issuing, issued by Corp Root")
    old = certify("old.example", ROOT, names=(), end=NOW - timedelta(hours=1))
    words = words_of([build_certificate_der(old.certificate)], NOW)
    assert "for no names" in words
    assert f"that of old.example is valid from {NOW - DAY:%Y-%m-%d %H:%M} to " in words
    assert words_of([], NOW) == ""
    assert words_of([b"x"], NOW).startswith("it shows what is no certificate")
