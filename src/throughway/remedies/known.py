"""The remedies: data, one for each problem and host where there is a safe one.

What is not here has none: its resolution needs a person who decides (set a clock, issue a
certificate by hand, change a firewall of somebody else), and ``throughway fix`` says so.
"""

from collections.abc import Iterable, Iterator

from throughway.catalogue import find
from throughway.remedies.machine import setting
from throughway.remedies.remedy import Host, Remedy
from throughway.remedies.steps import Case, Reset, Run, Settings, Step

GATEWAY, CLIENT = Host.GATEWAY, Host.CLIENT
ALL = "all"
NO_LINKS = {ALL, "default", "lo"}
CHARON_LIMIT = 60.0
"""Seconds for charon to come up and be asked again, on a busy machine."""


def _forwarding(case: Case) -> Iterator[tuple[str, str]]:
    """A router ignores advertisements unless it is told otherwise: it keeps its default route."""
    machine = case.machine
    if machine.get(setting(ALL, "forwarding")) == "1":
        for interface in case.interfaces:
            yield setting(interface, "forwarding"), "1"
        return
    for interface in machine.interfaces():
        learns = machine.get(setting(interface, "accept_ra")) == "1"
        if learns and interface not in NO_LINKS:
            yield setting(interface, "accept_ra"), "2"
    yield setting(ALL, "forwarding"), "1"


def _ipv6(case: Case) -> Iterator[tuple[str, str]]:
    """For all interfaces where it is off for all, else for our own."""
    for interface in (ALL, "default", *case.interfaces):
        yield setting(interface, "disable_ipv6"), "0"


REFRESH = Run(
    "let the client look at everything anew, fetch the newest policy and try again",
    ("throughway", "client", "refresh"),
)
RELOAD = Run(
    "let the gateway read configuration and certificates anew and tell its clients again",
    ("throughway", "gateway", "reload"),
)
FORGET = Run(
    "forget revocation lists that are out of date, and have them fetched anew",
    ("throughway", "pki", "cache", "flush", "--out-of-date"),
)
IPV6 = Settings("switch IPv6 on", _ipv6)
FORWARDING = Settings("let the kernel forward IPv6", _forwarding)
RESET = Reset("give resolv.conf back, and take away what a killed client holds closed")
SYSCTL_FILES = (
    "Look for a file that undoes it at the next start: "
    "grep -rs ipv6.conf /etc/sysctl.conf /etc/sysctl.d"
)


def mend(host: Host, part: str, words: str) -> Run:
    """Return the step that makes a part of a daemon anew."""
    return Run(words, ("throughway", str(host), "mend", part))


def _same(
    host: Host, codes: Iterable[str], *steps: Step, limit: float = 30.0, after: str = ""
) -> Iterator[Remedy]:
    """Yield the same remedy for several problems."""
    for code in codes:
        yield Remedy(problem=find(code), host=host, steps=steps, limit=limit, after=after)


RENEWABLE = tuple(
    f"{use}-cert-{word}"
    for use in ("iphttps", "ipsec")
    for word in ("expired", "ends-this-week", "expiring", "renewal-due")
)

REMEDIES: tuple[Remedy, ...] = (
    # The machine
    *_same(GATEWAY, ("iphttps-forwarding-disabled",), FORWARDING, after=SYSCTL_FILES),
    *(
        Remedy(problem=find("ipv6-disabled"), host=host, steps=(IPV6,), anyhow=True, after=after)
        for host, after in ((GATEWAY, SYSCTL_FILES), (CLIENT, SYSCTL_FILES))
    ),
    # Parts of the gateway
    *_same(
        GATEWAY,
        ("iphttps-route-unpublished",),
        mend(GATEWAY, "routes", "put the routes to the clients' prefixes back"),
    ),
    *_same(GATEWAY, ("iphttps-advertising-disabled",), RELOAD),
    *_same(
        GATEWAY,
        ("iphttps-listener-down",),
        mend(GATEWAY, "workers", "end workers that do not answer; others take their place"),
        limit=60.0,
    ),
    *_same(
        GATEWAY,
        ("nat64-broken",),
        mend(GATEWAY, "nat64", "start the translator (tayga) again"),
    ),
    # charon, on either side
    *(
        Remedy(
            problem=find("ipsec-daemon-down"),
            host=host,
            steps=(mend(host, "ike", "end charon by force and start it again"),),
            limit=CHARON_LIMIT,
        )
        for host in Host
    ),
    # Certificates that were issued by our own authority, and revocation
    *_same(
        GATEWAY,
        (*RENEWABLE, "certificate-not-renewed"),
        mend(GATEWAY, "certificates", "renew the gateway's certificates by its authority"),
        limit=60.0,
    ),
    *_same(
        CLIENT,
        (*(code for code in RENEWABLE if code.startswith("ipsec-")), "certificate-not-renewed"),
        mend(CLIENT, "certificates", "renew this computer's certificate by its authority"),
        limit=60.0,
    ),
    *_same(GATEWAY, ("ipsec-crl-expired", "ipsec-crl-not-renewed"), FORGET),
    *_same(CLIENT, ("iphttps-crl-expired", "ipsec-crl-expired", "nls-crl-unusable"), FORGET),
    # What the client was told, and what it holds
    *_same(
        CLIENT,
        (
            *("policy-out-of-date", "policy-expired", "policy-unreachable"),
            *("nrpt-not-effective", "firewall-rules-missing"),
            *("inside-detected-wrongly", "outside-detected-wrongly"),
        ),
        REFRESH,
    ),
    *(
        Remedy(problem=find(code), host=CLIENT, steps=(RESET,), daemon=False)
        for code in ("nrpt-stale-rule", "firewall-rules-stale")
    ),
)

BY_CODE = {(remedy.problem.code, remedy.host): remedy for remedy in REMEDIES}
CODES = frozenset(remedy.problem.code for remedy in REMEDIES)
