"""When a remedy can be applied."""

import pytest

from tests.remedies.world import CHARON, held
from throughway.remedies.remedy import Host, Remedy


@pytest.mark.parametrize(
    ("daemon", "anyhow", "runs", "refused"),
    [
        (True, False, True, ""),
        (True, False, False, "the client daemon does not run"),
        (False, False, True, "the client daemon runs"),
        (False, False, False, ""),
        (True, True, False, ""),
    ],
)
def test_the_daemon_runs_or_not(daemon: bool, anyhow: bool, runs: bool, refused: str) -> None:
    remedy = Remedy(
        problem=held(CHARON).problem, host=Host.CLIENT, steps=(), daemon=daemon, anyhow=anyhow
    )
    assert remedy.refusal(runs=runs) == refused
