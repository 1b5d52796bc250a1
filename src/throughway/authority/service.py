"""Enrolment over Secure Transport (RFC 7030) as a service: HTTP in, orders to the registrar out.

It parses what strangers send, so it holds no key of the authority's: whoever breaks it can read
nothing, and ask no more than strangers, but in the name of those whose keys it says TLS has proven.
"""

import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Protocol

from cryptography import x509

from throughway.authority.channel import Judged
from throughway.authority.limits import Limits
from throughway.model.errors import ThroughwayError, TrustError, WireError
from throughway.net.webserver import Answer, Heard, plain
from throughway.pki import est, tokens
from throughway.pki.requests import MAX_REQUEST, REFUSED, decode_request

BODY_LIMIT = 2 * MAX_REQUEST
"""Bytes: base64 and lines make a request longer by more than a third."""

TOKEN_PROBLEMS = frozenset({tokens.UNKNOWN, tokens.USED, tokens.EXPIRED})
OFFLINE = "enrolment-authority-offline"


class Registry(Protocol):
    """What answers; certificates are DER. TrustError says why not."""

    async def enrol(self, request: bytes, secret: bytes, source: str) -> bytes:
        """Return a first certificate for a token."""

    async def renew(
        self, request: bytes, certificate: bytes, proof: bytes | None, source: str
    ) -> bytes:
        """Return the next certificate."""

    async def certify_user(
        self, request: bytes, certificate: bytes, principal: str, life: str, source: str
    ) -> bytes:
        """Return a user's certificate, for a registration authority."""

    async def admit(self, secret: bytes, certificate: bytes, source: str) -> None:
        """Say whether somebody may read the policy."""

    async def refused(self, problem: str, reason: str, source: str) -> None:
        """Write down that somebody was refused without having been asked about."""


class EnrolmentService:
    """Answers requests, each by itself.

    ``authorities`` is the answer to /cacerts; ``policy`` returns the bundle that clients join
    with, or raises a :exc:`ThroughwayError`.
    """

    def __init__(
        self,
        registry: Registry,
        authorities: bytes,
        policy: Callable[[], Awaitable[bytes]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._authorities = authorities
        self._policy = policy
        self._clock = clock
        self._limits = Limits()

    async def respond(self, heard: Heard) -> Answer:
        """Answer a request."""
        if wait := self._limits.wait(heard.source, self._clock(), costly=_shows(heard)):
            why = "too many requests; come again later"
            return plain(HTTPStatus.TOO_MANY_REQUESTS, why, retry_after=str(int(wait) + 1))
        path = heard.request.target.partition(b"?")[0].decode("ascii", "replace")
        route = self._routes.get(path)
        if route is None:
            return plain(HTTPStatus.NOT_FOUND, f"here is {est.BASE} (RFC 7030)")
        method, respond = route
        if heard.request.method != method.encode():
            return plain(HTTPStatus.METHOD_NOT_ALLOWED, f"{method} it", allow=method)
        try:
            return await respond(self, heard)
        except Judged as error:
            self._limits.failed(heard.source)
            return _refusal(error)
        except TrustError as error:
            return await self._refuse(error, heard.source)
        except WireError as error:
            return await self._refuse(TrustError(str(error), problem=REFUSED), heard.source)
        except ThroughwayError as error:
            return plain(
                HTTPStatus.SERVICE_UNAVAILABLE,
                str(error),
                retry_after="60",
                throughway_problem=OFFLINE,
            )

    async def _refuse(self, error: TrustError, source: str) -> Answer:
        """Refuse what does not even get to the registry; that hears of it all the same."""
        self._limits.failed(source)
        await self._registry.refused(error.problem or REFUSED, str(error), source)
        return _refusal(error)

    async def _cacerts(self, _heard: Heard) -> Answer:
        return _answer(est.CERTIFICATES, self._authorities)

    async def _csrattrs(self, _heard: Heard) -> Answer:
        return _answer(est.ATTRIBUTES, est.encode(est.CSR_ATTRIBUTES))

    async def _enrol(self, heard: Heard) -> Answer:
        secret = _secret(heard)
        if not secret:
            return _ask_for_token()
        made = await self._registry.enrol(_request(heard), secret, heard.source)
        return _issued(made)

    async def _renew(self, heard: Heard) -> Answer:
        certificate, proof = heard.certificate, None
        if not certificate and (shown := heard.header(est.CERTIFICATE.encode())):
            certificate = est.decode(shown.encode())
            proof = est.decode(heard.header(est.PROOF.encode()).encode())
        if not certificate:
            why = "show the certificate that is to be renewed, by TLS"
            raise TrustError(why, problem=REFUSED)
        made = await self._registry.renew(_request(heard), certificate, proof, heard.source)
        return _issued(made)

    async def _user(self, heard: Heard) -> Answer:
        if not heard.certificate:
            raise TrustError("show a registrar's certificate, by TLS", problem=REFUSED)
        principal, life = heard.header(est.PRINCIPAL.encode()), heard.header(est.LIFE.encode())
        if not (life.isascii() and life.isdigit() and int(life[:9]) > 0):
            raise TrustError(f"{est.LIFE} must say seconds", problem=REFUSED)
        made = await self._registry.certify_user(
            _request(heard), heard.certificate, principal, life, heard.source
        )
        return _issued(made)

    async def _bundle(self, heard: Heard) -> Answer:
        secret = _secret(heard)
        if not secret and not heard.certificate:
            return _ask_for_token()
        await self._registry.admit(secret, heard.certificate, heard.source)
        return Answer(
            HTTPStatus.OK, {"content-type": "application/octet-stream"}, await self._policy()
        )

    _routes = {  # noqa: RUF012 - a table
        est.CACERTS: ("GET", _cacerts),
        est.CSRATTRS: ("GET", _csrattrs),
        est.ENROL: ("POST", _enrol),
        est.RENEW: ("POST", _renew),
        est.POLICY: ("GET", _bundle),
        est.USER: ("POST", _user),
    }


def _shows(heard: Heard) -> bool:
    """Say whether a request shows what the authority has to look at: all others are cheap."""
    named = (b"authorization", est.CERTIFICATE.encode())
    return bool(heard.certificate) or any(heard.header(name) for name in named)


def _secret(heard: Heard) -> bytes:
    """Return the secret of the token that was shown, nothing where none was."""
    text = est.parse_authorization(heard.header(b"authorization"))
    return tokens.parse_token(text).secret if text else b""


def _request(heard: Heard) -> bytes:
    kind = heard.header(b"content-type").partition(";")[0].strip().lower()
    if kind != est.REQUEST:
        raise TrustError(f"the body must be {est.REQUEST}", problem=REFUSED)
    return decode_request(heard.body)


def _issued(certificate: bytes) -> Answer:
    made = x509.load_der_x509_certificate(certificate)
    return _answer(est.CERTIFICATES, est.build_certificates([made]))


def _answer(kind: str, body: bytes) -> Answer:
    headers = {"content-type": kind, "content-transfer-encoding": "base64"}
    return Answer(HTTPStatus.OK, headers, body)


def _ask_for_token() -> Answer:
    """RFC 7030, 3.2.3: a client that has no certificate authenticates by HTTP."""
    why = "a token is needed: `throughway pki token` makes one"
    return plain(
        HTTPStatus.UNAUTHORIZED,
        why,
        www_authenticate='Basic realm="throughway"',
        throughway_problem=tokens.UNKNOWN,
    )


def _refusal(error: TrustError) -> Answer:
    if error.problem in TOKEN_PROBLEMS:
        status = HTTPStatus.UNAUTHORIZED
    elif error.problem == REFUSED:
        status = HTTPStatus.BAD_REQUEST
    else:
        status = HTTPStatus.FORBIDDEN
    headers = {"throughway_problem": error.problem or REFUSED}
    if status is HTTPStatus.UNAUTHORIZED:
        headers["www_authenticate"] = 'Basic realm="throughway"'
    return plain(status, str(error), **headers)
