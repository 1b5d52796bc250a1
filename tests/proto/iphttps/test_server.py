"""The server's machine, as transcripts: who sends what, and who gets what."""

import pytest

from throughway.model.config import AuthenticationMode
from throughway.model.errors import LocalProtocolError, RemoteProtocolError
from throughway.proto.iphttps.http import build_request, parse_url
from throughway.proto.iphttps.neighbours import CONTEST_PAUSE, CONTEST_TIME, MAX_CONTESTS, MIN_HOLD
from throughway.proto.iphttps.server import (
    ADVERTISEMENT_BATCH,
    ADVERTISEMENT_PAUSE,
    MAX_HALF_OPEN,
    TRANSITIONS,
    ClientRefused,
    Input,
    LimitReached,
    Limits,
    Refusal,
    Server,
    SessionClosed,
    SessionOpened,
    State,
)
from throughway.proto.iphttps.session import (
    HALF_OPEN_GRACE,
    PACKET_BURST,
    PACKET_RATE,
    SILENT_GRACE,
    Drop,
    Session,
    SessionState,
)
from throughway.proto.iphttps.slowpath import (
    COPY_BURST,
    COPY_RATE,
    CopyBudget,
    PacketForClient,
    PacketForHost,
)
from throughway.proto.router import MAX_ADVERTISEMENT_INTERVAL, SOLICITATION_BURST, Link, Router
from throughway.wire.icmpv6 import (
    Message,
    NeighborAdvertisement,
    NeighborSolicitation,
    RouterAdvertisement,
    RouterSolicitation,
    build_icmpv6,
    parse_icmpv6,
)
from throughway.wire.ipv6 import (
    ALL_NODES,
    ALL_ROUTERS,
    UNSPECIFIED,
    IPv6Packet,
    build_packet,
    parse_address,
    parse_packet,
    solicited_node,
)

URL = parse_url("https://da.example.com/IPHTTPS")
LINK = Link.of("2001:db8:da:1000::/64")
A, B = parse_address("2001:db8:da:1000::a"), parse_address("2001:db8:da:1000::b")
CORP = parse_address("2001:db8:c0::80")
LOCAL_A, LOCAL_B = parse_address("fe80::a"), parse_address("fe80::b")
GROUP = parse_address("ff02::fb")
CERTIFICATES = AuthenticationMode.CERTIFICATES


class Table:
    """A server with clients, named as they are opened."""

    def __init__(
        self, *, limits: Limits | None = None, mode: AuthenticationMode = AuthenticationMode.NONE
    ) -> None:
        self.now = 0.0
        self.server = Server(
            URL,
            Router(LINK, now=0),
            limits=limits,
            authentication=mode,
            wall_clock=lambda: 1218340312.0,
        )
        self.server.start()

    def connect(self, address: str = "192.0.2.1") -> Session | None:
        return self.server.accept(address, 50000, address, self.now)

    def open(self, key: str = "", certificate: str = "CN=x", *, address: str = "a") -> Session:
        session = self.connect(address)
        assert session is not None
        session.certificate = certificate
        self.server.receive_data(session, build_request(URL, key), self.now)
        assert session.state is SessionState.OPEN
        session.data_to_send()
        self.events()
        return session

    def events(self) -> list[object]:
        return list(iter(self.server.next_event, None))

    def send(self, session: Session, packet: bytes) -> list[object]:
        """A slow packet comes from a client; return what follows."""
        session.heard_at = self.now
        self.server.receive_slow(session, packet, self.now)
        return self.events()

    def pass_time(self, seconds: float) -> list[object]:
        self.now += seconds
        self.server.handle_timer(self.now)
        return self.events()


def plain(source: bytes, destination: bytes) -> bytes:
    return build_packet(
        IPv6Packet(source=source, destination=destination, next_header=59, payload=b"")
    )


def dad(target: bytes) -> bytes:
    message = NeighborSolicitation(target=target)
    return build_icmpv6(message, source=UNSPECIFIED, destination=solicited_node(target))


def messages(events: list[object]) -> list[tuple[Session, bytes, Message]]:
    """Return whom which ICMPv6 message goes to, and its destination."""
    found = []
    for event in events:
        assert isinstance(event, PacketForClient)
        packet = parse_packet(event.packet)
        found.append((event.session, packet.destination, parse_icmpv6(packet)))
    return found


def test_a_session_opens() -> None:
    table = Table()
    session = table.connect()
    assert session is not None
    table.server.receive_data(session, build_request(URL)[:-1], 0)
    assert table.events() == []
    assert session.data_to_send() == b""
    table.server.receive_data(session, b"\n`abc", 0)
    opened, advertisement = table.events()
    assert opened == SessionOpened(session, b"`abc")
    ((to, destination, message),) = messages([advertisement])
    assert (to, destination) == (session, ALL_NODES)
    assert isinstance(message, RouterAdvertisement)
    assert session.data_to_send().startswith(b"HTTP/1.1 200 OK\r\nDate: Sun, 10 Aug 2008")
    assert session.peer == "192.0.2.1:50000"


def test_a_request_for_something_else_is_answered_and_closed() -> None:
    table = Table()
    session = table.connect()
    assert session is not None
    table.server.receive_data(session, b"GET / HTTP/1.1\r\nHost: da.example.com\r\n\r\n", 0)
    (closed,) = table.events()
    assert isinstance(closed, SessionClosed)
    assert not closed.was_open
    assert closed.reason.startswith("404 ")
    assert session.data_to_send().startswith(b"HTTP/1.1 404 Not Found\r\n")
    table.server.receive_data(session, build_request(URL), 0)
    assert table.events() == []
    assert table.server.refusals == {Refusal.REQUEST: 1}


def test_slow_heads_are_cut_off() -> None:
    table = Table(limits=Limits(head_timeout=10))
    slow = table.connect()
    assert slow is not None
    table.pass_time(6)
    fast = table.open()
    table.server.receive_data(slow, b"POST", table.now)  # a byte now and then does not help
    assert table.server.timer_at() == 10
    (closed,) = table.pass_time(4)
    assert closed == SessionClosed(slow, "no request in time", False)
    assert fast.state is SessionState.OPEN
    assert table.server.timer_at() == MAX_ADVERTISEMENT_INTERVAL


def refused(table: Table, address: str, key: str = "") -> Refusal:
    """Ask for a session where there is no room for one; return why it was refused."""
    session = table.connect(address)
    assert session is not None
    table.server.receive_data(session, build_request(URL, key), table.now)
    limit, closed = table.events()
    assert isinstance(limit, LimitReached)
    assert isinstance(closed, SessionClosed)
    assert limit.source == address
    assert closed.session is session
    assert session.data_to_send().startswith(b"HTTP/1.1 503 ")
    assert table.server.refusals[limit.refusal] == 1
    return limit.refusal


def test_limits_hold_for_open_sessions() -> None:
    table = Table(limits=Limits(max_sessions=3, max_sessions_per_source=2))
    first = table.open(address="a")
    table.open(address="a")
    assert refused(table, "a") is Refusal.SOURCE_LIMIT
    table.open(address="b")
    assert refused(table, "c") is Refusal.SESSION_LIMIT
    table.server.connection_lost(first, "closed")
    table.open(address="a")


def test_at_the_limits_a_client_still_replaces_its_own_session() -> None:
    table = Table(limits=Limits(max_sessions=2, max_sessions_per_source=1))
    table.open("one", address="a")
    table.open("two", address="b")
    for key, address in (("one", "a"), ("two", "c"), ("one", "b")):
        session = table.connect(address)
        assert session is not None
        session.certificate = "CN=x"
        table.server.receive_data(session, build_request(URL, key), table.now)
        assert session.state is SessionState.OPEN
    assert len(table.server.sessions) == 2
    table.events()
    assert refused(table, "d", "three") is Refusal.SESSION_LIMIT


def test_without_a_limit_per_source_all_may_come_from_one() -> None:
    table = Table(limits=Limits(max_sessions_per_source=0))
    for _ in range(200):
        table.open(address="a")
    assert table.server.refusals == {}


@pytest.mark.parametrize(
    ("own", "refusals"), [(True, {}), (False, {Refusal.CLOSED: 1})], ids=["own", "other"]
)
def test_a_look_of_the_machine_itself_is_no_refusal(
    own: bool, refusals: dict[Refusal, int]
) -> None:
    table = Table()
    session = table.server.accept("192.0.2.1", 5000, "192.0.2.1", table.now, own=own)
    assert session is not None
    table.server.connection_lost(session, "closed")
    assert table.server.refusals == refusals


def test_whom_a_device_on_the_same_machine_names_is_another() -> None:
    table = Table()
    session = table.server.accept("127.0.0.1", 5000, "", table.now, adc=True, own=True)
    assert session is not None
    table.server.peer_named(session, "198.51.100.7", 40000, "198.51.100.7", table.now)
    table.server.connection_lost(session, "closed")
    assert table.server.refusals == {Refusal.CLOSED: 1}


def gone(events: list[object]) -> list[Session]:
    return [event.session for event in events if isinstance(event, SessionClosed)]


def test_at_a_limit_the_oldest_that_has_said_nothing_makes_room() -> None:
    table = Table(limits=Limits(max_half_open=3, max_sessions_per_source=2))
    began = table.connect("a")
    first = table.connect("a")
    other = table.connect("b")
    assert began is not None
    assert first is not None
    table.server.peer_spoke(began)
    assert table.connect("a") is not None
    assert gone(table.events()) == [first], "of its own source"
    assert table.connect("c") is None, "nobody has had its time"
    table.pass_time(SILENT_GRACE)
    assert table.connect("c") is not None
    assert gone(table.events()) == [other], "of all sources"
    assert table.server.refusals == {Refusal.SOURCE_LIMIT: 1, Refusal.HALF_OPEN_LIMIT: 2}


def test_where_all_have_begun_a_rush_waits_and_then_the_oldest_makes_room() -> None:
    table = Table(limits=Limits(max_half_open=2))
    sessions = [table.connect()]
    assert table.server.may_accept(table.now)
    sessions.append(table.connect())
    assert not table.server.may_accept(table.now)
    table.pass_time(SILENT_GRACE)
    assert table.server.may_accept(table.now), "one that is silent can go"
    for session in sessions:
        assert session is not None
        table.server.peer_spoke(session)
    assert not table.server.may_accept(table.now)
    table.pass_time(HALF_OPEN_GRACE - SILENT_GRACE)
    assert table.server.may_accept(table.now)
    assert table.connect() is not None
    assert gone(table.events()) == sessions[:1]


def test_a_newcomer_is_not_the_one_that_goes() -> None:
    """It has said nothing yet, but those who finish nothing have had their time."""
    table = Table(limits=Limits(max_half_open=3))
    flood = [table.connect() for _ in range(3)]
    for session in flood:
        assert session is not None
        table.server.peer_spoke(session)
    table.pass_time(HALF_OPEN_GRACE)
    newcomers = [table.connect() for _ in range(3)]
    assert gone(table.events()) == flood
    assert not table.server.may_accept(table.now)
    assert all(newcomer and newcomer.state is SessionState.HALF_OPEN for newcomer in newcomers)


def test_no_source_has_more_than_its_share_by_pushing_others_out() -> None:
    table = Table(limits=Limits(max_sessions_per_source=2))
    others = [table.connect("b"), table.connect("b")]
    own = [table.connect("a") for _ in range(4)]
    assert gone(table.events()) == own[:2]
    assert all(session and session.state is SessionState.HALF_OPEN for session in others)


def test_a_flood_of_silent_connections_pushes_out_none_that_speaks() -> None:
    table = Table(limits=Limits(max_sessions_per_source=0))
    real = table.connect()
    assert real is not None
    table.server.peer_spoke(real)
    flood = [table.connect() for _ in range(MAX_HALF_OPEN - 1)]
    table.pass_time(SILENT_GRACE)
    flood += [table.connect() for _ in range(MAX_HALF_OPEN - 1)]
    assert gone(table.events()) == flood[: MAX_HALF_OPEN - 1]
    table.server.receive_data(real, build_request(URL), table.now)
    assert real.state is SessionState.OPEN


def test_stop_disable_and_another_mode_drop_all() -> None:
    for act in (
        Server.disable,
        Server.shut_down,
        lambda server: server.set_authentication(CERTIFICATES),
    ):
        table = Table()
        sessions = [table.open(), table.connect()]
        act(table.server)
        closed = [event.session for event in table.events() if isinstance(event, SessionClosed)]
        assert sorted(s.number for s in closed) == [s.number for s in sessions if s]
        assert table.server.sessions == {}
        listening = table.server.state is State.LISTEN
        assert (table.connect() is not None) == listening


def test_states() -> None:
    table = Table()
    with pytest.raises(LocalProtocolError):
        table.server.start()
    table.server.disable()
    assert table.server.timer_at() is None
    table.server.enable()
    assert table.server.state is State.LISTEN
    refused = {(s, i) for s in State for i in Input} - TRANSITIONS.keys()
    assert {what for _, what in refused} == {Input.START, Input.ENABLE}


def test_the_same_mode_drops_nobody() -> None:
    table = Table()
    table.open()
    table.server.set_authentication(AuthenticationMode.NONE)
    assert table.events() == []


def test_certificates_are_needed_where_the_mode_says_so() -> None:
    table = Table(mode=CERTIFICATES)
    session = table.connect()
    assert session is not None
    table.server.receive_data(session, build_request(URL), 0)
    assert session.data_to_send().startswith(b"HTTP/1.1 403 ")
    table.open(certificate="CN=client1")


def test_a_client_replaces_its_own_session_and_keeps_its_addresses() -> None:
    table = Table()
    old = table.open("key")
    table.send(old, plain(A, CORP))
    new = table.connect()
    assert new is not None
    new.certificate = "CN=x"
    table.server.receive_data(new, build_request(URL, "key"), 1)
    closed = table.events()[0]
    assert isinstance(closed, SessionClosed)
    assert closed.session is old
    assert table.server.neighbours.sessions == {A: new}
    assert list(new.owned) == [A]
    assert not old.owned
    table.server.connection_lost(old, "timeout")
    assert table.server.neighbours.sessions == {A: new}


def test_a_key_is_worth_nothing_with_another_certificate() -> None:
    table = Table(mode=CERTIFICATES)
    victim = table.open("key", "CN=client1")
    table.open("key", "CN=client2")
    assert victim.state is SessionState.OPEN


def test_garbage_ends_a_session() -> None:
    table = Table()
    session = table.open()
    table.send(session, plain(A, CORP))
    table.server.receive_garbage(session, RemoteProtocolError("out of step"))
    assert table.events() == [SessionClosed(session, "out of step", True)]
    assert table.server.neighbours.sessions == {}
    table.server.receive_slow(session, plain(A, CORP), 0)
    assert table.events() == []


def test_first_use_makes_an_owner() -> None:
    table = Table()
    session = table.open()
    assert table.send(session, plain(A, CORP)) == [PacketForHost(plain(A, CORP))]
    assert A in session.owned
    assert session.drops == {}


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (plain(parse_address("2001:db8:bad::1"), CORP), Drop.SPOOFED),
        (plain(LINK.address, CORP), Drop.SPOOFED),
        (plain(LINK.prefix, CORP), Drop.SPOOFED),
        (plain(UNSPECIFIED, CORP), Drop.SPOOFED),
        (plain(GROUP, CORP), Drop.SPOOFED),
        (plain(LOCAL_A, CORP), Drop.LINK_LOCAL),
        (plain(A, LOCAL_B), Drop.LINK_LOCAL),
        (plain(A, GROUP), Drop.MULTICAST),
        (plain(A, B), Drop.CLIENT_TO_CLIENT),
        (build_icmpv6(RouterAdvertisement(), source=LOCAL_A, destination=ALL_NODES), "adv"),
        (
            build_icmpv6(
                NeighborAdvertisement(target=LINK.address), source=LOCAL_A, destination=ALL_NODES
            ),
            Drop.SPOOFED,
        ),
        (
            build_icmpv6(
                NeighborSolicitation(target=B), source=LOCAL_A, destination=solicited_node(B)
            ),
            Drop.MULTICAST,
        ),
        (
            build_icmpv6(NeighborSolicitation(target=B), source=LOCAL_A, destination=LOCAL_B),
            Drop.LINK_LOCAL,
        ),
        (
            build_icmpv6(NeighborAdvertisement(target=A), source=A, destination=ALL_NODES),
            Drop.MULTICAST,
        ),
        (
            build_icmpv6(NeighborAdvertisement(target=A), source=A, destination=B),
            Drop.CLIENT_TO_CLIENT,
        ),
        (dad(A)[:-1] + b"\xff", Drop.MALFORMED),
    ],
)
def test_what_mode_none_drops(packet: bytes, reason: str) -> None:
    """[MS-IPHTTPS] 3.2.5.2.2, and our own rules."""
    table = Table()
    session = table.open()
    other = table.open()
    table.send(other, plain(B, CORP))
    assert table.send(session, packet) == []
    assert session.drops == {Drop.ADVERTISEMENT if reason == "adv" else reason: 1}


def test_listener_reports_go_nowhere_in_silence() -> None:
    table = Table(mode=CERTIFICATES)
    session = table.open()
    table.open()
    options = bytes.fromhex("3a00050200000100")  # router alert, then ICMPv6
    report = build_packet(
        IPv6Packet(
            source=LOCAL_A,
            destination=parse_address("ff02::16"),
            next_header=0,
            hop_limit=1,
            payload=options + b"\x8f" + bytes(27),
        )
    )
    assert table.send(session, report) == []
    assert session.drops == {}


def test_a_client_may_talk_to_the_router() -> None:
    table = Table()
    session = table.open()
    for router in (LINK.address, LINK.link_local):
        assert table.send(session, plain(A, router)) == [PacketForHost(plain(A, router))]


def test_client_to_client_is_the_kernel_s_to_route_when_allowed() -> None:
    table = Table()
    session = table.open()
    table.server.configure(Limits(client_to_client=True))
    assert table.send(session, plain(A, B)) == [PacketForHost(plain(A, B))]


def test_solicitations_are_answered_in_the_stream() -> None:
    table = Table()
    session = table.open()
    table.open()
    for source in (UNSPECIFIED, LOCAL_A):
        asked = build_icmpv6(RouterSolicitation(), source=source, destination=ALL_ROUTERS)
        ((to, _, message),) = messages(table.send(session, asked))
        assert to is session
        assert isinstance(message, RouterAdvertisement)
    for _ in range(SOLICITATION_BURST):
        table.send(session, asked)
    assert session.drops == {Drop.TOO_OFTEN: 2}


def test_advertisements_go_to_all_in_time() -> None:
    table = Table()
    sessions = [table.open(), table.open()]
    sent = messages(table.pass_time(MAX_ADVERTISEMENT_INTERVAL))
    assert [to for to, _, _ in sent] == sessions


def test_an_advertisement_to_very_many_goes_to_some_at_a_time() -> None:
    table = Table(limits=Limits(max_sessions_per_source=0))
    sessions = [table.open() for _ in range(2 * ADVERTISEMENT_BATCH + 3)]
    told = [to for to, _, _ in messages(table.pass_time(MAX_ADVERTISEMENT_INTERVAL))]
    assert told == sessions[:ADVERTISEMENT_BATCH]
    table.server.connection_lost(sessions[-1], "closed")
    table.events()
    while table.server.timer_at() == table.now + ADVERTISEMENT_PAUSE:
        told += [to for to, _, _ in messages(table.pass_time(ADVERTISEMENT_PAUSE))]
    assert told == sessions[:-1]
    assert table.server.timer_at() == 2 * MAX_ADVERTISEMENT_INTERVAL


def test_duplicate_addresses_are_answered_for_their_owner() -> None:
    table = Table()
    owner, other = table.open(), table.open()
    assert table.send(owner, dad(A)) == []
    assert A in owner.owned
    expected = NeighborAdvertisement(target=A, override=True)
    assert messages(table.send(other, dad(A))) == [(other, ALL_NODES, expected)]
    (event,) = table.send(other, dad(A))
    assert isinstance(event, PacketForClient)
    answer = parse_packet(event.packet)
    assert (answer.source, len(answer.payload)) == (A, 24)  # as the owner would; no option
    assert table.send(owner, dad(A)) == []  # its own is no duplicate
    ((_, _, own),) = messages(table.send(other, dad(LINK.address)))
    assert own == NeighborAdvertisement(target=LINK.address, router=True, override=True)


def test_the_router_answers_for_itself() -> None:
    table = Table()
    session = table.open()
    for source, destination in (
        (LOCAL_A, LINK.link_local),
        (A, LINK.address),
        (LOCAL_A, solicited_node(LINK.address)),
    ):
        message = NeighborSolicitation(target=LINK.address)
        asked = build_icmpv6(message, source=source, destination=destination)
        ((to, back, answer),) = messages(table.send(session, asked))
        assert (to, back) == (session, source)
        assert answer == NeighborAdvertisement(
            target=LINK.address, router=True, solicited=True, override=True
        )


def test_certificates_mode_spreads_multicast() -> None:
    table = Table(mode=CERTIFICATES)
    one, two, three = table.open(), table.open(), table.open()
    packet = plain(A, GROUP)
    assert table.send(one, packet) == [PacketForClient(two, packet), PacketForClient(three, packet)]
    question = build_icmpv6(NeighborSolicitation(target=B), source=A, destination=solicited_node(B))
    spread = table.send(two, dad(B))
    assert spread == [PacketForClient(one, dad(B)), PacketForClient(three, dad(B))]
    assert [to for to, _, _ in messages(table.send(one, question))] == [two, three]
    answer, forwarded = table.send(three, dad(B))  # in use: to its user only
    assert messages([answer]) == [
        (three, ALL_NODES, NeighborAdvertisement(target=B, override=True))
    ]
    assert forwarded == PacketForClient(two, dad(B))
    unowned = parse_address("2001:db8:da:1000::c")
    for target, count in ((unowned, 2), (A, 0)):
        message = NeighborAdvertisement(target=target, override=True)
        said = build_icmpv6(message, source=A, destination=ALL_NODES)
        assert len(table.send(one, said)) == count
    said = build_icmpv6(NeighborAdvertisement(target=B), source=A, destination=ALL_NODES)
    assert table.send(one, said) == []
    assert one.drops == {Drop.SPOOFED: 1}


def contest(table: Table) -> tuple[Session, Session]:
    owner, challenger = table.open(), table.open()
    table.send(owner, plain(A, CORP))
    table.now += 1
    ((to, destination, message),) = messages(table.send(challenger, plain(A, CORP)))
    assert (to, destination) == (owner, A)
    assert message == NeighborSolicitation(target=A)
    assert table.send(challenger, plain(A, CORP)) == []  # the owner is asked once
    assert challenger.drops == {Drop.CONTESTED: 2}
    return owner, challenger


def test_copies_of_multicast_are_bounded() -> None:
    table = Table(mode=CERTIFICATES, limits=Limits(max_sessions_per_source=0))
    sessions = [table.open() for _ in range(101)]
    table.send(sessions[0], dad(A))
    packets = COPY_BURST // 100 + 10
    copies = sum(len(table.send(sessions[0], plain(A, GROUP))) for _ in range(packets))
    assert copies <= COPY_BURST
    assert copies > COPY_BURST - 200
    assert sessions[0].drops[Drop.TOO_OFTEN] == packets - copies // 100
    table.pass_time(1.0)
    assert len(table.send(sessions[0], plain(A, GROUP))) == 100


def test_more_clients_than_copies_at_once_leave_a_debt() -> None:
    budget = CopyBudget()
    assert budget.take(3 * COPY_BURST, now=0)
    assert not budget.take(1, now=2 * COPY_BURST / COPY_RATE)
    assert budget.take(3 * COPY_BURST, now=3 * COPY_BURST / COPY_RATE)


def test_drops_are_counted_beyond_a_session() -> None:
    table = Table()
    for _ in range(2):
        session = table.open()
        table.send(session, plain(CORP, CORP))
        assert session.drops == {Drop.SPOOFED: 1}
        table.server.connection_lost(session, "closed")
    assert table.server.drops == {Drop.SPOOFED: 2}


def test_a_silent_owner_loses_its_address() -> None:
    table = Table()
    owner, challenger = contest(table)
    assert table.server.timer_at() == table.now + CONTEST_TIME
    table.pass_time(CONTEST_TIME)
    assert table.server.neighbours.sessions == {A: challenger}
    assert not owner.owned
    assert table.send(challenger, plain(A, CORP)) == [PacketForHost(plain(A, CORP))]


def test_a_living_owner_keeps_its_address() -> None:
    table = Table()
    owner, challenger = contest(table)
    table.now += 0.1
    answer = NeighborAdvertisement(target=A, solicited=True)
    answered = build_icmpv6(answer, source=A, destination=LINK.link_local)
    assert table.send(owner, answered) == []
    assert owner.drops == {}
    table.pass_time(CONTEST_TIME)
    assert table.server.neighbours.sessions == {A: owner}
    assert table.send(challenger, plain(A, CORP)) == []
    table.pass_time(CONTEST_PAUSE)
    assert len(table.send(challenger, plain(A, CORP))) == 1  # asked again


def test_contests_end_with_their_parties() -> None:
    for ended in (0, 1):
        table = Table()
        parties = contest(table)
        table.server.connection_lost(parties[ended], "reset")
        table.events()
        assert table.server.timer_at() == MAX_ADVERTISEMENT_INTERVAL
        left = parties[1 - ended]
        assert table.send(left, plain(A, CORP)) == [PacketForHost(plain(A, CORP))]


def test_nobody_contests_everything() -> None:
    table = Table(limits=Limits(max_addresses_per_session=20))
    owner, challenger = table.open(), table.open()
    addresses = [LINK.prefix[:15] + bytes((n,)) for n in range(10, 20)]
    for address in addresses:
        table.send(owner, plain(address, CORP))
    probes = [table.send(challenger, plain(address, CORP)) for address in addresses]
    assert sum(map(len, probes)) == MAX_CONTESTS


def test_a_winner_of_one_contest_may_lose_the_object_of_another() -> None:
    table = Table(limits=Limits(max_addresses_per_session=1))
    silent, winner, third = table.open(), table.open(), table.open()
    table.send(silent, plain(A, CORP))
    table.send(winner, plain(B, CORP))
    table.now += MIN_HOLD
    table.send(winner, plain(A, CORP))
    table.send(third, plain(B, CORP))
    table.pass_time(CONTEST_TIME)
    assert table.server.neighbours.sessions == {A: winner}
    assert table.send(third, plain(B, CORP)) == [PacketForHost(plain(B, CORP))]
    assert table.server.timer_at() is not None


def test_one_session_does_not_keep_everybody_waiting() -> None:
    table = Table()
    flood, other = table.open(), table.open()
    spoofed = plain(CORP, CORP)
    for _ in range(10 * PACKET_BURST):
        table.send(flood, spoofed)
    assert flood.drops == {Drop.SPOOFED: PACKET_BURST, Drop.TOO_OFTEN: 9 * PACKET_BURST}
    assert table.send(other, plain(A, CORP)) == [PacketForHost(plain(A, CORP))]
    table.now += 1
    assert table.send(flood, plain(B, CORP)) == [PacketForHost(plain(B, CORP))]
    for _ in range(PACKET_BURST):
        table.send(flood, spoofed)
    assert flood.drops[Drop.SPOOFED] == PACKET_BURST + PACKET_RATE - 1


def test_too_many_addresses() -> None:
    table = Table(limits=Limits(max_addresses_per_session=1))
    session = table.open()
    table.send(session, plain(A, CORP))
    assert table.send(session, plain(B, CORP)) == []
    assert session.drops == {Drop.TOO_MANY_ADDRESSES: 1}
    table.now += MIN_HOLD
    assert table.send(session, plain(B, CORP)) == [PacketForHost(plain(B, CORP))]
    assert list(session.owned) == [B]
    assert table.server.neighbours.sessions == {B: session}


def with_certificate(table: Table, fingerprint: str, key: str = "") -> Session:
    session = table.connect()
    assert session is not None
    session.certificate, session.fingerprint = "CN=client1", fingerprint
    table.server.receive_data(session, build_request(URL, key), table.now)
    return session


def test_a_certificate_has_one_session_and_its_addresses_go_along() -> None:
    table = Table(mode=CERTIFICATES)
    old = with_certificate(table, "f1")
    table.send(old, plain(A, CORP))
    other = with_certificate(table, "f2")
    new = with_certificate(table, "f1")
    assert (old.state, other.state) == (SessionState.CLOSED, SessionState.OPEN)
    assert table.server.neighbours.sessions == {A: new}


@pytest.mark.parametrize(("allowed", "left"), [(1, 1), (2, 2), (0, 4)])
def test_a_certificate_has_no_more_sessions_than_it_may(allowed: int, left: int) -> None:
    table = Table(mode=CERTIFICATES, limits=Limits(sessions_per_certificate=allowed))
    sessions = [with_certificate(table, "f1", f"key{n}") for n in range(4)]
    states = [session.state is SessionState.OPEN for session in sessions]
    assert states == [False] * (4 - left) + [True] * left
    for session in sessions:
        table.server.connection_lost(session, "gone")
    assert table.server._by_certificate == {}
    assert table.server.suites == {}


def test_one_client_is_dropped_by_its_number() -> None:
    table = Table()
    one, other = table.open(), table.open()
    table.server.drop_session(one.number, "its certificate was revoked")
    table.server.drop_session(99, "nobody")
    assert table.events() == [SessionClosed(one, "its certificate was revoked", True)]
    assert other.state is SessionState.OPEN


def test_who_a_client_is_not_is_told_once() -> None:
    table = Table(mode=CERTIFICATES)
    session = table.connect()
    assert session is not None
    table.server.client_refused(session, "iphttps-client-cert-expired", "it has expired")
    table.server.client_refused(session, "iphttps-client-cert-expired", "it has expired")
    refused, closed = table.events()
    code = "iphttps-client-cert-expired"
    assert refused == ClientRefused("192.0.2.1:50000", code, "it has expired")
    assert closed == SessionClosed(session, "it has expired", False)
    assert table.server.refusals == {Refusal.CERTIFICATE: 1}


def test_suites_are_counted() -> None:
    table = Table()
    sessions = []
    for suite in ("TLSv1.3 A", "TLSv1.3 A", "TLSv1.2 B"):
        session = table.connect()
        assert session is not None
        session.suite = suite
        table.server.receive_data(session, build_request(URL), 0)
        sessions.append(session)
    assert table.server.suites == {"TLSv1.3 A": 2, "TLSv1.2 B": 1}
    table.server.connection_lost(sessions[-1], "gone")
    assert table.server.suites == {"TLSv1.3 A": 2}
    table.events()
    table.server.drop_suites("1.2", "not any more")
    assert table.events() == []
    table.server.drop_suites("1.3", "not any more")
    closed = [event.session for event in table.events() if isinstance(event, SessionClosed)]
    assert closed == sessions[:2]
