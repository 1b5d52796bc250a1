"""Which listener a client finds; against the kernel's own choice."""

import select
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv6Address
from random import Random

import pytest

from tests.patience import PATIENCE
from throughway.net.listeners import listen
from throughway.net.steering import chosen, steer


@contextmanager
def group(address: str, count: int) -> Iterator[list[socket.socket]]:
    """Listeners that share a port, steered."""
    with ExitStack() as stack:
        first = stack.enter_context(listen([(address, 0)], shared=True)[0])
        port = first.getsockname()[1]
        others = [listen([(address, port)], shared=True)[0] for _ in range(count - 1)]
        listeners = [first, *(stack.enter_context(one) for one in others)]
        if not steer(first, count):
            pytest.skip("this kernel has no filters for shared ports")
        yield listeners


def found_by(source: str, listeners: list[socket.socket]) -> int:
    """Connect from an address and return the number of the listener that was given it."""
    with socket.create_connection(listeners[0].getsockname()[:2], source_address=(source, 0)):
        # The last word of the handshake may still be under way to the listener.
        ready, _, _ = select.select(listeners, [], [], PATIENCE)
        assert len(ready) == 1, "one is given the connection"
        sock, peer = ready[0].accept()
        sock.close()
        assert peer[0] == source
        return listeners.index(ready[0])


@pytest.mark.parametrize("count", [2, 3, 7])
def test_the_kernel_chooses_by_the_address_alone(count: int) -> None:
    sources = [f"127.{n}.{n // 3}.{n + 1}" for n in range(0, 120, 5)]
    with group("127.0.0.1", count) as listeners:
        for source in sources * 2:
            wanted = chosen(socket.inet_aton(source), count)
            assert found_by(source, listeners) == wanted
    assert {chosen(socket.inet_aton(source), count) for source in sources} == set(range(count))


def test_ipv6_too() -> None:
    with group("::1", 5) as listeners:
        wanted = chosen(IPv6Address("::1").packed, 5)
        assert {found_by("::1", listeners) for _ in range(20)} == {wanted}


def test_neighbours_find_different_listeners() -> None:
    pairs = [("10.0.0.2", "10.0.0.3"), ("10.0.1.2", "10.0.2.2"), ("192.0.2.254", "192.0.2.255")]
    for one, other in pairs:
        assert chosen(socket.inet_aton(one), 2) != chosen(socket.inet_aton(other), 2)


def test_a_privacy_address_stays_with_its_listener() -> None:
    network = IPv6Address("2001:db8:1:2::").packed[:8]
    homes = {chosen(network + bytes([n]) * 8, 4) for n in range(50)}
    assert len(homes) == 1


def test_addresses_are_spread_evenly() -> None:
    random = Random(1)
    counts = Counter(chosen(random.randbytes(4), 4) for _ in range(4000))
    assert len(counts) == 4
    assert max(counts.values()) < 1.2 * min(counts.values())
