"""Real worker processes and real TLS connections; only the TUN devices are the test's."""

import asyncio
import contextlib
import os
import pwd
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.clock import pass_time
from tests.net.iphttps_world import NAME, Authority, FakeTUN, Pair, wait_for
from tests.patience import PATIENCE
from tests.ports import free_port
from throughway.gateway import workers as module
from throughway.gateway.worker import PAGE
from throughway.gateway.workers import State, Workers, count_of, interfaces
from throughway.model.config import ADCConfig, AuthenticationMode, IPHTTPSServerConfig
from throughway.model.errors import ConfigError, TransportError
from throughway.model.status import SessionStatus, WorkerStatus

FIRST, SECOND = "127.0.0.2", "127.0.0.3"
"""Clients whom the gateway gives to different workers."""
REQUEST = f"POST /IPHTTPS HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 18446744073709551615\r\n\r\n"


@dataclass
class Owner:
    """Notes what it hears."""

    opened: list[SessionStatus] = field(default_factory=list)
    closed: list[tuple[SessionStatus, str]] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    ends: list[WorkerStatus] = field(default_factory=list)
    serving: list[WorkerStatus] = field(default_factory=list)
    mended: list[WorkerStatus] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    refused: list[tuple[str, str, str]] = field(default_factory=list)

    def session_opened(self, session: SessionStatus) -> None:
        self.opened.append(session)

    def session_closed(self, session: SessionStatus, reason: str) -> None:
        self.closed.append((session, reason))

    def limit_reached(self, source: str) -> None:
        self.limits.append(source)

    def client_refused(self, peer: str, problem: str, reason: str) -> None:
        self.refused.append((peer, problem, reason))

    def worker_ended(self, worker: WorkerStatus) -> None:
        self.ends.append(worker)

    def worker_serves(self, worker: WorkerStatus) -> None:
        self.serving.append(worker)

    def link_mended(self, worker: WorkerStatus) -> None:
        self.mended.append(worker)

    def failed(self, what: str, error: BaseException | None) -> None:
        self.failures.append(f"{what}: {error}")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def config(authority: Authority) -> IPHTTPSServerConfig:
    pair = authority.issue(NAME)
    return IPHTTPSServerConfig(
        url=f"https://{NAME}/IPHTTPS",
        listen=(("127.0.0.1", free_port()),),
        certificate=pair.certificate,
        key=pair.key,
        prefix="2001:db8:da:1000::/59",
        workers=2,
    )


@pytest.fixture(autouse=True)
def devices(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeTUN]:
    """Give the gateway devices that need no kernel."""
    made: dict[str, FakeTUN] = {}

    def open_one(name: str) -> FakeTUN:
        made[name] = FakeTUN(name)
        return made[name]

    # Only a failure reaches these.
    for limit in ("START_TIMEOUT", "REPORT_TIMEOUT", "HUNG_AFTER", "STOP_TIMEOUT"):
        monkeypatch.setattr(module, limit, PATIENCE)
    monkeypatch.setattr(module, "open_tun", open_one)
    monkeypatch.setattr(module, "configure_gateway", lambda _tun, _addresses: None)
    monkeypatch.setattr(module, "is_configured", lambda _tun, _addresses: True)
    return made


@asynccontextmanager
async def running(config: IPHTTPSServerConfig) -> AsyncIterator[tuple[Workers, Owner]]:
    owner = Owner()
    workers = Workers(config, owner, routes=("2002:836b:2::836b:2/128",))
    workers.open()
    try:
        await workers.start()
        yield workers, owner
    finally:
        await workers.close()
    assert owner.failures == []


class Client:
    """A connection that has asked for a session."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.answer = b""
        self.prefix = b""

    async def ended(self) -> None:
        """Wait until the gateway has closed the connection."""
        async with asyncio.timeout(PATIENCE):
            while await self.reader.read(65536):
                pass

    async def close(self) -> None:
        self.writer.transport.abort()
        await asyncio.sleep(0)


async def connect(
    workers: Workers,
    source: str = FIRST,
    *,
    anchors: Path | None = None,
    shown: Pair | None = None,
) -> Client:
    """Open a session from an address; the gateway's first words are read."""
    context = ssl.create_default_context(cafile=anchors)
    if anchors is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if shown is not None:
        context.load_cert_chain(shown.certificate, shown.key)
    address, port = workers.config.listen[0]
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(
            address, port, ssl=context, server_hostname=NAME, local_addr=(source, 0)
        )
        client = Client(reader, writer)
        writer.write(REQUEST.encode())
        client.answer = await reader.readuntil(b"\r\n\r\n")
        advertisement = await reader.readexactly(40)
        client.prefix = await reader.readexactly(int.from_bytes(advertisement[4:6]))
    return client


def play(scenario: Callable[[], object]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


def test_each_client_finds_the_worker_of_its_address(config: IPHTTPSServerConfig) -> None:
    async def scenario() -> None:
        async with running(config) as (workers, owner):
            clients = [await connect(workers, source) for source in (FIRST, SECOND, FIRST)]
            await wait_for(lambda: len(owner.opened) == 3)
            sessions = await workers.report()
            by_source = {s.peer.partition(":")[0]: s.worker for s in sessions}
            assert by_source[FIRST] != by_source[SECOND]
            assert len({session.id for session in sessions}) == 3
            counts = {worker.number: worker.sessions for worker in workers.status()}
            assert counts[by_source[FIRST]] == 2
            advertised = {worker.number: worker.advertised for worker in workers.status()}
            assert advertised == counts, "one to each as it comes"
            links = [bytes.fromhex("20010db800da1000"), bytes.fromhex("20010db800da1001")]
            for client, source in zip(clients, (FIRST, SECOND, FIRST), strict=True):
                assert client.answer.startswith(b"HTTP/1.1 200")
                assert links[by_source[source]] in client.prefix, "its own /64 is advertised"
                await client.close()
            await wait_for(lambda: len(owner.closed) == 3)
            assert sum(worker.sessions for worker in workers.status()) == 0

    play(scenario)


def test_many_sessions_are_told_page_by_page(config: IPHTTPSServerConfig) -> None:
    async def scenario() -> None:
        many = 2 * PAGE + 7
        wide = replace(config, workers=1, max_sessions_per_source=1000)
        async with running(wide) as (workers, _):
            clients = [await connect(workers) for _ in range(many)]
            sessions = await workers.report()
            assert len({session.id for session in sessions}) == many
            assert await workers.report(sessions=False) == ()
            assert workers.status()[0].opened == many
            for client in clients:
                await client.close()
            assert workers._workers[0]._told == {}

    play(scenario)


def test_a_worker_that_dies_takes_only_its_own_sessions(config: IPHTTPSServerConfig) -> None:
    async def scenario() -> None:
        async with running(config) as (workers, owner):
            one, other = await connect(workers, FIRST), await connect(workers, SECOND)
            await wait_for(lambda: len(owner.opened) == 2)
            victim = workers.status()[owner.opened[0].worker]
            os.kill(victim.pid, signal.SIGKILL)
            # The very next one is not refused: it waits for the new worker.
            again = await connect(workers, FIRST)
            await one.ended()
            (ended,) = owner.ends
            assert (ended.number, ended.state) == (victim.number, State.DOWN)
            assert ended.last_end == "killed by signal 9"
            status = workers.status()[victim.number]
            assert (status.state, status.restarts) == (State.SERVING, 1)
            assert status.pid not in (0, victim.pid)
            assert again.prefix == one.prefix, "the clients of an address keep their /64"
            bystander = workers.status()[1 - victim.number]
            assert (bystander.restarts, bystander.sessions) == (0, 1)
            assert not other.reader.at_eof()
            sessions = await workers.report()
            assert {session.worker for session in sessions} == {0, 1}
            for client in (again, other):
                await client.close()

    play(scenario)


def test_a_worker_that_hangs_is_killed_and_started_again(
    config: IPHTTPSServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.05)
    monkeypatch.setattr(module, "REPORT_TIMEOUT", 2 * PATIENCE)
    monkeypatch.setattr(module, "HUNG_AFTER", 1000.0)

    async def scenario() -> None:
        async with running(config) as (workers, owner):
            client = await connect(workers, SECOND)
            await wait_for(lambda: owner.opened)
            carried = owner.opened[0].worker
            hung = workers.status()[1 - carried]
            os.kill(hung.pid, signal.SIGSTOP)
            stopped = Path(f"/proc/{hung.pid}/stat")
            await wait_for(lambda: stopped.read_text().rpartition(")")[2].split()[0] == "T")
            asking = asyncio.create_task(workers.report())
            await wait_for(lambda: workers._workers[hung.number]._questions)
            await wait_for(lambda: not workers._workers[carried]._questions)
            pass_time(2 * PATIENCE)
            assert [s.worker for s in await asking] == [carried], "others are shown"
            silent = workers._workers[hung.number]
            silent._answered_at -= 1000.0
            await wait_for(lambda: owner.ends)
            assert "did not answer" in owner.ends[0].last_end
            assert owner.ends[0].number == hung.number
            await wait_for(lambda: workers.status()[hung.number].state == State.SERVING)
            await client.close()

    play(scenario)


def test_one_that_is_silent_is_started_again_at_once_when_somebody_asks(
    config: IPHTTPSServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HUNG_AFTER", 1000.0)
    monkeypatch.setattr(module, "SILENT_AFTER", 500.0)

    async def scenario() -> None:
        async with running(config) as (workers, owner):
            assert await workers.restart_silent() == "every worker answers"
            before = workers.status()
            os.kill(before[0].pid, signal.SIGSTOP)
            stopped = Path(f"/proc/{before[0].pid}/stat")
            await wait_for(lambda: stopped.read_text().rpartition(")")[2].split()[0] == "T")
            workers._workers[0]._answered_at -= 600.0
            assert (await workers.restart_silent()).endswith(": 0")
            await wait_for(lambda: owner.ends)
            await wait_for(lambda: workers.status()[0].state == State.SERVING)
            assert workers.status()[0].pid != before[0].pid
            assert workers.status()[1].pid == before[1].pid

    play(scenario)


def test_one_that_dies_young_is_started_later_each_time(
    config: IPHTTPSServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STEADY_AFTER", 1000.0)
    monkeypatch.setattr(module, "RESTART_PAUSES", (0.0, 0.0, 1000.0))

    async def scenario() -> None:
        async with running(config) as (workers, owner):
            first, bystander = (worker.pid for worker in workers.status())
            os.kill(first, signal.SIGKILL)
            await wait_for(lambda: len(owner.serving) == 3)
            os.kill(workers.status()[0].pid, signal.SIGKILL)
            await wait_for(lambda: len(owner.ends) == 2)
            client = await connect(workers, FIRST)
            assert [worker.state for worker in workers.status()] == [State.DOWN, State.SERVING]
            assert workers.status()[1].pid == bystander
            await client.close()

    play(scenario)


def test_a_link_that_somebody_changed_is_mended(
    config: IPHTTPSServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set down, it lost its addresses: it has them again, and the process stays."""
    monkeypatch.setattr(module, "HEARTBEAT", 0.05)

    async def scenario() -> None:
        async with running(config) as (workers, owner):
            second = workers._workers[1].tun
            configured: list[str] = []
            monkeypatch.setattr(
                module, "is_configured", lambda tun, _: tun is not second or bool(configured)
            )
            monkeypatch.setattr(
                module, "configure_gateway", lambda tun, _: configured.append(tun.name)
            )
            await wait_for(lambda: owner.mended)
            assert configured == [second.name]
            assert [worker.number for worker in owner.mended] == [1]
            assert owner.ends == []

    play(scenario)


def test_a_device_that_was_deleted_is_made_anew(
    config: IPHTTPSServerConfig, monkeypatch: pytest.MonkeyPatch, devices: dict[str, FakeTUN]
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.05)

    async def scenario() -> None:
        async with running(config) as (workers, owner):
            lost = devices["iphttps1"]
            bystander = workers.status()[0].pid
            monkeypatch.setattr(FakeTUN, "gone", property(lambda tun: tun is lost))
            monkeypatch.setattr(module, "is_configured", lambda tun, _: tun is not lost)
            await wait_for(lambda: len(owner.serving) == 3)
            assert [end.last_end for end in owner.ends] == ["the interface iphttps1 is gone"]
            assert [worker.number for worker in owner.mended] == [1]
            assert lost.fd < 0
            assert workers._workers[1].tun is devices["iphttps1"] is not lost
            assert workers.status()[0].pid == bystander
            client = await connect(workers, SECOND)
            await client.close()

    play(scenario)


def test_workers_end_when_the_gateway_is_gone(config: IPHTTPSServerConfig) -> None:
    async def scenario() -> None:
        async with running(config) as (workers, owner):
            for worker in workers._workers:
                assert worker._channel is not None
                worker._channel.close()  # as when the gateway is killed
            await wait_for(lambda: len(owner.ends) == 2)
            assert {end.last_end for end in owner.ends} == {"it ended with code 1"}

    play(scenario)


def test_the_room_is_for_all_workers_together(config: IPHTTPSServerConfig) -> None:
    async def scenario() -> None:
        async with running(replace(config, max_sessions=3)) as (workers, owner):
            clients = [await connect(workers, s) for s in (FIRST, SECOND, SECOND)]

            def limits() -> list[int]:
                return sorted(worker._limited for worker in workers._workers)

            await wait_for(lambda: limits() == [1, 2])
            for source in (FIRST, SECOND):
                with pytest.raises((OSError, asyncio.IncompleteReadError, ssl.SSLError)):
                    await connect(workers, source)
            await wait_for(lambda: len(owner.limits) >= 2)
            await clients.pop(0).close()
            await wait_for(lambda: limits() == [1, 3])
            clients.append(await connect(workers, SECOND))
            for client in clients:
                await client.close()

    play(scenario)


def test_a_new_certificate_is_shown_without_a_restart(
    config: IPHTTPSServerConfig, authority: Authority
) -> None:
    async def scenario() -> None:
        async with running(config) as (workers, _):
            stays = await connect(workers, FIRST, anchors=authority.root.certificate)
            new = authority.issue(NAME)
            changed = replace(config, certificate=new.certificate, key=new.key, workers=1)
            assert workers.reload(changed) == ("iphttps.workers",)
            numbers = set()
            for source in (FIRST, SECOND):
                client = await connect(workers, source, anchors=authority.root.certificate)
                tls = client.writer.get_extra_info("ssl_object")
                numbers.add(tls.getpeercert()["serialNumber"])
                await client.close()
            old = stays.writer.get_extra_info("ssl_object").getpeercert()["serialNumber"]
            assert len(numbers) == 1
            assert old not in numbers
            assert not stays.reader.at_eof()
            with pytest.raises(ConfigError, match="absent"):
                workers.reload(replace(config, certificate=Path("/absent.crt")))
            await stays.close()

    play(scenario)


def test_the_addresses_of_an_adc_need_a_restart(config: IPHTTPSServerConfig) -> None:
    async def scenario() -> None:
        adc = ADCConfig(listen=(("127.0.0.1", 8080),), addresses=("127.0.0.1",))
        workers = Workers(replace(config, adc=adc), Owner(), routes=())
        moved = replace(adc, listen=(("127.0.0.1", 1),), proxy_protocol=False)
        assert workers.reload(replace(config, adc=moved)) == ("iphttps.adc.listen",)
        assert workers.config.adc == replace(adc, proxy_protocol=False)
        assert workers.reload(config) == ("iphttps.adc.listen",)
        assert workers.config.adc == replace(adc, proxy_protocol=False)
        assert workers.reload(replace(config, adc=replace(adc, tls=True))) == ()
        await workers.close()
        workers = Workers(config, Owner(), routes=())
        assert workers.reload(replace(config, adc=adc)) == ("iphttps.adc.listen",)
        assert workers.config.adc is None
        await workers.close()

    play(scenario)


def test_all_are_dropped_at_once(config: IPHTTPSServerConfig) -> None:
    async def scenario() -> None:
        async with running(config) as (workers, owner):
            clients = [await connect(workers, source) for source in (FIRST, SECOND)]
            workers.drop_all("a reason")
            for client in clients:
                await client.ended()
                await client.close()
            await wait_for(lambda: len(owner.closed) == 2)
            assert {reason for _, reason in owner.closed} == {"a reason"}
            assert owner.ends == []

    play(scenario)


def test_workers_that_cannot_start_say_why(
    config: IPHTTPSServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESTART_PAUSES", (0.0, 1000.0))

    async def scenario() -> None:
        owner = Owner()
        workers = Workers(config, owner, routes=())
        workers._credentials = replace(workers._credentials, key="no key")
        workers.open()
        try:
            starting = asyncio.create_task(workers.start())
            await wait_for(lambda: all(worker.last_end for worker in workers.status()))
            pass_time(PATIENCE)
            with pytest.raises(TransportError, match="no certificate"):
                await starting
        finally:
            await workers.close()

    play(scenario)


def test_an_address_in_use_is_told(config: IPHTTPSServerConfig) -> None:
    async def scenario() -> None:
        workers = Workers(config, Owner(), routes=())
        workers.open()
        with socket.create_server(config.listen[0]), pytest.raises(TransportError, match="in use"):
            await workers.start()
        await workers.close()

    play(scenario)


def test_a_worker_has_no_powers_and_no_secret_in_its_command_line(
    config: IPHTTPSServerConfig,
) -> None:
    async def scenario() -> None:
        async with running(config) as (workers, _):
            for worker in workers.status():
                folder = Path(f"/proc/{worker.pid}")
                fields = dict(
                    line.split(":\t", 1) for line in (folder / "status").read_text().splitlines()
                )
                assert {fields[name] for name in ("CapPrm", "CapEff", "CapInh", "CapAmb")} == {
                    "0" * 16
                }
                assert fields["NoNewPrivs"] == "1"
                if os.geteuid() == 0:
                    nobody = pwd.getpwnam("nobody")
                    assert set(fields["Uid"].split()) == {str(nobody.pw_uid)}
                    assert set(fields["Gid"].split()) == {str(nobody.pw_gid)}
                    assert fields["Groups"].strip() == ""
                assert b"PRIVATE" not in (folder / "cmdline").read_bytes()

    play(scenario)


@pytest.mark.parametrize(
    ("prefix", "workers", "count"),
    [
        ("2001:db8:da:1000::/64", None, 1),
        ("2001:db8:da:1000::/59", 32, 32),
        ("2001:db8:da:1000::/62", 3, 3),
    ],
)
def test_how_many_workers(
    config: IPHTTPSServerConfig, prefix: str, workers: int | None, count: int
) -> None:
    assert count_of(replace(config, prefix=prefix, workers=workers)) == count


def test_as_many_workers_as_cores(config: IPHTTPSServerConfig) -> None:
    cores = len(os.sched_getaffinity(0))
    assert count_of(replace(config, workers=None)) == min(cores, 32)
    assert count_of(replace(config, workers=None, prefix="2001:db8:da:1000::/63")) == min(cores, 2)


def test_devices_are_numbered_on_from_the_configured_one(config: IPHTTPSServerConfig) -> None:
    assert interfaces(replace(config, interface="da7", workers=3)) == ("da7", "da8", "da9")
    assert interfaces(replace(config, interface="link", workers=2)) == ("link", "link1")


def test_a_certificate_has_one_session_over_all_workers(
    config: IPHTTPSServerConfig, authority: Authority
) -> None:
    async def scenario() -> None:
        strict = replace(
            config,
            authentication=AuthenticationMode.CERTIFICATES,
            client_ca=authority.root.certificate,
            client_crls=(authority.list_revoked(),),
        )
        mine, others = authority.client(), authority.client()
        async with running(strict) as (workers, owner):
            first = await connect(workers, FIRST, shown=mine)
            third = await connect(workers, FIRST, shown=others)
            await wait_for(lambda: len(owner.opened) == 2)
            second = await connect(workers, SECOND, shown=mine)
            await first.ended()
            await wait_for(lambda: len(owner.closed) == 1)
            assert owner.closed[0][1] == "its certificate opened another session"
            assert len({session.worker for session in owner.opened}) == 2
            revoked = replace(strict, client_crls=(authority.list_revoked(others),))
            workers.reload(revoked)
            await third.ended()
            await wait_for(lambda: len(owner.closed) == 2)
            assert owner.closed[1][1] == "its certificate was revoked"
            assert not second.reader.at_eof()
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await connect(workers, FIRST, shown=others)
            await wait_for(lambda: owner.refused)
            assert owner.refused[0][1:] == (
                "iphttps-client-cert-revoked",
                "its authority has revoked it",
            )
            for client in (first, second, third):
                await client.close()

    play(scenario)
