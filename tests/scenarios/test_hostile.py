"""Peers that do not behave, from the Internet and from the client's own home."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

import pytest

from tests.patience import PATIENCE
from tests.scenarios.actions import (
    edited,
    gateway_status,
    page_stays,
    reconfigured,
    shown,
    wait_gateway,
    wait_gateway_well,
    wait_sessions,
)
from tests.scenarios.peer import REQUEST
from throughway.lab.lab import Lab
from throughway.lab.observe import Observer, Status, problems
from throughway.wire.icmpv6 import RouterAdvertisement, parse_icmpv6
from throughway.wire.ipv6 import (
    HEADER_LENGTH,
    IPv6Packet,
    build_packet,
    packet_length,
    parse_address,
    parse_packet,
)

PEER = Path(__file__).with_name("peer.py").read_text()
PROGRAM = "/tmp/peer.py"
HEAD_TIMEOUT = 1.0
"""Seconds, instead of ten: what is tried here is that there is an end."""
ENOUGH = 30.0
"""Seconds in which it must have come, on a machine that is busy with other things."""
INSIDE = "2001:db8:c0:1::10"
SERVER = "2001:db8:c0:2::80"
OTHER_LINK = "2001:db8:da:2000::1"
NO_NEXT_HEADER = 59


@contextmanager
def peer(lab: Lab, host: str, what: str, *arguments: str) -> Iterator[Status]:
    """Let a peer do something, and return what it says; it stays until the block ends."""
    lab.write(host, PROGRAM, PEER)
    command = [sys.executable, PROGRAM, what, *arguments]
    with lab.popen(host, command, stdin=PIPE, stdout=PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            said: Status = json.loads(process.stdout.readline())
            yield said
        finally:
            process.stdin.close()
            process.wait(PATIENCE)


def test_a_session_by_hand(fresh: Lab) -> None:
    """openssl and a request typed in: the gateway says on the link who it is."""
    openssl = (
        "timeout 60 openssl s_client -quiet -verify_return_error -verify_hostname da.example.com"
        " -connect da.example.com:443 -servername da.example.com"
    )
    with fresh.popen("client2", openssl.split(), stdin=PIPE, stdout=PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(REQUEST)
        process.stdin.flush()
        said = b""
        while not is_whole(said):
            more = os.read(process.stdout.fileno(), 65536)
            assert more, f"no session, but {said!r}"
            said += more
        process.terminate()
    head, _, stream = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    advertisement = parse_packet(stream[: packet_length(stream)])
    assert advertisement.source == parse_address("fe80::1")
    message = parse_icmpv6(advertisement)
    assert isinstance(message, RouterAdvertisement)
    assert message.prefixes[0].prefix == parse_address("2001:db8:da:1000::")
    assert message.router_lifetime == 0, "not a way to the Internet"
    assert len(message.routes) == 2, "to both endpoints"


def is_whole(said: bytes) -> bool:
    """Whether a head has come and a packet behind it."""
    stream = said.partition(b"\r\n\r\n")[2]
    return len(stream) >= HEADER_LENGTH and len(stream) >= packet_length(stream)


@pytest.fixture
def impatient(connected: Observer) -> Iterator[Observer]:
    """Return client1, connected to a gateway that does not wait for long."""
    text = edited(connected.lab, ("[iphttps]", f"[iphttps]\nhead_timeout = {HEAD_TIMEOUT}"))
    with reconfigured(connected.lab, text):
        yield connected


MISBEHAVIOUR = {
    "garbage": "",
    "silent": "",
    "silent_within_tls": "",
    "slow": "",
    "oversized": "HTTP/1.1 431 ",
    "out_of_step": "",
}
"""What a peer does, and how the gateway's last words begin."""


def test_who_does_not_speak_ip_https_is_cut_off(impatient: Observer) -> None:
    lab = impatient.lab
    (ours,) = wait_sessions(lab, 1)
    for what, said in MISBEHAVIOUR.items():
        with peer(lab, "inet1", what) as outcome:
            assert outcome["seconds"] < ENOUGH, what
            assert outcome["said"].startswith(said), what
        page_stays(impatient)
    # The last one has heard its end before the gateway has told of it.
    (still,) = wait_sessions(lab, 1)
    assert still["id"] == ours["id"]
    assert gateway_status(lab)["state"] == "ok"


@pytest.mark.parametrize("host", ["inet1", "client2"])
def test_connections_that_say_nothing_keep_nobody_out(impatient: Observer, host: str) -> None:
    """From another address, and from the same one: client2 is behind the same NAT."""
    lab = impatient.lab
    with peer(lab, host, "flood", "600") as outcome:
        assert outcome["count"] == 600
        wait_gateway(lab, "limit", lambda s: problems(s) == {"connection-limit-reached"})
        answer = shown(lab, "edge1", "gateway")
        page_stays(impatient)
        lab.stop_client("client1")
        lab.start_client("client1")
        impatient.wait_page()
    assert answer.code == 1
    assert "wanted one more" in answer.text


def test_one_source_gets_only_so_many_sessions(connected: Observer) -> None:
    lab = connected.lab
    text = edited(lab, ("[iphttps]", "[iphttps]\nmax_sessions_per_source = 5"))
    with reconfigured(lab, text):
        # client1, behind the same NAT, has one already.
        with peer(lab, "client2", "sessions", "7") as outcome:
            assert outcome["count"] == 4
            # Five, also a moment later, and it is told.
            wait_gateway(lab, "limit", lambda s: problems(s) == {"connection-limit-reached"})
            wait_sessions(lab, 5)
            page_stays(connected)
        wait_sessions(lab, 1)
    wait_gateway_well(lab)


def packet(source: str, destination: str = INSIDE) -> str:
    """Return an empty packet, as hexadecimal digits."""
    made = IPv6Packet(
        source=parse_address(source),
        destination=parse_address(destination),
        next_header=NO_NEXT_HEADER,
        payload=b"",
    )
    return build_packet(made).hex()


def test_nobody_sends_in_the_name_of_others(connected: Observer) -> None:
    lab = connected.lab
    (victim,) = wait_sessions(lab, 1)
    (address,) = victim["addresses"]
    spoofed = [packet(source) for source in (address, SERVER, OTHER_LINK, "2001:db8:da:1000::1")]
    spoofed.append(packet("fe80::1", "ff02::1"))
    own_address = "2001:db8:da:1000::5eed"
    own = packet(own_address)
    with (
        lab.capture("edge1", "iphttps0", "ip6 proto 59") as capture,
        peer(lab, "client2", "packets", *spoofed, own),
    ):
        # Its own packet is the last one that it sends.
        status = wait_gateway(
            lab, "all packets", lambda s: own_address in session_of(s, victim["id"])["addresses"]
        )
        session = session_of(status, victim["id"])
        assert session["dropped"] == len(spoofed)
        assert session["addresses"] == [own_address]
        page_stays(connected)
        (still,) = (s for s in gateway_status(lab)["sessions"] if s["id"] == victim["id"])
        assert still["addresses"] == [address]
    (passed,) = capture.lines("ip6 proto 59")
    assert f"{own_address} > " in passed, "what is its own reaches the link"


def session_of(status: Status, other: int) -> Status:
    """Return the session that is not that one."""
    found: Status = next((s for s in status["sessions"] if s["id"] != other), {"addresses": ()})
    return found


def test_a_session_without_tunnels_reaches_nothing(connected: Observer) -> None:
    lab = connected.lab
    own = "2001:db8:da:1000::5eed"
    with lab.capture("edge1", "inside", f"ip6 and host {own}") as capture:
        with peer(lab, "client2", "packets", packet(own), packet(own, SERVER)):
            wait_gateway(lab, "session", lambda s: own in str(s["sessions"]))
            lab.run("edge1", ["ping", "-c1", "-W1", own])
        page_stays(connected)
    assert capture.lines() == []
