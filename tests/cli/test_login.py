"""Logging on and off: what is handed over, what is waited for, what is said when it fails."""

import base64
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from tests.cli.daemons import FakeDaemon
from tests.cli.snapshots import (
    BLOCKED,
    INFRASTRUCTURE_ONLY,
    INSIDE,
    LOGGED_ON,
    STARTING,
    condition,
    judged,
)
from tests.patience import PATIENCE
from throughway.cli import login as login_module
from throughway.cli.login import existing_ccache, register
from throughway.control.codec import Command, CommandRefused
from throughway.model.errors import Stage, TransportError, TrustError
from throughway.model.status import ClientSnapshot, TunnelState, TunnelStatus
from throughway.net import kerberos

ALICE = "alice@CORP.EXAMPLE.COM"
PASSWORD = "Passw0rd!"
app = typer.Typer()
register(app)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "client.sock"


@pytest.fixture(autouse=True)
def tickets(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, Path]]:
    """A domain that gives a ticket for one password."""
    asked: list[tuple[str, str, Path]] = []

    def get_ticket(principal: str, password: str, ccache: Path) -> None:
        asked.append((principal, password, ccache))
        assert stat.S_IMODE(ccache.parent.stat().st_mode) == 0o700
        if password != PASSWORD:
            raise TrustError(
                f"{principal}: the password is wrong", problem="kerberos-password-wrong"
            )
        ccache.write_bytes(b"ticket of " + principal.encode())

    monkeypatch.setattr(kerberos, "get_ticket", get_ticket)
    return asked


def daemon(*snapshots: ClientSnapshot) -> FakeDaemon:
    """Answer ``status`` with the snapshots in turn, the last one for ever."""
    left = list(snapshots)

    def status(_: Command) -> object:
        return left.pop(0) if len(left) > 1 else left[0]

    return FakeDaemon(status=status, login=lambda _: True, logout=lambda _: True)


def login(path: Path, *arguments: str, password: str = PASSWORD, wait: str = "60") -> Result:
    arguments = ("login", "--socket", str(path), "--wait", wait, *arguments)
    return CliRunner().invoke(app, [*arguments, "--password-file", "-"], input=f"{password}\n")


def test_a_user_logs_on(path: Path, tickets: list[tuple[str, str, Path]]) -> None:
    fake = daemon(INFRASTRUCTURE_ONLY, INFRASTRUCTURE_ONLY, LOGGED_ON)
    with fake.serving(path):
        result = login(path, "alice")
    assert result.exit_code == 0, result.output
    (command,) = (c for c in fake.commands if c.name == "login")
    assert command.arguments["principal"] == ALICE
    assert base64.b64decode(command.text("ccache")) == b"ticket of " + ALICE.encode()
    assert PASSWORD not in str(command)
    ((_, _, ccache),) = tickets
    assert not ccache.parent.exists(), "the ticket does not stay here"
    assert result.output.startswith(f"Logging on {ALICE}\n  ticket: the domain accepted")
    assert "  intranet tunnel: up after " in result.output


@pytest.mark.parametrize(
    ("name", "realm", "principal"),
    [
        ("alice", "CORP.EXAMPLE.COM", ALICE),
        ("bob@OTHER.EXAMPLE", "CORP.EXAMPLE.COM", "bob@OTHER.EXAMPLE"),
        ("alice", "", "alice"),
    ],
)
def test_whose_ticket(
    path: Path, tickets: list[tuple[str, str, Path]], name: str, realm: str, principal: str
) -> None:
    on = replace(LOGGED_ON, user=principal)
    fake = daemon(replace(INFRASTRUCTURE_ONLY, kerberos_realm=realm), on)
    with fake.serving(path):
        assert login(path, name).exit_code == 0
    assert [asked[0] for asked in tickets] == [principal]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "alice@WRONG.REALM",
            "nobody knows WRONG.REALM; this computer's is CORP.EXAMPLE.COM: "
            f"throughway login {ALICE}\n",
        ),
        ("alice", "nobody knows CORP.EXAMPLE.COM\n"),
    ],
)
def test_a_realm_that_nobody_knows(
    path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    def get_ticket(principal: str, _password: str, _ccache: Path) -> None:
        why = f"nobody knows {principal.partition('@')[2]}"
        raise TransportError(Stage.RESOLVE, why, problem=kerberos.REALM_UNKNOWN)

    monkeypatch.setattr(kerberos, "get_ticket", get_ticket)
    with daemon(INFRASTRUCTURE_ONLY).serving(path):
        result = login(path, name)
    assert result.exit_code == 1
    assert words in result.stderr
    assert "Cause:      The part behind the @ is misspelt" in result.stderr


def test_a_password_from_a_file(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\r\nsecond line")
    with daemon(INFRASTRUCTURE_ONLY, LOGGED_ON).serving(path):
        result = CliRunner().invoke(
            app, ["login", "alice", "--socket", str(path), "--password-file", str(file)]
        )
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\n"])
def test_a_password_file_that_is_none(path: Path, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with daemon(INFRASTRUCTURE_ONLY).serving(path):
        result = CliRunner().invoke(
            app, ["login", "alice", "--socket", str(path), "--password-file", str(file)]
        )
    assert result.exit_code == 2
    assert str(file) in result.stderr


@pytest.mark.parametrize("password", [b"gr\xfc\xdfe\n", b"x" * 10_000_000])
@pytest.mark.parametrize("source", ["file", "pipe", "terminal"])
def test_what_can_be_no_password_is_refused_without_a_word_of_it(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tickets: list[tuple[str, str, Path]],
    password: bytes,
    source: str,
) -> None:
    (tmp_path / "password").write_bytes(password)
    typed = password.rstrip(b"\n").decode(errors="surrogateescape")
    monkeypatch.setattr("getpass.getpass", lambda _prompt: typed)
    monkeypatch.setattr("throughway.cli.login.is_terminal", lambda: True)
    given = {"file": ["--password-file", str(tmp_path / "password")], "terminal": []}
    words = given.get(source, ["--password-file", "-"])
    with daemon(INFRASTRUCTURE_ONLY).serving(path):
        result = CliRunner().invoke(
            app, ["login", "alice", "--socket", str(path), *words], input=password
        )
    assert result.exit_code == 2
    assert "password" in result.stderr
    assert "gr" not in result.stderr
    assert "xx" not in result.stderr
    assert tickets == []


def test_a_password_file_that_is_a_directory(path: Path, tmp_path: Path) -> None:
    with daemon(INFRASTRUCTURE_ONLY).serving(path):
        result = CliRunner().invoke(
            app, ["login", "alice", "--socket", str(path), "--password-file", str(tmp_path)]
        )
    assert result.exit_code == 2
    assert result.stderr == f"throughway: {tmp_path}: cannot be read: Is a directory\n"


def test_without_a_terminal_no_password_is_asked(path: Path) -> None:
    with daemon(INFRASTRUCTURE_ONLY).serving(path):
        result = CliRunner().invoke(app, ["login", "alice", "--socket", str(path)])
    assert result.exit_code == 2
    assert "--password-file" in result.stderr


def test_a_wrong_password_is_explained(path: Path) -> None:
    fake = daemon(INFRASTRUCTURE_ONLY)
    with fake.serving(path):
        result = login(path, "alice", password="wrong")
    assert result.exit_code == 1
    assert "the password is wrong" in result.stderr
    assert "Resolution: Try again" in result.stderr
    assert "login" not in {c.name for c in fake.commands}


def test_a_domain_that_does_not_answer_is_explained(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get_ticket(*_: object) -> None:
        raise TransportError(Stage.CONNECT, "no answer", problem="kerberos-unreachable")

    monkeypatch.setattr(kerberos, "get_ticket", get_ticket)
    with daemon(INFRASTRUCTURE_ONLY).serving(path):
        result = login(path, "alice")
    assert result.exit_code == 1
    assert "Port 88 of the domain controllers" in result.stderr


@pytest.fixture
def silent_domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No domain controller says anything, until the test is over."""
    over = threading.Event()
    monkeypatch.setattr(kerberos, "get_ticket", lambda *_: over.wait())
    yield
    over.set()


@pytest.mark.usefixtures("silent_domain")
def test_a_silent_domain_is_not_waited_for_without_end(path: Path) -> None:
    with daemon(INFRASTRUCTURE_ONLY).serving(path):
        result = login(path, "alice", wait="0.2")
    assert result.exit_code == 1
    assert "no domain controller answers" in result.stderr
    assert "Port 88 of the domain controllers" in result.stderr


@pytest.mark.usefixtures("silent_domain")
def test_what_the_daemon_knows_of_a_silent_domain_is_shown(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_module, "SILENCE", 0.1)
    deaf = replace(INFRASTRUCTURE_ONLY, problems=(condition("nrpt-dns-server-unreachable"),))
    with daemon(INFRASTRUCTURE_ONLY, deaf).serving(path):
        result = login(path, "alice")
    assert result.exit_code == 1
    assert "[nrpt-dns-server-unreachable]" in result.stderr


def test_inside_there_is_nothing_to_log_on_to(path: Path) -> None:
    fake = daemon(INSIDE)
    with fake.serving(path):
        result = login(path, "alice")
    assert result.exit_code == 0
    assert "Inside the intranet" in result.output
    assert {c.name for c in fake.commands} == {"status"}


def test_who_is_on_already_is_told_so(path: Path) -> None:
    with daemon(LOGGED_ON).serving(path):
        result = login(path, "alice")
    assert result.exit_code == 0
    assert result.output == f"{ALICE} is logged on already; the intranet tunnel is up.\n"


def test_another_user_takes_the_place_of_the_former(path: Path) -> None:
    bob = replace(LOGGED_ON, user="bob@CORP.EXAMPLE.COM")
    fake = daemon(LOGGED_ON, LOGGED_ON, bob)
    with fake.serving(path):
        assert login(path, "bob").exit_code == 0
    assert fake.commands[-1].name == "status"
    assert len([c for c in fake.commands if c.name == "status"]) == 3


def test_the_infrastructure_tunnel_is_waited_for(path: Path) -> None:
    connecting = judged(replace(INFRASTRUCTURE_ONLY, tunnels=()))
    with daemon(STARTING, connecting, connecting, INFRASTRUCTURE_ONLY, LOGGED_ON).serving(path):
        result = login(path, "alice")
    assert result.exit_code == 0
    assert result.output.splitlines()[:3] == [
        "Waiting: finding out where this machine is",
        "Waiting: the infrastructure tunnel is not up yet",
        f"Logging on {ALICE}",
    ]


def test_a_client_that_is_about_to_try_again_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_module, "GRACE", PATIENCE)
    with daemon(BLOCKED, INFRASTRUCTURE_ONLY, LOGGED_ON).serving(path):
        result = login(path, "alice")
    assert result.exit_code == 0, result.output


def test_without_infrastructure_it_is_said_why(
    path: Path, tickets: list[tuple[str, str, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_module, "GRACE", 0.1)
    with daemon(BLOCKED).serving(path):
        result = login(path, "alice")
    assert result.exit_code == 1
    assert "Not connected: No answer from the gateway's port. Logging on needs" in result.stderr
    assert "[iphttps-port-blocked]" in result.stderr
    assert tickets == []


def test_it_is_not_waited_for_ever(path: Path) -> None:
    with daemon(STARTING).serving(path):
        result = login(path, "alice", wait="0.2")
    assert result.exit_code == 1
    assert "Connecting: finding out where" in result.stderr


def test_a_refused_user_is_told_at_once(path: Path) -> None:
    refused = judged(
        replace(
            INFRASTRUCTURE_ONLY,
            user=ALICE,
            problems=(condition("ipsec-user-refused", "the token was used before"),),
        )
    )
    with daemon(INFRASTRUCTURE_ONLY, INFRASTRUCTURE_ONLY, refused).serving(path):
        result = login(path, "alice", wait="3600")
    assert result.exit_code == 1
    assert "[ipsec-user-refused]" in result.stderr
    assert "the token was used before" in result.stderr


def test_a_problem_of_before_does_not_end_the_waiting(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("throughway.cli.login.PATIENCE", 60.0)
    old = (condition("ipsec-user-refused"), condition("iphttps-cert-expiring"))
    before = replace(INFRASTRUCTURE_ONLY, problems=old)
    with daemon(before, before, before, LOGGED_ON).serving(path):
        assert login(path, "alice").exit_code == 0


def test_a_problem_that_stays_is_this_logons_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("throughway.cli.login.PATIENCE", 0.1)
    with daemon(replace(INFRASTRUCTURE_ONLY, problems=(condition("ipsec-user-refused"),))).serving(
        path
    ):
        result = login(path, "alice", wait="3600")
    assert result.exit_code == 1
    assert "[ipsec-user-refused]" in result.stderr


def test_a_tunnel_that_does_not_come_up_in_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get_ticket(_s: Path, _principal: str, _p: str, ccache: Path, **_: float) -> None:
        ccache.write_bytes(b"ticket")  # at once: another thread may have to wait for its turn

    monkeypatch.setattr(login_module, "_get_ticket", get_ticket)
    down = TunnelStatus(name="intranet", state=TunnelState.DOWN, last_error="no answer to IKE")
    waiting = replace(INFRASTRUCTURE_ONLY, user=ALICE, tunnels=(LOGGED_ON.tunnels[0], down))
    with daemon(INFRASTRUCTURE_ONLY, waiting).serving(path):
        result = login(path, "alice", wait="0.2")
    assert result.exit_code == 1
    assert "did not come up in time: no answer to IKE" in result.stderr


def test_what_the_daemon_refuses_is_said(path: Path) -> None:
    fake = daemon(INFRASTRUCTURE_ONLY)

    def refuse(_: Command) -> object:
        raise CommandRefused("not-permitted", "somebody else is logged on")

    fake.answers["login"] = refuse
    with fake.serving(path):
        result = login(path, "alice")
    assert result.exit_code == 1
    assert "somebody else is logged on" in result.stderr


def test_a_daemon_that_does_not_run(path: Path) -> None:
    result = login(path, "alice")
    assert result.exit_code == 3
    assert "throughway client run" in result.stderr


# A ticket that is there already


def test_an_existing_ticket_is_handed_over(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ccache = tmp_path / "krb5cc"
    ccache.write_bytes(b"from kinit")
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{ccache}")
    monkeypatch.setattr(kerberos, "ticket_principal", lambda _: ALICE)
    fake = daemon(INFRASTRUCTURE_ONLY, LOGGED_ON)
    with fake.serving(path):
        result = CliRunner().invoke(app, ["login", "--existing", "--socket", str(path)])
    assert result.exit_code == 0, result.output
    (command,) = (c for c in fake.commands if c.name == "login")
    assert base64.b64decode(command.text("ccache")) == b"from kinit"
    assert ccache.exists()


def test_an_existing_ticket_of_somebody_else(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/krb5cc")
    monkeypatch.setattr(kerberos, "ticket_principal", lambda _: ALICE)
    with daemon(INFRASTRUCTURE_ONLY).serving(path):
        result = CliRunner().invoke(app, ["login", "bob", "--existing", "--socket", str(path)])
    assert result.exit_code == 1
    assert f"the ticket is {ALICE}'s, not bob's" in result.stderr


def test_where_a_session_keeps_its_ticket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KRB5CCNAME", raising=False)
    assert existing_ccache() == Path(f"/tmp/krb5cc_{os.getuid()}")
    monkeypatch.setenv("KRB5CCNAME", "/home/alice/cc")
    assert existing_ccache() == Path("/home/alice/cc")
    monkeypatch.setenv("KRB5CCNAME", "KCM:1000")
    with pytest.raises(TrustError, match="a cache of kind KCM"):
        existing_ccache()


# Logging off


@pytest.mark.parametrize(
    ("snapshot", "words"),
    [(LOGGED_ON, f"{ALICE} is logged off.\n"), (INFRASTRUCTURE_ONLY, "Nobody was logged on.\n")],
)
def test_logout(path: Path, snapshot: ClientSnapshot, words: str) -> None:
    fake = daemon(snapshot)
    with fake.serving(path):
        result = CliRunner().invoke(app, ["logout", "--socket", str(path)])
    assert (result.exit_code, result.output) == (0, words)
    assert fake.commands[-1].name == "logout"
