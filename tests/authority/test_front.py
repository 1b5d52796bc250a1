"""The half that strangers speak to, without its process; as a process it is in test_daemon.py."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.authority.test_registrar import Place
from tests.authority_world import NAME
from throughway.authority.channel import Asker
from throughway.authority.front import Front
from throughway.control.codec import JSON
from throughway.model.errors import WireError
from throughway.net import privileges
from throughway.net.exchange import exchange
from throughway.net.tls import client_context
from throughway.pki import est, pem


def serving(place: Place, scenario: Callable[[Front, int], Awaitable[None]]) -> None:
    async def run() -> None:
        left, right = socket.socketpair()
        _, writer = await asyncio.open_unix_connection(sock=left)
        sock = socket.create_server(("127.0.0.1", 0))
        front = Front(Asker(writer), [sock])
        try:
            await front.take(orders(place))
            await scenario(front, sock.getsockname()[1])
        finally:
            await front.close()
            sock.close()
            writer.close()
            right.close()

    asyncio.run(run())


def orders(place: Place) -> dict[str, JSON]:
    own = place.registrar.serve_as([NAME])
    return {
        "serve": True,
        "certificate": pem.build_certificate_pem(own.certificate).decode(),
        "key": pem.build_key_pem(own.key).decode(),
        "anchor": pem.build_certificate_pem(place.registrar.anchor()).decode(),
        "policy": "",
    }


async def loopback(_: str) -> tuple[str, ...]:
    return ("127.0.0.1",)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(privileges, "_prctl", lambda option, argument: 0)
    return Place(tmp_path / "pki")


def test_it_serves_and_takes_a_newer_certificate(place: Place) -> None:
    anchor = pem.build_certificate_pem(place.registrar.anchor()).decode()

    async def shown(port: int) -> bytes:
        context = client_context(anchors=(anchor,), system=False)
        answer = await exchange(
            f"https://{NAME}:{port}{est.CACERTS}", tls=context, resolve=loopback
        )
        assert est.parse_certificates(answer.body) == (place.registrar.anchor(),)
        context.check_hostname = False
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        tls = writer.get_extra_info("ssl_object")
        assert isinstance(tls, ssl.SSLObject)
        certificate = tls.getpeercert(binary_form=True)
        writer.transport.abort()
        return certificate or b""

    async def scenario(front: Front, port: int) -> None:
        first = await shown(port)
        await front.take(orders(place))
        assert await shown(port) != first

    serving(place, scenario)


def test_half_an_order_is_refused(place: Place) -> None:
    async def scenario(front: Front, port: int) -> None:
        with pytest.raises(WireError, match="certificate is missing"):
            await front.take({"serve": True})

    serving(place, scenario)
