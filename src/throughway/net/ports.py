"""UDP sockets towards DNS servers: ports that nobody can guess, and few system calls (RFC 5452).

A question goes out of a port of its own, as long as there are few. When there are many they share
:data:`SHARED` sockets for each server, drawn by lot: for one who must guess it is all the same
which of the ports the kernel has drawn is the right one, and answers are read several at a time.
A socket is renewed after :data:`SOCKET_QUERIES`, and none is open when nothing is asked any more.
"""

import asyncio
import os
import socket
from collections.abc import Callable

OWN = 16
"""Questions under way that have a port of their own each."""
SHARED = 4
"""Sockets of one server that the others share."""
SOCKET_QUERIES = 400
"""Questions after which a port is given up: opening another costs as much as two questions."""
BUSY = 0.1
"""Seconds after many questions in which the shared sockets stay open for more."""
BATCH = 64
"""Datagrams that are read in one go, before others have their turn."""
MAXIMUM_ANSWER = 4096
"""Octets; we say that we take 1232, and who sends more has not listened."""
BUFFER = 1 << 20
"""Octets the kernel keeps for us: bursts of a second's part, while we do something else."""
_POOL = 4096
"""Octets of randomness that are fetched at once."""
_SO_RCVBUFFORCE = 33

OnAnswer = Callable[[int, bytes, str, float], None]
OnLost = Callable[[int, float], None]


class Entropy:
    """Unguessable numbers, of the kernel's, fetched many at a time."""

    def __init__(self) -> None:
        self._pool = b""
        self._at = 0

    def bits(self, count: int) -> int:
        """Return an unguessable number of so many bits."""
        size = (count + 7) >> 3
        if self._at + size > len(self._pool):
            self._pool, self._at = os.urandom(max(_POOL, size)), 0
        begin, self._at = self._at, self._at + size
        return int.from_bytes(self._pool[begin : self._at], "big") >> (8 * size - count)


class _Socket:
    """One port, and what is expected at it."""

    __slots__ = ("attempts", "left", "server", "sock")

    def __init__(self, server: str, port: int, mark: int) -> None:
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.server = server
        self.attempts: dict[bytes, int] = {}
        """By the number of the message."""
        self.left = SOCKET_QUERIES
        try:
            if mark:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
            # Connected: the kernel picks a random port and drops what others send to it.
            self.sock.connect((server, port))
        except OSError:
            self.sock.close()
            raise


class Ports:
    """The sockets of one resolver; ``on_done`` is called after each batch of answers."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        port: int,
        mark: int,
        entropy: Entropy,
        on_answer: OnAnswer,
        on_lost: OnLost,
        on_done: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._port = port
        self._mark = mark
        self._entropy = entropy
        self._on_answer = on_answer
        self._on_lost = on_lost
        self._on_done = on_done
        self._open: dict[str, list[_Socket]] = {}
        """By server; those that may still be asked from."""
        self._attempts: dict[int, tuple[_Socket, bytes]] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        """While it is set there are, or were just now, many questions."""
        self._busy_until = 0.0

    def __len__(self) -> int:
        return len(self._attempts)

    def send(self, attempt: int, server: str, data: bytes) -> bool:
        """Send a question; False when it cannot be: its server is unreachable."""
        number = data[:2]
        try:
            chosen = self._choose(server, number)
        except OSError:
            return False
        try:
            chosen.sock.send(data)
        except BlockingIOError:
            pass  # as good as lost on the way: it is asked again
        except OSError:
            self._release(chosen)
            return False
        chosen.attempts[number] = attempt
        self._attempts[attempt] = chosen, number
        if len(self._attempts) >= OWN:
            self._busy_until = self._loop.time() + BUSY
            if self._sweeper is None:
                self._sweeper = self._loop.call_later(BUSY, self._sweep)
        return True

    def end(self, attempt: int) -> None:
        """Expect nothing for this attempt any more."""
        if (found := self._attempts.pop(attempt, None)) is None:
            return
        chosen, number = found
        del chosen.attempts[number]
        self._release(chosen)

    def close(self) -> None:
        """Close all sockets."""
        for chosen in {found[0] for found in self._attempts.values()}:
            chosen.attempts.clear()
            chosen.left = 0
            self._release(chosen)
        self._attempts.clear()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        self._close_idle()

    def _choose(self, server: str, number: bytes) -> _Socket:
        sockets = self._open.setdefault(server, [])
        if len(sockets) >= SHARED and self._sweeper is not None:
            chosen = sockets[self._entropy.bits(8) % SHARED]
            if number not in chosen.attempts:
                chosen.left -= 1
                if not chosen.left:
                    sockets.remove(chosen)
                return chosen
        chosen = _Socket(server, self._port, self._mark)
        if len(sockets) < OWN:
            sockets.append(chosen)
        else:
            chosen.left = 0  # because of the same number twice: for this question alone
        widen(chosen.sock)
        self._loop.add_reader(chosen.sock, self._read, chosen)
        return chosen

    def _release(self, chosen: _Socket) -> None:
        """Close a socket that is not needed any more."""
        if not chosen.attempts and (not chosen.left or self._sweeper is None):
            self._shut(chosen)

    def _sweep(self) -> None:
        """Close what was kept open for many questions, when there are few again."""
        self._sweeper = None
        if self._loop.time() < self._busy_until or len(self._attempts) >= OWN:
            self._sweeper = self._loop.call_later(BUSY, self._sweep)
        else:
            self._close_idle()

    def _close_idle(self) -> None:
        for sockets in tuple(self._open.values()):
            for chosen in tuple(sockets):
                if not chosen.attempts:
                    self._shut(chosen)

    def _shut(self, chosen: _Socket) -> None:
        sockets = self._open.get(chosen.server, [])
        if chosen in sockets:
            sockets.remove(chosen)
            if not sockets:
                del self._open[chosen.server]
        if chosen.sock.fileno() >= 0:
            self._loop.remove_reader(chosen.sock)
            chosen.sock.close()

    def _read(self, chosen: _Socket) -> None:
        now, receive = self._loop.time(), chosen.sock.recv
        attempts, on_answer, server = chosen.attempts, self._on_answer, chosen.server
        try:
            for _ in range(BATCH):
                data = receive(MAXIMUM_ANSWER + 1)
                attempt = attempts.get(data[:2])
                if attempt is not None and len(data) <= MAXIMUM_ANSWER:
                    on_answer(attempt, data, server, now)
        except BlockingIOError:
            pass
        except OSError:
            for attempt in tuple(attempts.values()):
                self._on_lost(attempt, now)
        self._on_done()


def widen(sock: socket.socket) -> None:
    """Let the kernel keep more for a socket; beyond the machine's limit where we may."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
