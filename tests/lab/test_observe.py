"""Reading a status as a person would."""

from typing import Any

from throughway.lab.observe import problems, summary, title_of, tunnel

STATUS: dict[str, Any] = {
    "connection": "connecting",
    "location": "outside",
    "location_detail": "no location server answers",
    "link": {"state": "link-up", "addresses": ["2001:db8:da:1000::5"]},
    "tunnels": [
        {"name": "infrastructure", "state": "up", "last_error": ""},
        {"name": "intranet", "state": "connecting", "last_error": "no ticket"},
    ],
    "problems": [{"code": "kerberos-ticket-expired", "detail": "since noon"}],
}


def test_only_a_tunnel_that_is_up_counts() -> None:
    assert tunnel(STATUS, "infrastructure")["state"] == "up"
    assert tunnel(STATUS, "intranet") == {}
    assert tunnel(STATUS, "absent") == {}


def test_problems_are_known_by_code() -> None:
    assert problems(STATUS) == {"kerberos-ticket-expired"}
    assert problems({}) == set()


def test_the_summary_names_what_matters() -> None:
    said = summary(STATUS)
    for part in ("connecting", "link-up", "intranet connecting no ticket", "since noon"):
        assert part in said
    assert summary({}) == "the client daemon does not answer"


def test_titles() -> None:
    assert title_of("<html><title> Intranet\n</title><p>text") == "Intranet"
    assert title_of("plain text\nmore") == "plain text"
