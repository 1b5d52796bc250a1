"""Two faults on one client: each pair of them is named, whichever else is wrong.

The evidence of two problems is laid together where one machine could have printed both. What one
machine cannot print at once, or what makes the other fault harmless, is left out: see REASONS.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import combinations, islice, product

import pytest

from tests.doctor.test_rules import EVIDENCE, SOUGHT, bundles, consequences
from throughway.doctor.engine import diagnose
from throughway.doctor.examination import examine_bundle
from throughway.doctor.hosts import tell_apart
from throughway.doctor.parsers import PARSERS
from throughway.doctor.reading import read_all
from throughway.doctor.rules import RULES
from throughway.doctor.sources.bundle import Bundle, read
from throughway.model.evidence import Platform, Role, Source
from throughway.model.facts import (
    capture,
    certificates,
    domain,
    firewall,
    ipsec,
    linux,
    names,
    network,
    transition,
)
from throughway.model.facts.base import CollectedAt, Fact, Host

Facts = tuple[Fact, ...]
_NOT_INSTALLED = transition.IPHTTPSStatus.NOT_INSTALLED
ONE_OF_A_KIND: tuple[type[Fact], ...] = (
    *(transition.IPHTTPSInterface, transition.IPHTTPSConfiguration, transition.TeredoState),
    *(transition.SixToFourState, transition.ISATAPState, transition.IPv6Interface),
    *(names.DNSClientState, names.DAConnectionStatus, names.DAClientExperience, names.NCSIPolicy),
    *(names.NRPTTable, names.NRPTRule, names.NRPTSettings, names.NCALog),
    *(network.WinHTTPProxy, network.SystemInformation, network.DisabledComponents),
    *(network.Adapter, network.Route, domain.GroupPolicyResult, domain.DomainController),
    *(firewall.FirewallSettings, firewall.FirewallProfile, firewall.ConnectionSecurityRule),
    *(ipsec.SecurityAssociation, certificates.Certificate, certificates.CRLRetrieval, CollectedAt),
    *(linux.DaemonState, linux.DaemonReport, linux.WholeWay, linux.ReportedProblem),
    *(linux.KernelSetting, linux.LinkState, linux.KernelRoute, linux.ConfiguredCertificate),
)
"""Of these a machine prints one set at a time: two that differ are two machines, or two days."""
OPPOSITES: tuple[tuple[type[Fact], type[Fact]], ...] = (
    (ipsec.NoSecurityAssociations, ipsec.SecurityAssociation),
    (firewall.NoConnectionSecurityRules, firewall.ConnectionSecurityRule),
    (certificates.NoCertificates, certificates.Certificate),
    # A capture with one server, and rules for another.
    (capture.IKEExchange, firewall.ConnectionSecurityRule),
)


def platform(facts: Facts) -> Platform | None:
    """What the machine shows itself to be; a capture shows nothing of that."""
    if any(fact.PLATFORM is Platform.LINUX for fact in facts):
        return Platform.LINUX
    told = any(is_told(fact) for fact in facts)
    return Platform.WINDOWS if told else None


def is_told(fact: Fact) -> bool:
    """Whether a machine has said it of itself."""
    if isinstance(fact, certificates.Certificate):
        return fact.store is not certificates.Store.CAPTURE
    return not isinstance(fact, CollectedAt) and type(fact).__module__ != capture.__name__


def differ(one: Facts, other: Facts) -> bool:
    """Whether the two cannot be of one machine at one time."""
    if len({platform(one), platform(other)} - {None}) > 1:
        return True
    seen = [{f for f in facts if type(f).__module__ == capture.__name__} for facts in (one, other)]
    if all(seen) and seen[0] != seen[1]:
        return True
    for kind in ONE_OF_A_KIND:
        said = [{fact for fact in facts if type(fact) is kind} for facts in (one, other)]
        if said[0] and said[1] and said[0] != said[1]:
            return True
    if {has_url(one), has_url(other)} == {True, False}:
        return True
    return any(
        has(first, no) and has(second, there)
        for no, there in OPPOSITES
        for first, second in ((one, other), (other, one))
    )


def has_url(facts: Facts) -> bool | None:
    """Whether IP-HTTPS is configured; None where nothing says it."""
    kinds = (transition.IPHTTPSInterface, transition.IPHTTPSConfiguration)
    urls = [fact.url for fact in facts if isinstance(fact, kinds) and fact.url is not None]
    absent = any(getattr(f, "status", None) is _NOT_INSTALLED for f in facts)
    return any(urls) if urls or absent else None


def has(facts: Iterable[Fact], kind: type[Fact]) -> bool:
    return any(isinstance(fact, kind) for fact in facts)


def tunnels_work(facts: Facts) -> bool:
    return has(facts, ipsec.SecurityAssociation) or assistant_says(facts, "ConnectedRemotely")


def link_works(facts: Facts) -> bool:
    active = transition.IPHTTPSStatus.ACTIVE
    return assistant_says(facts, "ConnectedRemotely") or any(
        isinstance(fact, transition.IPHTTPSInterface) and fact.status is active for fact in facts
    )


def is_inside(facts: Facts) -> bool:
    return any(isinstance(f, names.DNSClientState) and f.inside for f in facts) or assistant_says(
        facts, "ConnectedLocally"
    )


def failures_are_audited(facts: Facts) -> bool:
    return has(facts, ipsec.NegotiationFailure)


def assistant_says(facts: Facts, status: str) -> bool:
    return any(isinstance(f, names.DAConnectionStatus) and f.status == status for f in facts)


REASONS: tuple[tuple[Callable[[Facts], bool], tuple[str, ...]], ...] = (
    # An association shows that certificate, account, firewall and way are well.
    (tunnels_work, ("ipsec-", "firewall-", "consec-", "unsupported-edition")),
    (tunnels_work, ("teredo-", "sixtofour-")),
    # Nobody needs Teredo or 6to4, nor a proxy, while IP-HTTPS is connected.
    (link_works, ("teredo-", "sixtofour-", "proxy-")),
    # Inside there are no tunnels, and none is missed.
    (is_inside, ("ipsec-", "firewall-", "consec-", "nls-reachable-outside")),
    (is_inside, ("teredo-", "sixtofour-", "nrpt-dns-server-unreachable")),
    # Who has events about failures has them audited.
    (failures_are_audited, ("ipsec-audit-disabled",)),
)
"""What makes another fault harmless, or disproves it."""


EXCLUSIVE = {
    # One certificate is not both.
    ("iphttps-cert-expired", "iphttps-cert-not-yet-valid"),
    # The table is refused where IP-HTTPS is tried; inside nobody tries.
    ("inside-detected-wrongly", "nrpt-corrupt"),
}


OF_SERVERS = {
    *("gpo-deleted", "gpo-not-linked", "high-availability-node-down"),
    *("iphttps-advertising-disabled", "iphttps-listener-down", "isatap-advertising-disabled"),
    *("kerberos-proxy-binding-changed", "management-server-unreachable", "network-adapter-down"),
    *("multisite-config-mismatch", "otp-server-unreachable", "teredo-server-stopped"),
    *(
        "gateway-not-running",
        "entry-point-down",
        "server-cert-binding-changed",
        "server-config-not-applied",
        "server-config-not-retrieved",
        "unsupported-platform-azure",
    ),
}
"""What no client can show."""


def harmless(code: str, facts: Facts) -> bool:
    return any(code.startswith(codes) and shows(facts) for shows, codes in REASONS)


@cache
def fires(code: str) -> tuple[Facts, ...]:
    """Return the facts of each bundle that shows a client with this fault."""
    found = []
    for bundle in bundles(EVIDENCE / code / "fires"):
        machines = tell_apart(read_all(read([bundle]).evidence, PARSERS).read)
        if len(machines) == 1 and machines[0][0].role is not Role.SERVER:
            found.append(tuple(machines[0][1]))
    return tuple(found)


def pairs() -> Iterator[tuple[str, str, Facts, Facts]]:
    """Yield each pair of faults that one client may have, once."""
    for one, other in sorted(set(combinations(SOUGHT, 2)) - EXCLUSIVE):
        both = product(fires(one), fires(other))
        may_be = (
            (one, other, a, b)
            for a, b in both
            if not (differ(a, b) or harmless(other, a) or harmless(one, b))
        )
        yield from islice(may_be, 1)


def named(facts: Facts) -> set[str]:
    on = platform(facts) or Platform.WINDOWS
    host = Host(source=Source(""), name="", role=Role.CLIENT, platform=on)
    found = diagnose([(host, facts)], RULES).findings
    return {item.finding.problem.code for item in (*found, *consequences(found))}


def test_each_pair_of_faults_on_one_client_is_named() -> None:
    tried = list(pairs())
    lost = [(one, other) for one, other, a, b in tried if {one, other} - named((*a, *b))]
    assert lost == []
    assert len(tried) > 6000
    paired = {code for one, other, _, _ in tried for code in (one, other)}
    assert set(SOUGHT) - paired == OF_SERVERS


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ipv6-disabled-by-registry", "ipsec-no-machine-cert"),
        ("iphttps-name-unresolvable", "nrpt-stale-rule"),
        ("teredo-udp-blocked", "iphttps-port-blocked"),
        ("clock-skew", "iphttps-cert-untrusted-root"),
        ("unsupported-edition", "iphttps-cert-revoked"),
        ("gpo-not-applied", "proxy-unreachable"),
        ("iphlpsvc-stopped", "dc-unreachable"),
        ("client-not-running", "internet-down"),
    ],
)
def test_the_files_of_two_faults_lie_in_one_folder(one: str, other: str) -> None:
    bundle = Bundle()
    for code in (one, other):
        folder = bundles(EVIDENCE / code / "fires")[0]
        for file in sorted(f for f in folder.rglob("*") if f.is_file()):
            size = file.stat().st_size
            bundle.add(f"{code}-{file.name}", size, lambda file=file: file.open("rb"))  # type: ignore[misc]
    found = examine_bundle(bundle).diagnosis.findings
    codes = {item.finding.problem.code for item in (*found, *consequences(found))}
    assert {one, other} <= codes
