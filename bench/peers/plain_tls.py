"""TLS without a tunnel, pumped as the product does it (``ssl.SSLObject`` over ``MemoryBIO``).

The limit of what a tunnel over TLS could carry here. Run in a namespace as
``python -m bench.peers.plain_tls receive|send …`` it is one end of a stream.
"""

import contextlib
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.load import MARK, PORT, WARM_UP, Load, Marks, Stream, expect
from bench.peers.peer import Ends, Peer, Unmeasured, tls_environment
from bench.world import GATEWAY, NAME, World, client_address, ended

CHUNK = 128 * 1024
"""Bytes received at once."""
RECORDS = 64 * 1024
"""Bytes encrypted at once."""


class PlainTLS(Peer):
    """A process for each end of each stream; these do what load and tunnel do elsewhere."""

    name = "plain-tls"
    settings = (
        "no tunnel: TLS 1.3 AES-128-GCM with P-256 certificate through MemoryBIO, "
        "a process for each end of each stream; CPU time is that of sender and receiver"
    )
    measures = (
        *("tcp-1-up", "tcp-1-down", "tcp-4-up", "tcp-4-down"),
        *("cpu-up", "cpu-down", "handshakes"),
    )

    def __init__(self) -> None:
        self._world: World | None = None

    def version(self) -> tuple[str, str]:
        return "openssl", ssl.OPENSSL_VERSION.split()[1]

    @contextlib.contextmanager
    def up(self, world: World) -> Iterator[Ends]:
        self._world = world
        yield Ends((GATEWAY,), (client_address(),))

    def tcp(
        self,
        load: Load,
        streams: list[Stream],
        seconds: float,
        *,
        parallel: int = 1,
        warm_up: float = WARM_UP,
        marks: Marks = lambda mark: None,
    ) -> float:
        assert self._world is not None
        folder, environment = str(self._world.folder), tls_environment(self._world)
        (stream,) = streams
        python = (sys.executable, "-m", __name__)
        ports = [str(PORT + number) for number in range(parallel)]
        with contextlib.ExitStack() as stack:
            receivers = []
            for port in ports:
                words = (*python, "receive", stream.target_address, port)
                more = (folder, str(warm_up), str(seconds))
                receiver = stream.target.start(*words, *more, environment=environment)
                stack.enter_context(ended(receiver))
                expect(receiver, "ready")
                receivers.append(receiver)
            for port in ports:
                words = (*python, "send", stream.target_address, port)
                sender = stream.source.start(*words, folder, environment=environment)
                stack.enter_context(ended(sender))
            for receiver in receivers:
                expect(receiver, "begin")
            marks("begin")
            ends = [expect(receiver, "end", seconds) for receiver in receivers]
            marks("end")
        return sum(int(size) * 8 / float(lasted) / 1e6 for size, lasted in ends)

    def tls_port(self, world: World) -> int:
        server = world.gateway.start(
            *(sys.executable, "-m", __name__, "serve", GATEWAY, str(world.folder)),
            environment=tls_environment(world),
        )
        expect(server, "ready")
        return PORT

    def idle_memory(self, world: World) -> float:
        raise Unmeasured("no sessions")


# In the namespaces, each in a process of its own


def receive(address: str, port: str, folder: str, warm_up: str, seconds: str) -> None:
    """Accept one stream, decrypt it as the product does and tell how much came."""
    with _listen(address, int(port)) as listener:
        sock, _ = listener.accept()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = _server_context(folder).wrap_bio(incoming, outgoing, server_side=True)
        _shake_hands(sock, tls, incoming, outgoing)
        raw, clear = memoryview(bytearray(CHUNK)), memoryview(bytearray(2 * CHUNK))

        def once() -> int:
            incoming.write(raw[: sock.recv_into(raw)])
            got = 0
            with contextlib.suppress(ssl.SSLWantReadError):
                while True:
                    got += tls.read(2 * CHUNK - got, clear[got:])  # type: ignore[operator]
            return got

        _count(once, float(warm_up), float(seconds))
        # Both processes are there until the CPU time they used has been read.
        sys.stdin.read()


def send(address: str, port: str, folder: str) -> None:
    """Encrypt as the product does, and send as fast as it goes."""
    context = ssl.create_default_context(cafile=str(Path(folder, "cert.pem")))
    data = (MARK * (RECORDS // len(MARK) + 1))[:RECORDS]
    with socket.create_connection((address, port)) as sock, contextlib.suppress(OSError):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname=NAME)
        _shake_hands(sock, tls, incoming, outgoing)
        while True:
            tls.write(data)
            sock.sendall(outgoing.read())


def serve(address: str, folder: str) -> None:
    """Shake hands with whoever comes, one after the other."""
    context = _server_context(folder)
    with _listen(address, PORT) as listener:
        while True:
            sock, _ = listener.accept()
            with contextlib.suppress(OSError), context.wrap_socket(sock, server_side=True) as tls:
                tls.recv(1)


def _server_context(folder: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(folder, "cert.pem"), Path(folder, "key.pem"))
    return context


def _shake_hands(
    sock: socket.socket, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
) -> None:
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            sock.sendall(outgoing.read())
            incoming.write(sock.recv(CHUNK))
    sock.sendall(outgoing.read())


def _listen(address: str, port: int) -> socket.socket:
    listener = socket.create_server((address, port), backlog=64)
    print("ready", flush=True)
    return listener


def _count(once: Callable[[], int], warm_up: float, seconds: float) -> None:
    begin = time.monotonic() + warm_up
    while time.monotonic() < begin:
        once()
    print("begin", flush=True)
    begin, total = time.monotonic(), 0
    while (now := time.monotonic()) < begin + seconds:
        total += once()
    print(f"end {total} {now - begin:.6f}", flush=True)


PARTS: dict[str, Callable[..., None]] = {"receive": receive, "send": send, "serve": serve}

if __name__ == "__main__":
    PARTS[sys.argv[1]](*sys.argv[2:])
