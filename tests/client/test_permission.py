"""Who may log on: by the number of the account that asks, and by who sits at the computer."""

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.client.test_uplink import config
from throughway.client.daemon import ClientDaemon
from throughway.client.permission import Desk, Permission
from throughway.control.codec import Command, CommandRefused
from throughway.control.server import ControlServer, Peer, Request

ROOT, ALICE, BOB, DAEMON = 0, 1000, 1001, 33
"""Alice sits at the computer, bob has come by network, and a service runs."""

ASK = """
import os, sys
from pathlib import Path
from throughway.control.client import ask
from throughway.model.errors import ControlError
os.setgroups([])
os.setresgid(*3 * (65534,))
os.setresuid(*3 * (65534,))
for command in sys.argv[2:]:
    try:
        ask(Path(sys.argv[1]), command, principal="alice", pin="4711", code="1", ccache="AA==")
        print("done")
    except ControlError as error:
        print(getattr(error, "code", "lost"))
"""
COMMANDS = ("login", "smart-card", "login-smart-card", "login-code", "logout", "refresh", "status")


def desk(*, known: bool = True, sits: int = ALICE, here: tuple[int, ...] = (ALICE, BOB)) -> Desk:
    return Desk(lambda: known, lambda: sits > 0, lambda uid: uid == sits, lambda uid: uid in here)


def may(
    who: int, what: str, owner: int | None = None, *, at: Desk | None = None, named: str = ""
) -> bool:
    permission = Permission((named,) if named else (), at or desk())
    request = Request(Command(what), Peer(pid=1, uid=who, gid=who))
    require = permission.require_card if "card" in what else permission.require_logon
    refused = ""
    try:
        asyncio.run(require(request, owner))
    except CommandRefused as refusal:
        refused = refusal.code
    assert refused in {"", "not-permitted"}
    return not refused


@pytest.mark.parametrize("what", ["login", "login-code", "smart-card", "login-smart-card"])
def test_who_sits_at_the_computer_may_log_on(what: str) -> None:
    assert [may(who, what) for who in (ROOT, ALICE, BOB, DAEMON)] == [True, True, False, False]


@pytest.mark.parametrize(("what", "bob"), [("login", True), ("login-smart-card", False)])
def test_where_nobody_sits_who_came_by_network_has_no_card(what: str, bob: bool) -> None:
    at = desk(sits=-1)
    assert [may(who, what, at=at) for who in (ROOT, BOB, DAEMON)] == [True, bob, False]


def test_nobody_takes_the_place_of_who_is_logged_on() -> None:
    assert may(BOB, "login", owner=BOB)
    assert not may(ALICE, "login", owner=BOB)
    # Nor does who was logged on spend the tries of the card of who sits here now.
    assert not may(BOB, "login-smart-card", owner=BOB)
    assert may(ALICE, "login-smart-card", owner=ALICE)


def test_without_logind_root_and_named_accounts_are_left() -> None:
    nobody = desk(known=False, sits=-1, here=())
    assert may(ROOT, "login-smart-card", at=nobody)
    assert not may(DAEMON, "login", at=nobody)
    assert may(65534, "login-smart-card", at=nobody, named="nobody")
    assert not may(65534, "login", at=nobody, named="an account that is not there")
    with pytest.raises(CommandRefused, match=r"logind.*logon_users"):
        asyncio.run(
            Permission((), nobody).require_logon(Request(Command("login"), Peer(1, BOB, BOB)), None)
        )


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another")
def test_the_daemon_believes_the_kernel_and_nothing_else(tmp_path: Path) -> None:
    """Another account of this machine asks for everything over the real socket."""
    daemon = ClientDaemon(config(tmp_path))
    folder = tempfile.TemporaryDirectory(prefix="throughway-permission-")
    path = Path(folder.name) / "client.sock"
    path.parent.chmod(0o755)

    async def scenario() -> list[str]:
        server = ControlServer(path, daemon._command)
        await server.start()
        try:
            command = (sys.executable, "-c", ASK, str(path), *COMMANDS)
            asker = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
            said, _ = await asker.communicate()
            return said.decode().split()
        finally:
            await server.close()

    with folder:
        said = asyncio.run(scenario())
    told = dict(zip(COMMANDS, said, strict=True))
    assert told.pop("status") == "done"
    assert set(told.values()) == {"not-permitted"}, told
    assert daemon._user is None
