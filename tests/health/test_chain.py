"""The chain: every stage broken once, and what those behind it say then."""

from dataclasses import replace

import pytest

from tests.cli.snapshots import INSIDE, LINK_DOWN, LOGGED_ON, NAMES, NOW, STARTING, condition
from throughway.health.chain import chain_of, first_broken
from throughway.model.findings import Component
from throughway.model.status import (
    CheckStatus,
    ClientSnapshot,
    ComponentState,
    Location,
    StageName,
    StageState,
    StageStatus,
    TransportKind,
    TransportState,
    TransportStatus,
    TunnelState,
    TunnelStatus,
)

OK, WAITING, DISABLED = StageState.OK, StageState.WAITING, StageState.DISABLED
ERROR, WARNING, UNKNOWN = StageState.ERROR, StageState.WARNING, StageState.UNKNOWN


def check(name: str, state: ComponentState = ComponentState.OK, *codes: str) -> CheckStatus:
    return CheckStatus(
        name=name,
        title=f"the {name}",
        component=Component.DOMAIN,
        state=state,
        since=NOW - 20,
        detail=f"{name} is {state}",
        problems=codes,
    )


CONTROLLER, SITE = check("domain-controller"), check("resource-1")
WHOLE = replace(LOGGED_ON, checks=(CONTROLLER, SITE))
DOWN = {
    name: TunnelStatus(name=name, state=TunnelState.DOWN, last_error="AUTHENTICATION_FAILED")
    for name in ("infrastructure", "intranet")
}
UNTRIED = (
    check("domain-controller", ComponentState.DISABLED),
    check("resource-1", ComponentState.DISABLED),
)


def with_problem(snapshot: ClientSnapshot, *codes: str) -> ClientSnapshot:
    return replace(snapshot, problems=tuple(condition(code, "so it is") for code in codes))


def linkless(snapshot: ClientSnapshot) -> ClientSnapshot:
    """Return it without any way to the gateway, and what follows from that."""
    down = tuple(replace(tunnel, last_error="") for tunnel in DOWN.values())
    return replace(snapshot, transport="", link=LINK_DOWN, tunnels=down, checks=UNTRIED)


def stages(snapshot: ClientSnapshot) -> dict[StageName, StageStatus]:
    chain = chain_of(snapshot)
    assert [stage.stage for stage in chain] == list(StageName)
    return {stage.stage: stage for stage in chain}


def test_all_is_well() -> None:
    chain = stages(WHOLE)
    assert {stage.state for stage in chain.values()} == {OK}
    assert first_broken(chain.values()) is None
    assert chain[StageName.ADDRESS].reason == "2001:db8:da:1000::c1 on iphttps0"
    assert chain[StageName.INFRASTRUCTURE].since == NOW - 239
    assert chain[StageName.RESOURCE].reason == "the resource-1: resource-1 is ok"


@pytest.mark.parametrize(
    ("snapshot", "broken", "state", "code"),
    [
        (
            replace(linkless(WHOLE), location=Location.UNKNOWN),
            *(StageName.LOCATION, UNKNOWN, ""),
        ),
        (
            with_problem(replace(linkless(WHOLE), location=Location.UNKNOWN), "policy-missing"),
            *(StageName.LOCATION, ERROR, "policy-missing"),
        ),
        (
            with_problem(linkless(WHOLE), "captive-portal"),
            *(StageName.TRANSPORT, ERROR, "captive-portal"),
        ),
        (
            with_problem(linkless(WHOLE), "iphttps-port-blocked"),
            *(StageName.LINK, ERROR, "iphttps-port-blocked"),
        ),
        (
            replace(linkless(WHOLE), transport="iphttps", link=replace(WHOLE.link, addresses=())),
            *(StageName.ADDRESS, UNKNOWN, ""),
        ),
        (
            with_problem(replace(WHOLE, tunnels=tuple(DOWN.values())), "ipv6-disabled"),
            *(StageName.ADDRESS, ERROR, "ipv6-disabled"),
        ),
        (
            with_problem(
                replace(WHOLE, tunnels=tuple(DOWN.values()), checks=UNTRIED),
                "ipsec-computer-account-refused",
            ),
            *(StageName.INFRASTRUCTURE, ERROR, "ipsec-computer-account-refused"),
        ),
        (
            replace(WHOLE, names=replace(NAMES, effective=False), checks=UNTRIED),
            *(StageName.NAMES, UNKNOWN, ""),
        ),
        (
            with_problem(replace(WHOLE, checks=UNTRIED), "nrpt-dns-server-unreachable"),
            *(StageName.NAMES, ERROR, "nrpt-dns-server-unreachable"),
        ),
        (
            with_problem(
                replace(
                    WHOLE,
                    checks=(check(CONTROLLER.name, ComponentState.ERROR, "dc-unreachable"), SITE),
                ),
                "dc-unreachable",
            ),
            *(StageName.CONTROLLER, ERROR, "dc-unreachable"),
        ),
        (
            with_problem(
                replace(
                    WHOLE,
                    checks=(check(CONTROLLER.name, ComponentState.ERROR, "clock-skew"), SITE),
                ),
                "clock-skew",
            ),
            *(StageName.CONTROLLER, ERROR, "clock-skew"),
        ),
        (
            with_problem(
                replace(
                    WHOLE,
                    tunnels=(WHOLE.tunnels[0], DOWN["intranet"]),
                    checks=(CONTROLLER, UNTRIED[1]),
                ),
                "ipsec-user-refused",
            ),
            *(StageName.INTRANET, ERROR, "ipsec-user-refused"),
        ),
    ],
)
def test_the_first_broken_stage_explains_the_others(
    snapshot: ClientSnapshot, broken: StageName, state: StageState, code: str
) -> None:
    chain = stages(snapshot)
    first = first_broken(chain.values())
    assert first is not None
    assert (first.stage, first.state) == (broken, state)
    assert first.problems == ((code,) if code else ())
    order = list(StageName)
    for stage in order[: order.index(broken)]:
        assert chain[stage].state is OK
    for stage in order[order.index(broken) + 1 :]:
        assert chain[stage].state in {OK, WAITING}, "nothing else is to blame"
        if chain[stage].state is WAITING:
            assert chain[stage].reason == f"waiting for the {broken}"
            assert chain[stage].problems == ()


def test_a_resource_that_does_not_answer() -> None:
    silent = check("resource-2", ComponentState.WARNING, "resource-unreachable")
    snapshot = replace(WHOLE, checks=(CONTROLLER, SITE, silent))
    chain = stages(with_problem(snapshot, "resource-unreachable"))
    assert chain[StageName.RESOURCE].state is WARNING
    assert chain[StageName.RESOURCE].problems == ("resource-unreachable",)
    assert {stage.state for name, stage in chain.items() if name is not StageName.RESOURCE} == {OK}


def test_a_resource_is_named_once() -> None:
    silent = replace(
        check("resource-2", ComponentState.WARNING), detail="the resource-2: no answer"
    )
    chain = stages(replace(WHOLE, checks=(CONTROLLER, SITE, silent)))
    assert chain[StageName.RESOURCE].reason == "the resource-2: no answer"


def test_two_faults_are_both_named() -> None:
    checks = (
        check("domain-controller", ComponentState.ERROR, "dc-unreachable"),
        check("resource-1", ComponentState.WARNING, "resource-unreachable"),
    )
    snapshot = replace(WHOLE, checks=checks)
    chain = stages(with_problem(snapshot, "dc-unreachable", "resource-unreachable"))
    assert chain[StageName.CONTROLLER].problems == ("dc-unreachable",)
    assert chain[StageName.RESOURCE].problems == ("resource-unreachable",)


def test_what_works_all_the_same_is_only_warned_of() -> None:
    chain = stages(with_problem(WHOLE, "iphttps-cert-expiring", "proxy-unreachable"))
    assert chain[StageName.LINK].state is WARNING
    assert chain[StageName.TRANSPORT].state is WARNING
    assert chain[StageName.INFRASTRUCTURE].state is OK


def test_inside_nothing_is_needed() -> None:
    chain = stages(replace(INSIDE, checks=UNTRIED))
    assert chain.pop(StageName.LOCATION).state is OK
    assert {stage.state for stage in chain.values()} == {DISABLED}
    late = stages(replace(INSIDE, names=replace(INSIDE.names, effective=True)))
    assert late[StageName.NAMES].state is UNKNOWN


def test_nobody_is_logged_on() -> None:
    snapshot = replace(
        WHOLE,
        user="",
        tunnels=(WHOLE.tunnels[0], DOWN["intranet"]),
        checks=(CONTROLLER, UNTRIED[1]),
    )
    chain = stages(snapshot)
    assert chain[StageName.INTRANET].state is DISABLED
    assert chain[StageName.RESOURCE].state is WAITING
    assert {chain[name].reason for name in (StageName.INTRANET, StageName.RESOURCE)} == {
        "nobody is logged on"
    }


def test_nothing_to_look_at_is_not_looked_at() -> None:
    chain = stages(replace(WHOLE, kerberos_realm="", checks=()))
    assert chain[StageName.CONTROLLER].state is DISABLED
    assert chain[StageName.RESOURCE].state is DISABLED


def test_another_transport_carries() -> None:
    teredo = TransportStatus(
        kind=TransportKind.TEREDO,
        state=TransportState.UP,
        interface="teredo0",
        addresses=("2001:0:836b:2::1",),
        since=NOW - 7,
        chosen=True,
        reason="carries the tunnels",
    )
    idle = replace(LINK_DOWN, state="disabled", last_error="")
    chain = stages(replace(WHOLE, transport="teredo", transports=(teredo,), link=idle))
    assert {stage.state for stage in chain.values()} == {OK}
    assert chain[StageName.ADDRESS].reason == "2001:0:836b:2::1 on teredo0"
    assert chain[StageName.LINK].since == NOW - 7


def test_it_has_just_started() -> None:
    chain = stages(STARTING)
    first = first_broken(chain.values())
    assert first is not None
    assert first.state is UNKNOWN
    assert all(stage.state is not ERROR for stage in chain.values())
