"""The tables of Teredo's machines, and what holds for every order of events."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.proto.teredo.world import ENDPOINT, NAT, PLACES, Kind, World
from throughway.proto.iphttps.diagram import state_diagram
from throughway.proto.teredo import client, peers
from throughway.proto.teredo.client import MAX_PEERS, State
from throughway.proto.teredo.peers import MAX_QUEUED, PEER_LIFETIME, Peer, Peers, PeerState
from throughway.proto.teredo.server import Socket
from throughway.wire.teredo import Mapping

SOMEWHERE = Mapping(b"\x83\x6b\x00\x4d", 7)


def test_the_diagrams_of_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "protocols" / "teredo.md").read_text()
    assert state_diagram(client.TRANSITIONS, State.OFFLINE) in page
    assert state_diagram(peers.TRANSITIONS, PeerState.UNTRUSTED) in page


def test_a_peer_is_trusted_for_half_a_minute() -> None:
    peer = Peer(ENDPOINT)
    assert peer.begin(0)
    assert not peer.begin(0)
    assert peer.queue(b"packet")
    assert peer.trust(SOMEWHERE, 1) == [b"packet"]
    assert peer.is_trusted_at(SOMEWHERE, 1 + PEER_LIFETIME - 0.1)
    assert not peer.is_trusted_at(Mapping(b"\1\2\3\4", 7), 2)
    assert not peer.is_trusted_at(SOMEWHERE, 1 + PEER_LIFETIME)
    assert peer.state is PeerState.UNTRUSTED


def test_what_waits_is_bounded() -> None:
    peer = Peer(ENDPOINT)
    assert sum(peer.queue(b"packet") for _ in range(100)) == MAX_QUEUED
    peer = Peer(ENDPOINT)
    assert sum(peer.queue(bytes(4096)) for _ in range(100)) == 4
    assert peer.give_up(0) == 4


def test_an_evicted_peer_is_not_asked_any_more() -> None:
    gone: list[Peer] = []
    table = Peers(1, gone.append)
    one = table.get(b"one")
    assert table.test(one, 0)
    assert table.timer_at() == 1.0
    table.get(b"two")
    assert gone == [one]
    assert table.timer_at() is None
    table.clear()
    assert list(table) == []


@given(st.lists(st.sampled_from(list(peers.PeerInput)), max_size=20))
def test_only_an_answer_makes_trust(inputs: list[peers.PeerInput]) -> None:
    state = PeerState.UNTRUSTED
    for what in inputs:
        before, state = state, peers.TRANSITIONS[state, what]
        if state is PeerState.TRUSTED:
            assert what is peers.PeerInput.ANSWERED or before is PeerState.TRUSTED


class Life(RuleBasedStateMachine):
    """Networks come and go, time passes, packets are sent: some things always hold."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(Kind.PORT)

    @rule()
    def enable(self) -> None:
        if self.world.client.state is State.OFFLINE:
            self.world.client.enable(self.world.now)

    @rule()
    def disable(self) -> None:
        self.world.client.disable()

    @rule(seconds=st.sampled_from([0.0, 0.3, 1.5, 8.0, 40.0]))
    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    @rule(blocked=st.sets(st.sampled_from(list(Socket))))
    def block(self, blocked: set[Socket]) -> None:
        self.world.blocked = blocked

    @rule(kind=st.sampled_from(list(Kind)))
    def move(self, kind: Kind) -> None:
        self.world.nat, self.world.test_nat = NAT(kind, 20_000), NAT(kind, 30_000)
        self.world.client.network_changed(self.world.now)

    @rule(answers=st.booleans())
    def endpoint(self, answers: bool) -> None:
        self.world.endpoint_answers = answers

    @rule(data=st.binary(max_size=90), place=st.sampled_from([*PLACES.values(), SOMEWHERE]))
    def rubbish(self, data: bytes, place: Mapping) -> None:
        self.world.client.receive_datagram(data, place, self.world.now)

    @rule()
    def ping(self) -> None:
        if self.world.client.address:
            self.world.ping(ENDPOINT)

    @rule()
    def comes_back(self) -> None:
        """Whatever was: in a good network it is proven soon."""
        world = self.world
        world.blocked, world.endpoint_answers = set(), True
        if world.client.state is State.OFFLINE:
            world.client.enable(world.now)
        world.client.network_changed(world.now)
        world.wait(25)
        assert world.client.proven

    @invariant()
    def holds(self) -> None:
        client = self.world.client
        assert len(client.peers) <= MAX_PEERS
        if client.state in (State.OFFLINE, State.DORMANT):
            assert client.address == b""
        if client.state is State.QUALIFIED:
            assert client.address
        if client.proven:
            assert client.state is State.QUALIFIED
        if client.state is not State.OFFLINE:
            assert client.timer_at() is not None


TestLife = Life.TestCase
