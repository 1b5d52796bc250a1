"""Processes in hosts."""

import signal
import subprocess
import time

import pytest

from tests.patience import PATIENCE
from throughway.lab import processes
from throughway.lab.lab import Lab
from throughway.model.errors import LabError


def test_a_condition_that_comes() -> None:
    looks = iter([False, False, True])
    processes.wait_until(lambda: next(looks), PATIENCE, "the third look")
    assert list(looks) == []


def test_a_condition_that_does_not_come_is_named() -> None:
    with pytest.raises(LabError, match=r"waited for the moon: not within 0\.05 s"):
        processes.wait_until(lambda: False, 0.05, "the moon")


@pytest.mark.lab
def test_output_and_exit_code(lab: Lab) -> None:
    answer = lab.run("client1", ["sh", "-c", "cat; echo no >&2; exit 7"], stdin="yes\n")
    assert (answer.returncode, answer.stdout, answer.stderr) == (7, "yes\n", "no\n")
    with pytest.raises(LabError, match=r"failed \(7\): no"):
        lab.run("client1", ["sh", "-c", "echo no >&2; exit 7"], check=True)


@pytest.mark.lab
def test_a_program_that_takes_too_long_is_killed(lab: Lab) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        lab.run("client1", ["sleep", "4711"], timeout=0.3)
    assert "4711" not in lab.run("client1", ["ps", "-e", "-o", "args="]).stdout


@pytest.mark.lab
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_signals_reach_the_program(lab: Lab, sig: signal.Signals) -> None:
    with lab.popen("client1", ["sleep", "4712"]) as process:
        process.send_signal(sig)
        assert process.wait(PATIENCE) == -sig
    assert "4712" not in lab.run("client1", ["ps", "-e", "-o", "args="]).stdout


@pytest.mark.lab
def test_signalling_a_program_that_has_ended(lab: Lab) -> None:
    with lab.popen("client1", ["true"]) as process:
        process.wait(PATIENCE)
        process.terminate()
    assert process.returncode == 0


@pytest.mark.lab
def test_files_replace_what_was_there(lab: Lab) -> None:
    lab.run("client1", ["ln", "-sf", "/etc/hostname", "/tmp/link"], check=True)
    lab.write("client1", "/tmp/link", "mine\n", 0o600)
    lab.write("client1", "/tmp/deep/er/file", b"\x00\xff")
    assert lab.run("client1", ["stat", "-c", "%F %a %U", "/tmp/link"]).stdout == (
        "regular file 600 root\n"
    )
    assert lab.read("client1", "/etc/hostname") == "client1\n"
    assert lab.run("client1", ["stat", "-c", "%s", "/tmp/deep/er/file"]).stdout == "2\n"


WATCH = "echo; until [ -e /tmp/enough ]; do wc -c < /tmp/watched || echo missing; done 2>&1"


@pytest.mark.lab
def test_who_reads_a_file_while_it_is_replaced_has_a_whole_one(lab: Lab) -> None:
    size = 3_000_000
    lab.write("client1", "/tmp/watched", b"0" * size)
    with lab.popen("client1", ["sh", "-c", WATCH], stdout=subprocess.PIPE) as reader:
        assert reader.stdout
        reader.stdout.readline()
        for digit in range(5):
            lab.write("client1", "/tmp/watched", str(digit).encode() * size)
        lab.write("client1", "/tmp/enough", "")
        said = reader.stdout.read().decode()
    lab.run("client1", ["rm", "/tmp/watched", "/tmp/enough"], check=True)
    assert set(said.split()) == {str(size)}


@pytest.mark.lab
def test_a_service_outlives_its_starter_and_stops(lab: Lab) -> None:
    service = lab.start("client2", "nap", ["sh", "-c", "echo good night; exec sleep 4713"])
    found = lab.service("client2", "nap")
    assert found == service
    assert service.running()
    processes.wait_until(lambda: "good night" in service.log_tail(), PATIENCE, "its first words")
    service.stop()
    assert not service.running()
    assert lab.service("client2", "nap") is None


@pytest.mark.lab
def test_a_service_that_ends_is_reported_with_its_last_words(lab: Lab) -> None:
    service = lab.start("client2", "broken", ["sh", "-c", "echo no configuration; exit 2"])
    begun = time.monotonic()
    with pytest.raises(LabError, match="it has ended\nno configuration"):
        processes.wait_until(lambda: False, 2 * PATIENCE, "the impossible", service)
    assert time.monotonic() - begun < PATIENCE


@pytest.mark.lab
def test_a_program_that_is_not_there(lab: Lab) -> None:
    service = lab.start("client2", "absent", ["/no/such/program"])
    with pytest.raises(LabError, match="/no/such/program"):
        processes.wait_until(lambda: False, PATIENCE, "it", service)


@pytest.mark.lab
def test_sockets_of_a_host(lab: Lab) -> None:
    processes.wait_port(lab.namespaces("inet1"), "131.107.0.1", 80)
    with pytest.raises(LabError, match="TCP port 81"):
        processes.wait_port(lab.namespaces("inet1"), "131.107.0.1", 81, timeout=0.1)
