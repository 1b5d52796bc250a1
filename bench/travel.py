"""What runs on a computer that is carried about; a program of its own, see :mod:`bench.roaming`.

    travel.py ping LOG ADDRESS
    travel.py download LOG HOST PATH

Each writes a line for whatever comes: when, and by which of its connections.
"""

import os
import select
import socket
import struct
import sys
import time
from typing import TextIO

INTERVAL = 0.05
"""Seconds between two requests, and between two lines of a download."""
RATE = 2_000_000
"""Bytes a second of a download."""
GIVE_UP = 1.0
"""Seconds without a byte after which the download is begun anew: its connection may be one of an
address that is gone, of which nobody tells it."""
BLOCK = 65_536


def ping(log: TextIO, address: str) -> None:
    """Ask again and again, from whatever address is right then."""
    sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    due, mark = time.time(), os.urandom(8)
    while True:
        if select.select([sock], [], [], max(0.0, due - time.time()))[0]:
            packet = sock.recv(200)
            if packet[0] == 129 and packet[8:16] == mark:
                print(time.time(), 0, file=log)
        if time.time() >= due:
            due = time.time() + INTERVAL
            request = bytes([128, 0, 0, 0, 0, 0, 0, 0]) + mark + struct.pack("=d", time.time())
            try:
                sock.sendto(request, (address, 0))
            except OSError:
                continue


def download(log: TextIO, host: str, path: str) -> None:
    """Read a file again and again, with a connection for as long as one lasts."""
    number = 0
    while True:
        number += 1
        try:
            with socket.create_connection((host, 80), GIVE_UP) as sock:
                sock.settimeout(GIVE_UP)
                sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                read(log, sock, number)
        except OSError:
            time.sleep(INTERVAL)


def read(log: TextIO, sock: socket.socket, number: int) -> None:
    """Read to the end, as fast as is allowed."""
    told = 0.0
    while got := len(sock.recv(BLOCK)):
        now = time.time()
        if now >= told + INTERVAL:
            print(now, number, file=log)
            told = now
        time.sleep(got / RATE)


def main() -> None:
    """Do it."""
    what, file, *rest = sys.argv[1:]
    with open(file, "w", buffering=1) as log:
        (ping if what == "ping" else download)(log, *rest)


if __name__ == "__main__":
    main()
