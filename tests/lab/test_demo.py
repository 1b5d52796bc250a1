"""What the demo makes of a capture; the whole demo is run by tests/cli/test_demo.py."""

from typing import TYPE_CHECKING, cast

import pytest

from throughway.lab.demo import PUBLIC_DNS, STEPS, TLS, asked, judge_capture
from throughway.model.errors import LabError

if TYPE_CHECKING:
    from throughway.lab.capture import Capture

QUESTION = "IP 131.107.0.100.4711 > 131.107.0.1.53: 7+ [1au] A? da.example.com. (43)"


class Captured:
    """A capture with known packets: TLS ones, DNS ones, others."""

    def __init__(self, tls: int, dns: list[str], others: list[str]) -> None:
        self._tls = tls
        self._dns = dns
        self._others = others

    def lines(self, filter_: str) -> list[str]:
        return self._dns if filter_ == PUBLIC_DNS else self._others

    def count(self, filter_: str) -> int:
        return self._tls if filter_ == TLS else 1


def judge(captured: Captured) -> str:
    return judge_capture(cast("Capture", captured))


def test_tls_and_public_dns_are_all_that_may_leave() -> None:
    said = judge(Captured(12, [QUESTION], []))
    assert "12 packets of 1 connection(s)" in said
    assert "da.example.com" in said


@pytest.mark.parametrize(
    "captured",
    [
        Captured(12, [], ["IP6 2001:db8:feed::5 > 2001:db8:c0:2::80: ICMP6, echo request"]),
        Captured(0, [QUESTION], []),
    ],
    ids=["something else left", "nothing was seen at all"],
)
def test_anything_else_fails_the_demo(captured: Captured) -> None:
    with pytest.raises(LabError):
        judge(captured)


def test_names_asked_for() -> None:
    assert asked(QUESTION) == ["da.example.com"]
    assert asked("IP 1.1.1.1.53 > 2.2.2.2.4711: 7 1/0/1 A 131.107.0.2 (59)") == []


def test_steps_say_what_they_show() -> None:
    titles = [step.title for step in STEPS]
    assert len(titles) == len(set(titles)) == 11
