"""A fault put to the test: what counts as said, as wanted, as leaked."""

import pytest

from throughway.lab.faults import Fault
from throughway.lab.trial import Said, Seen, _End, _leaks

FAULT = Fault(name="some-fault", title="something", steps=(), client="policy-expired")


def seen(client: str = "policy-expired", gateway: str = "", **others: object) -> Seen:
    said = {"client": Said(code=client), "gateway": Said(code=gateway), "recovered": 1.0}
    return Seen(fault="some-fault", **(said | others))  # type: ignore[arg-type]


def test_as_wanted() -> None:
    assert seen().as_wanted(FAULT)


@pytest.mark.parametrize(
    "bad",
    [
        seen(client=""),
        seen(gateway="clock-skew"),
        seen(recovered=-1.0),
        seen(leaked=("a packet",)),
        seen(error="no lab"),
    ],
)
def test_not_as_wanted(bad: Seen) -> None:
    assert not bad.as_wanted(FAULT)


def problems(*codes: str) -> dict[str, object]:
    return {"problems": [{"code": code} for code in codes]}


def test_only_the_first_problem_counts() -> None:
    answers = iter([{}, problems("clock-skew", "policy-expired"), problems("policy-expired")])
    end = _End("policy-expired", lambda: next(answers))
    for passed in (1.0, 2.0):
        end.look(passed)
        assert not end.told
    end.look(3.04)
    assert end.told
    assert end.said() == Said(code="policy-expired", others=("policy-expired",), after=3.0)


def test_what_was_said_instead() -> None:
    end = _End("policy-expired", lambda: problems("clock-skew"))
    end.look(1.0)
    assert end.said() == Said(code="clock-skew", others=("clock-skew",))


def test_who_has_nothing_to_say_has_said_it() -> None:
    end = _End("", lambda: problems())
    assert end.told
    assert end.said() == Said()


def test_leaks() -> None:
    page = "IP6 2001:db8:66::101.4 > 2001:db8:c0:2::80.80: Flags [S]"
    name = "IP 192.168.137.101.4 > 192.168.137.1.53: 1+ A? app1.corp.example.com. (39)"
    other = "IP 192.168.137.101.4 > 192.168.137.1.53: 1+ A? da.example.com. (32)"
    server = "IP 192.168.137.101.4 > 192.168.137.1.53: 1+ A? nls.corp.example.com. (38)"
    answer = "IP 192.168.137.1.53 > 192.168.137.101.4: 1 NXDomain 0/0/1 (49)"
    assert _leaks([page, name, other, server, answer]) == [name, page]
