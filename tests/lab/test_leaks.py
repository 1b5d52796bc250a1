"""What counts as leaked, and when."""

import pytest

from throughway.lab.lab import Absence, Lab
from throughway.lab.leaks import LINGERS, absent, counted, leaks, watched

PAGE = "IP6 2001:db8:66::101.4 > 2001:db8:c0:2::80.80: Flags [S]"
NAME = "IP 192.168.137.101.4 > 192.168.137.1.53: 1+ A? app1.corp.example.com. (39)"
OTHER = "IP 192.168.137.101.4 > 192.168.137.1.53: 1+ A? da.example.com. (32)"
SERVER = "IP 192.168.137.101.4 > 192.168.137.1.53: 1+ A? nls.corp.example.com. (38)"
ANSWER = "IP 192.168.137.1.53 > 192.168.137.101.4: 1 NXDomain 0/0/1 (49)"


def test_leaks() -> None:
    assert leaks(iter([PAGE, NAME, OTHER, SERVER, ANSWER])) == [NAME, PAGE]


def test_what_is_sent_without_the_daemon_proves_nothing() -> None:
    absences = [Absence("client1", "client", 100.0, 110.0), Absence("client1", "client", 200.0)]
    seen = {at: absent(at, absences) for at in (99.9, 100.0, 110.0 + LINGERS, 113.1, 1000.0)}
    assert seen == {99.9: False, 100.0: True, 110.0 + LINGERS: True, 113.1: False, 1000.0: True}


@pytest.mark.parametrize("code", ["stub-resolver-down", "nrpt-not-effective"])
def test_names_that_others_are_asked_do_not_count_and_data_does(code: str) -> None:
    assert counted([NAME, PAGE], code) == (PAGE,)
    assert counted([NAME, PAGE], "") == (NAME, PAGE)
    assert counted([NAME, PAGE], "policy-missing") == ()


def test_where_the_gateway_was_said_to_be_it_is_looked_for() -> None:
    link = "IP 192.168.137.101.51884 > 10.0.1.1.443: Flags [S]"
    other = "IP 192.168.137.101.51884 > 10.0.1.1.80: Flags [S]"
    assert counted([link, other, PAGE], "iphttps-name-leads-inside") == (other, PAGE)
    teredo = "IP 192.168.137.101.48906 > 10.0.1.1.3544: UDP, length 61"
    assert counted([teredo], "iphttps-name-leads-inside") == ()
    assert counted([link], "iphttps-port-blocked") == (link,)


@pytest.mark.lab
def test_a_question_in_the_clear_is_seen(lab: Lab) -> None:
    ask = ["dig", "+tries=1", "+timeout=1", "@192.168.137.1", "app1.corp.example.com"]
    with watched(lab, "client1") as leaked:
        lab.run("client1", ask)
    assert any("app1.corp.example.com" in line for line in leaked)
    lab.absences.append(Absence("client1", "client", 0.0))
    try:
        with watched(lab, "client1") as leaked:
            lab.run("client1", ask)
    finally:
        lab.absences.clear()
    assert leaked == []
