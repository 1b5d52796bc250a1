"""Many bundles: every one is a row, whatever happens to it."""

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from throughway.doctor import fleet
from throughway.doctor.fleet import Row, bundles, examine_all, examine_one, totals

EVIDENCE = Path(__file__).parent.parent / "evidence"
FAULT = EVIDENCE / "iphttps-port-blocked" / "fires" / "commands"
WELL = EVIDENCE / "cases" / "teredo-idle" / "evidence"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(5):
        shutil.copytree(FAULT if number % 2 else WELL, tmp_path / f"pc{number}")
    (tmp_path / "broken.zip").write_bytes(b"PK\3\4 and no more")
    (tmp_path / "letter.txt").write_text("Nothing works.")
    (tmp_path / ".hidden").write_text("")
    return tmp_path


def test_rows_and_totals(folder: Path) -> None:
    rows = list(examine_all(bundles(folder)))
    assert [(row.bundle, row.outcome) for row in rows] == [
        ("broken.zip", "unknown"),
        ("letter.txt", "unknown"),
        ("pc0", "well"),
        ("pc1", "findings"),
        ("pc2", "well"),
        ("pc3", "findings"),
        ("pc4", "well"),
    ]
    counted = totals(rows)
    assert counted.outcomes == {"unknown": 2, "well": 3, "findings": 2}
    ((code, title, first, number),) = counted.by_cause()
    assert (code, first, number) == ("iphttps-port-blocked", 2, 2)
    assert title


def test_the_order_is_of_how_often_it_stands_first() -> None:
    rows = [
        Row("a", "findings", ("firewall-off", "internet-down")),
        Row("b", "findings", ("internet-down",)),
        Row("c", "findings", ("firewall-off",)),
    ]
    assert [cause[0] for cause in totals(rows).by_cause()] == ["firewall-off", "internet-down"]


def test_a_fault_of_ours_is_a_row(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def fail(paths: list[Path]) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(fleet, "examine", fail)
    row = examine_one(folder / "pc1")
    assert (row.outcome, row.summary) == (fleet.FAILED, "ZeroDivisionError: oh")


def test_a_bundle_without_end_is_a_row(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def endless(paths: list[Path]) -> None:
        while True:
            with contextlib.suppress(Exception):
                time.sleep(0.001)

    monkeypatch.setattr(fleet, "SECONDS", 0.05)
    monkeypatch.setattr(fleet, "examine", endless)
    row = examine_one(folder / "pc1")
    assert (row.outcome, row.summary) == (fleet.FAILED, "it takes more than 0.05 seconds")
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_processes_have_a_limit_of_memory() -> None:
    with fleet._processes(1) as pool, pytest.raises(MemoryError):
        pool.submit(bytearray, fleet.MEMORY).result()


def test_processes_give_the_same_rows(folder: Path) -> None:
    paths = bundles(folder) * 8
    assert list(examine_all(paths, jobs=2)) == list(map(examine_one, paths))


def test_a_process_that_dies_costs_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle that ends the process of whoever reads it: here a pipe's other end does."""
    monkeypatch.setattr(fleet, "CHUNK", 4)  # whose bundles get a process each, one after another
    shutil.copytree(FAULT, tmp_path / "pc")
    paths = [tmp_path / "pc"] * 40
    deadly = DeadlyPath(tmp_path / "pc")
    rows = list(examine_all([*paths[:20], deadly, *paths[20:]], jobs=2))
    assert [row.outcome for row in rows] == ["findings"] * 20 + ["failed"] + ["findings"] * 20


class DeadlyPath(type(Path())):  # type: ignore[misc]
    """Kills the process that looks at it."""

    @property
    def name(self) -> str:
        return "deadly"

    def is_dir(self) -> bool:
        os.kill(os.getpid(), signal.SIGKILL)
        return False


def test_ctrl_c_is_told_once_and_not_by_every_process() -> None:
    with fleet._processes(1) as pool:
        assert pool.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN
