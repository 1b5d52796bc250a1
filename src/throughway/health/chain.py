"""The client's connection as a chain: the first stage that is broken explains the ones behind it.

Pure, a snapshot in and the stages out: everything said here the daemon knows already. What is well
is called well wherever it stands; what is not waits for the first stage before it that is neither.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from throughway.health.connection import LINK_UP, tunnel_state
from throughway.health.tracker import worst
from throughway.model.findings import Component, Severity
from throughway.model.status import (
    CheckStatus,
    ClientSnapshot,
    ComponentState,
    Condition,
    Location,
    StageName,
    StageState,
    StageStatus,
    TransportKind,
    TransportStatus,
    TunnelState,
    TunnelStatus,
)

CONTROLLER_CHECK = "domain-controller"
CLOCK_CHECK = "clock"
RESOURCE_CHECK = "resource-"
"""How the names of the checks of resources begin."""
NOT_NEEDED = "inside the intranet: not needed"
NOBODY = "nobody is logged on"

PASSABLE = frozenset({StageState.OK, StageState.WARNING, StageState.DISABLED})
"""States of a stage that keeps nothing up."""
IN_WAY_OF_USERS = (
    *("kerberos-ticket", "kerberos-password", "kerberos-user", "kerberos-realm"),
    *("kerberos-account", "kerberos-service", "smart-card", "one-time-code", "ipsec-user"),
    *("ipsec-smart-card", "ipsec-health", "health-", "ipsec-intranet"),
)
"""Beginnings of the codes of what keeps the intranet tunnel down alone."""
STAGE_OF_CODE = {
    "ipv6-disabled": StageName.ADDRESS,
    "iphttps-no-global-address": StageName.ADDRESS,
    "iphttps-no-router-advertisement": StageName.ADDRESS,
    "nrpt-dns-server-unreachable": StageName.NAMES,
    "resource-unreachable": StageName.RESOURCE,
    "force-tunnel-proxy-unreachable": StageName.RESOURCE,
    "clock-skew": StageName.CONTROLLER,
}
STAGE_OF_COMPONENT = {
    Component.LOCATION: StageName.LOCATION,
    Component.POLICY: StageName.LOCATION,
    Component.INTERNET: StageName.TRANSPORT,
    Component.IPHTTPS: StageName.LINK,
    Component.TEREDO: StageName.LINK,
    Component.SIXTOFOUR: StageName.LINK,
    Component.IPSEC: StageName.INFRASTRUCTURE,
    Component.FIREWALL: StageName.INFRASTRUCTURE,
    Component.NAMES: StageName.NAMES,
    Component.DOMAIN: StageName.CONTROLLER,
    Component.AUTHORISER: StageName.INTRANET,
}
STATE_OF_CHECK = {state: StageState(state) for state in ComponentState}


def chain_of(snapshot: ClientSnapshot) -> tuple[StageStatus, ...]:
    """Return the stages, each as it is; those behind a broken one say what they wait for."""
    stages = [_with_problems(look(snapshot), snapshot) for look in LOOKS]
    broken: StageStatus | None = None
    chain: list[StageStatus] = []
    for stage in stages:
        if broken is not None and stage.state not in PASSABLE and _waits(stage, broken):
            stage = replace(stage, state=StageState.WAITING, since=broken.since, reason="")
            stage = replace(stage, reason=f"waiting for the {broken.stage}", problems=())
        elif broken is None and stage.state not in PASSABLE:
            broken = stage
        chain.append(stage)
    return tuple(chain)


def first_broken(chain: Iterable[StageStatus]) -> StageStatus | None:
    """Return the stage that explains the ones behind it, None where all is well."""
    return next((stage for stage in chain if stage.state not in PASSABLE), None)


def _waits(stage: StageStatus, broken: StageStatus) -> bool:
    """Resources are reached without any domain controller, once the tunnels are up."""
    beside = broken.stage is StageName.CONTROLLER and stage.stage is StageName.RESOURCE
    return not (beside and stage.problems)


# What stands in the way of a stage


def stage_of(condition: Condition, snapshot: ClientSnapshot) -> StageName | None:
    """Return the stage that a problem belongs to; None for one that is beside the chain."""
    if condition.code in STAGE_OF_CODE:
        return STAGE_OF_CODE[condition.code]
    if condition.code.startswith(IN_WAY_OF_USERS):
        return StageName.INTRANET
    if condition.component is Component.CERTIFICATES:
        of_link = condition.code.startswith("iphttps-")
        return StageName.LINK if of_link else StageName.INFRASTRUCTURE
    infrastructure_up = tunnel_state(snapshot, "infrastructure") is TunnelState.UP
    intranet_up = tunnel_state(snapshot, "intranet") is TunnelState.UP
    of_user = infrastructure_up and not intranet_up and bool(snapshot.user)
    if condition.component is Component.IPSEC and of_user:
        return StageName.INTRANET
    return STAGE_OF_COMPONENT.get(condition.component)


def stage_of_check(check: CheckStatus) -> StageName | None:
    """Return the stage that a check looks at; None for one that is beside the chain."""
    if check.name.startswith(RESOURCE_CHECK):
        return StageName.RESOURCE
    if check.name == CLOCK_CHECK:
        return StageName.CONTROLLER
    return STAGE_OF_COMPONENT.get(check.component)


def _with_problems(stage: StageStatus, snapshot: ClientSnapshot) -> StageStatus:
    """Put what is wrong at a stage in the place of what it says itself."""
    if stage.state in {StageState.DISABLED, StageState.WAITING}:
        return stage
    mine = [
        problem
        for problem in snapshot.problems
        if problem.severity is not Severity.INFO and stage_of(problem, snapshot) is stage.stage
    ]
    if not mine:
        return stage
    codes = tuple(dict.fromkeys((*stage.problems, *(problem.code for problem in mine))))
    critical = any(problem.severity is Severity.CRITICAL for problem in mine)
    known = stage.stage is not StageName.TRANSPORT or bool(snapshot.transport)
    if stage.state is StageState.OK and known:
        # It works all the same: in another way, or the problem is one of the days to come.
        mended = stage.stage not in TOLD_BY_PROBLEMS or not critical
        state = StageState.WARNING if mended else StageState.ERROR
    elif stage.state is StageState.WARNING and not critical:
        state = StageState.WARNING
    else:
        state = StageState.ERROR
    since = min(problem.since for problem in mine)
    return replace(stage, state=state, since=since, reason=_words(mine), problems=codes)


TOLD_BY_PROBLEMS = frozenset({StageName.ADDRESS, StageName.NAMES, StageName.CONTROLLER})
"""Stages which look well in the snapshot for a while after they have ceased to work."""


def _words(problems: Iterable[Condition]) -> str:
    return "; ".join(
        f"{problem.title} ({problem.detail})" if problem.detail else problem.title
        for problem in problems
    )


# The stages, each by itself


def _location(snapshot: ClientSnapshot) -> StageStatus:
    since = next(
        (row.since for row in snapshot.components if row.component is Component.LOCATION), 0.0
    )
    known = snapshot.location is not Location.UNKNOWN
    return StageStatus(
        stage=StageName.LOCATION,
        state=StageState.OK if known else StageState.UNKNOWN,
        since=since,
        reason=": ".join(filter(None, (snapshot.location, snapshot.location_detail))),
    )


def _carrier(snapshot: ClientSnapshot) -> TransportStatus | None:
    """Return the transport that carries."""
    return next((t for t in snapshot.transports if t.kind == snapshot.transport), None)


def _transport(snapshot: ClientSnapshot) -> StageStatus:
    if snapshot.location is Location.INSIDE:
        return _idle(StageName.TRANSPORT)
    carrier = _carrier(snapshot)
    if snapshot.transport:
        since = carrier.since if carrier is not None else snapshot.link.since
        reason = snapshot.transport
        return StageStatus(
            stage=StageName.TRANSPORT, state=StageState.OK, since=since, reason=reason
        )
    tried = ", ".join(t.kind for t in snapshot.transports if t.state != "idle")
    link = snapshot.link
    # As long as the network itself is not to blame, what fails is a transport's own link.
    state = StageState.OK if link.last_error or tried else StageState.UNKNOWN
    reason = f"trying {tried or TransportKind.IPHTTPS}"
    return StageStatus(stage=StageName.TRANSPORT, state=state, since=link.since, reason=reason)


def _link(snapshot: ClientSnapshot) -> StageStatus:
    if snapshot.location is Location.INSIDE:
        return _idle(StageName.LINK)
    link, carrier = snapshot.link, _carrier(snapshot)
    if snapshot.transport and snapshot.transport != TransportKind.IPHTTPS:
        since = carrier.since if carrier is not None else 0.0
        words = carrier.reason if carrier is not None else ""
        return StageStatus(
            stage=StageName.LINK, state=StageState.OK, since=since, reason=words or "up"
        )
    if link.state == LINK_UP:
        words = f"{link.url} by {link.way}" if link.way not in {"", "direct"} else link.url
        return StageStatus(
            stage=StageName.LINK, state=StageState.OK, since=link.since, reason=words
        )
    failed = [t for t in snapshot.transports if t.last_error and t.kind != TransportKind.IPHTTPS]
    words = link.last_error or next((f"{t.kind}: {t.last_error}" for t in failed), "")
    return StageStatus(
        stage=StageName.LINK,
        state=StageState.ERROR if link.last_error else StageState.UNKNOWN,
        since=link.since,
        reason=words or f"IP-HTTPS is {link.state}",
    )


def _address(snapshot: ClientSnapshot) -> StageStatus:
    if snapshot.location is Location.INSIDE:
        return _idle(StageName.ADDRESS)
    link, carrier = snapshot.link, _carrier(snapshot)
    addresses, interface = link.addresses, link.interface
    since = link.since
    if carrier is not None and carrier.kind is not TransportKind.IPHTTPS:
        addresses, interface, since = carrier.addresses, carrier.interface, carrier.since
    if addresses:
        reason = f"{', '.join(addresses)} on {interface}"
        return StageStatus(stage=StageName.ADDRESS, state=StageState.OK, since=since, reason=reason)
    return StageStatus(
        stage=StageName.ADDRESS,
        state=StageState.UNKNOWN,
        since=since,
        reason="no global IPv6 address towards the gateway yet",
    )


def _infrastructure(snapshot: ClientSnapshot) -> StageStatus:
    if snapshot.location is Location.INSIDE:
        return _idle(StageName.INFRASTRUCTURE)
    return _tunnel(snapshot, StageName.INFRASTRUCTURE, "infrastructure")


def _intranet(snapshot: ClientSnapshot) -> StageStatus:
    if snapshot.location is Location.INSIDE:
        return _idle(StageName.INTRANET)
    if not snapshot.user and tunnel_state(snapshot, "intranet") is not TunnelState.UP:
        return _idle(StageName.INTRANET, NOBODY)
    return _tunnel(snapshot, StageName.INTRANET, "intranet")


def _tunnel(snapshot: ClientSnapshot, stage: StageName, name: str) -> StageStatus:
    tunnel = next((t for t in snapshot.tunnels if t.name == name), None)
    if tunnel is None:
        tunnel = TunnelStatus(name=name, state=TunnelState.DOWN)
    if tunnel.state is TunnelState.UP:
        reason = " as ".join(filter(None, (tunnel.remote_identity, tunnel.account)))
        return StageStatus(
            stage=stage, state=StageState.OK, since=tunnel.since, reason=reason or "up"
        )
    return StageStatus(
        stage=stage,
        state=StageState.ERROR if tunnel.last_error else StageState.UNKNOWN,
        since=tunnel.since,
        reason=tunnel.last_error or f"the tunnel is {tunnel.state}",
    )


def _names(snapshot: ClientSnapshot) -> StageStatus:
    names = snapshot.names
    if snapshot.location is Location.INSIDE:
        if names.effective:
            return StageStatus(
                stage=StageName.NAMES,
                state=StageState.UNKNOWN,
                since=names.since,
                reason="the rules are being taken back",
            )
        return _idle(StageName.NAMES)
    return StageStatus(
        stage=StageName.NAMES,
        state=StageState.OK if names.effective else StageState.UNKNOWN,
        since=names.since,
        reason=f"rules in effect, asked at {names.stub}"
        if names.effective
        else "the rules are not in effect",
    )


def _controller(snapshot: ClientSnapshot) -> StageStatus:
    if snapshot.location is Location.INSIDE:
        return _idle(StageName.CONTROLLER)
    if not snapshot.kerberos_realm:
        return _idle(StageName.CONTROLLER, "the policy names no domain")
    mine = [check for check in snapshot.checks if check.name == CONTROLLER_CHECK]
    return _checked(StageName.CONTROLLER, mine)


def _resource(snapshot: ClientSnapshot) -> StageStatus:
    if snapshot.location is Location.INSIDE:
        return _idle(StageName.RESOURCE)
    mine = [check for check in snapshot.checks if check.name.startswith(RESOURCE_CHECK)]
    if not mine:
        return _idle(StageName.RESOURCE, "the policy names none to try")
    stage = _checked(StageName.RESOURCE, mine)
    nobody = not snapshot.user and tunnel_state(snapshot, "intranet") is not TunnelState.UP
    if stage.state is StageState.UNKNOWN and nobody:
        return replace(stage, state=StageState.WAITING, reason=NOBODY)
    return stage


def _with_name(check: CheckStatus) -> str:
    """Tell of which resource it is, once: what is wrong names it already."""
    prefix = f"{check.title}: "
    return f"{prefix}{check.detail.removeprefix(prefix)}"


def _checked(stage: StageName, checks: Iterable[CheckStatus]) -> StageStatus:
    """Tell of what is looked at: of those in the worst state; a look that waits is none yet."""
    looked = [check for check in checks if check.state is not ComponentState.DISABLED]
    waiting = next((check.detail for check in checks), "") or "not looked at yet"
    if not looked:
        return StageStatus(stage=stage, state=StageState.UNKNOWN, reason=waiting)
    state = worst(check.state for check in looked)
    told = [check for check in looked if check.state is state]
    return StageStatus(
        stage=stage,
        state=STATE_OF_CHECK[state],
        since=min(check.since for check in told),
        reason="; ".join(
            _with_name(check) if stage is StageName.RESOURCE else check.detail for check in told
        ),
        problems=tuple(dict.fromkeys(code for check in told for code in check.problems)),
    )


def _idle(stage: StageName, why: str = NOT_NEEDED) -> StageStatus:
    return StageStatus(stage=stage, state=StageState.DISABLED, reason=why)


LOOKS: tuple[Callable[[ClientSnapshot], StageStatus], ...] = (
    *(_location, _transport, _link, _address),
    *(_infrastructure, _names, _controller, _intranet, _resource),
)
