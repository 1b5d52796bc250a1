"""The captures among the evidence: what passes, in words of :mod:`tests.captured`.

    python -m tests.captured_evidence

writes them all; a test holds the files against this. SCENES says which codes each one shows.
"""

import struct
from collections.abc import Callable
from pathlib import Path

from tests.captured import (
    ACK,
    CLIENT,
    HOST,
    NULL_SUITES,
    PROXY,
    RESOLVER,
    RST,
    SERVER,
    SYN,
    USUAL_SUITES,
    Talk,
    Wire,
    advertisement,
    alert,
    answer,
    certificate,
    finished,
    hello,
    keys,
    post,
    record,
    revocation_list,
    solicitation,
)
from tests.packets import ip, tcp, udp
from throughway.wire.icmpv6 import RouterAdvertisement, RouterSolicitation, build_icmpv6
from throughway.wire.ike import Message, Payload, PayloadType, build_ike
from throughway.wire.ike_names import Protocol
from throughway.wire.ip import ESP, IPV6_IN_IPV4, TCP, UDP
from throughway.wire.ipv6 import ALL_ROUTERS, parse_address
from throughway.wire.teredo import Mapping, TeredoPacket, build_teredo

EVIDENCE = Path(__file__).parent / "evidence"
URL = "iphttps-configuration.txt"
Scene = Callable[[Wire], None]

CONFIGURATION = f"""
ConfigurationType  : Group Policy
Type               : Client
State              : Default
AuthMode           : None
ServerURL          : https://{HOST}:443/IPHTTPS
StrongCRLRequired  : False
PolicyStore        : example.com\\DirectAccess Client Settings
"""
OUTSIDE = """
Name Resolution Policy Table Options
--------------------------------------------------------------------

Query Failure Behavior                : Always fall back to LLMNR and NetBIOS
                                        if the name does not exist in DNS
Query Resolution Behavior             : Resolve only IPv6 addresses for names
Network Location Behavior             : Let Network ID determine when Direct
                                        Access settings are to be used
Machine Location                      : Outside corporate network
Direct Access Settings                : Configured and Enabled
DNSSEC Settings                       : Not Configured
"""
EFFECTIVE = """
DNS Effective Name Resolution Policy Table Settings


Settings for .corp.example.com
----------------------------------------------------------------------
DirectAccess (Certification Authority)  :
DirectAccess (IPsec)                    : disabled
DirectAccess (DNS Servers)              : 2001:db8:5::3333:1
DirectAccess (Proxy Settings)           : Bypass proxy
"""
WINHTTP = """
Current WinHTTP proxy settings:

    Proxy Server(s) :  192.0.2.80:8080
    Bypass List     :  (none)
"""


def resolved(wire: Wire) -> None:
    wire.ask(HOST, SERVER)


def begun(wire: Wire, suites: tuple[int, ...] = NULL_SUITES) -> Talk:
    """Name, connection, ClientHello."""
    resolved(wire)
    talk = Talk(wire).begin()
    talk.say("client", hello(suites))
    return talk


def shown(wire: Wire, der: bytes, *more: bytes, request: bool = False) -> Talk:
    """The same, up to the certificate of the server."""
    talk = begun(wire)
    talk.say("server", answer(der, *more, request=request))
    return talk


def link(wire: Wire, der: bytes = b"", told: bytes | None = None, status: int = 200) -> Talk:
    """A whole session with a NULL suite."""
    talk = shown(wire, der or certificate())
    talk.say("client", keys())
    talk.say("server", finished())
    request, response = post(status)
    talk.say("client", request)
    talk.say("server", response)
    talk.say("client", solicitation())
    talk.say("server", advertisement() if told is None else told)
    return talk


def healthy(wire: Wire) -> None:
    link(wire).segment("client")


def null_missing(wire: Wire) -> None:
    talk = begun(wire)
    talk.say("server", alert(40))
    talk.end("server")


def null_missing_reset(wire: Wire) -> None:
    """As http.sys does it: without an alert."""
    begun(wire).end("server", RST)


def reset_between(wire: Wire) -> None:
    begun(wire).end("server", RST, hops=2, after=0.003)


def reset_windows_7(wire: Wire) -> None:
    begun(wire, USUAL_SUITES).end("server", RST)


def no_common_version(wire: Wire) -> None:
    resolved(wire)
    talk = Talk(wire).begin()
    talk.say("client", hello(USUAL_SUITES, version=0x0301))
    talk.say("server", alert(70))
    talk.end("server")


def hello_unanswered(wire: Wire) -> None:
    talk = begun(wire)
    for after in (0.3, 0.6, 1.2, 2.4):
        talk.repeat("client", hello(), after)


def no_tls(wire: Wire) -> None:
    talk = begun(wire)
    talk.say("server", b"HTTP/1.1 400 Bad Request\r\nServer: router\r\n\r\n")
    talk.end("server")


def other_name(wire: Wire) -> None:
    talk = shown(wire, certificate("router.example.net", "router.example.net"))
    talk.say("client", alert(42))
    talk.end("client")


def near_name(wire: Wire) -> None:
    talk = shown(wire, certificate("vpn.example.com"))
    talk.say("client", alert(42))
    talk.end("client")


def inspected(wire: Wire) -> None:
    talk = shown(wire, certificate(HOST, "FortiGate CA FGT60E"))
    talk.say("client", alert(48))
    talk.end("client", RST)


def untrusted(wire: Wire) -> None:
    talk = shown(wire, certificate())
    talk.say("client", alert(48))
    talk.end("client", RST)


def intermediate_missing(wire: Wire) -> None:
    """Another server of the same house sends the intermediate along."""
    untrusted(wire)
    other = Talk(wire, "198.51.100.9", own=50009).begin()
    other.say("client", hello(USUAL_SUITES, "www.example.com"))
    intermediate = certificate("Example Issuing CA", "Example Root", crl="")
    other.say("server", answer(certificate("www.example.com"), intermediate, suite=0xC02F))
    other.say("client", keys())
    other.say("server", finished())


def expired(wire: Wire) -> None:
    shown(wire, certificate(ends="2025-09-01")).end("client")


def not_yet_valid(wire: Wire) -> None:
    shown(wire, certificate(begins="2025-12-01")).end("client")


def not_for_servers(wire: Wire) -> None:
    shown(wire, certificate(usage="1.3.6.1.5.5.7.3.2")).end("client")


def for_servers(wire: Wire) -> None:
    link(wire, certificate(usage="1.3.6.1.5.5.7.3.1"))


def expiring(wire: Wire) -> None:
    link(wire, certificate(ends="2025-10-15"))


def certificate_wanted(wire: Wire) -> None:
    talk = shown(wire, certificate(), request=True)
    talk.say("client", bytes.fromhex("1603030007 0b000003000000") + keys())
    talk.say("server", alert(40))
    talk.end("server", RST)


def certificate_refused(wire: Wire) -> None:
    talk = shown(wire, certificate(), request=True)
    der = certificate("client1.example.com")
    length = (len(der) + 3).to_bytes(3, "big")
    body = length + len(der).to_bytes(3, "big") + der
    talk.say("client", record(22, b"\x0b" + len(body).to_bytes(3, "big") + body) + keys())
    talk.say("server", alert(48))
    talk.end("server", RST)


def certificate_accepted(wire: Wire) -> None:
    talk = shown(wire, certificate(), request=True)
    talk.say("client", bytes.fromhex("1603030007 0b000003000000") + keys())
    talk.say("server", finished())
    request, response = post()
    talk.say("client", request + solicitation())
    talk.say("server", response + advertisement())


def no_list_named(wire: Wire) -> None:
    shown(wire, certificate(crl="")).end("client")


def fetched(wire: Wire, status: bytes, body: bytes = b"") -> None:
    """The client fetches the list while it looks at the certificate."""
    talk = shown(wire, certificate())
    wire.ask("crl.example.com", "203.0.113.80")
    fetch = Talk(wire, "203.0.113.80", 80, 50080).begin()
    fetch.say("client", b"GET /issuing.crl HTTP/1.1\r\nHost: crl.example.com\r\n\r\n")
    head = b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
    fetch.say("server", head + body)
    talk.end("client")


def list_absent(wire: Wire) -> None:
    fetched(wire, b"404 Not Found")


def list_silent(wire: Wire) -> None:
    talk = shown(wire, certificate())
    wire.ask("crl.example.com", "203.0.113.80")
    Talk(wire, "203.0.113.80", 80, 50080).silence()
    talk.end("client", after=9)


def list_expired(wire: Wire) -> None:
    fetched(wire, b"200 OK", revocation_list("Example Issuing CA", ends="2025-09-01"))


def list_names_it(wire: Wire) -> None:
    fetched(wire, b"200 OK", revocation_list("Example Issuing CA", revoked=HOST))


def list_names_another(wire: Wire) -> None:
    link(wire)
    fetched(wire, b"200 OK", revocation_list("Example Issuing CA", revoked="vpn.example.com"))


def silent(wire: Wire) -> None:
    resolved(wire)
    Talk(wire).silence()
    wire.wait(5)


def prohibited(wire: Wire) -> None:
    resolved(wire)
    Talk(wire).segment("client", flags=SYN)
    wire.icmp(3, 13, ip(CLIENT, SERVER, TCP, tcp(flags=SYN)))
    wire.wait(5)


def refused(wire: Wire) -> None:
    resolved(wire)
    talk = Talk(wire)
    talk.segment("client", flags=SYN)
    talk.segment("server", flags=RST | ACK)


def others_fail(wire: Wire) -> None:
    """A healthy session, and faults of servers that are none of ours."""
    healthy(wire)
    wire.ask("tracker.example.net", "203.0.113.5")
    Talk(wire, "203.0.113.5", own=50005).silence()
    talk = Talk(wire, "203.0.113.6", own=50006)
    talk.segment("client", flags=SYN)
    talk.segment("server", flags=RST | ACK)
    talk = Talk(wire, "203.0.113.7", own=50007).begin()
    talk.say("client", hello(USUAL_SUITES, "old.example.net"))
    talk.say("server", alert(40))
    talk.end("server")
    talk = Talk(wire, "203.0.113.8", own=50008).begin()
    talk.say("client", hello(USUAL_SUITES, "a.example.org"))
    talk.say("server", answer(certificate("a.example.org", ends="2025-02-01"), suite=0xC02F))
    talk.end("client", RST)
    wire.ask("gone.example.net", code=3)
    wire.wait(5)


def no_name(wire: Wire) -> None:
    wire.ask(HOST, code=3)


def resolver_silent(wire: Wire) -> None:
    for name in (HOST, "www.example.net", HOST):
        wire.ask(name, code=None)
    wire.wait(5)


def only_ipv4(wire: Wire) -> None:
    """No IPv6 address is no fault."""
    question = Wire()
    question.ask(HOST, "2001:db8::1")
    empty = question.frames[0][1][14:]
    wire.send(empty)
    body = bytearray(empty[28:])
    body[2:4] = b"\x81\x80"
    wire.send(ip(RESOLVER, CLIENT, UDP, udp(bytes(body), (53, 50053))), hops=1)
    healthy(wire)


def private_answer(wire: Wire) -> None:
    wire.ask(HOST, "10.1.0.5")
    Talk(wire, "10.1.0.5").silence()
    wire.wait(5)


def private_and_healthy(wire: Wire) -> None:
    """A laboratory: the address is private, and the server is there."""
    wire.ask(HOST, "10.1.0.5")
    talk = Talk(wire, "10.1.0.5").begin()
    talk.say("client", hello())
    talk.say("server", answer(certificate()))
    talk.say("client", keys())
    talk.say("server", finished())


def asked_inside(wire: Wire) -> None:
    question = Wire()
    question.ask(HOST, code=None)
    body = question.frames[0][1][14 + 20 :]
    for _ in range(3):
        wire.send(ip("2001:db8:5::99", "2001:db8:5::3333:1", UDP, body), 1.0)


def inside_silent(wire: Wire) -> None:
    question = Wire()
    question.ask("app.corp.example.com", code=None)
    for _ in range(3):
        wire.send(ip("2001:db8:5::99", "2001:db8:5::3333:1", UDP, question.frames[0][1][34:]), 1.0)


def inside_late(wire: Wire) -> None:
    """One question is answered late, another one was only just asked."""
    inside_silent(wire)
    question = Wire()
    question.ask("app.corp.example.com", "192.0.2.80")
    question.ask("files.corp.example.com", code=None)
    late, new = question.frames[1][1][34:], question.frames[2][1][34:]
    wire.send(ip("2001:db8:5::3333:1", "2001:db8:5::99", UDP, late), 1.0)
    wire.send(ip("2001:db8:5::99", "2001:db8:5::3333:1", UDP, new), 1.0)


def in_the_clear_name(wire: Wire) -> None:
    wire.ask("app.corp.example.com", code=3)


def public_names(wire: Wire) -> None:
    wire.ask("www.example.net", "203.0.113.1")


def connect(wire: Wire, *statuses: bytes, name: str = HOST, port: int = 50088) -> Talk:
    talk = Talk(wire, PROXY, 8080, port, hops=1).begin()
    for status in statuses:
        talk.say("client", f"CONNECT {name}:443 HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
        talk.say("server", b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
    return talk


def proxy_asks(wire: Wire) -> None:
    connect(wire, b"407 Proxy Authentication Required\r\nProxy-Authenticate: Negotiate")


def proxy_asks_and_yields(wire: Wire) -> None:
    wanted = b"407 Proxy Authentication Required\r\nProxy-Authenticate: NTLM"
    talk = connect(wire, wanted, wanted, b"200 Connection established")
    talk.say("client", hello())
    talk.say("server", answer(certificate()))
    talk.say("client", keys())
    talk.say("server", finished())


def proxy_blocks(wire: Wire) -> None:
    connect(wire, b"403 Forbidden").end("server")


def proxy_silent(wire: Wire) -> None:
    Talk(wire, PROXY, 8080, 50088).silence()
    wire.wait(5)


def proxy_needed(wire: Wire) -> None:
    connect(wire, b"200 Connection established", name="www.example.net")
    silent(wire)


def probe(wire: Wire, status: bytes, more: bytes = b"") -> None:
    wire.ask("www.msftconnecttest.com", "203.0.113.20")
    talk = Talk(wire, "203.0.113.20", 80, 50081).begin()
    request = b"GET /connecttest.txt HTTP/1.1\r\nHost: www.msftconnecttest.com\r\n\r\n"
    talk.say("client", request)
    talk.say("server", b"HTTP/1.1 " + status + b"\r\n" + more + b"Content-Length: 0\r\n\r\n")


def portal(wire: Wire) -> None:
    probe(wire, b"302 Found", b"Location: http://login.hotel.example/?x=1\r\n")


def no_portal(wire: Wire) -> None:
    probe(wire, b"200 OK")


def nothing_answers(wire: Wire) -> None:
    wire.ask(HOST, code=None)
    for number in (1, 2, 3):
        Talk(wire, f"203.0.113.{number}", own=50100 + number).silence()
    wire.wait(5)


def post_refused(wire: Wire) -> None:
    link(wire, status=404)


def solicited_in_vain(wire: Wire) -> None:
    talk = link(wire, told=b"")
    for _ in range(2):
        wire.wait(4)
        talk.say("client", solicitation())


def no_prefix(wire: Wire) -> None:
    link(wire, told=advertisement(prefix=False))


def no_router(wire: Wire) -> None:
    link(wire, told=advertisement(lifetime=0))


def large_answer() -> bytes:
    """An answer of more than one segment."""
    return answer(certificate(), *(certificate(f"ca{number}.example.com") for number in range(4)))


def large_lost(wire: Wire) -> None:
    """The large segment of the server's answer never comes, the small one behind it does."""
    talk = begun(wire)
    whole = large_answer()
    talk.said["server"] += 1400
    acknowledged = talk.said["server"] - 1400
    talk.segment("server", whole[1400:])
    for after in (0.1, 6.0, 12.0):
        ports = (talk.own, talk.port)
        segment = tcp(
            b"", ACK, ports=ports, sequence=talk.said["client"], acknowledgment=acknowledged
        )
        wire.send(ip(CLIENT, SERVER, TCP, segment), after)


def large_late(wire: Wire) -> None:
    """The same, but it comes a little later."""
    talk = begun(wire)
    whole = large_answer()
    talk.said["server"] += 1400
    talk.segment("server", whole[1400:])
    talk.said["server"] = 5001
    talk.segment("server", whole[:1400], after=0.4)
    talk.said["server"] = 5001 + len(whole)
    talk.say("client", keys())
    talk.say("server", finished())


ENDPOINT, OWN = "2002:c633:6402::c633:6402", "2001:db8:5::99"


def ike(*payloads: Payload, exchange: int = 0xF3, initiator: bytes = b"initiate") -> bytes:
    return build_ike(
        Message(
            protocol=Protocol.AUTHIP,
            initiator_spi=initiator,
            responder_spi=bytes(8),
            exchange=exchange,
            exchange_name="",
            encrypted=False,
            response=None,
            message_id=0,
            length=0,
            payloads=payloads,
        )
    )


def keyed(wire: Wire, body: bytes, back: bool = False, after: float = 1.0) -> None:
    ends = (ENDPOINT, OWN) if back else (OWN, ENDPOINT)
    wire.send(ip(*ends, UDP, udp(body, (500, 500))), after)


def vendor(text: bytes = b"vendor") -> Payload:
    return Payload(PayloadType.VENDOR_ID_V1, text)


def ike_silent(wire: Wire) -> None:
    for after in (1.0, 1.0, 2.0, 4.0):
        keyed(wire, ike(vendor()), after=after)


def ike_error(code: int) -> Scene:
    def scene(wire: Wire) -> None:
        keyed(wire, ike(vendor()))
        keyed(wire, ike(vendor(b"answer")), back=True)
        status = Payload(PayloadType.NOTIFY_V1, struct.pack("!IBBHI", 1, 1, 0, 0x9C54, code))
        keyed(wire, ike(status, exchange=0xF6), back=True)

    return scene


def ike_stuck(wire: Wire) -> None:
    keyed(wire, ike(vendor()))
    keyed(wire, ike(vendor(b"answer")), back=True)
    for after in (1.0, 1.0, 2.0, 4.0):
        keyed(wire, ike(vendor(b"third")), after=after)


def ike_unreachable(wire: Wire) -> None:
    keyed(wire, ike(vendor()))
    about = ip(OWN, ENDPOINT, UDP, udp(ike(vendor()), (500, 500)))
    body = struct.pack("!BBHI", 1, 3, 0, 0) + about
    wire.send(ip("2001:db8:5::1", OWN, 58, body))
    keyed(wire, ike(vendor()))


def ike_works(wire: Wire) -> None:
    """A message that is repeated once, then protected packets both ways."""
    keyed(wire, ike(vendor()))
    keyed(wire, ike(vendor()))
    keyed(wire, ike(vendor(b"answer")), back=True)
    wire.send(ip(OWN, ENDPOINT, ESP, b"\0\0\0\1" + bytes(60)))
    wire.send(ip(ENDPOINT, OWN, ESP, b"\0\0\0\2" + bytes(60)))


def fragments(whole: bool) -> Scene:
    def scene(wire: Wire) -> None:
        for _ in range(3):
            number = len(wire.frames) + 1
            first = udp(bytes(4) + bytes(1200), (4500, 4500))
            parts = [(first, 0x2000)]
            if whole:
                parts.append((bytes(400), len(first) // 8))
            for payload, place in parts:
                packet = ip(SERVER, CLIENT, UDP, payload, fragment=place)
                wire.send(packet[:4] + number.to_bytes(2, "big") + packet[6:], hops=9)

    return scene


def teredo(*answers: tuple[str, int], silent: tuple[str, ...] = ()) -> Scene:
    local, relay = parse_address("fe80::ffff:ffff:ffff"), parse_address("fe80::8000:f227:7c94:fffd")
    asked = build_icmpv6(RouterSolicitation(), source=local, destination=ALL_ROUTERS)
    told = build_icmpv6(RouterAdvertisement(), source=relay, destination=local)

    def scene(wire: Wire) -> None:
        for server, port in answers:
            origin = Mapping(bytes((203, 0, 113, 9)), port)
            packet = build_teredo(TeredoPacket(packet=told, origin=origin))
            wire.send(ip(CLIENT, server, UDP, udp(asked, (50354, 3544))))
            wire.send(ip(server, CLIENT, UDP, udp(packet, (3544, 50354))), hops=9)
        for server in silent:
            for _ in range(3):
                wire.send(ip(CLIENT, server, UDP, udp(asked, (50354, 3544))), 4.0)

    return scene


def teredo_prohibited(wire: Wire) -> None:
    teredo(silent=("198.51.100.2",))(wire)
    wire.icmp(3, 13, ip(CLIENT, "198.51.100.2", UDP, udp(bytes(60), (50354, 3544))))


def sixtofour(reporter: str, destination: str, code: int) -> Scene:
    def scene(wire: Wire) -> None:
        inner = ip("2002:c000:201::1", "2002:c633:6402::1", 58, bytes(8))
        packet = ip(CLIENT, destination, IPV6_IN_IPV4, inner)
        wire.send(packet)
        wire.icmp(3, code, packet, reporter)

    return scene


def sixtofour_unused(wire: Wire) -> None:
    sixtofour("192.0.2.254", "192.88.99.1", 2)(wire)
    healthy(wire)


_NAME = {URL: CONFIGURATION}
_INSIDE = {URL: CONFIGURATION, "effectivepolicy.txt": EFFECTIVE}
_OUTSIDE = {"dnsclient-state.txt": OUTSIDE, "effectivepolicy.txt": EFFECTIVE}
SCENES: dict[str, tuple[Scene, Scene, dict[str, str]]] = {
    "captive-portal": (portal, no_portal, {}),
    "internet-down": (nothing_answers, others_fail, {}),
    "proxy-authentication-required": (proxy_asks, proxy_asks_and_yields, _NAME),
    "proxy-blocks-iphttps": (proxy_blocks, proxy_asks_and_yields, _NAME),
    "proxy-unreachable": (proxy_silent, proxy_asks_and_yields, {"winhttp.txt": WINHTTP}),
    "proxy-required-not-configured": (proxy_needed, silent, _NAME),
    "path-mtu-black-hole": (large_lost, large_late, _NAME),
    "app-bypasses-nrpt": (in_the_clear_name, public_names, _OUTSIDE),
    "nrpt-dns-server-unreachable": (inside_silent, inside_late, _OUTSIDE),
    "nrpt-public-name-not-exempt": (asked_inside, others_fail, _INSIDE),
    "iphttps-name-unresolvable": (no_name, only_ipv4, _NAME),
    "iphttps-name-leads-inside": (private_answer, private_and_healthy, _NAME),
    "iphttps-port-blocked": (silent, others_fail, _NAME),
    "iphttps-connection-refused": (refused, others_fail, _NAME),
    "iphttps-connection-reset": (reset_between, others_fail, _NAME),
    "iphttps-wrong-server": (no_tls, near_name, _NAME),
    "iphttps-tls-inspected": (inspected, untrusted, _NAME),
    "iphttps-null-suites-missing": (null_missing, others_fail, {}),
    "iphttps-tls-handshake-failed": (no_common_version, others_fail, _NAME),
    "iphttps-cert-expired": (expired, others_fail, _NAME),
    "iphttps-cert-not-yet-valid": (not_yet_valid, others_fail, _NAME),
    "iphttps-cert-expiring": (expiring, healthy, _NAME),
    "iphttps-no-usable-cert": (not_for_servers, for_servers, _NAME),
    "iphttps-cert-name-mismatch": (near_name, others_fail, _NAME),
    "iphttps-cert-untrusted-root": (untrusted, others_fail, _NAME),
    "iphttps-cert-intermediate-missing": (intermediate_missing, untrusted, _NAME),
    "iphttps-cert-revoked": (list_names_it, list_names_another, _NAME),
    "iphttps-cert-no-crl-distribution-point": (no_list_named, list_absent, _NAME),
    "iphttps-crl-unreachable": (list_absent, list_names_another, _NAME),
    "iphttps-crl-expired": (list_expired, list_names_another, _NAME),
    "iphttps-client-cert-required": (certificate_wanted, certificate_accepted, _NAME),
    "iphttps-client-cert-rejected": (certificate_refused, certificate_accepted, _NAME),
    "iphttps-http-refused": (post_refused, healthy, {}),
    "iphttps-no-router-advertisement": (solicited_in_vain, healthy, {}),
    "iphttps-route-unpublished": (no_prefix, healthy, {}),
    "iphttps-forwarding-disabled": (no_router, healthy, {}),
    "ipsec-negotiation-timeout": (ike_silent, ike_works, {}),
    "ipsec-endpoint-unreachable": (ike_unreachable, ike_works, {}),
    "ipsec-policy-mismatch": (ike_error(13868), ike_works, {}),
    "ipsec-auth-failure-unspecified": (ike_error(13801), ike_works, {}),
    "teredo-server-unreachable": (
        teredo(silent=("198.51.100.2",)),
        teredo(("198.51.100.2", 40000), ("198.51.100.3", 40000)),
        {},
    ),
    "teredo-udp-blocked": (teredo_prohibited, teredo(("198.51.100.2", 40000)), {}),
    "teredo-second-address-missing": (
        teredo(("198.51.100.2", 40000), silent=("198.51.100.3",)),
        teredo(("198.51.100.2", 40000), ("198.51.100.3", 40000)),
        {},
    ),
    "teredo-symmetric-nat": (
        teredo(("198.51.100.2", 40000), ("198.51.100.3", 40001)),
        teredo(("198.51.100.2", 40000), ("198.51.100.3", 40000)),
        {},
    ),
    "sixtofour-relay-unreachable": (
        sixtofour("192.0.2.254", "192.88.99.1", 2),
        sixtofour_unused,
        {},
    ),
    "sixtofour-interface-down": (
        sixtofour("198.51.100.2", "198.51.100.2", 2),
        sixtofour_unused,
        {},
    ),
}
"""By code: what passes when it fires and when it is quiet, and what stands beside the capture."""


def captured(scene: Scene) -> bytes:
    """Return the capture of a scene."""
    wire = Wire()
    scene(wire)
    return wire.pcap()


def files() -> dict[Path, bytes]:
    """Return all files by their place."""
    found = {}
    for code, (fires, quiet, beside) in SCENES.items():
        for kind, scene in (("fires", fires), ("quiet", quiet)):
            folder = EVIDENCE / code / kind / "captured"
            found[folder / "capture.pcap"] = captured(scene)
            for name, text in beside.items():
                found[folder / name] = text.encode()
    return found


def main() -> None:
    """Write them."""
    for path, content in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


if __name__ == "__main__":
    main()
