"""Hosts as namespaces."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from throughway.lab import namespaces, processes, state
from throughway.lab.lab import Lab
from throughway.lab.namespaces import Namespaces
from throughway.model.errors import LabError


def test_a_process_is_known_by_its_start_time() -> None:
    started = namespaces.start_time(os.getpid())
    assert started > 0
    assert Namespaces(os.getpid(), started).alive()
    assert not Namespaces(os.getpid(), started - 1).alive()
    assert not Namespaces(2**22 + 1, 0).alive(), "what was gone when looked for is not there"


def test_a_process_that_is_gone() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert namespaces.start_time(pid) == 0  # a zombie
    os.waitpid(pid, 0)
    assert namespaces.start_time(pid) == 0


def test_entering_a_host_that_is_gone() -> None:
    with pytest.raises(LabError, match="throughway lab up"):
        namespaces.enter_command(Namespaces(os.getpid(), 1), ["true"])


def test_commands_get_a_fresh_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.invalid/")
    monkeypatch.setenv("KRB5CCNAME", "/somewhere")
    monkeypatch.setenv("TERM", "vt100")
    environment = namespaces.environment()
    assert environment["TERM"] == "vt100"
    assert environment["HOME"] == "/root"
    assert environment["PATH"].split(":")[0] == f"{sys.prefix}/bin"
    assert not {"http_proxy", "KRB5CCNAME"} & environment.keys()


def test_program_directories_hold_what_runs() -> None:
    directories = [Path(directory) for directory in namespaces.program_directories()]
    for program in (Path(namespaces.__file__), Path(sys.executable).resolve()):
        assert any(program.resolve().is_relative_to(directory) for directory in directories)


def test_no_lab_has_no_hosts() -> None:
    assert list(namespaces.find_hosts("no-such-lab")) == []
    namespaces.kill_hosts("no-such-lab")


@pytest.mark.lab
def test_hosts_are_found_without_the_state_file(lab: Lab) -> None:
    found = dict(namespaces.find_hosts(lab.name))
    assert found["client1"] == lab.namespaces("client1")
    assert len(found) == len(lab.topology.hosts) + 1


@pytest.mark.lab
def test_a_host_is_a_machine_of_its_own(lab: Lab) -> None:
    assert lab.run("client1", ["hostname"]).stdout == "client1\n"
    assert lab.run("client1", ["pwd"]).stdout == "/root\n"
    processes = lab.run("client1", ["ps", "-e", "-o", "pid="], check=True).stdout.split()
    assert "1" in processes
    assert len(processes) < 10
    links = lab.run("client1", ["ls", "/sys/class/net"], check=True).stdout.split()
    assert sorted(links) == ["eth0", "lo"]


@pytest.mark.lab
@pytest.mark.parametrize("folder", ["/etc", "/var/lib", "/var/log", "/run", "/tmp", "/root"])
def test_what_a_host_writes_stays_in_it(lab: Lab, folder: str) -> None:
    path = f"{folder}/throughway-lab-test"
    lab.run("client1", ["touch", path], check=True)
    assert not Path(path).exists()
    assert lab.run("client2", ["test", "-e", path]).returncode == 1
    assert lab.run("client1", ["rm", path]).returncode == 0


@pytest.mark.lab
def test_what_this_machine_has_of_ours_is_not_in_the_lab(lab: Lab) -> None:
    for folder in ("/run/throughway-lab", "/var/lib/throughway/client", "/etc/swanctl/x509"):
        assert lab.run("client2", ["test", "-e", folder]).returncode == 1


@pytest.mark.lab
def test_our_program_runs_in_a_host(lab: Lab) -> None:
    answer = lab.run("client1", ["python", "-c", "import throughway; print(throughway.__file__)"])
    assert answer.stdout.strip() == str(Path(namespaces.__file__).parents[1] / "__init__.py")


@pytest.mark.lab
def test_programs_in_hidden_directories_stay_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "program").write_text("here")
    (tmp_path / "other").write_text("not here")
    monkeypatch.setattr(namespaces, "program_directories", lambda: [str(tmp_path / "project")])
    name = f"v{os.getpid()}"
    try:
        spaces = namespaces.Holder(name, "solo", state.directory(name) / "solo").wait()
        program = processes.run(spaces, ["cat", str(tmp_path / "project" / "program")])
        assert program.stdout == "here"
        assert processes.run(spaces, ["test", "-e", str(tmp_path / "other")]).returncode == 1
    finally:
        namespaces.kill_hosts(name)
        state.remove(name)
    assert not spaces.alive()


@pytest.mark.lab
def test_a_host_that_cannot_be_made_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"w{os.getpid()}"
    staging = tmp_path / "staging"
    # Gone before anything is done in it, whoever of the two is the faster.
    monkeypatch.setattr(namespaces, "BOOT", f'rmdir "$3"\n{namespaces.BOOT}')
    holder = namespaces.Holder(name, "solo", staging)
    with pytest.raises(LabError, match=r"solo: cannot be made: .*staging"):
        holder.wait()
    assert list(namespaces.find_hosts(name)) == []


CHROOT = """
set -e
mount -t tmpfs none "$1"
mkdir "$1/around" "$1/within" "$1/root"
cp -a /etc/. "$1/around"
cp -a /etc/. "$1/within"
mount --bind "$1/around" /etc
mount --rbind / "$1/root"
mount --bind "$1/within" "$1/root/etc"
chroot "$1/root" "$2" -c "$3" "$4"
test ! -e /etc/written-in-a-host
"""
WRITE = """
import subprocess, sys
from throughway.lab import namespaces, state
name = sys.argv[1]
try:
    host = namespaces.Holder(name, "solo", state.directory(name) / "solo").wait()
    touch = namespaces.enter_command(host, ["touch", "/etc/written-in-a-host"])
    subprocess.run(touch, env=namespaces.environment(), check=True)
finally:
    namespaces.kill_hosts(name)
    state.remove(name)
"""


@pytest.mark.lab
def test_in_a_chroot_nothing_is_written_to_the_machine_around_it(tmp_path: Path) -> None:
    """The root of a mount namespace is not that of a chroot in it."""
    apart = ["unshare", "--mount", "--propagation", "private", "bash", "-c", CHROOT, "chroot"]
    words = [*apart, str(tmp_path), sys.executable, WRITE, f"c{os.getpid()}"]
    answer = subprocess.run(words, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
