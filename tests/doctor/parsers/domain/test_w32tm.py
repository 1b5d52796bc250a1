"""How far the clock is off."""

import pytest

from tests.doctor.parsers.reading import facts
from throughway.model.facts.domain import TimeOffset

HEAD = "Tracking dc1.corp.example.com [192.0.2.10:123].\nCollecting 3 samples.\n"


@pytest.mark.parametrize(
    ("sample", "seconds"),
    [
        ("08:31:02, -00.0012345s", -0.0012345),
        ("08:31:02, +412.1234567s", 412.1234567),
        ("8:31:02, -01,5000000s", -1.5),
        ("08:31:04 d:+00.0312s o:+412.5s  [             *  |             ]", 412.5),
    ],
)
def test_a_strip_chart(sample: str, seconds: float) -> None:
    (found,) = facts(f"{HEAD}08:31:00, +00.1s\n{sample}\n", TimeOffset)
    assert found.seconds == pytest.approx(seconds)
    assert found.reference == "dc1.corp.example.com"


def test_a_status() -> None:
    text = "Leap Indicator: 0(no warning)\nStratum: 4 (x)\nPhase Offset: -0.5s\nClockRate: 0.01s\n"
    (found,) = facts(f"C:\\>w32tm /query /status /verbose\n{text}", TimeOffset)
    assert found.seconds == -0.5


def test_a_monitor() -> None:
    text = (
        "C:\\>w32tm /monitor\ndc1.corp.example.com[192.0.2.10:123]:\n"
        "    ICMP: 0ms delay\n    NTP: +0.0012345s offset from dc2.corp.example.com\n"
        "dc3.corp.example.com[192.0.2.11:123]:\n    NTP: +400.5s offset from dc2\n"
    )
    first, second = facts(text, TimeOffset)
    assert (first.reference, second.reference) == ("dc1.corp.example.com", "dc3.corp.example.com")
    assert second.seconds == 400.5


def test_a_source_that_does_not_answer() -> None:
    text = f"C:\\>w32tm /stripchart /computer:dc1\n{HEAD}08:31:02, error: 0x800705B4\n"
    assert facts(text, TimeOffset) == []
