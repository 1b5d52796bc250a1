"""A client of EST (RFC 7030): asks an authority for certificates, says what stood in the way."""

import base64
import ssl
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from throughway.model.errors import Stage, TransportError, TrustError, WireError
from throughway.net.dial import Dial, Resolve
from throughway.net.exchange import Answered, Asked, Way, exchange
from throughway.pki import est
from throughway.pki.bundle import MAX_BUNDLE
from throughway.pki.requests import REFUSED
from throughway.proto.iphttps.http import SERVER

OFFLINE = "enrolment-authority-offline"
NOT_GENUINE = "enrolment-server-not-genuine"
AT_IPHTTPS = "enrolment-at-iphttps"
CLOCK = "clock-skew"

_BAD_DATES = ("iphttps-cert-expired", "iphttps-cert-not-yet-valid")
_CERTIFICATE_WANTED = "iphttps-client-cert-required"
"""The authority's service wants none of who joins; an IP-HTTPS server may."""
_OK, _NOT_FOUND, _TOO_MANY, _SERVER_ERROR = 200, 404, 429, 500
_HTTPS = 443


class ESTClient:
    """Speaks to one authority at ``url``, which has no path; ``tls`` says whom to trust."""

    def __init__(
        self,
        url: str,
        tls: ssl.SSLContext,
        *,
        resolve: Resolve | None = None,
        mark: int = 0,
        dial: Dial | None = None,
    ) -> None:
        self._url = url
        self._tls = tls
        self._resolve = resolve
        self._mark = mark
        self._way = Way(dial=dial)
        self.date = ""
        """What the server's clock said last, as in HTTP; by itself that proves nothing."""

    async def authorities(self) -> tuple[x509.Certificate, ...]:
        """Return the authority's certificates (4.1)."""
        return self._certificates(await self._ask(est.CACERTS))

    async def enrol(self, request: bytes, token: str) -> tuple[x509.Certificate, ...]:
        """Return a first certificate for a token (4.2.1), perhaps with others behind it."""
        headers = {"Authorization": est.build_authorization("", token)}
        return await self._request(est.ENROL, request, headers)

    async def renew(
        self, request: bytes, old: x509.Certificate | None = None, proof: bytes = b""
    ) -> tuple[x509.Certificate, ...]:
        """Return the next certificate (4.2.2): of the one that TLS shows, or of ``old``."""
        headers = {}
        if old is not None:
            shown = old.public_bytes(Encoding.DER)
            for name, value in ((est.CERTIFICATE, shown), (est.PROOF, proof)):
                headers[name] = base64.b64encode(value).decode("ascii")
        return await self._request(est.RENEW, request, headers)

    async def user(
        self, request: bytes, principal: str, seconds: int
    ) -> tuple[x509.Certificate, ...]:
        """Return a user's certificate; TLS must show a registrar's."""
        headers = {est.PRINCIPAL: principal, est.LIFE: str(seconds)}
        return await self._request(est.USER, request, headers)

    async def policy(self, token: str = "") -> bytes:
        """Return the deployment's policy bundle."""
        headers = {"Authorization": est.build_authorization("", token)} if token else {}
        return await self._ask(est.POLICY, Asked(headers=headers), limit=MAX_BUNDLE)

    async def _request(
        self, path: str, request: bytes, headers: dict[str, str]
    ) -> tuple[x509.Certificate, ...]:
        kind = {"Content-Type": est.REQUEST, "Content-Transfer-Encoding": "base64"}
        body = await self._ask(
            path, Asked(method="POST", headers=kind | headers, body=est.encode(request))
        )
        return self._certificates(body)

    def _certificates(self, body: bytes) -> tuple[x509.Certificate, ...]:
        try:
            return est.parse_certificates(body)
        except WireError as error:
            raise TransportError(Stage.HTTP, f"{self._url}: {error}", problem=OFFLINE) from error

    async def _ask(
        self, path: str, asked: Asked | None = None, limit: int = est.MAX_CERTIFICATES
    ) -> bytes:
        try:
            answer = await exchange(
                self._url + path,
                asked,
                tls=self._tls,
                resolve=self._resolve,
                mark=self._mark,
                limit=limit,
                way=self._way,
            )
        except TransportError as error:
            raise self._unheard(error) from error
        self.date = answer.headers.get("date", "")
        if answer.status != _OK:
            raise self._refusal(answer)
        return answer.body

    def _unheard(self, error: TransportError) -> TransportError | TrustError:
        words = f"{self._url}: {error}"
        if error.stage is Stage.PROXY:
            return TransportError(error.stage, words, problem=error.problem or OFFLINE)
        if error.stage is not Stage.TLS:
            return TransportError(error.stage, words, problem=OFFLINE)
        if error.problem == _CERTIFICATE_WANTED:
            return self._at_iphttps(str(error))
        if error.problem in _BAD_DATES:
            return TrustError(words, problem=CLOCK)
        return TrustError(words, problem=NOT_GENUINE)

    def _refusal(self, answer: Answered) -> TransportError | TrustError:
        why = answer.body[:500].decode("utf-8", "replace").strip()
        words = f"{self._url}: {why or f'{answer.status} {answer.reason}'}"
        problem = answer.headers.get(est.PROBLEM, "")
        if not problem.startswith("enrolment-"):
            if self._is_iphttps(answer):
                return self._at_iphttps(f"{answer.status} {answer.reason}".rstrip())
            problem = OFFLINE if answer.status >= _SERVER_ERROR else REFUSED
        if problem == OFFLINE or answer.status == _TOO_MANY:
            return TransportError(Stage.HTTP, words, problem=OFFLINE)
        return TrustError(words, problem=problem)

    def _is_iphttps(self, answer: Answered) -> bool:
        """Whether a gateway answers, or on its port somebody who knows nothing of enrolment."""
        if answer.headers.get("server") == SERVER:
            return answer.status < _SERVER_ERROR
        return answer.status == _NOT_FOUND and urlsplit(self._url).port in (None, _HTTPS)

    def _at_iphttps(self, why: str) -> TrustError:
        host = urlsplit(self._url).hostname
        words = f"{self._url} is the port of IP-HTTPS ({why}); the authority's is another, "
        words += f"{est.DEFAULT_PORT} unless you were told one: https://{host}"
        return TrustError(words, problem=AT_IPHTTPS)
