"""A server that is not accepted is looked at once, and named from then on."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.net.iphttps_world import wait_for
from tests.revocation_world import chain
from throughway.client import inspection as module
from throughway.client.inspection import UNNAMED, Fetch, Inspection
from throughway.model.errors import Stage, TransportError
from throughway.net.dial import Dial
from throughway.net.tls import _VERIFICATION_ERRORS, client_context, server_context
from throughway.pki.authority import (
    Credential,
    KeyType,
    Profile,
    certify,
    create_root,
    generate_key,
)
from throughway.pki.pem import build_certificate_pem, build_key_pem

URL = "https://da.example.com/IPHTTPS"
EXPIRED = TransportError(
    Stage.TLS, "has expired", windows_code=0x800B0101, problem="iphttps-cert-expired"
)
CHAIN = chain()


async def nobody(_host: str, _port: int) -> socket.socket:
    raise TransportError(Stage.CONNECT, "no")


async def nothing(_url: str) -> bytes:
    raise TransportError(Stage.CONNECT, "no")


def inspection_of(
    told: Callable[[TransportError], None],
    *,
    dial: Dial = nobody,
    fetch: Fetch = nothing,
    anchors: tuple[str, ...] = (),
) -> Inspection:
    def context(more: tuple[str, ...]) -> ssl.SSLContext:
        return client_context(anchors=(*anchors, *more), system=False)

    return Inspection(dial, told, fetch=fetch, context=context)


def test_it_is_named_when_it_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[tuple[str, int]] = []

    async def shown_chain(_dial: Dial, host: str, port: int) -> tuple[bytes, ...]:
        looks.append((host, port))
        return CHAIN.ders[:2]

    monkeypatch.setattr(module, "shown_chain", shown_chain)

    async def scenario() -> None:
        seen: list[TransportError] = []
        inspection = inspection_of(seen.append)
        assert inspection.named(EXPIRED, URL) is EXPIRED
        await wait_for(lambda: seen)
        for named in (seen[0], inspection.named(EXPIRED, URL)):
            assert str(named).startswith("has expired; it shows the certificate of da.example.com")
            assert (named.problem, named.windows_code) == (EXPIRED.problem, 0x800B0101)
        assert looks == [("da.example.com", 443)]
        await inspection.stop()
        assert inspection.named(EXPIRED, URL) is EXPIRED
        await inspection.stop()

    asyncio.run(scenario())


def test_what_cannot_be_seen_stays_as_it_is() -> None:
    async def scenario() -> None:
        inspection = inspection_of(lambda _: pytest.fail("nothing was seen"))
        inspection.named(EXPIRED, URL)
        await wait_for(lambda: inspection._looking is None or inspection._looking.done())
        assert inspection.named(EXPIRED, URL) is EXPIRED
        other = TransportError(Stage.TLS, "", problem="iphttps-cert-revoked")
        assert inspection.named(other, URL) is other
        await inspection.stop()

    asyncio.run(scenario())


def test_every_problem_of_openssl_s_is_named() -> None:
    of_openssl = {problem for _, problem in _VERIFICATION_ERRORS.values()}
    assert of_openssl - {p for p in of_openssl if "crl" in p or "revoked" in p} == UNNAMED


NOW = datetime.now(UTC)
CORP = create_root("Corp Root", NOW - timedelta(days=9), below=1)
ISSUING = create_root("Corp Issuing", NOW - timedelta(days=9), above=CORP)
OTHER = create_root("Corp Root", NOW - timedelta(days=9), below=1)
PLACE = "http://pki.example.com/issuing.crt"
UNTRUSTED = TransportError(Stage.TLS, "no issuer", problem="iphttps-cert-untrusted-root")


async def seen_of(folder: Path, trusted: Credential, fetched: bytes) -> TransportError:
    """Return what is said of a server that sends its own certificate alone."""
    key, asked = generate_key(KeyType.P256), list[str]()
    life = timedelta(days=9)
    leaf = certify(
        *(ISSUING, Profile.SERVER, ["da.example.com"], key.public_key()),
        now=NOW,
        life=life,
        issuer_url=PLACE,
    )
    (folder / "da.crt").write_bytes(build_certificate_pem(leaf))
    (folder / "da.key").write_bytes(build_key_pem(key))
    context = server_context(folder / "da.crt", folder / "da.key")

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    address = server.sockets[0].getsockname()

    async def dial(_host: str, _port: int) -> socket.socket:
        sock = socket.create_connection(address)
        sock.setblocking(False)
        return sock

    async def fetch(url: str) -> bytes:
        asked.append(url)
        return fetched

    told: list[TransportError] = []
    anchors = (build_certificate_pem(trusted.certificate).decode(),)
    inspection = inspection_of(told.append, dial=dial, fetch=fetch, anchors=anchors)
    inspection.named(UNTRUSTED, URL)
    await wait_for(lambda: told)
    assert asked == [PLACE]
    await inspection.stop()
    server.close()
    return told[0]


@pytest.mark.parametrize("form", ["der", "pem"])
def test_an_authority_that_the_server_should_have_sent_is_missing(
    tmp_path: Path, form: str
) -> None:
    der = ISSUING.certificate.public_bytes(Encoding.DER)
    data = der if form == "der" else build_certificate_pem(ISSUING.certificate)
    error = asyncio.run(seen_of(tmp_path, CORP, data))
    assert error.problem == "iphttps-cert-intermediate-missing"
    assert "it does not send that of Corp Issuing" in str(error)


@pytest.mark.parametrize(
    ("trusted", "data"),
    [
        (OTHER, ISSUING.certificate.public_bytes(Encoding.DER)),
        (CORP, OTHER.certificate.public_bytes(Encoding.DER)),
        (CORP, b"<html>moved</html>"),
    ],
    ids=["root not trusted", "another authority", "no certificate"],
)
def test_nothing_is_missing_where_it_would_not_help(
    tmp_path: Path, trusted: Credential, data: bytes
) -> None:
    error = asyncio.run(seen_of(tmp_path, trusted, data))
    assert error.problem == "iphttps-cert-untrusted-root"
