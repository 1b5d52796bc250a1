"""Building the bundle, and the server that gives it to clients."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.pki_world import NOW as ISSUED_AT
from tests.pki_world import ROOT, SIGNING_KEY, write, write_gateway
from tests.ports import free_port
from throughway.gateway import publish, settings
from throughway.gateway.publish import PolicyServer
from throughway.health.tracker import Tracker
from throughway.model.config import TeredoServerConfig
from throughway.model.errors import ConfigError
from throughway.model.policy import Fallback, NRPTRule, TransportsPolicy
from throughway.pki import bundle, pem
from throughway.pki.authority import Profile, issue
from throughway.proto.nrpt import Table
from throughway.proto.nrpt.rules import rules_of

NOW = 1_800_000_000
GET = b"GET /policy.bundle HTTP/1.1\r\nHost: x\r\n"


def built(folder: Path) -> bytes:
    config = settings.load(write_gateway(folder))
    _, data = publish.build_bundle(config, NOW)
    publish.write_bundle(folder / "policy.bundle", data)
    return data


def test_the_bundle_says_what_the_configuration_says(tmp_path: Path) -> None:
    policy = bundle.verify(built(tmp_path), SIGNING_KEY.public_key(), NOW)
    assert policy.version == 1
    assert (policy.issued_at, policy.expires_at) == (NOW, NOW + 90 * 86400)
    assert policy.iphttps_url == "https://da.example.com:443/IPHTTPS"
    assert policy.gateway_identity == "da.example.com"
    assert policy.infrastructure.endpoint == "2002:836b:2::836b:2"
    assert policy.intranet.prefixes == ("2001:db8:c0::/48",)
    assert [rule.namespace for rule in policy.nrpt] == [
        ".corp.example.com",
        "nls.corp.example.com",
    ]
    assert policy.trust_anchors == (pem.build_certificate_pem(ROOT.certificate).decode(),)
    assert policy.policy_url == "http://[2001:db8:c0:1::1]:8080/policy.bundle"
    assert policy.kerberos_service == "host@da.example.com"
    assert policy.transport_order == ("native", "iphttps")
    assert policy.transports == TransportsPolicy()
    assert policy.fallback is Fallback.NEVER


def test_clients_are_told_of_what_is_served(tmp_path: Path) -> None:
    config = settings.load(write_gateway(tmp_path, [("[ipsec]", "[sixtofour]\n[ipsec]")]))
    policy, _ = publish.build_bundle(config, NOW)
    assert publish.offered_transports(config) == ("native", "6to4", "iphttps")
    both = replace(config, teredo=TeredoServerConfig(address="131.107.0.2"))
    assert publish.offered_transports(both) == ("native", "6to4", "teredo", "iphttps")
    assert policy


def test_hosts_of_revocation_lists_and_responders_are_always_exempt(tmp_path: Path) -> None:
    config = settings.load(write_gateway(tmp_path))
    urls = ("http://crl.example.com/root.crl", "http://192.0.2.1/root.crl")
    for url in urls:
        issued = issue(ROOT, Profile.GATEWAY, ["da.example.com"], now=ISSUED_AT, crl_url=url)
        pem_ = pem.build_certificate_pem(issued.certificate)
        assert config.iphttps.certificate is not None
        with config.iphttps.certificate.open("ab") as file:
            file.write(pem_)
    policy, _ = publish.build_bundle(config, NOW)
    assert policy.exempt_names == ("crl.example.com",)
    assert Table(rules_of(policy)).match_name("crl.example.com") == NRPTRule(
        namespace="crl.example.com"
    )


def test_each_build_has_a_higher_version(tmp_path: Path) -> None:
    versions = [
        bundle.verify(built(tmp_path), SIGNING_KEY.public_key(), NOW).version for _ in range(3)
    ]
    assert versions == [1, 2, 3]


def test_a_damaged_bundle_is_not_built_over(tmp_path: Path) -> None:
    built(tmp_path)
    write(tmp_path / "policy.bundle", b"damaged")
    with pytest.raises(ConfigError, match="move it away"):
        built(tmp_path)


def test_without_key_or_table_the_remedy_is_told(tmp_path: Path) -> None:
    path = write_gateway(tmp_path)
    (tmp_path / "policy.key").unlink()
    with pytest.raises(ConfigError, match="throughway policy key"):
        publish.build_bundle(settings.load(path), NOW)
    text = path.read_text()
    config = settings.load(write(path, text[: text.index("[publish]")]))
    with pytest.raises(ConfigError, match="publish: is missing"):
        publish.build_bundle(config, NOW)


def test_ipv4_urls_have_no_brackets() -> None:
    assert publish.policy_url("10.0.0.1", 80) == "http://10.0.0.1:80/policy.bundle"


async def ask(port: int, request: bytes) -> tuple[bytes, bytes]:
    """Return head and body of the answer; both empty when the server does not answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await read_all(reader, writer)
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


async def read_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Read until the server ends the connection, in whatever way; then close it here too."""
    answer = b""
    try:
        while data := await reader.read(65536):
            answer += data
    except ConnectionError:
        pass
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    return answer


def serving(path: Path, scenario: Callable[[int], Awaitable[None]]) -> None:
    async def run() -> None:
        server = PolicyServer(path, ("127.0.0.1", 0))
        await server.start()
        try:
            async with asyncio.timeout(PATIENCE):
                await scenario(server.port)
        finally:
            await server.close()

    asyncio.run(run())


def test_the_bundle_is_served_with_version_and_tag(tmp_path: Path) -> None:
    data = built(tmp_path)

    async def scenario(port: int) -> None:
        head, body = await ask(port, GET + b"\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert body == data
        assert b"throughway-policy-version: 1" in head.lower()
        assert f"content-length: {len(data)}".encode() in head.lower()
        tag = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"etag"))
        etag = tag.partition(b": ")[2]
        head, body = await ask(port, GET + b"If-None-Match: " + etag + b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 304 ")
        assert body == b""
        head, body = await ask(port, b"HEAD /policy.bundle HTTP/1.1\r\nHost: x\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert body == b""

    serving(tmp_path / "policy.bundle", scenario)


def test_a_newer_bundle_is_served_at_once(tmp_path: Path) -> None:
    built(tmp_path)

    async def scenario(port: int) -> None:
        await ask(port, GET + b"\r\n")
        newer = built(tmp_path)
        assert (await ask(port, GET + b"\r\n"))[1] == newer
        (tmp_path / "policy.bundle").unlink()
        head, body = await ask(port, GET + b"\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"throughway policy build" in body
        write(tmp_path / "policy.bundle", newer[:-20])
        assert (await ask(port, GET + b"\r\n"))[0].startswith(b"HTTP/1.1 503 ")

    serving(tmp_path / "policy.bundle", scenario)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"GET /policy.bundle/../gateway.toml HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"POST /policy.bundle HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", b"405"),
        (b"garbage\r\n\r\n", b"400"),
        (b"GET /policy.bundle HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /policy.bundle HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 65536, b"431"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, request_bytes: bytes, status: bytes) -> None:
    built(tmp_path)

    async def scenario(port: int) -> None:
        head, body = await ask(port, request_bytes)
        assert head.startswith(b"HTTP/1.1 " + status)
        assert body
        assert (await ask(port, GET + b"\r\n"))[0].startswith(b"HTTP/1.1 200 ")

    serving(tmp_path / "policy.bundle", scenario)


def test_an_address_that_is_not_here_is_told(tmp_path: Path) -> None:
    async def run() -> None:
        with pytest.raises(ConfigError, match="cannot listen on 192"):
            await PolicyServer(tmp_path / "x", ("192.0.2.1", 8080)).start()

    asyncio.run(run())


def test_a_reload_lets_the_server_listen_on(tmp_path: Path) -> None:
    """Nobody is turned away meanwhile, and its port is nobody else's for a moment."""
    data = built(tmp_path)
    port = free_port()
    config = settings.load(write_gateway(tmp_path)).publish
    assert config is not None
    here = replace(config, bundle=tmp_path / "policy.bundle", serve=("127.0.0.1", port))
    taken = replace(here, serve=("192.0.2.1", port))

    async def run() -> None:
        publishing = publish.Publishing(Tracker(lambda: 0.0))
        await publishing.start(here)
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            await publishing.reload(replace(here, valid_days=7))
            assert (await ask(port, GET + b"\r\n"))[1] == data
            writer.transport.abort()
            for _ in range(2):
                with pytest.raises(ConfigError):
                    await publishing.reload(taken)
            await publishing.reload(here)
            assert (await ask(port, GET + b"\r\n"))[1] == data
        finally:
            await publishing.stop()

    asyncio.run(run())
