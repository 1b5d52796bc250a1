"""A peer that does not behave: a program for hosts of the lab, with nothing but Python.

Its first argument says what it does; it prints one JSON object. It stays connected until its
standard input ends.
"""

import contextlib
import json
import socket
import ssl
import sys
import time

NAME, PORT = "da.example.com", 443
REQUEST = (
    f"POST /IPHTTPS HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 18446744073709551615\r\n\r\n"
).encode()
PATIENCE = 60.0
"""Seconds that anything takes at most."""


def connect() -> socket.socket:
    """Connect by TCP."""
    return socket.create_connection((NAME, PORT), timeout=PATIENCE)


def secure() -> ssl.SSLSocket:
    """Connect by TLS, as a client would."""
    return ssl.create_default_context().wrap_socket(connect(), server_hostname=NAME)


def outcome(connection: socket.socket) -> dict[str, object]:
    """Return how long the other end puts up with it, and its last words."""
    began, said = time.monotonic(), b""
    with contextlib.suppress(OSError):
        while data := connection.recv(65536):
            said += data
    return {"seconds": time.monotonic() - began, "said": said[:200].decode("latin-1")}


def garbage() -> dict[str, object]:
    """Say what is no TLS."""
    connection = connect()
    with contextlib.suppress(OSError):
        connection.sendall(bytes(range(256)) * 400)
    return outcome(connection)


def silent() -> dict[str, object]:
    """Say nothing."""
    return outcome(connect())


def silent_within_tls() -> dict[str, object]:
    """Say nothing once TLS stands."""
    return outcome(secure())


def slow() -> dict[str, object]:
    """Send a request byte by byte."""
    connection, began = secure(), time.monotonic()
    with contextlib.suppress(OSError):
        for octet in REQUEST[:-2] + b"X: " + b"y" * 2000:
            connection.sendall(bytes([octet]))
            time.sleep(0.01)
    return {"seconds": time.monotonic() - began, "said": ""}


def oversized() -> dict[str, object]:
    """Send a head without end."""
    connection = secure()
    with contextlib.suppress(OSError):
        connection.sendall(REQUEST[:-2] + b"X: " + b"y" * 200_000)
    return outcome(connection)


def out_of_step() -> dict[str, object]:
    """Send what is no IPv6 into the stream."""
    connection = secure()
    connection.sendall(REQUEST)
    connection.recv(65536)
    connection.sendall(b"GET / HTTP/1.1\r\n\r\n" * 100)
    return outcome(connection)


def flood(count: str) -> dict[str, object]:
    """Open connections, and say nothing on them."""
    return {"held": [connect() for _ in range(int(count))]}


def sessions(count: str) -> dict[str, object]:
    """Open sessions."""
    held: list[socket.socket] = []
    for _ in range(int(count)):
        with contextlib.suppress(OSError):
            connection = secure()
            connection.sendall(REQUEST)
            if connection.recv(65536).startswith(b"HTTP/1.1 200 "):
                held.append(connection)
    return {"held": held}


def packets(*given: str) -> dict[str, object]:
    """Open a session and send packets."""
    connection = secure()
    connection.sendall(REQUEST + b"".join(bytes.fromhex(packet) for packet in given))
    return {"held": [connection]}


def main() -> None:
    """Do what is asked and say what came of it."""
    what, *arguments = sys.argv[1:]
    result = globals()[what](*arguments)
    held = result.pop("held", [])
    print(json.dumps(result | {"count": len(held)}), flush=True)
    sys.stdin.read()
    for connection in held:
        connection.close()


if __name__ == "__main__":
    main()
