"""What the client daemon answers, and to whom; the whole runs in the scenarios."""

import asyncio
import base64
from dataclasses import replace
from pathlib import Path

import pytest

from tests.client.test_uplink import config
from tests.ipsec_world import Deployment
from tests.smart_cards import PIN, REALM, CardBox, Person, users_root
from throughway.client.daemon import ClientDaemon, run
from throughway.client.user import User
from throughway.control.codec import Command, CommandRefused, from_json
from throughway.control.server import Peer, Request
from throughway.model.errors import ThroughwayError
from throughway.model.status import ClientSnapshot, Connection
from throughway.net import kerberos, smartcard

ALICE, BOB = "alice@CORP.EXAMPLE.COM", "bob@CORP.EXAMPLE.COM"


def request(name: str, uid: int = 0, **arguments: str) -> Request:
    return Request(Command(name, dict(arguments)), Peer(pid=1, uid=uid, gid=uid))


def login(principal: str, uid: int) -> Request:
    cache = base64.b64encode(f"cache of {principal}".encode()).decode()
    return request("login", uid, principal=principal, ccache=cache)


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClientDaemon:
    def holder(ccache: Path) -> str:
        return ccache.read_text().removeprefix("cache of ")

    monkeypatch.setattr(kerberos, "ticket_principal", holder)
    settings = config(tmp_path)
    settings.runtime_directory.mkdir()
    return ClientDaemon(settings)


def ask(daemon: ClientDaemon, *requests: Request) -> object:
    async def asked() -> object:
        answer: object = None
        for one in requests:
            answer = await daemon._command(one)
        return answer

    return asyncio.run(asked())


def test_without_a_policy_it_is_not_connected(daemon: ClientDaemon) -> None:
    snapshot = from_json(ClientSnapshot, ask(daemon, request("status", uid=1000)))  # type: ignore[arg-type]
    assert snapshot.connection is Connection.ERROR
    assert snapshot.tunnels == ()


def test_a_user_logs_on_and_off(daemon: ClientDaemon) -> None:
    ask(daemon, login(ALICE, 1000))
    assert daemon._users.load() == User(principal=ALICE, uid=1000)
    ask(daemon, request("logout", 1000))
    assert daemon._users.load() is None


def test_nobody_takes_another_s_place_but_root(daemon: ClientDaemon) -> None:
    with pytest.raises(CommandRefused):
        ask(daemon, login(ALICE, 1000), login(BOB, 1001))
    assert daemon._users.load() == User(principal=ALICE, uid=1000)
    with pytest.raises(CommandRefused):
        ask(daemon, request("logout", 1001))
    ask(daemon, login(BOB, 0))
    assert daemon._users.load() == User(principal=BOB, uid=0)


def test_a_ticket_of_somebody_else_is_refused(daemon: ClientDaemon) -> None:
    cache = base64.b64encode(f"cache of {BOB}".encode()).decode()
    with pytest.raises(ThroughwayError, match="bob"):
        ask(daemon, request("login", 1000, principal=ALICE, ccache=cache))
    assert daemon._users.load() is None


@pytest.mark.parametrize("cache", ["not base64!", ""])
def test_garbage_for_a_ticket_is_refused(daemon: ClientDaemon, cache: str) -> None:
    with pytest.raises(ThroughwayError):
        ask(daemon, request("login", 1000, principal=ALICE, ccache=cache))
    assert daemon._users.load() is None


def test_a_refused_ticket_takes_nobody_s_place(daemon: ClientDaemon) -> None:
    ask(daemon, login(ALICE, 1000))
    cache = base64.b64encode(f"cache of {BOB}".encode()).decode()
    with pytest.raises(ThroughwayError, match="bob"):
        ask(daemon, request("login", 1000, principal=ALICE, ccache=cache))
    assert daemon._users.load() == User(principal=ALICE, uid=1000)
    assert daemon._users.ccache.read_text() == f"cache of {ALICE}"
    assert {file.name for file in daemon._users.ccache.parent.iterdir()} == {
        "user.ccache",
        "user.json",
    }


def test_of_two_who_log_on_at_once_the_first_stays(daemon: ClientDaemon) -> None:
    async def both() -> list[object]:
        asking = (daemon._command(login(ALICE, 1000)), daemon._command(login(BOB, 1001)))
        return list(await asyncio.gather(*asking, return_exceptions=True))

    first, second = asyncio.run(both())
    assert first is None
    assert isinstance(second, CommandRefused)
    assert daemon._users.load() == User(principal=ALICE, uid=1000)
    assert daemon._users.ccache.read_text() == f"cache of {ALICE}"


def test_what_one_part_fails_at_does_not_keep_the_others_from_ending(
    daemon: ClientDaemon,
) -> None:
    ended: list[str] = []

    class Part:
        def __init__(self, name: str) -> None:
            self._name = name

        async def stop(self) -> None:
            ended.append(self._name)
            raise OSError(f"{self._name} is broken")

        close = stop

    async def scenario() -> None:
        daemon._alone = True
        daemon._keeper, daemon._access = Part("policy"), Part("access")  # type: ignore[assignment]
        daemon._control = Part("control")  # type: ignore[assignment]
        await daemon.stop()

    with pytest.raises(OSError, match="is broken"):
        asyncio.run(scenario())
    assert ended == ["policy", "access", "control"]


def test_unknown_commands_are_refused(daemon: ClientDaemon) -> None:
    with pytest.raises(CommandRefused):
        ask(daemon, request("format-disk"))


def test_a_bug_is_shown_as_one(daemon: ClientDaemon) -> None:
    daemon.failed("a task", ZeroDivisionError())
    snapshot = from_json(ClientSnapshot, ask(daemon, request("status")))  # type: ignore[arg-type]
    assert [p.code for p in snapshot.problems] == ["bug-in-throughway"]


def test_run_without_a_configuration_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "absent.toml") == 2
    printed = capsys.readouterr().err
    assert "absent.toml" in printed
    assert "Traceback" not in printed


@pytest.mark.lab
def test_a_user_logs_on_with_a_smart_card_until_it_is_pulled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    box = CardBox(tmp_path / "cards")
    monkeypatch.setenv("SOFTHSM2_CONF", str(box.file))
    monkeypatch.setattr(smartcard, "LOOK_INTERVAL", 0.05)
    box.insert("alice", Person().issue(users_root()))
    settings = replace(config(tmp_path), smart_card=box.config)
    settings.runtime_directory.mkdir()

    async def scenario() -> None:
        daemon = ClientDaemon(settings)
        daemon._policy = Deployment.create(tmp_path).policy()
        daemon._policy = replace(daemon._policy, kerberos_realm=REALM)
        offered = await daemon._command(request("smart-card", 1000))
        assert isinstance(offered, dict)
        assert (offered["principal"], offered["card"]) == (ALICE, "alice")
        for pin, principal, code in (
            ("0000", ALICE, "smart-card-pin-wrong"),
            (PIN, BOB, "smart-card-of-another-user"),
        ):
            with pytest.raises(CommandRefused) as caught:
                await daemon._command(
                    request("login-smart-card", 1000, pin=pin, principal=principal)
                )
            assert caught.value.code == code
        logon = request("login-smart-card", 1000, pin=PIN, principal=ALICE)
        await daemon._command(logon)
        assert daemon._user is not None
        assert daemon._user.principal == ALICE
        assert PIN not in repr(daemon._user)
        # Nothing of it outlives the daemon, and nobody else may take the place.
        assert daemon._users.load() is None
        with pytest.raises(CommandRefused):
            await daemon._command(request("login-smart-card", 1001, pin=PIN, principal=ALICE))
        box.pull()
        async with asyncio.timeout(10):
            while daemon._user is not None:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.02)
            assert daemon._leaving is not None
            await daemon._leaving
        assert [problem.code for problem in daemon._tracker.current()] == ["smart-card-removed"]
        box.put_back()
        await daemon._command(logon)
        assert daemon._tracker.current() == ()
        await daemon._cards.close()

    asyncio.run(scenario())
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and "cards" not in path.parts]
    assert not [path for path in kept if PIN.encode() in path.read_bytes()]
    assert PIN not in caplog.text
