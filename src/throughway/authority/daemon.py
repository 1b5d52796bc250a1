"""The enrolment service: the half that has the authority's key, and what keeps it going.

It listens for a front (:mod:`throughway.authority.front`), which is nobody and speaks to
strangers; becomes the owner of the authority's directory; answers the front's orders; and keeps
CRL and its own TLS certificate fresh. When the front ends, so does the service: it could not be
started again as nobody by somebody who is not root any more.
"""

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from throughway.authority import settings
from throughway.authority.audit import AuthorityAudit, ended
from throughway.authority.channel import connect, pack, parse_message, text, unpack
from throughway.authority.registrar import Registrar
from throughway.control import lifecycle
from throughway.control.codec import JSON, encode_line
from throughway.health import log
from throughway.model.audit import AuditEvent
from throughway.model.config import AuthorityConfig
from throughway.model.errors import ConfigError, ThroughwayError, TrustError, WireError
from throughway.net import privileges
from throughway.net.files import read_file
from throughway.net.log_outputs import log_outputs
from throughway.pki import judgement, pem
from throughway.pki.bundle import MAX_BUNDLE

LOOK_INTERVAL = 60.0
"""Seconds between two looks at CRL and certificate."""
BACKLOG = 128


class AuthorityDaemon:
    """One service, from :meth:`start` to :meth:`stop`."""

    def __init__(self, config: AuthorityConfig, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._clock = clock
        self._log = log.logger("authority")
        self._registrar = self._make_registrar(config)
        self._audit = AuthorityAudit(config.directory, self._audit_trouble)
        self._looked = self._now()
        """When it was last seen to which tokens have ended."""
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._renew_at = datetime.max.replace(tzinfo=UTC)
        """When the service's own certificate is to be made anew."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()

    # The daemon's life

    async def start(self) -> None:
        """Listen, give up what is not needed, serve."""
        sockets = [_listen(self._config, address) for address in self._config.listen]
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as stack:
            for sock in (*sockets, theirs):
                stack.callback(sock.close)
            descriptors = tuple(sock.fileno() for sock in (theirs, *sockets))
            command = (sys.executable, "-m", "throughway.authority.front")
            # Not by another thread: the kernel ends the front with the thread that began it.
            self._process = subprocess.Popen(  # noqa: ASYNC220
                (*command, *map(str, descriptors)), pass_fds=descriptors
            )
        reader, self._writer = await connect(ours)
        # Who we become may not read our own programs: what threads need is loaded before.
        await asyncio.to_thread(self._config.directory.stat)
        privileges.become_owner(self._config.directory)
        await asyncio.to_thread(self._keep_crl)
        await self._serve()
        self._keep(self._hear(reader))
        self._keep(self._look())
        names = ", ".join(self._config.names)
        self._log.info("authority serves", names=names, front=self._process.pid)

    async def reload(self) -> None:
        """Read the configuration anew; where it listens stays until the service is restarted."""
        config = settings.load(self._config.file)
        fixed = ("listen", "directory", "policy")
        waits = [key for key in fixed if getattr(config, key) != getattr(self._config, key)]
        self._config, self._registrar = config, self._make_registrar(config)
        await asyncio.to_thread(self._keep_crl)
        await self._serve()
        self._log.info("configuration reloaded", needs_restart=", ".join(waits) or None)

    async def stop(self) -> None:
        """End."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()  # by which the front ends
        if self._process is not None:
            await asyncio.to_thread(self._process.wait)
        await asyncio.to_thread(self._audit.close)
        self._log.info("authority has ended")

    def failed(self, what: str, error: BaseException | None) -> None:
        """Make a failure visible that nothing else has caught."""
        self._log.error(what, reason=str(error) or repr(error))

    # Orders of the front

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            self._keep(self._obey(parse_message(line)))
        self._log.error("the front has ended, and so does the service")
        asyncio.get_running_loop().call_soon(_end_process)

    async def _obey(self, message: Mapping[str, JSON]) -> None:
        reply: dict[str, JSON] = {"id": message.get("id")}
        what, source = text(message, "do"), text(message, "source")
        try:
            async with self._one_at_a_time:
                reply["result"] = pack(await asyncio.to_thread(self._answer, what, message))
        except TrustError as error:
            await self._refused(what, error, message)
            reply |= {"error": str(error), "problem": error.problem}
            self._log.warning(
                "refused", what=what, peer=source, reason=str(error), problem=error.problem
            )
        except (ThroughwayError, OSError) as error:
            reply |= {"error": "the authority cannot answer now", "problem": ""}
            self._log.error("cannot answer", what=what, peer=source, reason=str(error))
        await self._tell(reply)

    def _answer(self, what: str, message: Mapping[str, JSON]) -> bytes:
        source = text(message, "source")
        match what:
            case "enrol":
                made = self._registrar.enrol(unpack(message, "request"), unpack(message, "secret"))
                self._audit.issued(made, "by token", source=source)
            case "renew":
                proof = unpack(message, "proof") if "proof" in message else None
                request, old = unpack(message, "request"), unpack(message, "certificate")
                made = self._registrar.renew(request, old, proof)
                why = f"in place of {judgement.serial_of(x509.load_der_x509_certificate(old))}"
                renewed = AuditEvent.CERTIFICATE_RENEWED
                self._audit.issued(made, why, source=source, event=renewed)
            case "user":
                made = self._certify_user(message)
                name = unpack(message, "principal").decode(errors="replace")
                serial = judgement.serial_of(made)
                asker = x509.load_der_x509_certificate(unpack(message, "certificate"))
                why = f"for a one-time code, asked by {judgement.names(asker)[0]}"
                self._audit.issued(made, why, source=source, user=name)
                self._log.info(
                    "certificate issued", what=what, name=name, serial=serial, peer=source
                )
                return made.public_bytes(Encoding.DER)
            case "admit":
                secret, shown = unpack(message, "secret"), unpack(message, "certificate")
                name = self._registrar.admit(secret=secret, certificate=shown)
                self._log.info("policy given", name=name, peer=source)
                return b""
            case "policy":
                return self._read_policy()
            case "refused":
                problem, reason = unpack(message, "problem"), unpack(message, "reason")
                raise TrustError(reason.decode(errors="replace"), problem=problem.decode())
            case _:
                raise WireError(f"nobody knows how to {what[:20]}")
        serial, name = judgement.serial_of(made), judgement.names(made)[0]
        self._log.info("certificate issued", what=what, name=name, serial=serial, peer=source)
        return made.public_bytes(Encoding.DER)

    async def _refused(self, what: str, error: TrustError, message: Mapping[str, JSON]) -> None:
        shown = unpack(message, "certificate") if "certificate" in message else b""
        source = text(message, "source")
        async with self._one_at_a_time:
            await asyncio.to_thread(
                self._audit.refused, what, error.problem, str(error), source=source, shown=shown
            )

    def _audit_trouble(self, words: str) -> None:
        if words:
            self._log.error("audit not written", reason=words)
        else:
            self._log.info("audit is written again")

    def _certify_user(self, message: Mapping[str, JSON]) -> x509.Certificate:
        life = timedelta(seconds=int(unpack(message, "life")[:9]))
        principal = unpack(message, "principal").decode(errors="replace")
        request, shown = unpack(message, "request"), unpack(message, "certificate")
        return self._registrar.certify_user(request, shown, principal, life)

    def _read_policy(self) -> bytes:
        if not self._config.policy:
            raise ConfigError(str(self._config.file), "policy", "is not given")
        try:
            return read_file(self._config.file.parent / self._config.policy, MAX_BUNDLE)
        except ValueError as error:
            raise ConfigError(str(self._config.file), "policy", str(error)) from None

    # What must stay fresh

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            try:
                await asyncio.to_thread(self._keep_crl)
                async with self._one_at_a_time:
                    await asyncio.to_thread(self._keep_book)
                if self._now() >= self._renew_at:
                    await self._serve()
            except (ThroughwayError, OSError) as error:
                self._log.error("not fresh", reason=str(error))

    def _keep_crl(self) -> None:
        if self._registrar.publish_crl(self._config.crl, self._config.crl_days):
            self._log.info("CRL renewed", published=str(self._config.crl or "") or None)

    def _keep_book(self) -> None:
        now = self._now()
        tokens = ended(self._registrar.tokens(), self._looked, now)
        self._looked = now
        self._audit.tokens(AuditEvent.TOKEN_EXPIRED, tokens, "")
        self._audit.sweep()

    async def _serve(self) -> None:
        """Give the front a certificate to serve with."""
        own = await asyncio.to_thread(self._registrar.serve_as, self._config.names)
        self._renew_at = judgement.renewal_time(own.certificate)
        anchor = pem.build_certificate_pem(self._registrar.anchor()).decode()
        await self._tell(
            {
                "serve": True,
                "certificate": pem.build_certificate_pem(own.certificate).decode(),
                "key": pem.build_key_pem(own.key).decode(),
                "anchor": anchor,
                "policy": self._config.policy,
            }
        )

    async def _tell(self, message: dict[str, JSON]) -> None:
        assert self._writer is not None
        self._writer.write(encode_line(message))
        await self._writer.drain()

    def _make_registrar(self, config: AuthorityConfig) -> Registrar:
        return Registrar(config.directory, timedelta(days=config.days), self._now)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(int(self._clock()), UTC)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _listen(config: AuthorityConfig, address: tuple[str, int]) -> socket.socket:
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        why = f"cannot listen on {host} port {port}: {error.strerror}"
        raise ConfigError(str(config.file), "listen", why) from error


def _end_process() -> None:
    raise SystemExit(lifecycle.EXIT_FAILED)


def run(config_path: Path) -> int:
    """Run the service until SIGTERM; return the exit code."""
    log.configure()
    logger = log.logger("authority")

    def report(what: str, _error: BaseException | None) -> None:
        logger.error("authority cannot run", reason=what)

    def make() -> AuthorityDaemon:
        config = settings.load(config_path)
        log.configure(config.log.level, log_outputs(config.log, "authority"))
        return AuthorityDaemon(config)

    return lifecycle.run(make, report)
