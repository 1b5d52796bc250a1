"""Loss, delay and reordering between a client and its network: it connects, and data is whole."""

import contextlib
import time
from collections.abc import Iterator

import pytest

from throughway.lab.impair import Impairment
from throughway.lab.lab import Lab
from throughway.lab.observe import PATIENCE, Observer

SIZE = 1_000_000
FILE = "/var/www/app1.corp.example.com/bulk.bin"
URL = "http://app1.corp.example.com/bulk.bin"
PING = ["ping", "-c1", "-W30", "10.0.3.254"]
DOWNLOAD = """
until curl -sS --max-time "$1" -o /tmp/bulk "$2"; do
  case $? in 6 | 7) sleep 0.1 ;; *) exit 1 ;; esac
done
sha256sum < /tmp/bulk
"""
"""Begins again when it has not begun yet: the last page may have come before the client had noticed
that the cable was pulled."""
LINES = {
    "loss of 1 %": Impairment(loss=1, delay=10),
    "loss of 5 %": Impairment(loss=5, delay=10),
    "300 ms": Impairment(delay=150),
    "reordering": Impairment(delay=20, jitter=10, reorder=5),
}


@contextlib.contextmanager
def bad_line(lab: Lab, impairment: Impairment) -> Iterator[None]:
    lab.impair("client1", impairment)
    try:
        yield
    finally:
        lab.impair("client1", None)


@pytest.fixture
def bulk(fresh: Lab) -> Iterator[str]:
    """Put a file on the intranet's web server; return its SHA-256."""
    make = f"head -c {SIZE} /dev/urandom > {FILE} && sha256sum {FILE}"
    said = fresh.run("app1", ["sh", "-c", make], check=True).stdout
    yield said.split()[0]
    fresh.run("app1", ["rm", FILE])


def test_a_client_connects_and_data_is_whole(fresh: Lab, bulk: str) -> None:
    with bad_line(fresh, LINES["loss of 5 %"]):
        fresh.start_client("client1")
        client = Observer(fresh, "client1")
        client.wait_tunnel("infrastructure")
        client.log_on("alice")
        client.wait_page()
    for line, impairment in LINES.items():
        with bad_line(fresh, impairment):
            # The cable was pulled for it: on a slow line the tunnels take longer than DNS waits.
            client.wait_page()
            begun = time.monotonic()
            command = ["sh", "-c", DOWNLOAD, "sh", f"{PATIENCE:g}", URL]
            said = fresh.run("client1", command, timeout=PATIENCE + 10)
            seconds = time.monotonic() - begun
        assert said.stdout.split()[:1] == [bulk], (line, said.stderr)
        print(f"{line}: {SIZE * 8 / seconds / 1e6:.1f} Mbit/s")


def test_the_line_is_as_bad_as_was_asked_for(fresh: Lab) -> None:
    """And good again afterwards; moving and pulling the cable work as ever meanwhile."""
    gateway = "192.168.137.1"
    with bad_line(fresh, Impairment(delay=100)):
        assert 200 <= shortest_ping(fresh, gateway) < 400
        fresh.link("client1", up=False)
        assert fresh.run("client1", ["cat", "/sys/class/net/eth0/carrier"]).stdout.strip() == "0"
        fresh.link("client1", up=True)
        fresh.move("client1", "corp")
        assert fresh.run("client1", PING).returncode == 0
    assert fresh.run("client1", PING).returncode == 0
    fresh.move("client1", "home")
    assert shortest_ping(fresh, gateway) < 50


def shortest_ping(lab: Lab, address: str) -> float:
    """Milliseconds, when the neighbour is known."""
    lab.run("client1", ["ping", "-c1", "-W30", address], check=True)
    command = ["ping", "-c5", "-i0.2", "-W30", address]
    said = lab.run("client1", command, check=True).stdout
    return float(said.rsplit("= ", 1)[1].split("/")[0])
