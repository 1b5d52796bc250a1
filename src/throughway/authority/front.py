"""The half of the service that strangers speak to: it is nobody, and has no key but TLS's.

Run by :mod:`throughway.authority.daemon` as ``python -m throughway.authority.front FD``, where
the descriptor is its end of the channel. Sockets that listen it is given as descriptors.
"""

import asyncio
import signal
import socket
import ssl
import sys
from collections.abc import Mapping

from throughway.authority.channel import Asker, connect, parse_message, text
from throughway.authority.service import BODY_LIMIT, EnrolmentService
from throughway.control.codec import JSON
from throughway.model.errors import ThroughwayError, TransportError, WireError
from throughway.net import privileges
from throughway.net.fetch import fetch
from throughway.net.tls import Credentials, context_of, load_credentials
from throughway.net.webserver import WebServer
from throughway.pki import est, pem
from throughway.pki.bundle import MAX_BUNDLE


class Front:
    """Serves on the given sockets, with what the channel says."""

    def __init__(self, asker: Asker, sockets: list[socket.socket]) -> None:
        self._asker = asker
        self._sockets = sockets
        self._servers: list[WebServer] = []
        self._context: ssl.SSLContext | None = None
        self._policy = ""

    async def take(self, message: Mapping[str, JSON]) -> None:
        """Take what the channel says."""
        if "serve" not in message:
            self._asker.take(message)
            return
        credentials = Credentials(
            certificate=text(message, "certificate"),
            key=text(message, "key"),
            client_ca=text(message, "anchor"),
        )
        if self._context is not None:
            with privileges.at_home():
                load_credentials(self._context, credentials)
            return
        self._policy = text(message, "policy")
        with privileges.at_home():
            context = self._context = context_of(credentials)
        assert context is not None
        # A first enrolment comes without a certificate (RFC 7030, 3.3.2).
        context.verify_mode = ssl.CERT_OPTIONAL
        anchor = pem.parse_certificate(text(message, "anchor").encode())
        service = EnrolmentService(self._asker, est.build_certificates([anchor]), self._read_policy)
        for sock in self._sockets:
            server = WebServer(
                sock, service.respond, key="listen", tls=context, body_limit=BODY_LIMIT
            )
            await server.start()
            self._servers.append(server)

    async def close(self) -> None:
        """Stop."""
        for server in self._servers:
            await server.close()

    async def _read_policy(self) -> bytes:
        if not self._policy.startswith("http"):
            return await self._asker.policy()
        try:
            return await fetch(self._policy, limit=MAX_BUNDLE, seconds=5.0)
        except TransportError as error:
            raise ThroughwayError(f"{self._policy}: {error}") from error


async def live(descriptor: int, listening: list[int]) -> int:
    """Serve until the channel ends."""
    sockets = [socket.socket(fileno=number) for number in listening]
    reader, writer = await connect(socket.socket(fileno=descriptor))
    front = Front(Asker(writer), sockets)
    try:
        while line := await reader.readline():
            await front.take(parse_message(line))
    finally:
        await front.close()
        writer.close()
    return 0


def main() -> int:
    """Run the front; what ends the service from a terminal is for the service to pass on."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    descriptor, *listening = map(int, sys.argv[1:])
    est.preload()  # nobody may not be able to read our programs
    privileges.renounce()
    privileges.end_with_parent()
    try:
        return asyncio.run(live(descriptor, listening))
    except (WireError, OSError) as error:
        print(f"throughway: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
