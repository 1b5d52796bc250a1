"""docs/operate/size.md: its commands say on a gateway what the page says that they say."""

import re
from pathlib import Path

from tests.scenarios.actions import wait_sessions
from throughway.lab.observe import Observer

PAGE = (Path(__file__).parents[2] / "docs" / "operate" / "size.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
SAID = (
    (
        r"^Packet pump +(native|pure): ",
        r"^Workers: \d+$",
        r"^Sessions: 1$",
        r" dropped ",
        '"pid":',
        '"drops":',
    ),
    (
        r"^ +TX: .*\bdropped\b",
        r"^(LISTEN +)?\d+ +\d+ +\S+:443 ",
        r"^TcpExtListenOverflows +\d",
        r"^TcpExtListenDrops +\d",
        r"^Max open files +\d{4,} ",
        r"%CPU +RSS",
        r"throughway\.gateway\.worker",
    ),
)
"""What each block shows."""


def test_the_commands_show_it(connected: Observer) -> None:
    wait_sessions(connected.lab, 1)
    for block, shown in zip(BLOCKS, SAID, strict=True):
        answer = connected.lab.run("edge1", ["bash", "-eu", "-c", block])
        assert answer.returncode == 0, answer.stderr
        for pattern in shown:
            assert re.search(pattern, answer.stdout, re.MULTILINE), (pattern, answer.stdout)
