"""Telling a client why it was refused: the process that answers, kept running.

Who asks must prove by TLS that it has the key of a certificate of ours, and is told of exactly
that certificate. The process that parses what strangers send (:mod:`~.reasons_process`) is nobody
and knows nothing: it asks here, by the certificate's thumbprint. docs/decisions/0009 says why so.
"""

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from hashlib import sha256

from throughway.catalogue import find
from throughway.gateway.audit import GatewayAudit
from throughway.gateway.channel import (
    Ask,
    Because,
    Channel,
    Failed,
    HealthJudged,
    Message,
    Ready,
    ServeReasons,
    StateHealth,
    Stop,
    WhyRefused,
    pair,
)
from throughway.gateway.health import HealthAuthority
from throughway.health.tracker import Tracker
from throughway.model.audit import Reason
from throughway.model.config import GatewayConfig
from throughway.model.statement import Judged, StatementOfHealth
from throughway.net.audit import clean
from throughway.net.files import read_secret
from throughway.net.process import STOP_TIMEOUT, death_of
from throughway.net.tls import Credentials
from throughway.proto.access import Withheld
from throughway.proto.flood import FloodGate

PAUSES = (0.0, 0.5, 2.0, 10.0)
"""Seconds before a start, by how many have failed in a row."""
STEADY_AFTER = 5.0
"""Seconds that it must have served to be started again at once."""
BEAT = 2.0
"""Seconds between two looks whether it answers."""
HUNG_AFTER = 4
"""Questions without an answer after which it is replaced; not seconds, of which a machine that
sleeps misses any number."""
QUESTIONS = 20
"""Of one certificate in a minute; a client of ours asks three times for each refusal it tells."""
ALL_QUESTIONS = 3000
"""Of all in a minute."""
UNKNOWN = "access-computer-unknown"


class ReasonsServer:
    """The process, from :meth:`start` to :meth:`stop`.

    ``reasons_of`` knows a certificate's refusals, ``withheld`` why a computer of a name may not
    come in, ``on_trouble(words)`` hears that it cannot be served, and with "" that it is.
    """

    def __init__(
        self,
        address: tuple[str, int],
        credentials: Credentials,
        *,
        reasons_of: Callable[[str], tuple[Reason, ...]],
        withheld: Callable[[str], Withheld | None],
        judge: Callable[[bytes, StatementOfHealth], Judged] | None = None,
        on_trouble: Callable[[str], None] = lambda words: None,
    ) -> None:
        self._address = address
        self._credentials = credentials
        self._reasons_of = reasons_of
        self._withheld = withheld
        self._judge = judge
        self._on_trouble = on_trouble
        self._gate = FloodGate(per_source=QUESTIONS, total=ALL_QUESTIONS)
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._life: asyncio.Task[None] | None = None
        self._known_end = ""
        self._ready = False
        self._unanswered = 0

    @property
    def pid(self) -> int:
        """The process, 0 while there is none."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Begin; what cannot be done is told, and tried again."""
        self._life = asyncio.get_running_loop().create_task(self._live())

    async def stop(self) -> None:
        """End the process."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)
        await self._end_process()

    def answer(self, thumbprint: str, names: tuple[str, ...], now: float) -> tuple[Reason, ...]:
        """Return what the owner of a certificate is told; nothing when it asks too often."""
        self._gate.due(now)
        if not self._gate.admits(thumbprint, now):
            return ()
        reasons = self._reasons_of(thumbprint)
        # Who has no connection is refused before it shows a certificate: its name alone is told.
        whys = [self._withheld(name) for name in names]
        if not names:
            whys = [Withheld(UNKNOWN, "the certificate names no computer")]
        if all(whys) and (why := whys[0]) is not None:
            told = Reason(age=0.0, tunnel="", problem=why.problem, reason=why.reason)
            reasons = (*reasons, told)
        return tuple(replace(reason, reason=clean(reason.reason)) for reason in reasons)

    def judge(self, certificate: bytes, statement: StatementOfHealth, now: float) -> Judged:
        """Return what is said to a statement of health."""
        self._gate.due(now)
        if not self._gate.admits(sha256(certificate).hexdigest(), now):
            return Judged(healthy=False, enforced=False, refused="too many statements in a minute")
        if self._judge is None:
            return Judged(healthy=True, enforced=False)
        return self._judge(certificate, statement)

    async def _live(self) -> None:
        loop, failures = asyncio.get_running_loop(), 0
        while True:
            await asyncio.sleep(PAUSES[min(failures, len(PAUSES) - 1)])
            began = loop.time()
            try:
                why = await self._serve()
            except OSError as error:
                why = f"{self._address[0]} port {self._address[1]}: {error.strerror or error}"
            await self._end_process()
            failures = 0 if loop.time() - began > STEADY_AFTER else failures + 1
            self._on_trouble(why)

    async def _serve(self) -> str:
        """Serve for as long as that goes well; return why it is over."""
        died = death_of(self._spawn())
        assert self._process is not None
        while not died.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT):
                    await died.wait()
            if self._unanswered >= HUNG_AFTER and not died.is_set():
                self._process.kill()  # what hangs takes no orders
                await died.wait()
                return f"it did not answer {HUNG_AFTER} times"
            if self._ready and self._channel is not None:
                self._unanswered += 1
                self._channel.send(Ask(0, sessions=False))
        return self._known_end or f"the process ended with code {self._process.wait()}"

    def _spawn(self) -> "subprocess.Popen[bytes]":
        with ExitStack() as stack:
            listener = stack.enter_context(_listen(self._address))
            ours, theirs = pair()
            stack.enter_context(theirs)
            module = "throughway.gateway.reasons_process"
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", module, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno(), listener.fileno()],
                    cwd="/",
                )
            except OSError:
                ours.close()
                raise
            order = ServeReasons(listener=listener.fileno(), credentials=self._credentials)
        self._known_end = ""
        self._ready, self._unanswered = False, 0
        self._channel = Channel(ours, self._take, lambda: None)
        self._channel.send(order)
        return self._process

    def _take(self, message: Message) -> None:
        match message:
            case Ready():
                self._unanswered = 0
                if not self._ready:
                    self._ready = True
                    self._on_trouble("")
            case WhyRefused(number=number, thumbprint=thumbprint, names=names):
                now = asyncio.get_running_loop().time()
                told = self.answer(thumbprint, names, now)
                if self._channel is not None:
                    self._channel.send(Because(number=number, reasons=told))
            case StateHealth(number=number, certificate=certificate, statement=statement):
                now = asyncio.get_running_loop().time()
                judged = self.judge(bytes.fromhex(certificate), statement, now)
                if self._channel is not None:
                    self._channel.send(HealthJudged(number=number, judged=judged))
            case Failed(error=error):
                self._known_end = error

    async def _end_process(self) -> None:
        process, channel = self._process, self._channel
        self._process = self._channel = None
        if channel is not None:
            channel.send(Stop())
        if process is not None and process.poll() is None:
            died = death_of(process)
            try:
                async with asyncio.timeout(STOP_TIMEOUT):
                    await died.wait()
            except TimeoutError:
                process.kill()
                await died.wait()
        if process is not None:
            process.wait()
        if channel is not None:
            channel.close()


def _listen(address: tuple[str, int]) -> socket.socket:
    listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except BaseException:
        listener.close()
        raise
    return listener


def reasons_address(config: GatewayConfig) -> tuple[str, int] | None:
    """Return where clients ask, None where nobody is told anything."""
    publish = config.publish
    if publish is None or not publish.reasons_port:
        return None
    return config.ipsec.infrastructure_endpoint, publish.reasons_port


def start_reasons(
    config: GatewayConfig,
    audit: GatewayAudit,
    tracker: Tracker,
    health: HealthAuthority,
    withheld: Callable[[str], Withheld | None],
) -> ReasonsServer | None:
    """Start the server that a configuration asks for."""
    address = reasons_address(config)
    if address is None:
        return None
    problem = find("reasons-not-served")
    try:
        credentials = _credentials(config)
    except (OSError, ValueError) as error:
        tracker.set(problem, str(error))
        return None

    def reasons_of(thumbprint: str) -> tuple[Reason, ...]:
        also = health.also_of(thumbprint)
        return (*audit.reasons_of(thumbprint), *(audit.reasons_of(also) if also else ()))

    def trouble(words: str) -> None:
        if words:
            tracker.set(problem, words)
        else:
            tracker.clear(problem)

    server = ReasonsServer(
        address,
        credentials,
        reasons_of=reasons_of,
        withheld=withheld,
        judge=health.state,
        on_trouble=trouble,
    )
    server.start()
    return server


def _credentials(config: GatewayConfig) -> Credentials:
    """Return those of IP-HTTPS: the workers, nobody too, have that key already."""
    iphttps = config.iphttps
    if iphttps.certificate is None or iphttps.key is None:
        raise ValueError("it needs iphttps.certificate and its key")
    return Credentials(
        certificate=iphttps.certificate.read_text(),
        key=read_secret(iphttps.key).decode(),
        client_ca=config.ipsec.ca.read_text(),
    )
