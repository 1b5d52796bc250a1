"""Captures."""

import os
import signal
import time
from pathlib import Path
from subprocess import DEVNULL

import pytest

from tests.patience import PATIENCE
from throughway.lab.lab import Lab
from throughway.model.errors import LabError

pytestmark = pytest.mark.lab
PING = ("ping", "-c", "1", "-W", f"{PATIENCE:g}", "131.107.0.2")
"""Waits for its answer."""


def test_first_and_last_packet_are_in_it(lab: Lab) -> None:
    begun = time.time()
    with lab.capture("homenat", "wan", "icmp") as capture:
        for _ in range(3):
            lab.run("client1", PING, check=True)
    timed = capture.timed("icmp")
    assert [line for _, line in timed] == capture.lines("icmp")
    assert all(begun <= at <= time.time() for at, _ in timed)
    assert capture.count("icmp[icmptype] == icmp-echo") == 3
    assert capture.count("icmp[icmptype] == icmp-echoreply") == 3
    first, *_ = capture.lines("icmp[icmptype] == icmp-echo")
    assert "131.107.0.100 > 131.107.0.2: ICMP echo request" in first


def test_what_the_kernel_keeps_while_nobody_reads_is_in_it(lab: Lab) -> None:
    with lab.capture("homenat", "wan", "icmp") as capture:
        assert capture._process
        way_in = capture._process.pid
        capture._process.send_signal(signal.SIGSTOP)
        # It stops when its program does, and wakes that with itself.
        deadline = time.monotonic() + PATIENCE
        while Path(f"/proc/{way_in}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        lab.run("client1", ["ping", "-c", "60", "-i", "0.002", "131.107.0.2"], check=True)
        # ping does not wait for long for its last answers, which come before this one's.
        lab.run("client1", PING, check=True)
        os.kill(way_in, signal.SIGCONT)
    assert capture.count("icmp[icmptype] == icmp-echoreply") == 61


def test_only_what_matches(lab: Lab) -> None:
    with lab.capture("homenat", "wan", "udp port 53") as capture:
        lab.run("client1", ["ping", "-c", "1", "131.107.0.2"], check=True)
    assert capture.count() == 0


def test_what_came_before_the_filter_is_not_waited_for(lab: Lab) -> None:
    """The kernel counts it as received, and tcpdump never has it."""
    flood = ["ping", "-f", "-i", "0.0005", "131.107.0.2"]
    with lab.popen("client1", flood, stdout=DEVNULL) as process:
        try:
            for _ in range(15):
                with lab.capture("homenat", "wan", "udp port 53") as capture:
                    pass
                assert capture.count() == 0
        finally:
            process.kill()


def test_a_filter_that_is_none(lab: Lab) -> None:
    with pytest.raises(LabError, match="did not start"), lab.capture("homenat", "wan", "colour"):
        pass


def test_an_interface_that_is_not_there(lab: Lab) -> None:
    with pytest.raises(LabError, match="eth9"), lab.capture("homenat", "eth9"):
        pass


def test_the_file_is_read_with_a_filter_only_if_valid(lab: Lab) -> None:
    with lab.capture("homenat", "wan") as capture:
        pass
    with pytest.raises(LabError, match="cannot read"):
        capture.lines("colour")
