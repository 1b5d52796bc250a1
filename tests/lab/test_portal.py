"""The portal's program and rules; that clients meet it is seen in the scenarios."""

import subprocess

import pytest

from throughway.lab.portal import ACCEPT, LOGIN, RULES, SERVER


def test_the_program_is_python_and_knows_its_pages() -> None:
    compile(SERVER, "portal", "exec")
    assert LOGIN in SERVER
    assert ACCEPT.rpartition("/")[2] in SERVER


@pytest.mark.lab
def test_the_rules_are_rules() -> None:
    command = ("unshare", "-n", "nft", "-c", "-f", "-")
    subprocess.run(command, input=RULES.encode(), check=True)
