"""What charon fetches, it fetches from us: a web proxy on loopback for one charon alone.

A value of vici holds 64 KiB, and lists of large authorities have megabytes; an OCSP answer is not
known before somebody asks. So charon has its fetcher (libcurl), with a proxy that leads nowhere but
here: it is answered from what is kept, and never waits for a distribution point longer than we let
it. Nobody else on the machine knows the password.
"""

import base64
import hmac
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from throughway.model.errors import ConfigError, IPsecError
from throughway.net.webserver import Answer, Heard, WebServer, plain

MAXIMUM_REQUEST = 4 * 1024
"""Bytes of an OCSP request; one about one certificate has about a hundred."""
_USER = "charon"

Respond = Callable[[str, bytes], Awaitable[bytes | str]]
"""Answers for an address, and the OCSP request that is posted there; in words why it cannot."""


class CRLProxy:
    """Listens from :meth:`start` until :meth:`close`."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        self._secret = secrets.token_hex(16)
        self._listening = False
        self._server = WebServer(("127.0.0.1", 0), self._answer, key="", body_limit=MAXIMUM_REQUEST)

    async def start(self) -> str:
        """Listen, unless it does; return the address as libcurl takes it, which is a secret.

        IPsecError when that cannot be.
        """
        if not self._listening:
            try:
                await self._server.start()
            except ConfigError as error:
                raise IPsecError(str(error), problem="ipsec-daemon-down") from error
            self._listening = True
        return f"http://{_USER}:{self._secret}@127.0.0.1:{self._server.port}"

    async def close(self) -> None:
        """Listen no more."""
        self._listening = False
        await self._server.close()

    async def _answer(self, heard: Heard) -> Answer:
        known = base64.b64encode(f"{_USER}:{self._secret}".encode())
        told = heard.header(b"proxy-authorization").encode("latin-1")
        if not hmac.compare_digest(told, b"Basic " + known):
            return plain(HTTPStatus.PROXY_AUTHENTICATION_REQUIRED, "not for you")
        if heard.request.method not in (b"GET", b"POST"):
            return plain(HTTPStatus.METHOD_NOT_ALLOWED, "GET or POST")
        answer = await self._respond(heard.request.target.decode("latin-1"), heard.body)
        if isinstance(answer, str):
            return plain(HTTPStatus.GATEWAY_TIMEOUT, answer)
        return Answer(HTTPStatus.OK, body=answer)
