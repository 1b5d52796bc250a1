"""What is left of root, and that it is enough."""

import contextlib
import os
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
