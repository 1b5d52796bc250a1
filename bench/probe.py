"""Ask for a page again and again and say when it was there; runs in a host of the lab.

    python probe.py URL-HOST TITLE

Waits for a line on standard input, then begins an attempt every :data:`STEP` seconds. They
overlap, so that one that waits for a name or a lost packet hides nothing. Writes the
CLOCK_MONOTONIC time at which the first whole page had come, and ends.
"""

import os
import socket
import sys
import threading
import time

STEP = 0.05
"""Seconds between attempts: the resolution of what is measured."""
ATTEMPT = 1.0
"""Seconds an attempt may take to connect, and to read."""
PATIENCE = 30.0
"""Seconds after which the page counts as not coming."""


def fetch(host: str) -> bytes:
    """Return the answer for the front page of a host."""
    with socket.create_connection((host, 80), timeout=ATTEMPT) as connection:
        connection.sendall(f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


def main(host: str, title: str) -> None:
    """Wait for the word, then for the page."""
    there: list[float] = []
    seen = threading.Event()

    def attempt() -> None:
        try:
            answer = fetch(host)
        except OSError:
            return
        if title.encode() in answer and b" 200 " in answer.split(b"\r\n", 1)[0]:
            there.append(time.monotonic())
            seen.set()

    print("ready", flush=True)
    sys.stdin.readline()
    deadline = time.monotonic() + PATIENCE
    while not seen.is_set() and time.monotonic() < deadline:
        threading.Thread(target=attempt, daemon=True).start()
        seen.wait(STEP)
    print(min(there, default="never"), flush=True)
    # Attempts that still wait for a name would hold the end up.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
