"""Connecting to a name, over loopback."""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Sequence

import pytest

from tests.ports import free_port
from throughway.model.errors import Stage, TransportError
from throughway.net import dial as module
from throughway.net.dial import Dialer


def resolving(*addresses: str) -> Callable[[str], Awaitable[Sequence[str]]]:
    async def resolve(host: str) -> Sequence[str]:
        assert host == "da.example.com"
        return addresses

    return resolve


def dial(dialer: Dialer, port: int, host: str = "da.example.com") -> str:
    """Return the address that was connected to."""

    async def run() -> str:
        sock = await dialer(host, port)
        with sock:
            assert sock.gettimeout() == 0
            return str(sock.getpeername()[0])

    return asyncio.run(run())


def failure(dialer: Dialer, port: int, host: str = "da.example.com") -> TransportError:
    with pytest.raises(TransportError) as caught:
        dial(dialer, port, host)
    return caught.value


@pytest.fixture
def port() -> int:
    """Return a port where nobody listens."""
    return free_port("127.0.0.1", "127.0.0.2")


def test_the_first_address_that_answers_wins(port: int) -> None:
    with socket.create_server(("127.0.0.2", port)):
        assert dial(Dialer(resolving("127.0.0.1", "127.0.0.2")), port) == "127.0.0.2"


def test_a_silent_address_does_not_hold_up_the_others(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listener whose backlog is full lets a SYN wait, as a blocked port does."""
    monkeypatch.setattr(module, "HEAD_START", 0.01)
    with socket.socket() as full, socket.socket() as filler:
        full.bind(("127.0.0.1", port))
        full.listen(0)
        filler.connect(("127.0.0.1", port))
        with socket.create_server(("127.0.0.2", port)):
            assert dial(Dialer(resolving("127.0.0.1", "127.0.0.2")), port) == "127.0.0.2"
        monkeypatch.setattr(module, "CONNECT_TIMEOUT", 0.05)
        error = failure(Dialer(resolving("127.0.0.1")), port)
        assert (error.stage, error.windows_code) == (Stage.CONNECT, 0x274C)
        assert error.problem == "iphttps-port-blocked"


def test_addresses_need_no_resolver() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert dial(Dialer(resolving()), server.getsockname()[1], "127.0.0.1") == "127.0.0.1"


def test_refused(port: int) -> None:
    error = failure(Dialer(resolving("127.0.0.1", "127.0.0.2")), port)
    assert (error.windows_code, error.problem) == (0x274D, "iphttps-connection-refused")
    assert str(error) == f"da.example.com port {port} cannot be reached: the connection was refused"


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EHOSTUNREACH])
def test_the_error_that_says_most_is_reported(number: int) -> None:
    """An IPv6 address on a machine without IPv6 must not hide what IPv4 said."""

    class Partly(Dialer):
        async def _connect(self, address: str, port: int) -> socket.socket:
            raise OSError(number if ":" in address else errno.ECONNREFUSED, "x")

    assert failure(Partly(resolving("2001:db8::1", "192.0.2.1")), 443).windows_code == 0x274D
    expected = {errno.ENETUNREACH: "internet-down", errno.EHOSTUNREACH: "iphttps-port-blocked"}
    assert failure(Partly(resolving("2001:db8::1")), 443).problem == expected[number]


def test_names_without_addresses(port: int) -> None:
    error = failure(Dialer(resolving()), port)
    assert (error.stage, error.windows_code) == (Stage.RESOLVE, 0x2AFC)


@pytest.mark.parametrize(
    ("raised", "windows_code"),
    [
        (socket.gaierror(socket.EAI_NONAME, "no"), 0x2AF9),
        (TimeoutError(), 0x2AFA),
        (TransportError(Stage.RESOLVE, "no", windows_code=0x2AFB), 0x2AFB),
    ],
)
def test_resolvers_that_fail(port: int, raised: Exception, windows_code: int) -> None:
    async def resolve(_: str) -> Sequence[str]:
        raise raised

    error = failure(Dialer(resolve), port)
    assert (error.stage, error.windows_code) == (Stage.RESOLVE, windows_code)
    assert "da.example.com cannot be resolved" in str(error)


@pytest.mark.lab
def test_packets_are_marked() -> None:
    async def run(port: int) -> int:
        with await Dialer(resolving("127.0.0.1"), mark=0x42)("da.example.com", port) as sock:
            return sock.getsockopt(socket.SOL_SOCKET, socket.SO_MARK)

    with socket.create_server(("127.0.0.1", 0)) as server:
        assert asyncio.run(run(server.getsockname()[1])) == 0x42


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example", ".example"])
def test_a_name_that_cannot_be(host: str) -> None:
    """Certificates and redirections of strangers may name any; Python's codec raises on some."""

    async def resolve(name: str) -> Sequence[str]:
        await asyncio.get_running_loop().getaddrinfo(name, None)
        return ()

    assert failure(Dialer(resolve), 80, host).problem == "iphttps-name-unresolvable"
