"""The policy's server and the management servers: there, not there, silent."""

import asyncio
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.operations_world import config, look
from tests.pki.test_bundle import POLICY
from throughway.gateway.operations import servers
from throughway.gateway.operations.servers import management_servers
from throughway.health.checking import CannotTell, Found
from throughway.model.config import EnrolmentConfig, GatewayConfig, PublishConfig
from throughway.pki import bundle, pem


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def with_enrolment(gateway: GatewayConfig, url: str) -> GatewayConfig:
    return replace(gateway, enrolment=EnrolmentConfig(url=url))


def with_policy(gateway: GatewayConfig, port: int) -> GatewayConfig:
    publish = PublishConfig(
        deployment="corp",
        signing_key=Path("/nowhere"),
        bundle=Path("/nowhere"),
        nrpt=(),
        nls_urls=(),
        trust_anchors=(),
        serve=("127.0.0.1", port),
    )
    return replace(gateway, publish=publish)


def test_which_servers_are_management_servers(tmp_path: Path) -> None:
    gateway = with_enrolment(config(tmp_path), "https://ca.corp.example.com:8443/.well-known/est")
    single = ("2001:db8:c0:9::/64", "2001:db8:c0:1::20/128", "2001:db8:1::1/128")
    gateway = replace(gateway, ipsec=replace(gateway.ipsec, infrastructure_prefixes=single))
    assert management_servers(gateway) == (
        ("2001:db8:c0:1::20", 0),
        ("ca.corp.example.com", 8443),
    ), "networks are not single hosts, and the endpoint is the gateway's own"


def test_where_none_is_named_none_is_looked_at(tmp_path: Path) -> None:
    checks = servers.checks(lambda: config(tmp_path))
    assert [check.wanted() for check in checks] == [
        "no publish.serve is configured",
        "nothing is published",
        "the configuration names none",
    ]


def test_a_management_server_that_takes_connections_and_one_that_does_not(
    tmp_path: Path, listener: socket.socket
) -> None:
    port = listener.getsockname()[1]
    gateway = with_enrolment(config(tmp_path), f"https://127.0.0.1:{port}/est")
    checks = servers.checks(lambda: gateway)
    assert look(checks, "management-servers") == f"127.0.0.1 port {port} answer"
    listener.close()
    told = f"127.0.0.1 port {port}: it refuses the connection"
    assert look(checks, "management-servers") == [("management-server-unreachable", told)]


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ({}, "2001:db8:c0:1::20 answer"),
        ({443: servers._SILENT, 80: servers._REFUSED}, "2001:db8:c0:1::20 answer"),
        (
            {
                443: "No route to host",
                80: servers._SILENT,
                53: servers._SILENT,
                22: servers._SILENT,
            },
            [("management-server-unreachable", "2001:db8:c0:1::20: No route to host")],
        ),
        (dict.fromkeys(servers.PORTS, servers._SILENT), None),
    ],
)
def test_a_host_of_which_only_the_address_is_known(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answers: dict[int, str],
    found: list[tuple[str, str]] | str | None,
) -> None:
    async def connects(_host: str, port: int) -> str:
        return answers.get(port, "")

    monkeypatch.setattr(servers, "_connects", connects)
    gateway = config(tmp_path)
    single = replace(gateway.ipsec, infrastructure_prefixes=("2001:db8:c0:1::20/128",))
    checks = servers.checks(lambda: replace(gateway, ipsec=single))
    if found is None:
        with pytest.raises(CannotTell, match="neither an answer nor a refusal"):
            look(checks, "management-servers")
    else:
        assert look(checks, "management-servers") == found


def test_a_server_that_does_not_take_what_it_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connect(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(servers, "ASK_TIME", 0.01)
    monkeypatch.setattr(asyncio, "open_connection", connect)
    gateway = with_enrolment(config(tmp_path), "https://127.0.0.1/est")
    told = [("management-server-unreachable", "127.0.0.1 port 443: no answer")]
    assert look(servers.checks(lambda: gateway), "management-servers") == told


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found"])
def test_the_policy_s_server(tmp_path: Path, status: str) -> None:
    """That there is no bundle is told by itself; that nobody answers is told here."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def scenario() -> tuple[str, list[str]]:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            gateway = with_policy(config(tmp_path), server.sockets[0].getsockname()[1])
            (check, *_) = servers.checks(lambda: gateway)
            well = await check.look()
        gone = await check.look()
        return str(well), [found.problem.code for found in gone if isinstance(found, Found)]

    words, codes = asyncio.run(scenario())
    assert words.startswith("http://127.0.0.1:")
    assert codes == ["policy-unreachable"]


DAY = 86400


def signed(folder: Path, key: Ed25519PrivateKey, left: int) -> list[str] | str:
    """Return what is said of a bundle of 90 days that ends in so many seconds."""
    now = int(time.time())
    policy = replace(POLICY, issued_at=now + left - 90 * DAY, expires_at=now + left)
    (folder / "policy.bundle").write_bytes(bundle.sign(policy, key))
    return judged(folder)


def judged(folder: Path) -> list[str] | str:
    gateway = with_policy(config(folder), 8080)
    assert gateway.publish is not None
    publish = replace(
        gateway.publish, bundle=folder / "policy.bundle", signing_key=folder / "policy.key"
    )
    answer = look(servers.checks(lambda: replace(gateway, publish=publish)), "policy-bundle")
    return answer if isinstance(answer, str) else [code for code, _ in answer]


def test_the_policy_that_clients_are_given(tmp_path: Path) -> None:
    assert judged(tmp_path) == ["policy-not-built"]
    key = Ed25519PrivateKey.generate()
    well = signed(tmp_path, key, 30 * DAY)
    assert isinstance(well, str)
    assert "ends on" in well
    assert signed(tmp_path, key, 3 * DAY) == ["policy-out-of-date"]
    assert signed(tmp_path, key, -DAY) == ["policy-expired"]
    (tmp_path / "policy.pub").write_bytes(pem.build_public_key_pem(key.public_key()))
    assert signed(tmp_path, key, 30 * DAY) == well
    assert signed(tmp_path, Ed25519PrivateKey.generate(), 30 * DAY) == ["policy-signature-invalid"]
    (tmp_path / "policy.bundle").write_bytes(b"{}")
    assert judged(tmp_path) == ["policy-signature-invalid"], "it is nobody's"
