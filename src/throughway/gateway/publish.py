"""Build the policy bundle from the gateway's configuration, and serve it to clients.

It is served by plain http on an inside address: clients come through the infrastructure
tunnel, and the bundle proves itself by its signature.
"""

import contextlib
import hashlib
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from throughway.catalogue import find
from throughway.gateway.codes import PATH as CODE_PATH
from throughway.health.tracker import Tracker
from throughway.model.config import CodesConfig, GatewayConfig, PublishConfig
from throughway.model.errors import ConfigError, ThroughwayError
from throughway.model.findings import Component
from throughway.model.policy import Policy, TransportsPolicy, TunnelPolicy
from throughway.model.status import TransportKind
from throughway.net.files import read_file, read_secret, write_atomically
from throughway.net.webserver import Answer, Heard, WebServer, plain
from throughway.pki import bundle, fields, judgement, pem

PATH = "/policy.bundle"
SECONDS_PER_DAY = 86400


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
        fallback=publish.fallback,
        exempt_names=_revocation_hosts(_own_certificates(config)),
        nls_urls=publish.nls_urls,
        trust_anchors=_anchors(publish.trust_anchors),
        transport_order=tuple(map(str, publish.transports or offered_transports(config))),
        transports=TransportsPolicy(
            force_iphttps=publish.force_iphttps,
            force_tunnel=publish.force_tunnel,
            proxy=publish.proxy,
            proxy_script=publish.proxy_script,
            force_tunnel_proxy=publish.force_tunnel_proxy,
            portal_probe=publish.portal_probe,
            teredo_server=config.teredo.address if config.teredo else "",
        ),
        revocation=replace(publish.revocation, lists=_list_urls(ipsec.certificate)),
        policy_url=policy_url(*publish.serve) if publish.serve else "",
        enrolment_url=config.enrolment.url if config.enrolment else "",
        kerberos_realm=users.realm if users else "",
        kerberos_service=users.service if users else "",
        code_url=_code_url(users.codes) if users and users.codes else "",
        register_names=publish.register_names,
        reasons_port=publish.reasons_port,
        health=config.health.policy,
        probes=publish.probes,
    )


def offered_transports(config: GatewayConfig) -> tuple[TransportKind, ...]:
    """Return the transports that this gateway serves, best first."""
    # Native IPv6 needs nothing here: the endpoints answer whoever has a way to them.
    served = {
        TransportKind.NATIVE: True,
        TransportKind.SIXTOFOUR: config.sixtofour is not None,
        TransportKind.TEREDO: config.teredo is not None,
        TransportKind.IPHTTPS: bool(config.iphttps.listen),
    }
    return tuple(kind for kind in TransportKind if served.get(kind))


def policy_url(address: str, port: int) -> str:
    """Return where a client finds newer bundles."""
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}{PATH}"


def _code_url(codes: CodesConfig) -> str:
    address, port = codes.listen
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}{CODE_PATH}"


def last_version(path: Path) -> int:
    """Return the version of the bundle that lies there, 0 when none does."""
    if not path.exists():
        return 0
    try:
        return _read_bundle(path)[1]
    except (ValueError, ThroughwayError) as error:
        why = f"{error}; move it away, but know that clients refuse a lower version than theirs"
        raise ConfigError(str(path), "", why) from error


def _revocation_hosts(files: tuple[Path, ...]) -> tuple[str, ...]:
    """Return the hosts that a client must reach to judge these certificates before any tunnel."""
    hosts: dict[str, None] = {}
    for file in files:
        for certificate in pem.parse_certificates(read_file(file), str(file)):
            for url in (*judgement.crl_urls(certificate), *judgement.ocsp_urls(certificate)):
                with contextlib.suppress(ValueError):  # an address, or ldap:/// without a host
                    hosts[fields.check_dns_name(urlsplit(url).hostname or "")] = None
    return tuple(hosts)


def _own_certificates(config: GatewayConfig) -> tuple[Path, ...]:
    shown = (config.iphttps.certificate, config.iphttps.rsa_certificate, config.ipsec.certificate)
    return tuple(file for file in shown if file is not None)


def _list_urls(file: Path) -> tuple[str, ...]:
    """Return where a client finds the lists for a certificate and those that come with it."""
    urls: dict[str, None] = {}
    for certificate in pem.parse_certificates(read_file(file), str(file)):
        for url in judgement.crl_urls(certificate):
            with contextlib.suppress(ValueError):  # ldap, or one of no ordinary length
                urls[fields.check_http_url(url)] = None
    return tuple(urls)


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
        self._server = WebServer(address, self._respond, key="publish.serve")
        self._loaded: tuple[tuple[int, int], bytes, int] | None = None

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return self._server.port

    async def start(self) -> None:
        """Listen; raises :exc:`ConfigError` when the address cannot be had."""
        await self._server.start()

    async def close(self) -> None:
        """Stop listening and end what is being served."""
        await self._server.close()

    async def _respond(self, heard: Heard) -> Answer:
        if heard.request.target.partition(b"?")[0] != PATH.encode():
            return plain(HTTPStatus.NOT_FOUND, f"only {PATH} is here")
        if heard.request.method not in {b"GET", b"HEAD"}:
            return plain(HTTPStatus.METHOD_NOT_ALLOWED, "GET it", allow="GET, HEAD")
        try:
            data, version = self._load()
        except (ValueError, ThroughwayError):
            why = "there is no policy bundle yet: `throughway policy build` makes it"
            return plain(HTTPStatus.SERVICE_UNAVAILABLE, why, retry_after="60")
        etag = f'"{hashlib.sha256(data).hexdigest()}"'
        headers = {"etag": etag, "throughway-policy-version": str(version)}
        if etag.encode() in dict(heard.request.headers).get(b"if-none-match", b""):
            return Answer(HTTPStatus.NOT_MODIFIED, headers)
        headers |= {"content-type": "application/octet-stream"}
        return Answer(HTTPStatus.OK, headers, data)

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


class Publishing:
    """The bundle of a gateway as its status has it, and the server where one is wanted."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._publish: PublishConfig | None = None
        self._server: PolicyServer | None = None

    async def start(self, publish: PublishConfig | None) -> None:
        """Begin, by what is configured now."""
        self._publish = publish
        if publish is None:
            self._tracker.disable(Component.POLICY, "nothing is published")
            return
        if publish.serve is not None:
            server = PolicyServer(publish.bundle, publish.serve)
            await server.start()
            self._server = server
        self.look()

    async def reload(self, publish: PublishConfig | None) -> None:
        """Go on by another configuration; who listens there already goes on listening."""
        if self._server is not None and _served(publish) == _served(self._publish):
            self._publish = publish
            self.look()
        else:
            await self.stop()
            await self.start(publish)

    def look(self) -> None:
        """See whether the bundle is there."""
        if self._publish is None:
            return
        bundle = self._publish.bundle
        if bundle.exists():
            self._tracker.clear(find("policy-not-built"))
            self._tracker.ok(Component.POLICY, f"{bundle}")
        else:
            self._tracker.set(find("policy-not-built"), str(bundle))

    async def stop(self) -> None:
        """Serve no more."""
        server, self._server = self._server, None
        if server is not None:
            await server.close()


def _served(publish: PublishConfig | None) -> object:
    """What a server stands for."""
    return None if publish is None else (publish.bundle, publish.serve)
