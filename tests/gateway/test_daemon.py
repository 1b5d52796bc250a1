"""The gateway daemon's judgement of what its parts tell; the whole runs in the scenarios."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.net.iphttps_world import Authority
from throughway.catalogue import find
from throughway.control.codec import Command, CommandRefused
from throughway.control.server import Peer, Request
from throughway.gateway import daemon as module
from throughway.gateway import settings
from throughway.gateway.daemon import GatewayDaemon, run
from throughway.gateway.workers import Workers
from throughway.model.config import GatewayConfig, IPHTTPSServerConfig, IPsecServerConfig
from throughway.model.errors import ConfigError, IPsecError
from throughway.model.status import ComponentState, GatewaySnapshot
from throughway.net import firewall


def config(folder: Path) -> GatewayConfig:
    return GatewayConfig(
        file=folder / "gateway.toml",
        iphttps=IPHTTPSServerConfig(
            url="https://da.example.com:443/IPHTTPS",
            listen=(("127.0.0.1", 0),),
            certificate=folder / "gateway.crt",
            key=folder / "gateway.key",
            prefix="2001:db8:da:1000::/64",
        ),
        ipsec=IPsecServerConfig(
            identity="da.example.com",
            certificate=folder / "gateway.crt",
            key=folder / "gateway.key",
            ca=folder / "root.crt",
            infrastructure_endpoint="2002:836b:2::836b:2",
            intranet_endpoint="2002:836b:3::836b:3",
            infrastructure_prefixes=("2001:db8:c0:1::/64",),
            intranet_prefixes=("2001:db8:c0::/48",),
        ),
        state_directory=folder / "state",
        runtime_directory=folder / "run",
        control_socket=folder / "gateway.sock",
    )


def after(folder: Path, happened: Callable[[GatewayDaemon], None]) -> GatewaySnapshot:
    """Return the snapshot of a daemon that was not started, after something happened to it."""

    async def scenario() -> GatewaySnapshot:
        daemon = GatewayDaemon(config(folder))
        happened(daemon)
        return await daemon.snapshot()

    return asyncio.run(scenario())


def codes(snapshot: GatewaySnapshot) -> set[str]:
    return {problem.code for problem in snapshot.problems}


def test_before_it_has_spoken_a_component_is_unknown(tmp_path: Path) -> None:
    snapshot = after(tmp_path, lambda daemon: None)
    assert snapshot.state is ComponentState.UNKNOWN
    assert {row.state for row in snapshot.components} == {ComponentState.UNKNOWN}


def test_charon_s_death_is_a_problem_until_it_is_back(tmp_path: Path) -> None:
    down = find("ipsec-daemon-down").code

    def died(daemon: GatewayDaemon) -> None:
        daemon._charon_changed("killed by signal 9")

    def back(daemon: GatewayDaemon) -> None:
        died(daemon)
        daemon._charon_changed("")

    assert down in codes(after(tmp_path, died))
    assert down not in codes(after(tmp_path, back))


def test_a_bug_becomes_a_visible_problem(tmp_path: Path) -> None:
    def failed(daemon: GatewayDaemon) -> None:
        daemon.failed("a task", ZeroDivisionError("division by zero"))

    assert "bug-in-throughway" in codes(after(tmp_path, failed))


def test_a_refused_reload_is_a_problem(tmp_path: Path) -> None:
    def failed(daemon: GatewayDaemon) -> None:
        daemon.failed("reload", ConfigError("gateway.toml", "iphttps.url", "is missing"))

    snapshot = after(tmp_path, failed)
    assert codes(snapshot) == {"configuration-refused"}
    assert "iphttps.url" in snapshot.problems[0].detail


def test_that_charon_is_not_there_is_no_matter_of_the_configuration(tmp_path: Path) -> None:
    def failed(daemon: GatewayDaemon) -> None:
        daemon.failed("a task", IPsecError("charon went away", problem="ipsec-daemon-down"))

    assert codes(after(tmp_path, failed)) == set()


def test_run_without_a_configuration_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "absent.toml") == 2
    printed = capsys.readouterr().err
    assert "absent.toml" in printed
    assert "Traceback" not in printed


def test_after_a_reload_the_firewall_guards_the_devices_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other names of devices wait for a restart: until then the old ones must not be open."""
    walls: list[firewall.GatewayFirewall] = []
    monkeypatch.setattr(firewall, "guard_gateway", walls.append)
    pair = Authority(tmp_path).issue("da.example.com")
    before = config(tmp_path)
    before = replace(
        before,
        iphttps=replace(
            before.iphttps,
            certificate=pair.certificate,
            key=pair.key,
            prefix="2001:db8:da:1000::/59",
            workers=2,
        ),
    )
    after_it = replace(before, iphttps=replace(before.iphttps, interface="da5", workers=1))
    monkeypatch.setattr(settings, "load", lambda _file: after_it)

    async def nothing_new(*_: object, **__: object) -> tuple[str, ...]:
        return ()

    async def scenario() -> None:
        daemon = GatewayDaemon(before)
        monkeypatch.setattr(daemon._ipsec, "reload", nothing_new)
        daemon._workers = Workers(before.iphttps, daemon._telling, routes=())
        waiting = [await asked(daemon) for _ in range(2)]
        await daemon.stop()
        # As long as it runs with others, and not only when they have just been read.
        assert waiting == [{"needs_restart": ["iphttps.interface", "iphttps.workers"]}] * 2

    asyncio.run(scenario())
    assert [wall.interfaces for wall in walls] == [("iphttps0", "iphttps1")] * 2


async def asked(daemon: GatewayDaemon) -> object:
    """Let root ask for a reload; return what is answered."""
    return await daemon._command(Request(Command("reload"), Peer(pid=1, uid=0, gid=0)))


def test_only_root_lets_the_gateway_read_its_files_anew(tmp_path: Path) -> None:
    async def scenario() -> None:
        daemon = GatewayDaemon(config(tmp_path))
        for uid in (1000, 65534):
            with pytest.raises(CommandRefused) as caught:
                await daemon._command(Request(Command("reload"), Peer(pid=1, uid=uid, gid=0)))
            assert caught.value.code == "not-permitted"

    asyncio.run(scenario())


def test_reloads_that_come_at_once_follow_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    async def reload(_self: GatewayDaemon) -> tuple[str, ...]:
        steps.append("begin")
        await asyncio.sleep(0)
        steps.append("end")
        return ()

    monkeypatch.setattr(GatewayDaemon, "_reload", reload)

    async def scenario() -> None:
        daemon = GatewayDaemon(config(tmp_path))
        await asyncio.gather(*(daemon.reload() for _ in range(3)))

    asyncio.run(scenario())
    assert steps == 3 * ["begin", "end"]


def test_ipsec_is_tried_again_while_a_file_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [
        IPsecError("charon does not start"),
        ConfigError("gateway.toml", "ipsec.key", "/etc/ipsec.key: no such file"),
        None,
    ]
    told: list[set[str]] = []

    async def scenario() -> None:
        daemon = GatewayDaemon(config(tmp_path))

        async def start() -> None:
            told.append({problem.code for problem in daemon._tracker.current()})
            if (error := answers.pop(0)) is not None:
                raise error

        monkeypatch.setattr(module, "IPSEC_RETRY", 0)
        monkeypatch.setattr(daemon._ipsec, "start", start)
        await daemon._start_ipsec()
        await asyncio.gather(*daemon._tasks)
        await daemon.stop()

    asyncio.run(scenario())
    assert told == [set(), {"ipsec-auth-failure-unspecified"}, {"configuration-refused"}]


def test_parts_are_made_anew_by_name(tmp_path: Path) -> None:
    async def scenario() -> None:
        daemon = GatewayDaemon(config(tmp_path))
        request = Request(Command("mend", {"part": "ike"}), Peer(1, 0, 0))
        answer = await daemon._command(request)
        assert answer == {"part": "ike", "done": "charon is being started already"}
        assert set(daemon._mends()) == {"ike", "nat64", "certificates"}, "no workers yet"

    asyncio.run(scenario())
