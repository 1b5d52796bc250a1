"""What the demo makes of a capture; the whole demo is run by tests/cli/test_demo.py."""

from typing import TYPE_CHECKING, cast

import pytest

from throughway.lab.demo import LISTS, PUBLIC_DNS, STEPS, TLS, asked, fetched, judge_capture
from throughway.model.errors import LabError

if TYPE_CHECKING:
    from throughway.lab.capture import Capture

QUESTION = "IP 131.107.0.100.4711 > 131.107.0.1.53: 7+ [1au] A? da.example.com. (43)"
FETCH = (
    "IP 131.107.0.100.4712 > 131.107.0.1.80: Flags [P.], seq 1:93, ack 1, win 63, "
    "options [nop,nop,TS val 1 ecr 2], length 92: HTTP: GET {} HTTP/1.1"
)


class Captured:
    """A capture with known packets: TLS ones, DNS ones, others, a page that is fetched."""

    def __init__(
        self, tls: int, dns: list[str], others: list[str], page: str = "/root.crl"
    ) -> None:
        self._tls = tls
        self._dns = dns
        self._others = others
        self._fetch = FETCH.format(page)

    def lines(self, filter_: str) -> list[str]:
        return {PUBLIC_DNS: self._dns, LISTS: [self._fetch]}.get(filter_, self._others)

    def count(self, filter_: str) -> int:
        return self._tls if filter_ == TLS else 1


def judge(captured: Captured) -> str:
    return judge_capture(cast("Capture", captured))


def test_tls_public_dns_and_a_revocation_list_are_all_that_may_leave() -> None:
    said = judge(Captured(12, [QUESTION], []))
    assert "12 packets of 1 connection(s)" in said
    assert "da.example.com" in said
    assert "in the clear: /root.crl;" in said


@pytest.mark.parametrize(
    "captured",
    [
        Captured(12, [], ["IP6 2001:db8:feed::5 > 2001:db8:c0:2::80: ICMP6, echo request"]),
        Captured(0, [QUESTION], []),
        Captured(12, [QUESTION], [], page="/"),
    ],
    ids=["something else left", "nothing was seen at all", "a page in the clear"],
)
def test_anything_else_fails_the_demo(captured: Captured) -> None:
    with pytest.raises(LabError):
        judge(captured)


def test_names_asked_for() -> None:
    assert asked(QUESTION) == ["da.example.com"]
    assert asked("IP 1.1.1.1.53 > 2.2.2.2.4711: 7 1/0/1 A 131.107.0.2 (59)") == []


def test_pages_fetched_in_the_clear() -> None:
    assert fetched(FETCH.format("/root.crl")) == ["/root.crl"]
    assert fetched("IP 131.107.0.1.80 > 131.107.0.100.4712: Flags [.], ack 93, length 0") == []


def test_steps_say_what_they_show() -> None:
    titles = [step.title for step in STEPS]
    assert len(titles) == len(set(titles)) == 11
