"""The process that answers clients: why they were refused, whether they are healthy.

It is nobody, without a file.

Run by :mod:`throughway.gateway.reasons` as ``python -m throughway.gateway.reasons_process FD``.
TLS asks each client for its certificate and for the proof of its key. One that has expired is
taken too: that it has expired may be what its owner asks for.
"""

import asyncio
import json
import ssl
import sys
from hashlib import sha256
from http import HTTPStatus
from itertools import count

from cryptography import x509

from throughway.control.codec import decode_line, from_json, to_json
from throughway.gateway.channel import (
    Ask,
    Because,
    HealthJudged,
    Message,
    Ready,
    ServeReasons,
    StateHealth,
    Stop,
    WhyRefused,
    adopt,
)
from throughway.gateway.ordered_process import EXIT_WELL, OrderedProcess, main
from throughway.model.errors import ThroughwayError, WireError
from throughway.model.statement import MAX_STATEMENT, StatementOfHealth
from throughway.net import privileges
from throughway.net.tls import Credentials, context_of
from throughway.net.webserver import Answer, Heard, WebServer, plain
from throughway.pki import judgement
from throughway.proto.statement import check_form

PATH = b"/refusal"
HEALTH_PATH = b"/health"
ANSWER_TIMEOUT = 5.0
"""Seconds that the gateway has to answer."""
NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL: dates do not matter here."""


class ReasonsProcess(OrderedProcess):
    """The process, from its first order to the end of the channel."""

    what = "reasons"

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._server: WebServer | None = None
        self._serving = False
        self._numbers = count()
        self._questions: dict[int, asyncio.Future[Because | HealthJudged]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def _close(self) -> None:
        if self._server is not None:
            await self._server.close()

    def _take(self, message: Message) -> None:
        match message:
            case ServeReasons() if self._server is None:
                task = asyncio.get_running_loop().create_task(self._serve(message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case Because(number=number) | HealthJudged(number=number):
                question = self._questions.pop(number, None)
                if question is not None and not question.done():
                    question.set_result(message)
            case Ask() if self._serving:
                self._channel.send(Ready(""))
            case Stop():
                self._end(EXIT_WELL)

    async def _serve(self, order: ServeReasons) -> None:
        try:
            tls = reasons_context(order.credentials)
            privileges.renounce()
            privileges.end_with_parent()
            listener = adopt(order.listener)
            self._server = WebServer(
                listener,
                self._respond,
                key="publish.reasons_port",
                tls=tls,
                body_limit=MAX_STATEMENT,
            )
            await self._server.start()
        except (ThroughwayError, OSError) as error:
            self._fail(str(error))
            return
        self._serving = True
        self._channel.send(Ready(""))

    async def _respond(self, heard: Heard) -> Answer:
        asked = heard.request.method, heard.request.target
        if asked not in {(b"GET", PATH), (b"POST", HEALTH_PATH)}:
            return plain(HTTPStatus.NOT_FOUND, "there are two things to ask here")
        if not heard.certificate:  # TLS has demanded one
            return plain(HTTPStatus.FORBIDDEN, "without a certificate there is no answer")
        number = next(self._numbers)
        question: WhyRefused | StateHealth
        if asked[1] == PATH:
            thumbprint = sha256(heard.certificate).hexdigest()
            names = _names(heard.certificate)
            question = WhyRefused(number=number, thumbprint=thumbprint, names=names)
        else:
            try:
                statement = check_form(from_json(StatementOfHealth, decode_line(heard.body)))
            except WireError as error:
                return plain(HTTPStatus.BAD_REQUEST, str(error))
            certificate = heard.certificate.hex()
            question = StateHealth(number=number, certificate=certificate, statement=statement)
        try:
            answer = await self._ask(number, question)
        except TimeoutError:
            return plain(HTTPStatus.SERVICE_UNAVAILABLE, "the gateway is busy", retry_after="30")
        if isinstance(answer, HealthJudged):
            body = json.dumps(to_json(answer.judged))
        else:
            body = json.dumps({"refusals": to_json(answer.reasons)})
        kind = {"content-type": "application/json", "cache-control": "no-store"}
        return Answer(HTTPStatus.OK, kind, body.encode("ascii"))

    async def _ask(self, number: int, question: WhyRefused | StateHealth) -> Because | HealthJudged:
        answer: asyncio.Future[Because | HealthJudged] = asyncio.get_running_loop().create_future()
        self._questions[number] = answer
        self._channel.send(question, news=True)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                return await answer
        finally:
            self._questions.pop(number, None)


def reasons_context(credentials: Credentials) -> ssl.SSLContext:
    """Make the context that demands a certificate of ours, be it in force or not."""
    context = context_of(credentials)
    if context is None or not credentials.client_ca:
        raise ThroughwayError("there is no certificate to serve with, or no authority to trust")
    context.verify_flags |= NO_CHECK_TIME
    return context


def _names(certificate: bytes) -> tuple[str, ...]:
    try:
        return judgement.names(x509.load_der_x509_certificate(certificate))
    except ValueError:
        return ()


if __name__ == "__main__":
    sys.exit(main(ReasonsProcess))
