"""What the machine must have."""

import os

import pytest

from throughway.lab import requirements
from throughway.model.errors import LabError


def test_missing_packages_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(
        requirements, "PROGRAMS", {"no-such-program": "tini", "nor-this-one": "samba"}
    )
    monkeypatch.setattr(requirements, "FILES", {"/no/such/file": "samba-ad-provision"})
    with pytest.raises(
        LabError, match="apt-get install --no-install-recommends samba samba-ad-provision tini"
    ):
        requirements.check()


def test_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="needs root"):
        requirements.check()


def test_every_package_is_in_the_list_that_make_installs() -> None:
    from pathlib import Path

    file = Path(__file__).parents[2] / "packaging" / "debian-packages.txt"
    listed = {line.partition("#")[0].strip() for line in file.read_text().splitlines()}
    essential = {"tar"}
    wanted = {*requirements.PROGRAMS.values(), *requirements.FILES.values()}
    assert wanted - essential <= listed
