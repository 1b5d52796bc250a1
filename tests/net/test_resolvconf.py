"""/etc/resolv.conf is taken over and given back, whatever happens between."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from tests.net.namespace import in_namespace, run
from tests.patience import PATIENCE
from throughway.model.policy import NRPTRule
from throughway.net import resolvconf
from throughway.net.resolvconf import (
    MARKER,
    ResolvConf,
    Settings,
    build_resolv_conf,
    intranet_domains,
    parse_resolv_conf,
    restore,
)

STUB = "127.0.0.88"
DHCP = "# by a DHCP client\nsearch home.lan\nnameserver 192.168.137.1\noptions timeout:1\n"
HOTEL = "nameserver 192.168.138.1\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "state").mkdir()
    file = tmp_path / "etc" / "resolv.conf"
    file.write_text(DHCP)
    return file


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def entries(path: Path) -> list[str]:
    return [entry.name for entry in path.parent.iterdir()]


def test_reading_follows_the_manual() -> None:
    text = (
        "; x\nsearch a b\ndomain c\nnameserver ::1\nnameserver\nnameserver ::1\noptions x y\nfoo\n"
    )
    assert parse_resolv_conf(text) == Settings(("::1",), ("c",), ("x", "y"))
    assert parse_resolv_conf("") == Settings(())


def test_what_is_written_can_be_read() -> None:
    original = parse_resolv_conf(DHCP)
    written = parse_resolv_conf(build_resolv_conf(STUB, original))
    assert written == Settings((STUB,), original.search, original.options)


def test_taken_over_and_given_back(path: Path, state: Path) -> None:
    path.chmod(0o640)
    taken = ResolvConf(state, STUB, path)
    assert taken.take() == Settings(("192.168.137.1",), ("home.lan",), ("timeout:1",))
    assert taken.effective()
    assert parse_resolv_conf(path.read_text()).servers == (STUB,)
    assert taken.check() is None
    taken.restore()
    assert path.read_text() == DHCP
    assert path.stat().st_mode & 0o777 == 0o640
    assert entries(path) == ["resolv.conf"]
    assert list(state.iterdir()) == []
    assert not restore(state, path)


def test_a_link_is_given_back_as_a_link(path: Path, state: Path, tmp_path: Path) -> None:
    target = tmp_path / "run-resolv.conf"
    target.write_text(DHCP)
    path.unlink()
    path.symlink_to("../run-resolv.conf")
    taken = ResolvConf(state, STUB, path)
    assert taken.take().servers == ("192.168.137.1",)
    assert not path.is_symlink()
    assert target.read_text() == DHCP
    # The owner of the link's target goes on writing there.
    target.write_text(HOTEL)
    assert taken.check() == Settings(("192.168.138.1",))
    assert taken.effective()
    taken.restore()
    assert path.readlink() == Path("../run-resolv.conf")
    assert path.read_text() == HOTEL


def test_a_missing_file_is_missing_again(path: Path, state: Path) -> None:
    path.unlink()
    taken = ResolvConf(state, STUB, path)
    assert taken.take() == Settings(("127.0.0.1",))
    assert taken.effective()
    taken.restore()
    assert entries(path) == []


def test_what_others_write_becomes_the_new_original(path: Path, state: Path) -> None:
    taken = ResolvConf(state, STUB, path)
    taken.take()
    beside = path.with_name("new")
    beside.write_text(HOTEL)
    beside.replace(path)
    assert not taken.effective()
    assert taken.check() == Settings(("192.168.138.1",))
    assert taken.effective()
    assert taken.check() is None
    taken.restore()
    assert path.read_text() == HOTEL


def test_what_others_wrote_last_is_not_overwritten_at_the_end(path: Path, state: Path) -> None:
    taken = ResolvConf(state, STUB, path)
    taken.take()
    path.write_text(HOTEL)
    taken.restore()
    assert path.read_text() == HOTEL


def test_the_next_start_after_a_crash_keeps_the_first_original(path: Path, state: Path) -> None:
    ResolvConf(state, STUB, path).take()
    again = ResolvConf(state, STUB, path)
    assert again.take().servers == ("192.168.137.1",)
    again.restore()
    assert path.read_text() == DHCP


def test_after_a_crash_and_a_new_network_the_new_file_counts(path: Path, state: Path) -> None:
    ResolvConf(state, STUB, path).take()
    path.write_text(HOTEL)
    again = ResolvConf(state, STUB, path)
    assert again.take().servers == ("192.168.138.1",)
    again.restore()
    assert path.read_text() == HOTEL


def test_a_lost_state_directory_does_not_make_the_stub_its_own_server(
    path: Path, state: Path
) -> None:
    ResolvConf(state, STUB, path).take()
    (state / resolvconf.KEPT).unlink()
    again = ResolvConf(state, STUB, path)
    assert again.take() == Settings(("127.0.0.1",), ("home.lan",), ("timeout:1",))
    again.restore()
    assert MARKER not in path.read_text()
    assert STUB not in path.read_text()


def test_resolved_is_asked_for_its_uplinks(
    path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uplinks = state / "uplinks"
    uplinks.write_text(f"nameserver {STUB}\nnameserver 192.168.137.7\n")
    monkeypatch.setattr(resolvconf, "RESOLVED_UPLINKS", uplinks)
    path.write_text("nameserver 127.0.0.53\nsearch home.lan\n")
    taken = ResolvConf(state, STUB, path)
    assert taken.take() == Settings(("192.168.137.7",), ("home.lan",))
    uplinks.write_text("nameserver 192.168.138.7\n")
    assert taken.check() == Settings(("192.168.138.7",), ("home.lan",))


def test_where_resolved_runs_intranet_domains_are_bound_to_the_stub(
    path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = (
        NRPTRule(namespace=".Corp.example.com", servers=("::1",)),
        NRPTRule(namespace="nls.corp.example.com"),
        NRPTRule(namespace="web.example.net", servers=("::1",)),
        NRPTRule(namespace=".", servers=("::1",)),
    )
    domains = intranet_domains(rules)
    assert domains == ("corp.example.com", "web.example.net")
    taken = ResolvConf(state, STUB, path)
    taken.take(domains)
    assert "search home.lan\n" in path.read_text()
    uplinks = state / "uplinks"
    uplinks.write_text("")
    monkeypatch.setattr(resolvconf, "RESOLVED_UPLINKS", uplinks)
    assert taken.check() is not None
    assert "search home.lan corp.example.com web.example.net\n" in path.read_text()
    assert taken.take().search == ("home.lan",)
    taken.restore()
    assert path.read_text() == DHCP


def test_in_a_closed_directory_the_file_is_written_in_place(
    path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_open = os.open

    def closed(name: Path, flags: int, mode: int = 0o777) -> int:
        if Path(name).parent == path.parent and flags & os.O_CREAT:
            raise OSError(errno.EROFS, "read-only")
        return really_open(name, flags, mode)

    monkeypatch.setattr(os, "open", closed)
    taken = ResolvConf(state, STUB, path)
    taken.take()
    assert taken.effective()
    taken.restore()
    assert path.read_text() == DHCP


def test_never_written_through_a_link(
    path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = path.with_name("of-resolved")
    target.write_text(DHCP)
    path.unlink()
    path.symlink_to(target)
    taken = ResolvConf(state, STUB, path)

    def refuse(source: Path, destination: Path) -> Path:
        if destination == path:
            raise PermissionError(1, "no")
        os.replace(source, destination)
        return destination

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="symbolic links"):
        taken.take()
    assert target.read_text() == DHCP


def test_watching_takes_over_again(
    path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolvconf, "POLL_INTERVAL", 0.01)
    taken = ResolvConf(state, STUB, path)
    taken.take()
    path.write_text(HOTEL)

    async def scenario() -> Settings:
        changed: asyncio.Queue[Settings] = asyncio.Queue()
        watching = asyncio.create_task(taken.watch(changed.put_nowait))
        async with asyncio.timeout(PATIENCE):
            settings = await changed.get()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return settings

    assert asyncio.run(scenario()).servers == ("192.168.138.1",)
    assert taken.effective()


def test_what_is_written_is_taken_over_without_waiting_for_the_next_look(
    path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolvconf, "POLL_INTERVAL", 10 * PATIENCE)
    monkeypatch.setattr(resolvconf, "MAXIMUM_INTERVAL", 80 * PATIENCE)
    taken, write = ResolvConf(state, STUB, path), path.write_text
    taken.take()

    async def scenario() -> list[Settings]:
        changed: asyncio.Queue[Settings] = asyncio.Queue()
        watching = asyncio.create_task(taken.watch(changed.put_nowait))
        seen = []
        for text in (HOTEL, DHCP):
            await asyncio.sleep(0)  # it has begun to watch
            write(text)
            async with asyncio.timeout(PATIENCE):
                seen.append(await changed.get())
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return seen

    assert [seen.servers for seen in asyncio.run(scenario())] == [
        parse_resolv_conf(HOTEL).servers,
        parse_resolv_conf(DHCP).servers,
    ]
    assert taken.effective()


@pytest.mark.parametrize("begin", ["empty", "gone"])
def test_who_is_about_to_write_is_left_alone(
    path: Path, state: Path, monkeypatch: pytest.MonkeyPatch, begin: str
) -> None:
    """What is written in the end is taken over, and whoever writes finds the file as he left it."""
    monkeypatch.setattr(resolvconf, "POLL_INTERVAL", 10 * PATIENCE)
    taken, beside = ResolvConf(state, STUB, path), path.with_name("beside")
    taken.take()
    looked = threading.Event()
    check = taken.check

    def look(*, whole: bool = False) -> Settings | None:
        settings = check(whole=whole)
        looked.set()
        return settings

    monkeypatch.setattr(taken, "check", look)

    def write() -> str:
        if begin == "empty":
            path.open("w").close()
        else:
            path.unlink()
        assert looked.wait(PATIENCE)
        found = path.read_text() if path.exists() else ""
        beside.write_text(HOTEL)
        beside.replace(path)
        return found

    async def scenario() -> tuple[str, Settings]:
        changed: asyncio.Queue[Settings] = asyncio.Queue()
        watching = asyncio.create_task(taken.watch(changed.put_nowait))
        await asyncio.sleep(0)  # it has begun to watch
        found = await asyncio.to_thread(write)
        async with asyncio.timeout(PATIENCE):
            settings = await changed.get()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return found, settings

    assert asyncio.run(scenario()) == ("", parse_resolv_conf(HOTEL))


def test_a_full_disk_does_not_end_the_watch(
    path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = ResolvConf(state, STUB, path)
    taken.take()
    path.write_text(HOTEL)

    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(resolvconf, "_write", full)
        assert taken.check() is None
        assert not taken.effective()
    settings = taken.check()
    assert settings is not None
    assert settings.servers == ("192.168.138.1",)
    assert taken.effective()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_takes_nothing_is_named_and_keeps_nothing(
    path: Path, state: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    before = path.read_text()
    with pytest.raises(OSError, match=f"{os.strerror(code)}.*{resolvconf.KEPT}"):
        ResolvConf(state, STUB, path).take()
    assert list(state.iterdir()) == []
    assert path.read_text() == before


def test_killed_at_any_moment_it_can_be_restored(path: Path, state: Path) -> None:
    """Kill before each system call that changes a file; what was there must come back."""
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from throughway.net.resolvconf import ResolvConf\n"
        "left = int(sys.argv[3])\n"
        "def audit(event, arguments):\n"
        "    global left\n"
        "    write = event == 'open' and arguments[2] & os.O_ACCMODE\n"
        "    if write or event in {'os.rename', 'os.remove', 'os.truncate', 'os.symlink'}:\n"
        "        left -= 1\n"
        "        if left < 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.addaudithook(audit)\n"
        "taken = ResolvConf(Path(sys.argv[1]), '127.0.0.88', Path(sys.argv[2]))\n"
        "taken.take(); taken.restore()\n"
    )
    killed = 0
    for step in range(40):
        command = [sys.executable, "-c", code, str(state), str(path), str(step)]
        status = subprocess.run(command, check=False).returncode
        restore(state, path)
        assert path.read_text() == DHCP
        if status == 0:
            break
        assert status == -signal.SIGKILL
        killed += 1
    assert killed >= 5, "the kills must have hit something"


def _bind_mounted() -> None:
    home = Path(tempfile.mkdtemp())
    try:
        path, state = Path("/etc/resolv.conf"), home / "state"
        state.mkdir()
        mine = home / "resolv.conf"
        mine.write_text(DHCP)
        run("mount", "--bind", str(mine), str(path))
        taken = ResolvConf(state, STUB, path)
        taken.take()
        assert taken.effective()
        assert parse_resolv_conf(mine.read_text()).servers == (STUB,)
        taken.restore()
        assert mine.read_text() == path.read_text() == DHCP
        assert entries(path).count(".resolv.conf.throughway") == 0
    finally:
        run("rm", "-r", str(home))


@pytest.mark.lab
def test_a_bind_mount_is_written_in_place() -> None:
    in_namespace(_bind_mounted)
