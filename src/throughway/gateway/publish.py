"""Build the policy bundle from the gateway's configuration, and serve it to clients.

It is served by plain http on an inside address: clients come through the infrastructure
tunnel, and the bundle proves itself by its signature.
"""

import asyncio
import contextlib
import hashlib
import os
from http import HTTPStatus
from pathlib import Path

import h11

from throughway.model.config import GatewayConfig, PublishConfig
from throughway.model.errors import ConfigError, ThroughwayError
from throughway.model.policy import Policy, TunnelPolicy
from throughway.net.files import read_file, read_secret, write_atomically
from throughway.pki import bundle, pem

PATH = "/policy.bundle"
SECONDS_PER_DAY = 86400

HEAD_LIMIT = 8 * 1024
"""Bytes of a request's head; a client of ours sends a few hundred."""
REQUEST_TIMEOUT = 10.0
"""Seconds for the whole exchange: a bundle is small, and inside the network is near."""
MAX_CONNECTIONS = 64
"""At once; more are closed unheard, and their clients come again."""


def build_bundle(config: GatewayConfig, now: float) -> tuple[Policy, bytes]:
    """Return the next policy of this gateway and its signed bundle."""
    publish = config.publish
    if publish is None:
        raise ConfigError(str(config.file), "publish", "is missing: it says what clients are told")
    try:
        key = pem.parse_signing_key(read_secret(publish.signing_key), str(publish.signing_key))
    except ValueError as error:
        why = f"{error}; make one with `throughway policy key {publish.signing_key}`"
        raise ConfigError(str(config.file), "publish.signing_key", why) from None
    policy = build_policy(config, publish, last_version(publish.bundle) + 1, int(now))
    return policy, bundle.sign(policy, key)


def write_bundle(path: Path, data: bytes) -> None:
    """Put the bundle where it is served from; a half-written one is never seen."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
    except OSError as error:
        raise ConfigError(str(path), "", f"cannot be written: {error.strerror}") from error


def build_policy(config: GatewayConfig, publish: PublishConfig, version: int, now: int) -> Policy:
    """Return what the configuration says to clients."""
    ipsec, users = config.ipsec, config.users
    return Policy(
        deployment=publish.deployment,
        version=version,
        issued_at=now,
        expires_at=now + publish.valid_days * SECONDS_PER_DAY,
        iphttps_url=config.iphttps.url,
        gateway_identity=ipsec.identity,
        infrastructure=TunnelPolicy(
            endpoint=ipsec.infrastructure_endpoint, prefixes=ipsec.infrastructure_prefixes
        ),
        intranet=TunnelPolicy(endpoint=ipsec.intranet_endpoint, prefixes=ipsec.intranet_prefixes),
        nrpt=publish.nrpt,
        nls_urls=publish.nls_urls,
        trust_anchors=_anchors(publish.trust_anchors),
        policy_url=policy_url(*publish.serve) if publish.serve else "",
        kerberos_realm=users.realm if users else "",
        kerberos_service=users.service if users else "",
    )


def policy_url(address: str, port: int) -> str:
    """Return where a client finds newer bundles."""
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}{PATH}"


def last_version(path: Path) -> int:
    """Return the version of the bundle that lies there, 0 when none does."""
    if not path.exists():
        return 0
    try:
        return _read_bundle(path)[1]
    except (ValueError, ThroughwayError) as error:
        why = f"{error}; move it away, but know that clients refuse a lower version than theirs"
        raise ConfigError(str(path), "", why) from error


def _anchors(files: tuple[Path, ...]) -> tuple[str, ...]:
    certificates = [c for file in files for c in pem.parse_certificates(read_file(file), str(file))]
    return tuple(pem.build_certificate_pem(c).decode() for c in dict.fromkeys(certificates))


def _read_bundle(path: Path) -> tuple[bytes, int]:
    """Return the bundle and its version, when it is one and whole."""
    data = read_file(path, bundle.MAX_BUNDLE)
    return data, bundle.verify(data, bundle.claimed_key(data), now=0).version


class PolicyServer:
    """Serves one file to clients, always as it is on the disk now."""

    def __init__(self, path: Path, address: tuple[str, int]) -> None:
        self._path = path
        self._address = address
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._loaded: tuple[tuple[int, int], bytes, int] | None = None

    @property
    def port(self) -> int:
        """The port on which it listens."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Listen; raises :exc:`ConfigError` when the address cannot be had."""
        host, port = self._address
        try:
            self._server = await asyncio.start_server(self._accept, host, port, limit=HEAD_LIMIT)
        except OSError as error:
            why = f"cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}"
            raise ConfigError("", "publish.serve", why) from error

    async def close(self) -> None:
        """Stop listening and end what is being served."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer, the end."""
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                writer.write(await self._exchange(reader))
                await writer.drain()
                writer.write_eof()
                # Closing with something unread would reset the connection under the answer.
                while await reader.read(HEAD_LIMIT):
                    pass
        except (OSError, TimeoutError):
            pass  # the client is gone or too slow; it will come again
        finally:
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader) -> bytes:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
        try:
            while (event := connection.next_event()) is h11.NEED_DATA:
                connection.receive_data(await reader.read(HEAD_LIMIT))
        except h11.RemoteProtocolError as error:
            return _answer(connection, HTTPStatus(error.error_status_hint), str(error))
        if not isinstance(event, h11.Request):
            return b""
        return self._respond(connection, event)

    def _respond(self, connection: h11.Connection, request: h11.Request) -> bytes:
        if request.target.partition(b"?")[0] != PATH.encode():
            return _answer(connection, HTTPStatus.NOT_FOUND, f"only {PATH} is here")
        if request.method not in {b"GET", b"HEAD"}:
            return _answer(connection, HTTPStatus.METHOD_NOT_ALLOWED, "GET it", allow="GET, HEAD")
        try:
            data, version = self._load()
        except (ValueError, ThroughwayError):
            why = "there is no policy bundle yet: `throughway policy build` makes it"
            return _answer(connection, HTTPStatus.SERVICE_UNAVAILABLE, why, retry_after="60")
        etag = f'"{hashlib.sha256(data).hexdigest()}"'
        headers = {"etag": etag, "throughway-policy-version": str(version)}
        if etag.encode() in dict(request.headers).get(b"if-none-match", b""):
            return _send(connection, HTTPStatus.NOT_MODIFIED, headers, b"")
        headers |= {"content-type": "application/octet-stream", "content-length": str(len(data))}
        return _send(connection, HTTPStatus.OK, headers, b"" if request.method == b"HEAD" else data)

    def _load(self) -> tuple[bytes, int]:
        """Return bundle and version; read again only when the file is another one."""
        with contextlib.suppress(OSError):
            status = self._path.stat()
            identity = status.st_ino, status.st_mtime_ns
            if self._loaded is None or self._loaded[0] != identity:
                self._loaded = (identity, *_read_bundle(self._path))
            return self._loaded[1:]
        self._loaded = None
        return _read_bundle(self._path)


def _answer(connection: h11.Connection, status: HTTPStatus, text: str, **headers: str) -> bytes:
    body = f"{text}\n".encode("ascii", "replace")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named |= {"content-type": "text/plain", "content-length": str(len(body))}
    return _send(connection, status, named, body)


def _send(
    connection: h11.Connection, status: HTTPStatus, headers: dict[str, str], body: bytes
) -> bytes:
    """Return the whole response, as far as the connection still takes one."""
    if connection.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
        return b""
    every = list((headers | {"connection": "close"}).items())
    response = h11.Response(status_code=status, headers=every, reason=status.phrase)
    head = connection.send(response) or b""
    return head + body
