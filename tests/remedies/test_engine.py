"""Planned, done, verified, undone: in this order, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.remedies.world import CHARON, FORWARDING, FakeMachine, held, seen
from throughway.remedies import known
from throughway.remedies.engine import Engine, Outcome, Result, plan, take_back
from throughway.remedies.journal import Journal
from throughway.remedies.remedy import Host, Remedy
from throughway.remedies.seen import Seen
from throughway.remedies.steps import Case, Run, Settings

ALL = "net.ipv6.conf.all.forwarding"
OF_LAN = "net.ipv6.conf.lan.forwarding"
RA = "net.ipv6.conf.lan.accept_ra"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "fix")


def router(**settings: str) -> FakeMachine:
    return FakeMachine({ALL: "0", OF_LAN: "0", RA: "1", **settings}, names=("all", "lan"))


def forwarding(machine: FakeMachine) -> Callable[[], Seen]:
    """Look as a gateway's check does."""
    return lambda: seen(held(FORWARDING)) if machine.settings[ALL] == "0" else seen()


def mend(
    machine: FakeMachine, look: Callable[[], Seen], journal: Journal, *codes: str
) -> tuple[Result, ...]:
    case, now = Case(machine), look()
    wanted = [h for h in now.held if h.problem.code in codes]
    return Engine(look, case, journal, "1").carry_out(plan(wanted, now, case))


def remedy(monkeypatch: pytest.MonkeyPatch, *steps: Settings | Run, limit: float = 5.0) -> None:
    made = Remedy(problem=held(FORWARDING).problem, host=Host.GATEWAY, steps=steps, limit=limit)
    monkeypatch.setitem(known.BY_CODE, (FORWARDING, Host.GATEWAY), made)


def on(name: str) -> Settings:
    return Settings(f"switch {name} on", lambda case: [(name, "1")])


def test_a_plan_changes_nothing_and_tells_the_commands(journal: Journal) -> None:
    machine = router()
    (planned,) = plan([held(FORWARDING)], forwarding(machine)(), Case(machine))
    assert planned.outcome is Outcome.PLANNED
    assert planned.commands == (f"sysctl -w {RA}=2", f"sysctl -w {ALL}=1")
    assert machine.done == []
    assert journal.changes() == ()


def test_it_is_done_written_down_and_verified(journal: Journal) -> None:
    machine = router()
    (result,) = mend(machine, forwarding(machine), journal, FORWARDING)
    assert result.outcome is Outcome.MENDED
    assert machine.settings == {ALL: "1", OF_LAN: "0", RA: "2"}
    (change,) = journal.changes()
    assert change.data == {
        "old": {RA: "1", ALL: "0", OF_LAN: "0"},
        "made": {RA: "2", ALL: "1"},
    }


def test_the_second_time_there_is_nothing_to_do(journal: Journal) -> None:
    machine = router()
    mend(machine, forwarding(machine), journal, FORWARDING)
    done = list(machine.done)
    assert mend(machine, forwarding(machine), journal, FORWARDING) == ()
    assert machine.done == done


def test_it_is_undone(journal: Journal) -> None:
    machine = router()
    before = dict(machine.settings)
    mend(machine, forwarding(machine), journal, FORWARDING)
    (said,) = take_back(journal.last(), Case(machine), journal)
    assert f"{ALL}=0" in said
    assert machine.settings == before
    assert journal.changes() == ()


def test_what_somebody_else_has_changed_since_is_left(journal: Journal) -> None:
    machine = router()
    mend(machine, forwarding(machine), journal, FORWARDING)
    machine.settings[RA] = "0"
    (said,) = take_back(journal.last(), Case(machine), journal)
    assert "somebody else has changed it since" in said
    assert machine.settings[ALL] == "1"


def test_what_fails_is_undone_in_the_other_order(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    remedy(monkeypatch, on("a"), on("b"), Run("tell", ("throughway", "gateway", "reload")))
    machine = FakeMachine({ALL: "0", "a": "0", "b": "0"}, failing={"throughway gateway reload"})
    (result,) = mend(machine, forwarding(machine), journal, FORWARDING)
    assert result.outcome is Outcome.FAILED
    assert result.reason == "throughway gateway reload: no"
    assert machine.done == ["a=1", "b=1", "throughway gateway reload", "b=0", "a=0"]
    assert [said.partition(":")[0] for said in result.undone] == [
        "tell",
        "switch b on",
        "switch a on",
    ]
    assert journal.changes() == ()


def test_what_does_not_help_is_undone(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    remedy(monkeypatch, on("a"), limit=5.0)
    machine = FakeMachine({ALL: "0", "a": "0"})
    (result,) = mend(machine, forwarding(machine), journal, FORWARDING)
    assert result.outcome is Outcome.FAILED
    assert result.reason == "it still holds after 5 s"
    assert machine.settings["a"] == "0"
    assert machine.time >= 5.0


def test_what_cannot_be_undone_stays_in_the_journal(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    remedy(monkeypatch, on("a"))
    machine = FakeMachine({ALL: "0", "a": "0"})

    def look() -> Seen:
        if machine.settings["a"] == "1":
            machine.failing.add("a")
        return seen(held(FORWARDING))

    (result,) = mend(machine, look, journal, FORWARDING)
    assert "cannot be undone" in result.undone[0]
    assert [change.words for change in journal.changes()] == ["switch a on"]


def test_an_interruption_undoes(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    remedy(monkeypatch, on("a"))
    machine = FakeMachine({ALL: "0", "a": "0"})

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(machine, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        mend(machine, forwarding(machine), journal, FORWARDING)
    assert machine.settings["a"] == "0"
    assert journal.changes() == ()


def test_it_is_written_down_before_it_is_done(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    remedy(monkeypatch, on("a"))
    machine = FakeMachine({ALL: "0", "a": "0"})

    def lost(_name: str, _value: str) -> None:
        assert [change.words for change in journal.changes()] == ["switch a on"]
        raise SystemError("the power went")

    monkeypatch.setattr(machine, "set", lost)
    with pytest.raises(SystemError):
        mend(machine, forwarding(machine), journal, FORWARDING)


def test_one_that_fails_does_not_keep_the_others_back(journal: Journal) -> None:
    machine = router()
    machine.failing = {"throughway gateway mend ike"}

    def look() -> Seen:
        broken = [held(CHARON)]
        return seen(*broken, *([held(FORWARDING)] if machine.settings[ALL] == "0" else []))

    results = mend(machine, look, journal, CHARON, FORWARDING)
    assert [result.outcome for result in results] == [Outcome.FAILED, Outcome.MENDED]


def test_what_another_remedy_has_mended_is_not_mended_again(journal: Journal) -> None:
    machine = FakeMachine()
    left = {"nrpt-stale-rule", "firewall-rules-stale"}
    machine.on_run = lambda _command: left.clear()

    def look() -> Seen:
        return seen(*(held(code, Host.CLIENT) for code in sorted(left)), runs=False)

    results = mend(machine, look, journal, *left)
    assert [result.outcome for result in results] == [Outcome.MENDED, Outcome.GONE]
    assert machine.done == ["throughway client reset"]


def test_a_daemon_that_does_not_answer_proves_nothing(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    remedy(monkeypatch, on("a"))
    machine = FakeMachine({ALL: "0", "a": "0"})

    def look() -> Seen:
        return seen(held(FORWARDING)) if machine.settings["a"] == "0" else seen(runs=False)

    (result,) = mend(machine, look, journal, FORWARDING)
    assert result.outcome is Outcome.FAILED


def test_a_problem_without_a_safe_remedy_is_left(journal: Journal) -> None:
    machine = FakeMachine()
    (result,) = mend(machine, lambda: seen(held("clock-skew")), journal, "clock-skew")
    assert (result.outcome, result.remedy) == (Outcome.NO_REMEDY, None)
    assert machine.done == []


@pytest.mark.parametrize(
    ("code", "host", "runs"),
    [("nrpt-stale-rule", Host.CLIENT, True), (CHARON, Host.GATEWAY, False)],
)
def test_a_remedy_has_conditions(code: str, host: Host, runs: bool) -> None:
    (result,) = plan([held(code, host)], seen(held(code, host), runs=runs), Case(FakeMachine()))
    assert result.outcome is Outcome.REFUSED
    assert "daemon" in result.reason


def test_settings_that_are_right_are_no_remedy() -> None:
    machine = router(**{ALL: "1"})
    (result,) = plan([held(FORWARDING)], seen(held(FORWARDING)), Case(machine))
    assert result.outcome is Outcome.REFUSED
    assert "as it should be" in result.reason
