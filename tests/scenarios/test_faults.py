"""A few of the lab's faults from end to end; `make matrix` tries all of them.

Nothing is timed here: what is slow is waited for, and how soon it comes is measured by the matrix.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bench import fault_page
from bench.busy import saturated
from tests.docs.test_commands import code_blocks
from tests.scenarios.actions import shown
from throughway.lab.faults import FAULTS
from throughway.lab.faults.pairs import PAIRS
from throughway.lab.lab import Lab
from throughway.lab.observe import PATIENCE, Observer
from throughway.lab.trial import Trial

FEW = (
    "port-443-reset",
    "iphttps-certificate-not-yet-valid",
    "route-unpublished",
    "location-server-down",
)
"""Of each kind one that is noticed at once, and from which all recovers at once."""
PAIR = "port-443-reset + location-server-down"


@pytest.fixture
def trial(fresh: Lab) -> Trial:
    return Trial(fresh, notice=PATIENCE, quiet=0.0, recovery=PATIENCE, thorough=False)


def test_both_ends_say_what_is_wrong_and_are_well_again(trial: Trial) -> None:
    for name in FEW:
        seen = trial.run(FAULTS[name])
        assert seen.as_wanted(FAULTS[name]), seen
    (pair,) = (pair for pair in PAIRS if pair.name == PAIR)
    together = trial.run_pair(pair)
    assert together.as_wanted(pair), together


def test_both_ends_answer_while_the_data_path_is_busy(connected: Observer) -> None:
    with saturated(connected.lab, connected.host, streams=2):
        for host, daemon in ((connected.host, "client"), ("edge1", "gateway")):
            answer = shown(connected.lab, host, daemon)
            assert answer.code in {0, 1}, answer


def test_the_commands_of_the_page_run(client: Observer) -> None:
    (block,) = code_blocks(fault_page.HEAD)
    given = [line.removeprefix("throughway ") for line in block.splitlines()]
    assert (given[0], given[-1]) == ("lab up --start-clients", "lab down")
    program = str(Path(sys.executable).with_name("throughway"))
    environment = {**os.environ, "THROUGHWAY_LAB": client.lab.name}
    for words in given[1:-1]:
        answer = subprocess.run(
            [program, *shlex.split(words)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode in {0, 1}, (words, answer)
        assert not answer.stderr, (words, answer)
    assert not client.lab.faults
    client.wait_tunnel("infrastructure")
