"""Connections of one address are ended, and no others; against the kernel."""

import socket

import pytest

from tests.net.namespace import in_namespace, run
from throughway.net.connections import end_connections

LEFT, STAYS = "2001:db8::1", "2001:db8::2"


def _connections() -> None:
    run("ip", "link", "set", "lo", "up")
    for address in (LEFT, STAYS):
        run("ip", "address", "add", f"{address}/128", "dev", "lo", "nodad")
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        port = server.getsockname()[1]
        left = socket.create_connection(("::1", port), 10, (LEFT, 0))
        stays = socket.create_connection(("::1", port), 10, (STAYS, 0))
        ends = [server.accept()[0] for _ in (left, stays)]
        run("ip", "address", "del", f"{LEFT}/128", "dev", "lo")
        assert end_connections(LEFT) == 1
        with pytest.raises(ConnectionAbortedError):
            left.recv(1)
        ends[1].sendall(b"x")
        assert stays.recv(1) == b"x"
        assert end_connections(LEFT) == 0
        for sock in (left, stays, *ends):
            sock.close()


@pytest.mark.lab
def test_those_of_the_address_and_no_others() -> None:
    in_namespace(_connections)
