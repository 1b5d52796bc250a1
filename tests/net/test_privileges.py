"""What is left of root, and that it is enough."""

import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.net.namespace import in_namespace, run, wait_until
from tests.patience import PATIENCE
from throughway.model.errors import ThroughwayError
from throughway.net import netlink, privileges
from throughway.net.firewall import ClientFirewall, client_closed, close_client, open_client
from throughway.net.netlink import Route
from throughway.net.process import end

CHARON = """
charon-systemd {{
  load = random nonce openssl kdf hmac sha2 aes kernel-libipsec kernel-netlink socket-default vici
  plugins {{
    vici {{
      socket = unix://{directory}/charon.vici
    }}
  }}
}}
"""


def _dropped() -> None:
    privileges.drop(privileges.CLIENT)
    assert privileges.permitted() == privileges.bounding() == privileges.CLIENT
    child = run("sh", "-c", "grep -E 'Cap(Prm|Bnd|Eff)|NoNewPrivs' /proc/self/status").split()
    mask = f"{1 << 10 | 1 << 12 | 1 << 13:016x}"
    assert child == ["CapPrm:", mask, "CapEff:", mask, "CapBnd:", mask, "NoNewPrivs:", "1"]

    foreign = Path(tempfile.mkdtemp())
    run("true")
    with pytest.raises(PermissionError):
        os.chown(foreign, 65534, 65534)
    with pytest.raises(ThroughwayError, match="CAP_CHOWN"):
        privileges.drop(frozenset({"CAP_CHOWN"}))
    foreign.rmdir()


@pytest.mark.lab
def test_only_the_named_capabilities_are_left_for_us_and_our_children() -> None:
    in_namespace(_dropped)


def _network() -> None:
    privileges.drop(privileges.CLIENT)
    closed = ClientFirewall(prefixes=("2001:db8:c0::/48",))
    close_client(closed)
    assert client_closed(closed)
    open_client()
    run("ip", "tuntap", "add", "tun7", "mode", "tun")
    run("ip", "link", "set", "tun7", "up")
    netlink.add_route(Route(prefix="2001:db8:9::/64", interface="tun7"))
    run("ip", "-6", "route", "show", "2001:db8:9::/64")


@pytest.mark.lab
def test_nft_ip_and_netlink_work_without_the_rest() -> None:
    in_namespace(_network)


def _foreign_files() -> None:
    directory = Path(tempfile.mkdtemp())
    try:
        secret = directory / "secret"
        secret.write_text("of somebody else")
        secret.chmod(0o600)
        os.chown(secret, 65534, 65534)
        privileges.drop(privileges.CLIENT)
        with pytest.raises(PermissionError):
            secret.read_text()
        (directory / "own").write_text("root's own files stay writable")
        (directory / "own").unlink()
    finally:
        shutil.rmtree(directory)


@pytest.mark.lab
def test_files_of_other_users_are_out_of_reach() -> None:
    in_namespace(_foreign_files)


def _charon() -> None:
    directory = Path(tempfile.mkdtemp())
    try:
        (directory / "strongswan.conf").write_text(CHARON.format(directory=directory))
        privileges.drop(privileges.CLIENT)
        with (directory / "log").open("wb") as log:
            charon = subprocess.Popen(
                ["charon-systemd"],
                env=os.environ | {"STRONGSWAN_CONF": str(directory / "strongswan.conf")},
                stdout=log,
                stderr=log,
            )
        try:
            # Its socket is there a moment before it answers.
            words = ("swanctl", "--stats", "--uri", f"unix://{directory}/charon.vici")
            wait_until(lambda: subprocess.run(words, capture_output=True).returncode == 0)
            wait_until(lambda: "ipsec0" in run("ip", "link", "show"))
            assert privileges.bounding(charon.pid) == privileges.CLIENT
            assert "kernel-libipsec" in run(*words)
        finally:
            end(charon)
    finally:
        shutil.rmtree(directory)


@pytest.mark.lab
def test_charon_runs_without_the_rest() -> None:
    in_namespace(_charon)


def test_every_process_can_be_read() -> None:
    assert privileges.permitted() <= privileges.bounding()
    with pytest.raises(ThroughwayError, match="lacks CAP_NO_SUCH"):
        privileges.drop(frozenset({"CAP_NO_SUCH"}))


def test_a_child_that_hangs_ends_with_its_parent() -> None:
    script = """
import os, signal
from throughway.net import privileges
if os.fork():
    os.waitpid(-1, os.WUNTRACED)
    os.kill(os.getpid(), signal.SIGKILL)
privileges.end_with_parent()
os.kill(os.getpid(), signal.SIGSTOP)
os.write(1, b"it goes on")
"""
    alone = {"start_new_session": True, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script], **alone) as parent:  # type: ignore[call-overload]
        try:
            # Its end of the pipe is closed when the child is gone too.
            assert parent.communicate(timeout=PATIENCE) == (b"", None)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(parent.pid, signal.SIGKILL)


def test_an_account_is_used_only_where_it_is_and_can_be_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert privileges.usable_account("throughway-nobody-has-this") is None
    assert privileges.usable_account("root") is None
    account = pwd.getpwnam("nobody")
    groups: list[int] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "getgroups", lambda: groups)
    monkeypatch.setattr(os, "setgroups", groups.extend)
    monkeypatch.setattr(privileges, "permitted", lambda: privileges.GATEWAY)
    assert privileges.usable_account("nobody") is None, "its files could not be reached"
    privileges.join_group_of("throughway-nobody-has-this")
    assert groups == []
    privileges.join_group_of("nobody")
    assert privileges.usable_account("nobody") == (account.pw_uid, account.pw_gid)
    monkeypatch.setattr(privileges, "permitted", lambda: privileges.CLIENT)
    assert privileges.usable_account("nobody") is None, "it could not be ended"


HIDE = """
import sys
from throughway.net import privileges
privileges.hide_argument(sys.argv[2])
print(open("/proc/self/cmdline").read().replace(chr(0), " "))
"""


def test_a_secret_is_taken_out_of_the_command_line() -> None:
    secret = "dG9rZW4gb2YgdGVzdHM"
    told = run(sys.executable, "-c", HIDE, "--token", secret, "after")
    assert f"--token {'*' * len(secret)} after" in told
    assert secret not in told
    assert "--token  after" in run(sys.executable, "-c", HIDE, "--token", "", "after")


def _silent() -> None:
    privileges.drop(privileges.CLIENT)
    limits = run("cat", "/proc/self/limits")
    assert re.search(r"Max core file size +0 +0 ", limits), "children have no core files either"
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGQUIT)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert not os.WCOREDUMP(status)
    # Wherever cores are piped to, the kernel makes none (prctl(2), PR_GET_DUMPABLE).
    assert privileges._prctl(3, 0) == 0


@pytest.mark.lab
def test_no_image_of_a_daemon_gets_to_a_disk() -> None:
    in_namespace(_silent)
