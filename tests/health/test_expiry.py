"""The end of a certificate is told at 60, 30 and 7 days, of one that lives short later."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from throughway.health.expiry import expiry_problem, forget_expiry, next_step, tell_expiry
from throughway.health.tracker import Tracker
from throughway.pki.authority import BACKDATE, Profile, create_root, issue

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROOT = create_root("Example Root", NOW)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
LONG = issue(ROOT, Profile.GATEWAY, ["a.example"], now=NOW, days=365).certificate
SHORT = issue(ROOT, Profile.GATEWAY, ["a.example"], now=NOW, days=18).certificate


@pytest.mark.parametrize("use", ["iphttps", "ipsec"])
@pytest.mark.parametrize(
    ("left", "word"),
    [
        (60 * DAY, ""),
        (60 * DAY - SECOND, "renewal-due"),
        (30 * DAY, "renewal-due"),
        (30 * DAY - SECOND, "expiring"),
        (7 * DAY, "expiring"),
        (7 * DAY - SECOND, "ends-this-week"),
        (0 * DAY, "ends-this-week"),
        (-SECOND, "expired"),
    ],
)
def test_steps(use: str, left: timedelta, word: str) -> None:
    now = LONG.not_valid_after_utc - left
    assert expiry_problem(LONG, use, now) == (f"{use}-cert-{word}" if word else "")


def test_a_short_life_has_short_steps() -> None:
    ends = SHORT.not_valid_after_utc
    assert expiry_problem(SHORT, "ipsec", NOW + 5 * DAY) == ""
    due = (18 * DAY + BACKDATE) / 3
    assert expiry_problem(SHORT, "ipsec", ends - due) == ""
    assert expiry_problem(SHORT, "ipsec", ends - due + SECOND) == "ipsec-cert-renewal-due"
    assert expiry_problem(SHORT, "ipsec", ends - DAY / 2) == "ipsec-cert-ends-this-week"


def test_every_step_is_waited_for() -> None:
    now, seen = NOW, []
    while step := next_step(LONG, now):
        now += step + SECOND
        seen.append(expiry_problem(LONG, "ipsec", now).removeprefix("ipsec-cert-"))
    assert seen == ["renewal-due", "expiring", "ends-this-week", "expired"]


def test_one_step_holds_at_a_time() -> None:
    tracker = Tracker(lambda: 0.0)

    def held() -> list[str]:
        return [condition.code for condition in tracker.current()]

    for days, codes in ((100, []), (50, ["ipsec-cert-renewal-due"]), (20, ["ipsec-cert-expiring"])):
        now = LONG.not_valid_after_utc - days * DAY
        tell_expiry(tracker, LONG, "ipsec", Path("/x.crt"), now)
        assert held() == codes
    assert "/x.crt: valid until 2027-01-01" in tracker.current()[0].detail
    forget_expiry(tracker, "ipsec")
    assert held() == []
