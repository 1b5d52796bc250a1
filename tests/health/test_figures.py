"""What both daemons tell; the names and values are looked at in their own tests."""

from throughway.health.figures import Kept, of_health, of_kept
from throughway.health.tracker import Tracker
from throughway.model.audit import AuditEvent, Outcome
from throughway.wire.exposition import Kind


def test_a_problem_of_two_instances_is_one_series() -> None:
    from throughway.catalogue import find

    tracker = Tracker(lambda: 1000.0)
    for key in ("one", "other"):
        tracker.set(find("clock-skew"), "7 minutes", key=key)
    families = {f.name: f for f in of_health("x_", (), tracker.current(), ())}
    [(_, labels, value)] = families["x_problem"].samples
    assert (dict(labels)["code"], value) == ("clock-skew", 2)


def test_what_only_grows_says_so() -> None:
    kept = Kept({"ipsec": 5.0}, {(AuditEvent.USER_LOGON, Outcome.ADMITTED): 1})
    for family in of_kept("x_", kept):
        assert (family.kind is Kind.COUNTER) == family.name.endswith("_total")
