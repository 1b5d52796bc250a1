"""Client and server over loopback, with TUN devices that are socket pairs."""

import asyncio
import contextlib
import select
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.net.iphttps_world import (
    CORP,
    NAME,
    PREFIX,
    Authority,
    FakeTUN,
    packet,
    wait_for,
)
from tests.patience import PATIENCE
from tests.ports import free_port
from throughway.model.config import AuthenticationMode, IPHTTPSServerConfig
from throughway.model.errors import ConfigError, Stage, TransportError
from throughway.model.status import SessionStatus
from throughway.net import iphttps_client as module
from throughway.net import iphttps_server as server_module
from throughway.net.dial import Dialer
from throughway.net.iphttps_client import IPHTTPSClient, Judge
from throughway.net.iphttps_server import IPHTTPSServer, tls_context
from throughway.net.tls import client_context
from throughway.proto.iphttps import client as client_module
from throughway.proto.iphttps import session as session_module
from throughway.proto.iphttps.client import State
from throughway.proto.iphttps.server import Refusal
from throughway.proto.iphttps.server import State as ServerState
from throughway.proto.iphttps.session import PACKET_BURST, Drop
from throughway.wire.icmpv6 import RouterAdvertisement, RouterSolicitation, parse_icmpv6
from throughway.wire.ipv6 import parse_packet

OWN = "2001:db8:da:1000::a"


@dataclass
class Hall:
    """A server on loopback, and clients of it."""

    config: IPHTTPSServerConfig
    authority: Authority
    secure: bool = True
    tun: FakeTUN = field(default_factory=lambda: FakeTUN("gateway"))
    opened: list[SessionStatus] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    states: list[tuple[State, TransportError | None]] = field(default_factory=list)
    server: IPHTTPSServer = field(init=False)
    port: int = 0

    async def dial(self, host: str, port: int) -> socket.socket:
        """The name leads to this machine, the port to the server's."""

        async def resolve(_: str) -> Sequence[str]:
            return ("127.0.0.1",)

        assert (host, port) == (NAME, 443 if self.secure else 80)
        return await Dialer(resolve)(host, self.port)

    def tls(self) -> ssl.SSLContext:
        return client_context(anchors=[self.authority.root.pem], system=False)

    def note(self, state: State, error: TransportError | None) -> None:
        self.states.append((state, error))

    @contextlib.asynccontextmanager
    async def client(
        self,
        key: str = "",
        *,
        dial: Callable[[str, int], Awaitable[socket.socket]] | None = None,
        tls: ssl.SSLContext | None = None,
        path: str = "IPHTTPS",
        judge: Judge | None = None,
    ) -> AsyncIterator[tuple[IPHTTPSClient, FakeTUN]]:
        tun = FakeTUN()
        scheme = "https" if self.secure else "http"
        client = IPHTTPSClient(
            f"{scheme}://{NAME}/{path}",
            tun,
            dial=dial or self.dial,
            tls=tls or self.tls(),
            session=key,
            judge=judge,
            on_state=self.note,
        )
        client.start()
        try:
            yield client, tun
        finally:
            await client.close()
            tun.close()

    @contextlib.asynccontextmanager
    async def linked(self, key: str = "") -> AsyncIterator[tuple[IPHTTPSClient, FakeTUN]]:
        """A client with its link up, past the advertisements it got."""
        async with self.client(key) as (client, tun):
            await wait_for(lambda: client.state is State.LINK_UP)
            for _ in range(2):
                message = parse_icmpv6(parse_packet(await tun.received()))
                assert isinstance(message, RouterAdvertisement)
            yield client, tun

    async def error(self) -> TransportError:
        """Wait for the first error of a client."""
        await wait_for(lambda: any(error for _, error in self.states))
        return next(error for _, error in self.states if error)


@contextlib.asynccontextmanager
async def serving(hall: Hall) -> AsyncIterator[Hall]:
    hall.server = IPHTTPSServer(
        hall.config,
        hall.tun,
        tls=tls_context(hall.config) if hall.secure else None,
        on_opened=hall.opened.append,
        on_closed=lambda status, reason: hall.closed.append(f"{status.id}: {reason}"),
    )
    hall.server.start()
    hall.port = hall.server.addresses[0][1]
    try:
        yield hall
    finally:
        await hall.server.close()
        hall.tun.close()


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    authority = Authority(tmp_path)
    pair = authority.issue(NAME)
    config = IPHTTPSServerConfig(
        url=f"https://{NAME}/IPHTTPS",
        listen=(("127.0.0.1", 0),),
        certificate=pair.certificate,
        key=pair.key,
        prefix=PREFIX,
    )
    return Hall(config, authority)


def plainly(hall: Hall) -> Hall:
    return replace(hall, config=replace(hall.config, url=f"http://{NAME}/IPHTTPS"), secure=False)


@pytest.mark.parametrize("secure", [True, False], ids=["tls", "plain"])
def test_packets_cross(hall: Hall, secure: bool) -> None:
    async def scenario() -> None:
        async with serving(hall if secure else plainly(hall)) as here:
            async with here.linked() as (client, tun):
                up = [packet(OWN, CORP, bytes((n,)) * 1200) for n in range(100)]
                for one in up:
                    tun.kernel.send(one)
                    assert await here.tun.received() == one
                down = [packet(CORP, OWN, bytes((n,)) * 1200) for n in range(100)]
                for one in down:
                    here.tun.kernel.send(one)
                    assert await tun.received() == one
                status = client.status()
                (session,) = here.server.sessions()
                assert session.addresses == (OWN,)
                assert session.bytes_in == status.bytes_out
                assert session.bytes_out == status.bytes_in
                assert status.state == "link-up"
                assert status.tls.startswith("TLSv1.3 ") == secure
                assert status.retry_at == 0.0
                assert [state for state, _ in here.states] == [
                    *(State.ENABLED, State.LINK_DOWN, State.ESTABLISHED, State.LINK_UP)
                ]
            assert client.state is State.DISABLED
            await wait_for(lambda: here.closed)
            assert here.closed == ["1: the other end closed the connection"]
            assert [status.id for status in here.opened] == [1]

    asyncio.run(scenario())


def test_each_packet_goes_to_the_owner_of_its_destination(hall: Hall) -> None:
    async def scenario() -> None:
        other = "2001:db8:da:1000::b"
        async with serving(hall), hall.linked() as (_, one), hall.linked() as (_, two):
            one.kernel.send(packet(OWN, CORP))
            two.kernel.send(packet(other, CORP))
            await hall.tun.received()
            await hall.tun.received()
            for target in ("ff02::1", "2001:db8:da:1000::c", other, OWN):
                hall.tun.kernel.send(packet(CORP, target))
            assert await two.received() == packet(CORP, other)
            assert await one.received() == packet(CORP, OWN)
            assert hall.server.drops == {Drop.MULTICAST: 1, Drop.NOBODY: 1}

    asyncio.run(scenario())


def test_a_lost_connection_is_back_at_once(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALE_AFTER", PATIENCE)

    async def scenario() -> None:
        async with serving(hall), hall.linked("key") as (client, tun):
            tun.kernel.send(packet(OWN, CORP))
            await hall.tun.received()
            before = client.status()

            def note(state: State, error: TransportError | None) -> None:
                hall.states.append((state, error))
                if error is not None:
                    tun.kernel.send(packet(OWN, CORP, b"while it was down"))

            client._on_state = note
            hall.server.machine.connection_lost(hall.server.machine.sessions[1], "test")
            hall.server.pump()
            await hall.error()
            await wait_for(lambda: client.state is State.LINK_UP)
            assert await hall.tun.received() == packet(OWN, CORP, b"while it was down")
            assert client.status().bytes_out > before.bytes_out
            assert client.status().last_error == ""
            assert hall.states[4][1] is not None

    asyncio.run(scenario())


def test_what_cannot_be_sent_does_not_wait_in_the_device(hall: Hall) -> None:
    """The device counts super-packets like small ones: what waits there is of any length."""

    async def scenario() -> None:
        async with serving(hall), hall.linked() as (client, tun):
            (link,) = hall.server._links.values()
            asyncio.get_running_loop().remove_reader(link.connection._socket)
            sent = tried = 0
            while not client.status().dropped:
                tried += 1
                assert tried < 100_000, "it waits somewhere"
                with contextlib.suppress(BlockingIOError):
                    tun.kernel.send(packet(OWN, CORP, bytes(1200)))
                    sent += 1
                await asyncio.sleep(0)
            await wait_for(lambda: not readable(tun.fd))
            assert client.status().dropped < sent

    asyncio.run(scenario())


def readable(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])


def test_packets_that_waited_long_are_stale(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALE_AFTER", 0.0)

    async def scenario() -> None:
        async with serving(hall):
            gate = asyncio.Event()

            async def dial(host: str, port: int) -> socket.socket:
                await gate.wait()
                return await hall.dial(host, port)

            async with hall.client(dial=dial) as (client, tun):
                tun.kernel.send(packet(OWN, CORP, b"stale"))
                gate.set()
                await wait_for(lambda: client.state is State.LINK_UP)
                tun.kernel.send(packet(OWN, CORP, b"fresh"))
                assert await hall.tun.received() == packet(OWN, CORP, b"fresh")

    asyncio.run(scenario())


def test_a_server_s_restart(hall: Hall) -> None:
    # One that the kernel chose may be another's meanwhile.
    hall.config = replace(hall.config, listen=(("127.0.0.1", free_port()),))

    async def scenario() -> None:
        async with serving(hall):
            async with hall.linked() as (client, tun):
                await hall.server.close()
                await wait_for(lambda: client.state is State.LINK_DOWN)
                async with serving(hall):
                    await wait_for(lambda: client.state is State.LINK_UP)
                    tun.kernel.send(packet(OWN, CORP))
                    await hall.tun.received()
            assert hall.closed[0] == "1: the server shuts down"

    asyncio.run(scenario())


def test_a_changed_network_asks_for_a_sign_of_life(hall: Hall) -> None:
    async def scenario() -> None:
        async with serving(hall), hall.linked() as (client, tun):
            client.network_changed()
            message = parse_icmpv6(parse_packet(await tun.received()))
            assert isinstance(message, RouterAdvertisement)
            assert client.state is State.LINK_UP
            assert client._machine.timer_at() is None

    asyncio.run(scenario())


class Relay:
    """What a proxy is to a link; stopped, its kernel goes on to take what comes."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self._socks: list[socket.socket] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped = False

    async def dial(self, host: str, port: int) -> socket.socket:
        """Return a connection whose other end is passed on."""
        if self._stopped:
            raise TransportError(Stage.CONNECT, "the proxy hangs")
        loop = asyncio.get_running_loop()
        far = await self._hall.dial(host, port)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            near = socket.create_connection(listener.getsockname())
            taken, _ = listener.accept()
        self._socks += (taken, far)
        near.setblocking(False)
        taken.setblocking(False)
        self._tasks += (
            loop.create_task(self._pass(taken, far)),
            loop.create_task(self._pass(far, taken)),
        )
        return near

    async def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(source, 65536):
            await loop.sock_sendall(sink, data)

    async def stop(self) -> None:
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        await self.stop()
        for sock in self._socks:
            sock.close()


def test_a_proxy_that_takes_everything_and_passes_on_nothing_is_no_sign_of_life(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "SILENT_AFTER", 0.05)
    monkeypatch.setattr(client_module, "SILENT_TIMEOUT", 0.2)

    async def scenario() -> None:
        relay = Relay(hall)
        async with serving(hall), hall.client(dial=relay.dial) as (client, tun):
            await wait_for(lambda: client.state is State.LINK_UP)
            await relay.stop()
            hall.states.clear()
            while not hall.states:
                tun.kernel.send(
                    packet(OWN, CORP)
                )  # acknowledged late: something is always under way
                await asyncio.sleep(0.005)
            ((state, error),) = hall.states[:1]
            assert state is not State.LINK_UP
            assert error is not None
            assert "no sign of life" in str(error)
            await relay.close()

    asyncio.run(asyncio.wait_for(scenario(), PATIENCE))


def test_a_link_that_went_with_its_network_has_no_error(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with serving(hall), hall.linked() as (client, _):
            monkeypatch.setattr(client, "_local_address_gone", lambda: True)
            client.network_changed()
            assert client.state is State.LINK_DOWN
            assert client.status().last_error == ""
            await wait_for(lambda: client.state is State.LINK_UP)

    asyncio.run(scenario())


def test_an_attempt_is_begun_anew_when_the_network_changed(hall: Hall) -> None:
    async def scenario() -> None:
        async with serving(hall):
            attempts: list[asyncio.Event] = []

            async def dial(host: str, port: int) -> socket.socket:
                attempts.append(asyncio.Event())
                if len(attempts) == 1:
                    await attempts[0].wait()  # the old network swallows everything
                return await hall.dial(host, port)

            async with hall.client(dial=dial) as (client, _):
                await wait_for(lambda: attempts)
                client.network_changed()
                await wait_for(lambda: client.state is State.LINK_UP)
                assert len(attempts) == 2

    asyncio.run(scenario())


def test_what_went_wrong_is_said(hall: Hall, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(hall):
            (tmp_path / "other").mkdir()
            stranger = Authority(tmp_path / "other", "Other Root").root.pem
            for options, windows_code, problem in (
                ({"path": "other"}, 0x80190194, "iphttps-http-refused"),
                (
                    {"tls": client_context(anchors=[stranger], system=False)},
                    0x800B0109,
                    "iphttps-cert-untrusted-root",
                ),
            ):
                hall.states.clear()
                async with hall.client(**options) as (client, _):
                    error = await hall.error()
                    assert (error.windows_code, error.problem) == (windows_code, problem)
                    status = client.status()
                    assert status.state == "link-down"
                    assert status.windows_code == windows_code
                    assert status.last_error == str(error)
            # What the client says of the certificate may still be under way.
            refusals = {Refusal.REQUEST: 1, Refusal.HANDSHAKE: 1}
            await wait_for(lambda: hall.server.refusals == refusals)

    asyncio.run(scenario())


def test_a_server_that_does_not_shake_hands(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HANDSHAKE_TIMEOUT", 0.02)

    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute:

            async def dial(host: str, port: int) -> socket.socket:
                sock = socket.create_connection(mute.getsockname())
                sock.setblocking(False)
                return sock

            async with hall.client(dial=dial):
                error = await hall.error()
                assert (error.stage, error.windows_code) == (Stage.TLS, 0x274C)
        hall.tun.close()

    asyncio.run(scenario())


def test_garbage_from_the_server_ends_the_link(hall: Hall) -> None:
    async def scenario() -> None:
        async with serving(hall), hall.linked():
            hall.server._links[1].connection.send([b"\x45" * 40])
            assert "out of step" in str(await hall.error())

    asyncio.run(scenario())


def test_certificates_mode(hall: Hall) -> None:
    async def scenario() -> None:
        strict = replace(
            hall.config,
            authentication=AuthenticationMode.CERTIFICATES,
            client_ca=hall.authority.root.certificate,
        )
        async with serving(replace(hall, config=strict)) as here:
            async with here.client():
                assert (await here.error()).problem == "iphttps-client-cert-required"
            pair = here.authority.issue("client1.example.com")
            tls = client_context(
                anchors=[here.authority.root.pem],
                system=False,
                certificate=pair.certificate,
                key=pair.key,
            )
            async with here.client(tls=tls) as (client, _):
                await wait_for(lambda: client.state is State.LINK_UP)
                (session,) = here.server.sessions()
                assert session.certificate == "commonName=client1.example.com"
                assert here.server.reload(hall.config, tls_context(hall.config)) == ()
                await wait_for(lambda: here.closed)
                assert here.closed == [f"{session.id}: the authentication mode was changed"]
                await wait_for(lambda: client.state is State.LINK_UP)

    asyncio.run(scenario())


def test_reload_takes_another_certificate_and_says_what_it_cannot(hall: Hall) -> None:
    async def scenario() -> None:
        async with serving(hall), hall.linked():
            pair = hall.authority.issue(NAME, ends=5)
            other = replace(
                hall.config, certificate=pair.certificate, key=pair.key, prefix="2001:db8:1::/64"
            )
            assert hall.server.reload(other, tls_context(other)) == ("prefix",)
            assert hall.closed == []
            shown = await asyncio.to_thread(
                ssl.get_server_certificate, ("127.0.0.1", hall.port), timeout=PATIENCE
            )
            assert ssl.PEM_cert_to_DER_cert(shown) == ssl.PEM_cert_to_DER_cert(
                pair.certificate.read_text()
            )

    asyncio.run(scenario())


def test_limits_are_kept(hall: Hall) -> None:
    async def scenario() -> None:
        hall.config = replace(hall.config, max_sessions_per_source=1)
        async with serving(hall), hall.linked(), hall.client() as (client, _):
            assert (await hall.error()).windows_code == 0x80190000 + 503
            assert client.state is State.LINK_DOWN
            assert hall.server.refusals[Refusal.SOURCE_LIMIT] >= 1
            assert len(hall.server.sessions()) == 1

    asyncio.run(scenario())


def test_who_floods_is_read_less_and_the_others_as_before(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is looked at one by one has a budget; after that the session waits."""
    monkeypatch.setattr(server_module, "FLOOD_PAUSE", 60.0)
    monkeypatch.setattr(session_module, "PACKET_RATE", 0)  # however slowly they are sent

    async def scenario() -> None:
        async with serving(hall), hall.linked() as (_, flooding), hall.linked() as (_, other):
            spoofed = packet(CORP, CORP, bytes(1000))
            first, second = hall.server._links.values()
            sent_in_all = 0
            while not first.connection._paused:
                assert sent_in_all < 20 * PACKET_BURST, "much may be under way"
                flooding.kernel.send(spoofed)
                sent_in_all += 1
                await asyncio.sleep(0)
            assert sent_in_all > PACKET_BURST - 10
            before = first.connection.bytes_in
            for _ in range(50):
                flooding.kernel.send(spoofed)
            sent = packet(OWN, CORP, b"others")
            other.kernel.send(sent)
            assert await hall.tun.received() == sent
            assert first.connection.bytes_in == before
            first.connection._resume()
            await wait_for(lambda: first.connection.bytes_in > before)
            assert not second.connection._paused

    asyncio.run(scenario())


def test_the_device_has_its_turn_among_many_sessions(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while sessions are always ready: answers wait in a device that has room for few."""
    monkeypatch.setattr(server_module, "DEVICE_TURN", 3)

    async def scenario() -> None:
        async with serving(hall), hall.linked() as (_, tun):
            tun.kernel.send(packet(OWN, CORP))
            await hall.tun.received()
            (link,) = hall.server._links.values()
            answer = packet(CORP, OWN, b"answer")
            hall.tun.kernel.send(answer)
            sent = link.connection.bytes_out
            before = hall.server._reads % 3
            for _ in range(2 - before):
                hall.server.take(link._session, hall.server._buffers, 0, 0)
            assert link.connection.bytes_out == sent
            hall.server.take(link._session, hall.server._buffers, 0, 0)
            assert link.connection.bytes_out == sent + len(answer)
            assert await tun.received() == answer

    asyncio.run(scenario())


def test_heads_that_do_not_come_are_cut_off(hall: Hall) -> None:
    async def scenario() -> None:
        hall.config = replace(hall.config, head_timeout=0.05)
        async with serving(hall):
            reader, writer = await asyncio.open_connection("127.0.0.1", hall.port)
            assert (
                await asyncio.wait_for(reader.read(), timeout=PATIENCE) == b""
            )  # no TLS hello either
            writer.close()
            await writer.wait_closed()
            assert hall.server.refusals == {Refusal.TIMEOUT: 1}

    asyncio.run(scenario())


def test_what_cannot_be_configured(hall: Hall) -> None:
    async def scenario() -> None:
        certificates = replace(hall.config, authentication=AuthenticationMode.CERTIFICATES)
        with pytest.raises(ConfigError, match="client_ca"):
            tls_context(certificates)
        with pytest.raises(ConfigError, match="need TLS"):
            IPHTTPSServer(certificates, hall.tun, tls=None)
        with pytest.raises(ConfigError, match="/64"):
            IPHTTPSServer(replace(hall.config, prefix="2001:db8::/48"), hall.tun, tls=None)
        hall.tun.close()

    asyncio.run(scenario())


def test_a_port_that_is_taken(hall: Hall) -> None:
    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            taken_twice = (("127.0.0.1", 0), taken.getsockname())
            server = IPHTTPSServer(replace(hall.config, listen=taken_twice), hall.tun, tls=None)
            with pytest.raises(TransportError, match="cannot listen") as caught:
                server.start()
            assert caught.value.problem == "iphttps-listener-down"
            assert server.state is ServerState.STOPPED
            await server.close()
            hall.tun.close()

    asyncio.run(scenario())


def test_the_kernel_s_solicitations_are_carried(hall: Hall) -> None:
    async def scenario() -> None:
        async with serving(hall), hall.linked() as (_, tun):
            captured = bytes.fromhex(
                "6000000000083afffe8000000000000057ccc3c4d6b4b32c"
                "ff0200000000000000000000000000028500d7c400000000"
            )
            assert parse_icmpv6(parse_packet(captured)) == RouterSolicitation()
            tun.kernel.send(captured)
            message = parse_icmpv6(parse_packet(await tun.received()))
            assert isinstance(message, RouterAdvertisement)

    asyncio.run(scenario())


REVOKED = TransportError(
    Stage.TLS, "revoked", windows_code=0x80092010, problem="iphttps-cert-revoked"
)


def test_a_server_is_judged_before_anything_is_said_to_it(hall: Hall) -> None:
    judged: list[str] = []

    async def scenario() -> None:
        let_go = asyncio.Event()

        async def judge(connection: ssl.SSLObject) -> None:
            judged.append(str(connection.version()))
            await let_go.wait()
            if len(judged) == 1:
                raise REVOKED

        async with serving(hall), hall.client(judge=judge) as (client, _):
            await wait_for(lambda: judged)
            assert (client.state, hall.opened) == (State.LINK_DOWN, [])
            let_go.set()
            assert await hall.error() is REVOKED
            assert hall.opened == []
            # The next attempt finds a server that is well.
            await wait_for(lambda: client.state is State.LINK_UP)
            client.refuse(REVOKED)
            assert client.state is State.LINK_DOWN
            assert client.status().windows_code == 0x80092010

    asyncio.run(scenario())
    assert len(judged) == 2


def test_a_judgement_goes_with_its_connection(hall: Hall) -> None:
    """Closing, or another network, ends it; and one that fails by a bug does not hang."""
    judging: list[asyncio.Task[object] | None] = []

    async def scenario() -> None:
        async def judge(_: ssl.SSLObject) -> None:
            judging.append(asyncio.current_task())
            await asyncio.Event().wait()

        async with serving(hall), hall.client(judge=judge) as (client, _):
            await wait_for(lambda: judging)
            client.network_changed()
            await wait_for(lambda: len(judging) == 2)
            assert judging[0] is not None
            assert judging[0].cancelled()
        assert judging[1] is not None
        assert judging[1].done()

    asyncio.run(scenario())
