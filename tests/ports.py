"""Ports that no other test takes: below the kernel's own choice, a range for each worker.

A port that the kernel chose on one address may be another test's on the next one, and one that was
given back may be anybody's a moment later.
"""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

FIRST_PORT = 10_000
"""Above what services of this machine listen on."""


def _range() -> Iterator[int]:
    chosen_by_kernel = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    size = (chosen_by_kernel - FIRST_PORT) // workers
    start = FIRST_PORT + number * size
    # Two runs of the tests on one machine begin at different places.
    offset = os.getpid() * 97 % size
    while True:
        for step in range(size):
            yield start + (offset + step) % size


_PORTS = _range()


def free_port(*addresses: str) -> int:
    """Return a port that is free on these IPv4 addresses for TCP and UDP, never given before."""
    for port in _PORTS:
        if all(_is_free(address, port) for address in addresses or ("127.0.0.1",)):
            return port
    raise AssertionError("the range never ends")


def _is_free(address: str, port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as tried:
            try:
                tried.bind((address, port))
            except OSError:
                return False
    return True
