"""What the client daemon answers, and to whom; the whole runs in the scenarios."""

import asyncio
import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.client.test_settings import write_client
from tests.client.test_uplink import config
from tests.ipsec_world import Deployment
from tests.patience import PATIENCE
from tests.smart_cards import PIN, REALM, CardBox, Person, users_root
from throughway.client import daemon as daemon_module
from throughway.client import settings
from throughway.client.codes import Challenge
from throughway.client.daemon import ClientDaemon, run
from throughway.client.permission import Desk, Permission
from throughway.client.policy import FilesError
from throughway.client.proof import UserKey
from throughway.client.user import User
from throughway.control.codec import Command, CommandRefused, from_json
from throughway.control.server import Peer, Request
from throughway.model.errors import ThroughwayError, TrustError
from throughway.model.policy import Policy
from throughway.model.status import ClientSnapshot, Connection
from throughway.net import kerberos, smartcard
from throughway.pki.authority import certify_user
from throughway.pki.pem import build_certificate_pem, build_key_pem

ALICE, BOB = "alice@CORP.EXAMPLE.COM", "bob@CORP.EXAMPLE.COM"


EVERYBODY = Desk(lambda: True, lambda: True, lambda uid: True, lambda uid: True)
"""A desk at which all sit: who may log on is test_permission's."""


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
    client = config(tmp_path)
    client.runtime_directory.mkdir()
    daemon = ClientDaemon(client)
    daemon._permission = Permission((), EVERYBODY)
    return daemon


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


def test_a_disk_that_takes_nothing_is_told_once_and_when_it_is_over(
    daemon: ClientDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    class Log:
        def warning(self, what: str, *, reason: str) -> None:
            told.append(f"{what}: {reason}")

        def error(self, what: str, **_: object) -> None:
            told.append(what)

        def info(self, what: str, **_: object) -> None:
            told.append(what)

    monkeypatch.setattr(daemon, "_log", Log())
    full, refused = FilesError("/var: No space left on device"), FilesError("/var: Read-only")
    for trouble in (full, full, full, refused, None, None, full):
        daemon._policy_trouble(trouble)
    assert [line for line in told if line.startswith("policy")] == [
        "policy: /var: No space left on device",
        "policy: /var: Read-only",
        "policy is well again",
        "policy: /var: No space left on device",
    ]


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


def test_a_refresh_compares_the_file_with_what_it_runs_with(tmp_path: Path) -> None:
    file = write_client(tmp_path)
    places = "".join(
        f'{key} = "{key}"\n'
        for key in ("bundle", "state_directory", "runtime_directory", "control_socket")
    )
    good = f"{file.read_text()}{places}"
    file.write_text(good)
    daemon = ClientDaemon(settings.load(file))
    nothing: list[object] = []
    assert ask(daemon, request("refresh")) == {"needs_restart": nothing, "refused": nothing}
    file.write_text(f'{good}logon_users = ["kiosk"]\n')
    assert ask(daemon, request("refresh")) == {"needs_restart": ["logon_users"], "refused": nothing}
    file.write_text(f'{good}logon_user = ["kiosk"]\nesp = "fast"\n')
    answer = ask(daemon, request("refresh"))
    assert isinstance(answer, dict)
    assert answer["needs_restart"] == nothing
    assert {error["key"] for error in answer["refused"]} == {"logon_user", "esp"}
    assert {error["file"] for error in answer["refused"]} == {str(file)}
    file.write_text(good)
    assert ask(daemon, request("refresh")) == {"needs_restart": nothing, "refused": nothing}


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
        daemon._permission = Permission((), EVERYBODY)
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
        async with asyncio.timeout(PATIENCE):
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


class CodeGateway:
    """What the gateway answers to codes; one that is asked of it once is used up."""

    def __init__(self, life: timedelta = timedelta(hours=8)) -> None:
        self.life = life
        self.asked: list[tuple[str, str]] = []

    async def exchange(
        self, policy: Policy, ccache: Path, code: str, state: str = ""
    ) -> UserKey | Challenge:
        assert await asyncio.to_thread(ccache.read_text) == f"cache of {ALICE}"
        self.asked.append((code, state))
        if code == PIN:
            return Challenge("Code of your token", "c3RhdGU=")
        if code != "135790":
            raise TrustError("not the code", problem="one-time-code-wrong")
        if self.asked.count((code, state)) > 1:
            raise TrustError("used before", problem="one-time-code-used")
        key = ec.generate_private_key(ec.SECP256R1())
        made = certify_user(
            users_root(), ALICE, key.public_key(), now=datetime.now(UTC), life=self.life
        )
        return UserKey(certificate=build_certificate_pem(made), key=build_key_pem(key))


@pytest.fixture
def codes(daemon: ClientDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CodeGateway:
    gateway = CodeGateway()
    monkeypatch.setattr(daemon_module, "exchange_code", gateway.exchange)
    daemon._policy = replace(Deployment.create(tmp_path).policy(), kerberos_realm=REALM)
    return gateway


def code_logon(code: str, uid: int = 1000, principal: str = ALICE, **more: str) -> Request:
    cache = base64.b64encode(f"cache of {ALICE}".encode()).decode()
    return request("login-code", uid, principal=principal, ccache=cache, code=code, **more)


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


def test_a_user_logs_on_with_a_code_which_is_kept_nowhere(
    daemon: ClientDaemon, codes: CodeGateway, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        challenge = await daemon._command(code_logon(PIN))
        assert challenge == {"challenge": "Code of your token", "state": "c3RhdGU="}
        assert daemon._user is None
        assert await daemon._command(code_logon("135790", state="c3RhdGU=")) is None
        assert daemon._user is not None
        assert (daemon._user.principal, daemon._user.uid) == (ALICE, 1000)
        assert daemon._user.key is not None
        assert daemon._user.key.key not in contents(tmp_path)
        # Whoever else comes, even with a right code, does not take the place.
        with pytest.raises(CommandRefused) as caught:
            await daemon._command(code_logon("135790", uid=1001))
        assert caught.value.code == "not-permitted"
        await daemon._command(request("logout", 1000))
        await daemon._codes.close()

    asyncio.run(scenario())
    assert codes.asked == [(PIN, ""), ("135790", "c3RhdGU=")]
    # The ticket was only shown: what the intranet is opened with is the certificate.
    assert daemon._users.load() is None
    assert not daemon._users.ccache.exists()
    assert "135790" not in caplog.text
    assert PIN not in caplog.text


@pytest.mark.parametrize(
    ("said", "problem"),
    [(("000000",), "one-time-code-wrong"), (("135790", "135790"), "one-time-code-used")],
    ids=["wrong", "replayed"],
)
def test_a_refused_code_says_why_and_changes_nothing(
    daemon: ClientDaemon, codes: CodeGateway, said: tuple[str, ...], problem: str
) -> None:
    async def scenario() -> None:
        *before, last = said
        for code in before:
            await daemon._command(code_logon(code))
        user = daemon._user
        with pytest.raises(CommandRefused) as caught:
            await daemon._command(code_logon(last))
        assert caught.value.code == problem
        assert daemon._user is user
        await daemon._codes.close()

    asyncio.run(scenario())


def test_a_code_needs_a_ticket_of_the_same_user_and_a_policy(
    daemon: ClientDaemon, codes: CodeGateway
) -> None:
    with pytest.raises(ThroughwayError, match=r"alice@.* not bob"):
        ask(daemon, code_logon("135790", principal=BOB))
    daemon._policy = None
    with pytest.raises(CommandRefused, match="no policy"):
        ask(daemon, code_logon("135790"))
    assert codes.asked == []


def test_when_the_certificate_of_a_code_ends_so_does_the_logon(
    daemon: ClientDaemon, codes: CodeGateway
) -> None:
    codes.life = timedelta(0)

    async def scenario() -> None:
        await daemon._command(code_logon("135790"))
        async with asyncio.timeout(PATIENCE):
            while daemon._user is not None:  # noqa: ASYNC110 - of another task
                await asyncio.sleep(0)
            assert daemon._leaving is not None
            await daemon._leaving
        [problem] = daemon._tracker.current()
        assert problem.code == "one-time-code-ended"
        assert ALICE in problem.detail
        assert "ended at 20" in problem.detail
        # The next logon, of whatever kind, is the end of it.
        await daemon._command(login(ALICE, 1000))
        assert daemon._tracker.current() == ()

    asyncio.run(scenario())
