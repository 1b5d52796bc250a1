"""Whole captures through reader and tracker."""

import struct

import pytest

from tests.packets import CLIENT, SERVER, ethernet, ip, pcap, tcp, udp
from throughway.proto.flows import tracker as module
from throughway.proto.flows.tcp import KEPT_BYTES, Side, TCPFlow
from throughway.proto.flows.tracker import (
    AdvertisementReceived,
    DatagramReceived,
    ErrorReceived,
    ESPReceived,
    Event,
    Tracker,
)
from throughway.wire.icmpv6 import PrefixInformation, RouterAdvertisement, build_icmpv6
from throughway.wire.ip import ESP, ICMP, IPV6_IN_IPV4, TCP, UDP
from throughway.wire.ipv6 import ALL_NODES, format_address, parse_address
from throughway.wire.pcap import Reader
from throughway.wire.quiet import QuietFlows

HERE, THERE = "2001:db8::a", "2001:db8::b"
SYN, ACK, FIN, RST = 2, 16, 1, 4


def follow(*packets: bytes, step: float = 1.0) -> tuple[list[Event], Tracker, Reader]:
    quiet = QuietFlows()
    reader, tracker = Reader(quiet), Tracker(quiet)
    content = pcap(*map(ethernet, packets), step=step)
    events: list[Event] = []
    # As many bytes at a time as a quiet flow needs to be passed over at once.
    for at in range(0, len(content), 4096):
        reader.receive_data(content[at : at + 4096])
        for packet in reader.packets():
            tracker.receive_packet(packet, reader.count)
            while (event := tracker.next_event()) is not None:
                events.append(event)
    tracker.finish()
    while (event := tracker.next_event()) is not None:
        events.append(event)
    return events, tracker, reader


class Ends:
    """Two ends of a connection that number their segments."""

    def __init__(self, client: str = CLIENT, server: str = SERVER, port: int = 50000) -> None:
        self.client, self.server, self.port = client, server, port
        self.numbers = {"client": 999, "server": 4999}

    def say(self, side: str, payload: bytes = b"", flags: int = ACK) -> bytes:
        number = self.numbers[side]
        self.numbers[side] += len(payload) + (1 if flags & (SYN | FIN) else 0)
        ends, ports = (self.client, self.server), (self.port, 443)
        if side == "server":
            ends, ports = ends[::-1], ports[::-1]
        return ip(*ends, TCP, tcp(payload, flags, ports=ports, sequence=number % (1 << 32)))

    def open(self) -> list[bytes]:
        return [
            self.say("client", flags=SYN),
            self.say("server", flags=SYN | ACK),
            self.say("client"),
        ]


@pytest.mark.parametrize(("client", "server"), [(CLIENT, SERVER), (HERE, THERE)])
def test_a_connection(client: str, server: str) -> None:
    ends = Ends(client, server)
    events, _, _ = follow(
        *ends.open(),
        ends.say("client", b"hello"),
        ends.say("server", b"answer"),
        ends.say("server", flags=FIN | ACK),
        ends.say("client", flags=FIN | ACK),
        ends.say("server"),
    )
    (flow,) = events
    assert isinstance(flow, TCPFlow)
    assert (flow.client_data, flow.server_data) == (b"hello", b"answer")
    assert (flow.client_port, flow.server_port) == (50000, 443)
    assert (flow.first_packet, flow.last_packet) == (1, 7)
    assert flow.finished_by is Side.SERVER


def test_bulk_data_is_passed_over_and_counted() -> None:
    ends = Ends()
    packets = ends.open()
    for _ in range(400):
        packets += [ends.say("server", bytes(1400)), ends.say("client")]
    packets += [ends.say("server", flags=RST | ACK)]
    events, _, reader = follow(*packets)
    (flow,) = events
    assert isinstance(flow, TCPFlow)
    assert len(flow.server_data) == KEPT_BYTES
    assert 399 * 1400 <= flow.received <= 400 * 1400
    assert flow.reset_by is Side.SERVER
    assert reader.quiet.passed > 700
    assert reader.count == 804


def test_the_same_ports_again() -> None:
    first, second = Ends(), Ends()
    second.numbers = {"client": 70_000, "server": 90_000}
    packets = [*first.open(), *second.open(), second.say("client", b"second")]
    events, _, _ = follow(*packets)
    assert [e.client_data for e in events if isinstance(e, TCPFlow)] == [b"", b"second"]


def test_the_same_ports_after_a_reset() -> None:
    ends = Ends()
    refused = [ends.say("client", flags=SYN), ends.say("server", flags=RST | ACK)]
    events, _, _ = follow(*refused, *refused)
    resets = [e.reset_by for e in events if isinstance(e, TCPFlow)]
    assert resets == [Side.SERVER, Side.SERVER]


def test_a_connection_from_before_the_capture() -> None:
    ends = Ends()
    data = [ends.say("server", bytes(1000)) for _ in range(20)]
    events, _, reader = follow(*data, ends.say("client", flags=RST))
    (flow,) = events
    assert isinstance(flow, TCPFlow)
    assert (flow.attempts, flow.reset_by, flow.client_port) == (0, Side.CLIENT, 50000)
    assert flow.server_data == b""
    assert reader.quiet.passed >= 15


def test_a_lost_end_begins_nothing() -> None:
    assert follow(Ends().say("client", flags=RST), Ends().say("client"))[0] == []


def test_datagrams_that_matter_are_told() -> None:
    dns = ip(CLIENT, SERVER, UDP, udp(b"question", (50000, 53)))
    ike = ip(CLIENT, SERVER, UDP, udp(bytes(4) + b"ike", (4500, 4500)))
    other = ip(CLIENT, SERVER, UDP, udp(b"x" * 40, (50000, 443)))
    events, _, reader = follow(dns, ike, other, other, other, dns)
    told = [(e.number, e.payload) for e in events if isinstance(e, DatagramReceived)]
    assert told == [(1, b"question"), (2, bytes(4) + b"ike"), (6, b"question")]
    assert reader.quiet.passed == 2
    assert isinstance(events[0], DatagramReceived)
    assert events[0].timestamp == 1000.0005


def test_esp_is_told_once() -> None:
    esp = struct.pack("!II", 0x1234, 1) + bytes(50)
    direct = ip(HERE, THERE, ESP, esp)
    packets = [direct, direct, ip(CLIENT, SERVER, UDP, udp(esp, (4500, 4500)))] * 2
    events, _, _ = follow(*packets)
    assert [(e.spi, e.in_udp) for e in events if isinstance(e, ESPReceived)] == [
        (0x1234, False),
        (0x1234, True),
    ]


def test_what_is_in_tunnels() -> None:
    inner = ip(HERE, THERE, UDP, udp(b"ike", (500, 500)))
    esp = ip(HERE, THERE, ESP, struct.pack("!II", 7, 1) + bytes(50))
    packets = [
        ip(CLIENT, SERVER, IPV6_IN_IPV4, inner),
        ip(CLIENT, SERVER, UDP, udp(inner, (50000, 3544))),
        ip(CLIENT, SERVER, UDP, udp(inner, (50000, 50001))),
        ip(CLIENT, SERVER, UDP, udp(esp, (50000, 3544))),
        ip(CLIENT, SERVER, UDP, udp(esp, (50000, 3544))),
        ip(CLIENT, SERVER, 4, b"padding" * 9),
    ]
    events, _, reader = follow(*packets)
    ports = [e.destination_port for e in events if isinstance(e, DatagramReceived)]
    assert ports == [500, 3544, 500, 500, 3544]
    assert sum(isinstance(e, ESPReceived) for e in events) == 1
    assert reader.quiet.passed == 1


def test_a_router_advertisement() -> None:
    prefix = PrefixInformation(
        prefix=parse_address("2001:db8:1::"),
        length=64,
        on_link=True,
        autonomous=True,
        valid=1,
        preferred=1,
    )
    sent = RouterAdvertisement(router_lifetime=1800, prefixes=(prefix,))
    packet = build_icmpv6(sent, source=parse_address("fe80::1"), destination=ALL_NODES)
    events, _, _ = follow(packet, packet[:-40] + bytes(40))
    (told,) = events
    assert isinstance(told, AdvertisementReceived)
    assert told.advertisement == sent
    assert format_address(told.router) == "fe80::1"


def test_errors_on_the_way() -> None:
    lost = ip(CLIENT, SERVER, UDP, udp(b"", (50000, 3544)))
    packet = ip("203.0.113.9", CLIENT, ICMP, struct.pack("!BBHI", 3, 13, 0, 0) + lost)
    (told,) = follow(packet)[0]
    assert isinstance(told, ErrorReceived)
    assert (told.error.code, told.error.ports) == (13, (50000, 3544))


def test_what_cannot_be_read_is_counted() -> None:
    events, tracker, _ = follow(
        ip(CLIENT, SERVER, TCP, b"short"),
        ip(CLIENT, SERVER, UDP, b"x" * 30, fragment=3),
        ip(CLIENT, SERVER, UDP, udp(b"\x60", (1, 3544))),
    )
    assert (len(events), tracker.malformed, tracker.fragments) == (1, 2, 1)


def test_memory_has_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAXIMUM_CONNECTIONS", 2)
    events, tracker, _ = follow(*(Ends(port=50000 + n).say("client", flags=SYN) for n in range(4)))
    assert tracker.given_up == 2
    assert [e.complete for e in events if isinstance(e, TCPFlow)] == [False, False, True, True]
    monkeypatch.setattr(module, "MAXIMUM_KEPT", 3000)
    several = [Ends(port=50000 + n) for n in range(2)]
    packets = [p for ends in several for p in ends.open()]
    packets += [ends.say("client", bytes(1000)) for _ in range(2) for ends in several]
    events, tracker, _ = follow(*packets)
    assert tracker.given_up == 1
    assert [len(e.client_data) for e in events if isinstance(e, TCPFlow)] == [2000, 2000]
