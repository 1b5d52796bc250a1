"""The one word for the user: exhaustively, since it must never be too good."""

from dataclasses import replace
from itertools import product

import pytest

from throughway.catalogue import find
from throughway.health.connection import connection_of, headline, tunnel_state
from throughway.health.tracker import Tracker
from throughway.model.status import (
    ClientSnapshot,
    Condition,
    Connection,
    LinkStatus,
    Location,
    NamesStatus,
    TunnelState,
    TunnelStatus,
)

LINK_STATES = ("disabled", "enabled", "link-down", "established", "link-up")
UP, DOWN = TunnelState.UP, TunnelState.DOWN


def conditions(*codes: str) -> tuple[Condition, ...]:
    tracker = Tracker(clock=lambda: 0.0)
    for code in codes:
        tracker.set(find(code))
    return tracker.current()


ALL = list(
    product(
        Location,
        LINK_STATES,
        TunnelState,
        TunnelState,
        (True, False),
        ("", "alice@CORP.EXAMPLE.COM"),
        (
            (),
            conditions("clock-skew"),
            conditions("iphttps-cert-expiring"),
            conditions("captive-portal"),
            conditions("kerberos-ticket-expired", "clock-skew"),
        ),
    )
)


def test_connected_remotely_means_that_everything_works() -> None:
    seen = 0
    for location, link, infrastructure, intranet, names, user, problems in ALL:
        word = connection_of(
            location=location,
            link_state=link,
            infrastructure=infrastructure,
            intranet=intranet,
            names_effective=names,
            user=user,
            problems=problems,
        )
        works = (
            location is Location.OUTSIDE
            and link == "link-up"
            and infrastructure is UP
            and names
            and (user == "" or intranet is UP)
        )
        assert (word is Connection.CONNECTED_REMOTELY) == works
        seen += works
    assert 0 < seen < len(ALL)


def test_connected_locally_means_inside_with_the_rules_off() -> None:
    for location, link, infrastructure, intranet, names, user, problems in ALL:
        word = connection_of(
            location=location,
            link_state=link,
            infrastructure=infrastructure,
            intranet=intranet,
            names_effective=names,
            user=user,
            problems=problems,
        )
        assert (word is Connection.CONNECTED_LOCALLY) == (location is Location.INSIDE and not names)


@pytest.mark.parametrize(
    ("codes", "word"),
    [
        ((), Connection.CONNECTING),
        (("iphttps-cert-expiring",), Connection.CONNECTING),
        (("iphttps-port-blocked",), Connection.ERROR),
        (("captive-portal",), Connection.ACTION_REQUIRED),
        (("clock-skew", "kerberos-ticket-expired"), Connection.ACTION_REQUIRED),
    ],
)
@pytest.mark.parametrize("location", [Location.OUTSIDE, Location.UNKNOWN])
def test_why_not(codes: tuple[str, ...], word: Connection, location: Location) -> None:
    assert word is connection_of(
        location=location,
        link_state="link-down",
        infrastructure=DOWN,
        intranet=DOWN,
        names_effective=True,
        user="",
        problems=conditions(*codes),
    )


def snapshot(
    *,
    location: Location = Location.OUTSIDE,
    link: str = "link-up",
    infrastructure: TunnelState = UP,
    intranet: TunnelState = DOWN,
    names: bool = True,
    user: str = "",
    problems: tuple[Condition, ...] = (),
) -> ClientSnapshot:
    return ClientSnapshot(
        version="0",
        taken_at=0,
        connection=connection_of(
            location=location,
            link_state=link,
            infrastructure=infrastructure,
            intranet=intranet,
            names_effective=names,
            user=user,
            problems=problems,
        ),
        location=location,
        location_detail="",
        transport="iphttps",
        link=LinkStatus(state=link, url="https://da.example.com:443/IPHTTPS", interface="iphttps0"),
        esp="",
        tunnels=(
            TunnelStatus(name="infrastructure", state=infrastructure),
            TunnelStatus(name="intranet", state=intranet),
        ),
        names=NamesStatus(effective=names, stub="127.0.0.88"),
        user=user,
        policy_deployment="corp.example.com",
        policy_version=1,
        policy_expires_at=0,
        problems=problems,
    )


@pytest.mark.parametrize(
    ("taken", "line"),
    [
        (snapshot(), "Connected remotely: infrastructure only; log on for the intranet"),
        (
            snapshot(user="alice@CORP", intranet=UP),
            "Connected remotely: infrastructure and intranet, alice@CORP",
        ),
        (snapshot(user="alice@CORP"), "Connecting: the intranet tunnel is not up yet"),
        (snapshot(names=False), "Connecting: the name resolution rules are not in effect yet"),
        (snapshot(infrastructure=DOWN), "Connecting: the infrastructure tunnel is not up yet"),
        (snapshot(link="established"), "Connecting: the IP-HTTPS link is not up yet"),
        (
            snapshot(location=Location.UNKNOWN),
            "Connecting: finding out where this machine is",
        ),
        (
            snapshot(location=Location.INSIDE, names=False),
            "Connected locally: inside the intranet, no tunnels needed",
        ),
        (
            snapshot(location=Location.INSIDE),
            "Connecting: inside the intranet; taking the name resolution rules back",
        ),
        (
            snapshot(link="link-down", problems=conditions("iphttps-port-blocked")),
            "Not connected: No answer from the gateway's port",
        ),
        (
            snapshot(link="link-down", problems=conditions("clock-skew", "captive-portal")),
            "Action required: A captive portal stands before the Internet",
        ),
    ],
)
def test_headline(taken: ClientSnapshot, line: str) -> None:
    assert headline(taken) == line


def test_a_tunnel_that_is_not_listed_is_down() -> None:
    assert tunnel_state(replace(snapshot(), tunnels=()), "infrastructure") is DOWN
