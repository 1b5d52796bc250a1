"""charon as a child: its settings file, and a real one started, killed and found again."""

import asyncio
import os
import pwd
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.ipsec_world import Host, until
from throughway.model.config import ESPMode
from throughway.model.errors import IPsecError
from throughway.net import charon
from throughway.net.charon import (
    CLIENT_PLUGINS,
    GATEWAY_PLUGINS,
    PLUGINS,
    Charon,
    CharonSettings,
    RADIUSServer,
    settings_text,
    split_pem,
)
from throughway.net.sas import Event, LineLogged


def settings(directory: Path, **changes: object) -> CharonSettings:
    values = {"directory": directory, "esp": ESPMode.LIBIPSEC, "plugins": PLUGINS + CLIENT_PLUGINS}
    return CharonSettings(**(values | changes))  # type: ignore[arg-type]


def test_each_setting_has_a_line_of_its_own() -> None:
    radius = RADIUSServer(address="127.0.0.1", port=1812, secret="s3cret")
    text = settings_text(settings(Path("/run/x"), plugins=PLUGINS + GATEWAY_PLUGINS, radius=radius))
    for line in text.splitlines():
        assert line.count("=") <= 1
        assert re.fullmatch(r" *([a-z0-9-]+ \{|\}|[a-z_]+ = .+)", line), line
    assert text.count("{") == text.count("}")


def test_user_space_esp_is_asked_before_the_kernel() -> None:
    load = settings_text(settings(Path("/run/x"))).splitlines()[1].split()
    assert load.index("kernel-libipsec") < load.index("kernel-netlink")
    kernel = settings_text(settings(Path("/run/x"), esp=ESPMode.KERNEL)).splitlines()[1]
    assert "kernel-libipsec" not in kernel


def test_charons_own_packets_stay_out_of_the_tunnels() -> None:
    text = settings_text(settings(Path("/run/x")))
    assert "fwmark = !0x42" in text
    assert "fwmark = 0x42" in text
    assert "allow_peer_ts = yes" in text
    assert "multiple_authentication = yes" in text
    assert "block_threshold = 30" in text


def test_the_secret_of_the_radius_server_is_not_shown() -> None:
    assert "s3cret" not in repr(RADIUSServer(address="::1", port=1, secret="s3cret"))


def test_pem_blocks_are_told_apart() -> None:
    one = b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
    key = b"-----BEGIN EC PRIVATE KEY-----\nAA==\n-----END EC PRIVATE KEY-----\n"
    assert split_pem(b"text\n" + one + key + one) == (one, one)
    assert split_pem(one + key, "PRIVATE KEY") == (key,)
    assert split_pem(b"nothing") == ()


class Events:
    """A session that brings one event, then another one."""

    async def __aenter__(self) -> "Events":
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def events(self) -> AsyncIterator[tuple[str, dict[str, bytes]]]:
        for text in (b"one", b"two"):
            yield "log", {"msg": text}
        raise IPsecError("charon went away")


def test_a_listener_s_mistake_does_not_make_deaf(tmp_path: Path) -> None:
    heard: list[str] = []
    told: list[str] = []

    def listen(event: Event) -> None:
        assert isinstance(event, LineLogged)
        heard.append(event.text)
        raise KeyError(event.text)

    async def ready(_charon: Charon) -> None:
        return

    deaf = subprocess.Popen(["sleep", "60"])

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(repr(context["exception"])))
        charon = Charon(settings(tmp_path), on_ready=ready, on_event=listen)
        charon._process = deaf
        await charon._listen(Events())  # type: ignore[arg-type]
        assert await asyncio.to_thread(deaf.wait) == -signal.SIGTERM, "it would tell nothing more"

    asyncio.run(scenario())
    assert heard == ["one", "two"]
    assert told == ["KeyError('one')", "KeyError('two')"]


class Kept:
    """A charon in a namespace, and what it told."""

    def __init__(self, host: Host, directory: Path) -> None:
        self.host = host
        self.ready = 0
        self.deaths: list[str] = []

        async def make() -> Charon:
            charon = Charon(settings(directory), on_ready=self._loaded, on_death=self.deaths.append)
            await charon.start()
            return charon

        self.charon = host.run(make())

    async def _loaded(self, charon: Charon) -> None:
        self.ready += 1

    def close(self) -> None:
        self.host.run(self.charon.stop())


@pytest.mark.lab
def test_charon_runs_and_leaves_nothing(tmp_path: Path) -> None:
    host = Host()
    kept = Kept(host, tmp_path / "run")
    try:
        assert kept.charon.running
        version = kept.host.run(kept.charon.request("version"))
        assert version["daemon"] == b"charon-systemd"
        assert kept.host.run(kept.charon.list_connections()) == frozenset()
        for name in ("infrastructure-client1", "intranet-client1"):
            kept.host.run(kept.charon.load_connection(name, {"version": "2"}))
        kept.host.run(kept.charon.unload_connection("infrastructure-client1"))
        assert kept.host.run(kept.charon.list_connections()) == {"intranet-client1"}
        assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "run" / "strongswan.conf").stat().st_mode & 0o777 == 0o600
        pid = kept.charon.pid
    finally:
        kept.close()
        host.close()
    assert not Path(f"/proc/{pid}").exists()
    assert not (tmp_path / "run" / "charon.pid").exists()
    assert kept.deaths == []


@pytest.mark.lab
def test_a_charon_that_was_killed_is_there_again(tmp_path: Path) -> None:
    host = Host()
    kept = Kept(host, tmp_path)
    try:
        for number in (2, 3):
            pid = kept.charon.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            kept.host.run(until(lambda: kept.ready == number))  # noqa: B023 - awaited here
            assert kept.charon.running
        assert ["SIGKILL" in reason for reason in kept.deaths] == [True, True]
    finally:
        kept.close()
        host.close()


@pytest.mark.lab
def test_a_charon_that_hangs_is_killed_and_there_again(tmp_path: Path) -> None:
    host = Host()
    kept = Kept(host, tmp_path)
    try:
        pid = kept.charon.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        assert kept.charon.kill()
        kept.host.run(until(lambda: kept.ready == 2))
        assert kept.charon.pid != pid
    finally:
        kept.close()
        host.close()
    assert not kept.charon.kill(), "there is none any more"


@pytest.mark.lab
def test_a_charon_that_cannot_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host()
    try:
        for program, words in (("no-such-charon", "no-such-charon"), ("false", "ended with 1")):
            monkeypatch.setattr("throughway.net.charon.PROGRAM", program)
            with pytest.raises(IPsecError, match=words) as caught:
                Kept(host, tmp_path)
            assert caught.value.problem == "ipsec-daemon-down"
    finally:
        host.close()


DAEMON = """
import asyncio, sys
from pathlib import Path
from throughway.model.config import ESPMode
from throughway.net.charon import CLIENT_PLUGINS, PLUGINS, Charon, CharonSettings
async def ready(charon): pass
async def main():
    settings = CharonSettings(
        directory=Path(sys.argv[1]), esp=ESPMode.LIBIPSEC, plugins=PLUGINS + CLIENT_PLUGINS)
    charon = Charon(settings, on_ready=ready)
    await charon.start()
    print(charon.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def state_of(pid: int) -> str:
    """Return the letter of a process's state, "" when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def alive(pid: int) -> bool:
    """Say whether a process lives; one that nobody has waited for yet does not."""
    return state_of(pid) not in {"", "Z", "X"}


def daemon_in(host: Host, directory: Path) -> "subprocess.Popen[str]":
    """Start a daemon whose charon's number is the first line that it prints."""
    command = ("nsenter", f"--net={host.namespace}", sys.executable, "-c", DAEMON, str(directory))
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.lab
def test_charon_dies_with_its_daemon(tmp_path: Path) -> None:
    host = Host()
    try:
        with daemon_in(host, tmp_path) as daemon:
            assert daemon.stdout is not None
            pid = int(daemon.stdout.readline())
            daemon.kill()
        host.run(until(lambda: not alive(pid)))
    finally:
        host.close()


@pytest.mark.lab
def test_a_charon_that_a_killed_daemon_left_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("throughway.net.process.STOP_TIMEOUT", 0.2)
    host = Host()
    try:
        with daemon_in(host, tmp_path) as daemon:
            assert daemon.stdout is not None
            left = int(daemon.stdout.readline())
            os.kill(left, signal.SIGSTOP)  # so that it does not hear of its daemon's death
            host.run(until(lambda: state_of(left) == "T"))
            daemon.kill()
        assert alive(left)
        kept = Kept(host, tmp_path)
        gone = not alive(left)
        kept.close()
        assert gone
    finally:
        host.close()


def test_an_account_can_read_its_configuration_and_make_its_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners: dict[str, tuple[int, int]] = {}
    monkeypatch.setattr(os, "chown", lambda path, uid, gid: owners.update({path.name: (uid, gid)}))
    directory = tmp_path / "run" / "ipsec"
    directory.mkdir(parents=True)
    directory.parent.chmod(0o700)
    configuration = directory / "strongswan.conf"
    configuration.touch(0o600)
    charon._let_in(4711, directory, configuration)
    assert owners == {"ipsec": (-1, 4711), "strongswan.conf": (-1, 4711)}
    modes = [p.stat().st_mode & 0o777 for p in (directory.parent, directory, configuration)]
    assert modes == [0o711, 0o770, 0o640]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_an_account_can_make_its_socket_and_put_nothing_of_ours_away(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as outside:  # pytest's own folders are closed to others
        directory = Path(outside) / "run" / "ipsec"
        directory.mkdir(parents=True)
        Path(outside).chmod(0o711)
        configuration = directory / "strongswan.conf"
        configuration.touch(0o600)
        charon._let_in(nobody.pw_gid, directory, configuration)
        tries = (
            f"cd {directory} && true > charon.vici && cat strongswan.conf && "
            "! rm -f strongswan.conf && ! mv -f charon.vici strongswan.conf && "
            "! (true >> strongswan.conf)"
        )
        command = ("sh", "-c", tries)
        ids = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": ()}
        done = subprocess.run(command, capture_output=True, check=False, **ids)  # type: ignore[call-overload]
        assert done.returncode == 0, done.stderr
        assert configuration.exists()


def test_charon_is_root_or_an_account_with_three_capabilities() -> None:
    assert charon._as_account(None) == ()
    words = " ".join(charon._as_account((4710, 4711)))
    assert "--reuid 4710 --regid 4711 --clear-groups" in words
    assert words.count("-all,+net_admin,+net_raw,+net_bind_service") == 2
