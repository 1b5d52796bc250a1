"""The way to the IP-HTTPS server as captures show it: names, TCP, proxies, portals, sizes."""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from throughway.catalogue import internet, iphttps
from throughway.catalogue import names as names_catalogue
from throughway.catalogue.internet import PATH_MTU_BLACK_HOLE
from throughway.doctor.rule import Rule, everywhere
from throughway.doctor.rules import whereabouts
from throughway.doctor.rules.internet import proxy_host
from throughway.doctor.rules.tables import covering, in_force
from throughway.doctor.rules.targets import (
    HTTPS_PORT,
    Seen,
    Target,
    Told,
    find_target,
    finding,
    is_private,
)
from throughway.doctor.rules.whereabouts import Sign
from throughway.model.evidence import Role
from throughway.model.facts.capture import (
    Capture,
    ConnectionEnd,
    DNSExchange,
    HTTPExchange,
    ICMPErrorSeen,
    Refusal,
    TCPConnection,
)
from throughway.model.facts.certificates import Certificate
from throughway.model.facts.names import NCSIPolicy, NRPTRule, PolicyView
from throughway.model.facts.network import NameLookup, WinHTTPProxy
from throughway.model.findings import Confidence, Finding

_TCP = 6
_A, _AAAA = 1, 28
_NO_NAME, _SERVER_FAILURE, _REFUSED = 3, 2, 5
_FAILURES = {_NO_NAME: "no such name", _SERVER_FAILURE: "server failure", _REFUSED: "refused"}
_UNASKED = re.compile(r"_|wpad\.|isatap\.")
"""What Windows asks on every network, past the rules, to find out where it is."""
_DNS64 = ":3333::1"
"""How the address ends that DirectAccess gives to its DNS64."""
_ENOUGH = 2
"""Attempts, questions or servers, from which on silence is none by chance."""
_OK, _BAD, _AUTHENTICATION, _PORTAL = 200, 400, 407, 511
_GATEWAY_ERRORS = frozenset({502, 503, 504})
_PROBES = {
    "www.msftconnecttest.com": "/connecttest.txt",
    "ipv6.msftconnecttest.com": "/connecttest.txt",
    "www.msftncsi.com": "/ncsi.txt",
    "ipv6.msftncsi.com": "/ncsi.txt",
    "detectportal.firefox.com": "/success.txt",
    "captive.apple.com": "/hotspot-detect.html",
    "connectivitycheck.gstatic.com": "/generate_204",
}
"""Pages that answer by themselves wherever the Internet is reached."""


def connections_fail(
    capture: Capture,
    seen: tuple[Seen, ...],
    told: tuple[Told, ...],
    certificates: tuple[Certificate, ...],
) -> tuple[Finding, ...]:
    """TCP to the server: no answer, refused, reset; nothing while it was reached at all."""
    target = find_target(seen, told, certificates)
    if target.reached:
        return ()
    spoken = {(h.server, h.port) for h in target.handshakes}
    ours = [c for c in _connections(seen) if c.server in target.servers and c.port == target.port]
    errors = tuple(_errors(seen))
    found = (_failure(c, target, errors) for c in ours if (c.server, c.port) not in spoken)
    return tuple(item for item in found if item is not None)


def _failure(connection: TCPConnection, target: Target, seen: Sequence[Seen]) -> Finding | None:
    where = f"{connection.server} port {connection.port}"
    if connection.end is ConnectionEnd.NO_ANSWER:
        return _no_answer(connection, where, target, seen)
    if connection.end is ConnectionEnd.REFUSED:
        problem, what = iphttps.CONNECTION_REFUSED, f"{where} refuses the connection"
        return finding(
            target, problem, f"{what}.", Confidence.CERTAIN, "a reset answers the SYN", connection
        )
    if connection.bytes_received:
        return None
    ends = {ConnectionEnd.RESET_BY_SERVER: "reset", ConnectionEnd.CLOSED_BY_SERVER: "closed"}
    between = connection.reset_from_between
    if connection.end not in ends and not between:
        return None
    who = "by a device in between" if between else "by the server, as it seems"
    return finding(
        target,
        iphttps.CONNECTION_RESET,
        f"The connection to {where} is {ends.get(connection.end, 'reset')} {who}, before it says "
        "anything.",
        Confidence.CERTAIN,
        "hop limit or timing show that the reset is not from the server"
        if between
        else "the end of the connection stands in the capture",
        connection,
    )


def _no_answer(
    connection: TCPConnection, where: str, target: Target, seen: Sequence[Seen]
) -> Finding:
    notices = [e for e in _errors(seen, connection.server, _TCP) if e.refusal in _UNREACHED]
    notice = next((e for e in notices if e.port in (None, connection.port)), None)
    several = connection.attempts >= _ENOUGH or notice is not None
    said = f"; {notice.reporter} says that {notice.refusal}" if notice is not None else ""
    return finding(
        target,
        iphttps.PORT_BLOCKED,
        f"{where} gives no answer to {connection.attempts} attempts{said}.",
        Confidence.CERTAIN if several else Confidence.LIKELY,
        "the attempts stand in the capture" if several else "there was only one attempt",
        *(connection, *((notice,) if notice is not None else ())),
    )


_UNREACHED = frozenset(
    {Refusal.NO_ROUTE, Refusal.UNREACHABLE, Refusal.PROHIBITED, Refusal.PORT, Refusal.PROTOCOL}
)


def nothing_answers(capture: Capture, seen: tuple[Seen, ...]) -> Finding | None:
    """Neither a name server nor any host answers."""
    questions = [fact for fact in seen if isinstance(fact, DNSExchange)]
    attempts = _connections(seen)
    silent = [c for c in attempts if c.end is ConnectionEnd.NO_ANSWER]
    if len({c.server for c in silent}) < _ENOUGH or len(silent) < len(attempts):
        return None
    if not questions or any(question.answered for question in questions):
        return None
    return Finding(
        problem=internet.INTERNET_DOWN,
        summary="No name server and no host answers anything.",
        confidence=Confidence.LIKELY,
        reason="everything that was asked in the capture stayed unanswered",
        evidence=(questions[0].source, *(c.source for c in silent[:2])),
    )


def proxy_is_the_way(
    capture: Capture, seen: tuple[Seen, ...], told: tuple[Told, ...]
) -> Finding | None:
    """Nothing gets out directly, but a proxy lets others through."""
    target = find_target(seen, told)
    proxied = [e for e in _exchanges(seen) if e.method == "CONNECT" and e.status == _OK]
    direct = [c for c in _connections(seen) if c.port == HTTPS_PORT]
    blocked = [c for c in direct if c.end is ConnectionEnd.NO_ANSWER]
    ours = [c for c in blocked if c.server in target.servers]
    if not proxied or not ours or len(blocked) < len(direct) or target.reached:
        return None
    if any(_is_for(exchange, target) for exchange in proxied):
        return None
    return finding(
        target,
        internet.PROXY_REQUIRED_NOT_CONFIGURED,
        f"{proxied[0].server} lets programs out as a proxy, while {ours[0].server} is tried "
        "directly and does not answer.",
        Confidence.LIKELY,
        "nothing else that was tried directly on port 443 answers either",
        proxied[0],
        ours[0],
    )


def name_fails(
    capture: Capture, seen: tuple[Seen, ...], told: tuple[Told, ...]
) -> tuple[Finding, ...]:
    """The server's name: not there, not answered, or with an address of the intranet."""
    target = find_target(seen, told)
    questions = [fact for fact in seen if isinstance(fact, DNSExchange)]
    lookups = [fact for fact in told if isinstance(fact, NameLookup)]
    if _one_way(seen):
        questions = [question for question in questions if question.answered]
    found = (_name_fails(host, target, questions, lookups) for host in target.hosts)
    return tuple(item for item in found if item is not None)


def _name_fails(
    host: str, target: Target, questions: list[DNSExchange], lookups: list[NameLookup]
) -> Finding | None:
    asked = [q for q in questions if _name(q) == host and q.type in (_A, _AAAA)]
    known = [address for question in asked for address in question.addresses]
    known += [address for lookup in _of(lookups, host) for address in lookup.addresses]
    if target.reached or not asked:
        return None
    if known:
        return _leads_inside(host, target, asked) if all(map(is_private, known)) else None
    failed = next((q for q in asked if q.code in _FAILURES), None)
    empty = next((q for q in asked if q.answered and q.type == _A), None)
    if failed is None and empty is None:
        silent = len(questions) >= _ENOUGH and not any(q.answered for q in questions)
        if not silent:
            return None
    which = failed or empty or asked[0]
    answer = _FAILURES.get(which.code or 0, "no address") if which.answered else "nothing"
    return finding(
        target,
        iphttps.NAME_UNRESOLVABLE,
        f"{which.server} answers {answer} to the question for {host}.",
        Confidence.CERTAIN if which.code == _NO_NAME else Confidence.LIKELY,
        "question and answer stand in the capture" if which.answered else "no question is answered",
        which,
    )


def _leads_inside(host: str, target: Target, asked: list[DNSExchange]) -> Finding | None:
    """Some networks stand before the server with private addresses, as in a laboratory."""
    answered = [q for q in asked if q.addresses]
    if not answered or any(h.chosen for h in target.handshakes):
        return None
    return finding(
        target,
        iphttps.NAME_LEADS_INSIDE,
        f"{answered[0].server} says that {host} is {answered[0].addresses[0]}, a private address.",
        Confidence.LIKELY,
        "the answer stands in the capture, and nothing at that address speaks TLS",
        answered[0],
    )


def asked_inside(
    capture: Capture,
    seen: tuple[Seen, ...],
    told: tuple[Told, ...],
    rules: tuple[NRPTRule, ...],
) -> Finding | None:
    """The server's own name is asked of a DNS server of the intranet."""
    target = find_target(seen, told)
    inside = {server for rule in rules for server in rule.dns_servers or ()}
    if target.reached or target.sureness is not Confidence.CERTAIN:
        return None
    for fact in seen:
        if not isinstance(fact, DNSExchange) or _name(fact) not in target.hosts:
            continue
        if (fact.server in inside or fact.server.endswith(_DNS64)) and not fact.addresses:
            return finding(
                target,
                iphttps.NRPT_PUBLIC_NAME_NOT_EXEMPT,
                f"{fact.name} is asked of {fact.server}, a DNS server of the intranet.",
                Confidence.CERTAIN,
                "the question stands in the capture",
                fact,
            )
    return None


def inside_silent(
    capture: Capture,
    seen: tuple[Seen, ...],
    told: tuple[Told, ...],
    rules: tuple[NRPTRule, ...],
    signs: tuple[Sign, ...],
) -> Finding | None:
    """The DNS servers of the intranet are asked again and again, and none of them answers."""
    if whereabouts.outside(signs) is False or whereabouts.connected(signs):
        return None
    own = find_target(seen, told).hosts
    naming = [rule for rule in in_force(rules) if rule.dns_servers]
    inside = {server for rule in naming for server in rule.dns_servers or ()}
    asked = [
        fact
        for fact in seen
        if isinstance(fact, DNSExchange)
        and (fact.server in inside or fact.server.endswith(_DNS64))
        and _name(fact) not in own
    ]
    silent = [question for question in asked if question.asked >= _ENOUGH]
    if not silent or any(question.answered for question in asked) or _one_way(seen):
        return None
    first = silent[0]
    naming = [rule for rule in naming if first.server in (rule.dns_servers or ())]
    return Finding(
        problem=names_catalogue.NRPT_DNS_SERVER_UNREACHABLE,
        summary=f"{first.server} was asked {first.asked} times for {first.name}, and is silent.",
        confidence=Confidence.LIKELY,
        reason="no answer of any DNS server of the intranet stands in the capture",
        evidence=(*(question.source for question in silent), *(r.source for r in naming[:1])),
        values=(("DNS", first.server), ("NAME", first.name)),
    )


def asked_in_the_clear(
    capture: Capture,
    seen: tuple[Seen, ...],
    rules: tuple[NRPTRule, ...],
    signs: tuple[Sign, ...],
) -> Finding | None:
    """Outside, a name of the intranet is asked of a server that the rules do not name."""
    if whereabouts.outside(signs) is not True:
        return None
    table = in_force(rules)
    for fact in seen:
        if not isinstance(fact, DNSExchange):
            continue
        rule = covering(_name(fact), table)
        if fact.type not in (_A, _AAAA) or _UNASKED.match(_name(fact)):
            continue
        if rule is None or not rule.dns_servers or fact.server in rule.dns_servers:
            continue
        effective = rule.view is PolicyView.EFFECTIVE
        return Finding(
            problem=names_catalogue.APP_BYPASSES_NRPT
            if effective
            else names_catalogue.NRPT_NOT_EFFECTIVE,
            summary=f"{fact.name}, a name of the intranet, is asked of {fact.server} in the clear.",
            confidence=Confidence.LIKELY,
            reason="the rule that holds names other servers; a program with a resolver of its own "
            "does not ask it"
            if effective
            else "the rule is there and names other servers, and the client is outside",
            evidence=(fact.source, rule.source),
            values=(("NAME", fact.name), ("HOST", fact.name)),
        )
    return None


def proxy_answers(
    capture: Capture, seen: tuple[Seen, ...], told: tuple[Told, ...]
) -> Finding | None:
    """A proxy refuses CONNECT to the server."""
    target = find_target(seen, told)
    ours = [e for e in _exchanges(seen) if e.method == "CONNECT" and _is_for(e, target)]
    if target.reached or any(e.status is not None and e.status < _BAD for e in ours):
        return None
    refused = next((e for e in ours if e.status is not None), None)
    if refused is None:
        return None
    proxy = (("PROXY", refused.server),)
    if refused.status == _AUTHENTICATION:
        problem = internet.PROXY_AUTHENTICATION_REQUIRED
        wants = f" ({refused.authenticate})" if refused.authenticate else ""
        what = f"The proxy {refused.server} asks who it is{wants} before it connects to"
    else:
        problem = internet.PROXY_BLOCKS_IPHTTPS
        what = f"The proxy {refused.server} answers {refused.status} to CONNECT to"
    sure = Confidence.LIKELY if refused.status in _GATEWAY_ERRORS else Confidence.CERTAIN
    return Finding(
        problem=problem,
        summary=f"{what} {refused.target}.",
        confidence=sure,
        reason="question and answer stand in the capture"
        if sure is Confidence.CERTAIN
        else "the proxy says that it does not reach the server; why it does not say",
        evidence=(refused.source,),
        values=(*target.values, *proxy),
    )


def proxy_silent(
    capture: Capture, seen: tuple[Seen, ...], proxy: WinHTTPProxy, told: tuple[Told, ...]
) -> Finding | None:
    """The proxy that WinHTTP is set to does not answer."""
    place = proxy_host(proxy.proxy)
    if place is None:
        return None
    name, port = place
    answers = [f for f in (*seen, *told) if isinstance(f, DNSExchange | NameLookup)]
    same = [fact for fact in answers if fact.name.lower().rstrip(".") == name]
    addresses = {name, *(address for fact in same for address in fact.addresses)}
    tried = [c for c in _connections(seen) if c.server in addresses and c.port == port]
    dead = (ConnectionEnd.NO_ANSWER, ConnectionEnd.REFUSED)
    if not tried or any(c.end not in dead for c in tried):
        return None
    return Finding(
        problem=internet.PROXY_UNREACHABLE,
        summary=f"The proxy {proxy.proxy} gives {tried[0].end}.",
        confidence=Confidence.CERTAIN,
        reason="setting and attempts stand in the evidence",
        evidence=(tried[0].source, proxy.source),
        values=(("PROXY", proxy.proxy or ""),),
    )


def portal(
    capture: Capture, seen: tuple[Seen, ...], policies: tuple[NCSIPolicy, ...]
) -> Finding | None:
    """A page that answers by itself is answered by somebody else."""
    pages = dict(_PROBES)
    for policy in policies:
        parts = urlsplit(policy.probe_url or "")
        if parts.hostname:
            pages[parts.hostname.lower()] = parts.path
    asked = [e for e in _exchanges(seen) if e.method == "GET" and _is_page(e, pages)]
    if any(e.status in (_OK, 204) for e in asked):
        return None
    for exchange in asked:
        elsewhere = (urlsplit(exchange.location).hostname or "").lower()
        if exchange.status == _PORTAL or (elsewhere and elsewhere != _host(exchange)):
            return Finding(
                problem=internet.CAPTIVE_PORTAL,
                summary=f"The question for http://{exchange.host}{exchange.target} is answered "
                f"with {exchange.status} {exchange.location}".rstrip()
                + ".",
                confidence=Confidence.CERTAIN,
                reason="this page never leads elsewhere by itself",
                evidence=(exchange.source,),
            )
    return None


def http_refused(
    capture: Capture, seen: tuple[Seen, ...], told: tuple[Told, ...]
) -> Finding | None:
    """The request within the session, which nothing hides, is refused."""
    target = find_target(seen, told)
    servers = {h.server for h in target.handshakes}
    posts = [e for e in _exchanges(seen) if e.method == "POST" and e.server in servers]
    if any(e.status == _OK for e in posts):
        return None
    refused = next((e for e in posts if e.status is not None), None)
    if refused is None:
        return None
    return finding(
        target,
        iphttps.HTTP_REFUSED,
        f"{refused.server} answers {refused.status} to POST {refused.target}.",
        Confidence.CERTAIN,
        "the session is not encrypted, and both stand in the capture",
        refused,
    )


def large_packets_lost(
    capture: Capture,
    seen: tuple[Seen, ...],
    told: tuple[Told, ...],
    certificates: tuple[Certificate, ...],
) -> Finding | None:
    """A large segment to or from the server never arrives, though small ones do."""
    target = find_target(seen, told, certificates)
    speaking = {(h.server, h.port) for h in target.handshakes}
    speaking |= {(server, target.port) for server in target.servers}
    for connection in _connections(seen):
        if not connection.lost_size or (connection.server, connection.port) not in speaking:
            continue
        who = "the server" if connection.lost_by_server else "the client"
        notice = next((e for e in _errors(seen) if e.refusal is Refusal.TOO_BIG), None)
        said = f"; {notice.reporter} says that packets are too big" if notice else ""
        return finding(
            target,
            PATH_MTU_BLACK_HOLE,
            f"A segment of {connection.lost_size} bytes from {who} never arrives, and smaller "
            f"ones do{said}.",
            Confidence.LIKELY,
            "it was missing to the end of the connection, while both sides went on",
            *(connection, *((notice,) if notice else ())),
        )
    return None


def _one_way(seen: Sequence[Seen]) -> bool:
    """Whether only one direction was captured: answers are not to be seen."""
    return any(c.bytes_sent and not c.bytes_received for c in _connections(seen))


def _connections(seen: Sequence[Seen]) -> list[TCPConnection]:
    return [fact for fact in seen if isinstance(fact, TCPConnection)]


def _exchanges(seen: Sequence[Seen]) -> list[HTTPExchange]:
    return [fact for fact in seen if isinstance(fact, HTTPExchange)]


def _errors(
    seen: Sequence[Seen], destination: str | None = None, protocol: int | None = None
) -> Iterator[ICMPErrorSeen]:
    for fact in seen:
        if not isinstance(fact, ICMPErrorSeen):
            continue
        if destination in (None, fact.destination) and protocol in (None, fact.protocol):
            yield fact


def _name(question: DNSExchange) -> str:
    return question.name.lower().rstrip(".")


def _of(lookups: list[NameLookup], host: str) -> list[NameLookup]:
    return [lookup for lookup in lookups if lookup.name.lower().rstrip(".") == host]


def _is_for(exchange: HTTPExchange, target: Target) -> bool:
    host = exchange.target.lower().rpartition(":")[0]
    return host in target.hosts or host in target.servers


def _host(exchange: HTTPExchange) -> str:
    return exchange.host.lower().partition(":")[0]


def _is_page(exchange: HTTPExchange, pages: dict[str, str]) -> bool:
    return exchange.target.partition("?")[0] == pages.get(_host(exchange))


RULES = everywhere(
    Rule((internet.INTERNET_DOWN,), nothing_answers),
    Rule((internet.CAPTIVE_PORTAL,), portal),
    Rule((internet.PROXY_REQUIRED_NOT_CONFIGURED,), proxy_is_the_way),
    Rule((internet.PROXY_UNREACHABLE,), proxy_silent),
    Rule(
        (internet.PROXY_AUTHENTICATION_REQUIRED, internet.PROXY_BLOCKS_IPHTTPS),
        proxy_answers,
    ),
    Rule((PATH_MTU_BLACK_HOLE,), large_packets_lost),
    Rule((iphttps.NAME_UNRESOLVABLE, iphttps.NAME_LEADS_INSIDE), name_fails),
    Rule((iphttps.NRPT_PUBLIC_NAME_NOT_EXEMPT,), asked_inside),
    Rule((names_catalogue.NRPT_DNS_SERVER_UNREACHABLE,), inside_silent, Role.CLIENT),
    Rule(
        (names_catalogue.APP_BYPASSES_NRPT, names_catalogue.NRPT_NOT_EFFECTIVE),
        asked_in_the_clear,
        Role.CLIENT,
    ),
    Rule(
        (iphttps.PORT_BLOCKED, iphttps.CONNECTION_REFUSED, iphttps.CONNECTION_RESET),
        connections_fail,
    ),
    Rule((iphttps.HTTP_REFUSED,), http_refused),
)
