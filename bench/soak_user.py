"""What somebody at a computer does all day; a program of its own, see :mod:`bench.soak`.

    soak_user.py LOG PAUSE DOWNLOAD

Asks for a page (and so for a name) and an echo each PAUSE seconds, and for a file each DOWNLOAD
seconds. Each writes a line: when it began, what it was, whether it came, how long it took.
"""

import os
import socket
import sys
import time
from typing import TextIO

HOST, FILE = "app1.corp.example.com", "/soak"
ADDRESS = "2001:db8:c0:1::10"
LIMIT = 5.0
"""Seconds without a byte after which somebody would call it broken."""
BLOCK = 65_536


def fetch(path: str) -> bool:
    """Fetch a page or a file by a connection of its own; say whether it came whole."""
    with socket.create_connection((HOST, 80), LIMIT) as sock:
        sock.settimeout(LIMIT)
        request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
        sock.sendall(request.encode())
        head, _, body = sock.recv(BLOCK).partition(b"\r\n\r\n")
        length, got = _length(head), len(body)
        while block := sock.recv(BLOCK):
            got += len(block)
    return b" 200 " in head.splitlines()[0] and got == length


def _length(head: bytes) -> int:
    fields = dict(line.lower().split(b": ", 1) for line in head.splitlines()[1:])
    return int(fields[b"content-length"])


def echo(_: str) -> bool:
    """Ask a server for an echo."""
    mark = os.urandom(8)
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sock:
        sock.settimeout(1.0)
        sock.sendto(bytes([128, 0, 0, 0, 0, 0, 0, 0]) + mark, (ADDRESS, 0))
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            packet = sock.recv(200)
            if packet[0] == 129 and packet[8:16] == mark:
                return True
    return False


def work(log: TextIO, pause: float, download: float) -> None:
    """Go on until we are ended."""
    file_at = time.monotonic() + download
    while True:
        begun = time.monotonic()
        for what, do, path in (("page", fetch, "/"), ("echo", echo, "")):
            attempt(log, what, do, path)
        if time.monotonic() >= file_at:
            attempt(log, "file", fetch, FILE)
            file_at = time.monotonic() + download
        time.sleep(max(0.0, begun + pause - time.monotonic()))


def attempt(log: TextIO, what, do, path: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Do it once, and write down how it went."""
    at = time.time()
    try:
        came = do(path)
    except (OSError, ValueError, KeyError, IndexError):
        came = False
    print(f"{at:.3f} {what} {int(came)} {time.time() - at:.3f}", file=log)


def main() -> None:
    """Work."""
    file, pause, download = sys.argv[1:]
    with open(file, "w", buffering=1) as log:
        work(log, float(pause), float(download))


if __name__ == "__main__":
    main()
