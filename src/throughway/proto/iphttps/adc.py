"""What a device that ends TLS says of a client's certificate, and when it is believed.

Only what comes over a connection from such a device is believed, and only in the one way that is
configured; whoever else sends the headers is refused. A certificate that is passed on is judged
again here: the device has proven that the client holds its key, which nobody can do later.
"""

import binascii
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from throughway.model.config import ADCConfig, Assertion
from throughway.proto.iphttps.http import RequestError
from throughway.wire.proxy_protocol import ClientTLS

VERIFIED = frozenset({"SUCCESS", "0"})
"""What nginx's ``$ssl_client_verify`` and HAProxy's ``ssl_c_verify`` say of a good one."""
MAX_CERTIFICATE = 8192
"""Characters of the header with the certificate; the whole head has no more."""
MAX_DIGITS = 11
"""Of a number of 32 bits, and one more."""
BY_CONNECTION = "verified by the ADC"
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"

NO_CERTIFICATE = "iphttps-client-cert-none"
UNTRUSTED = "iphttps-client-cert-untrusted"
EXPIRED = "iphttps-client-cert-expired"
REVOKED = "iphttps-client-cert-revoked"
WRONG_USAGE = "iphttps-client-cert-usage"
UNJUDGED = "iphttps-client-crl-unusable"
FORGED = "iphttps-adc-header-forged"
CERTIFICATE_PROBLEMS = (NO_CERTIFICATE, UNTRUSTED, EXPIRED, REVOKED, WRONG_USAGE, UNJUDGED)
"""Why a client is refused for its certificate: the gateway's codes of the catalogue."""

USAGE_WORDS = "it may not be used by a TLS client (its extended key usage)"
VERIFY_ERRORS = {
    3: (UNJUDGED, "client_crls has no list of its authority"),
    9: (EXPIRED, "it is not valid yet"),
    10: (EXPIRED, "it has expired"),
    11: (UNJUDGED, "the list of its authority is not valid yet"),
    12: (UNJUDGED, "the list of its authority has expired: put the new one in place"),
    23: (REVOKED, "its authority has revoked it"),
    26: (WRONG_USAGE, USAGE_WORDS),
}
"""What OpenSSL's X509_V_ERR_… numbers mean for a client's certificate; others: not trusted."""
_NGINX_WORDS = {
    "FAILED:certificate is not yet valid": "9",
    "FAILED:certificate has expired": "10",
    "FAILED:certificate revoked": "23",
    "FAILED:unsuitable certificate purpose": "26",
    "FAILED:unsupported certificate purpose": "26",
}
"""The same, as nginx has OpenSSL (3.0, 1.1.1) write them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a certificate is, and what is wrong with it."""

    subject: str = ""
    fingerprint: str = ""
    serial: str = ""
    """Hexadecimal, as revocation lists name it; "" where nobody says it."""
    problem: str = ""
    """"": nothing is wrong."""
    why: str = ""


Judge = Callable[[bytes], Verdict]
"""Judges a certificate, DER."""


class ClientRefusedError(RequestError):
    """A request that is refused for who sent it, with the code for those who look after it."""

    def __init__(self, problem: str, why: str, status: int = 403) -> None:
        super().__init__(status, why)
        self.problem = problem


@dataclass(frozen=True, slots=True, kw_only=True)
class ADC:
    """By what a device's words are taken."""

    config: ADCConfig
    judge: Judge

    @property
    def headers(self) -> tuple[str, ...]:
        """Return the names of the headers that only the device may send, lower case."""
        return self.config.certificate_header.lower(), self.config.verify_header.lower()

    def identify(self, tls: ClientTLS | None, headers: Mapping[str, tuple[str, ...]]) -> Verdict:
        """Return whom the device says that the client is; raises :exc:`ClientRefusedError`."""
        match self.config.client_certificate:
            case Assertion.CONNECTION:
                return Verdict(subject=BY_CONNECTION)
            case Assertion.PROXY_PROTOCOL:
                return _by_proxy_protocol(tls)
            case Assertion.HEADER:
                return self._by_headers(headers)

    def _by_headers(self, headers: Mapping[str, tuple[str, ...]]) -> Verdict:
        certificate, verify = (_single(name, headers) for name in self.headers)
        if not certificate:
            raise ClientRefusedError(NO_CERTIFICATE, "the ADC says that the client showed none")
        if verify not in VERIFIED:
            raise _not_verified("the certificate", verify or "it does not say what became of it")
        verdict = self.judge(decode_certificate(certificate))
        if verdict.problem:
            raise ClientRefusedError(verdict.problem, f"{verdict.subject}: {verdict.why}")
        return verdict


def refuse_claims(headers: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse who says of itself what only a device may say."""
    for name, values in headers.items():
        if values:
            raise ClientRefusedError(FORGED, f"only an ADC may send {name}", 400)


def decode_certificate(value: str) -> bytes:
    """Return the DER of a header: PEM with escapes (nginx), or base64 of DER (HAProxy).

    Raises :exc:`ClientRefusedError`; whether it is a certificate is for the judge to say.
    """
    if len(value) <= MAX_CERTIFICATE:
        text = unquote(value, errors="replace") if "%" in value else value
        if text.startswith(_BEGIN):
            text = text.removeprefix(_BEGIN).partition(_END)[0]
        try:
            return b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            pass
    raise ClientRefusedError(UNTRUSTED, "what the ADC passes on is no certificate", 400)


def _single(name: str, headers: Mapping[str, tuple[str, ...]]) -> str:
    values = headers.get(name, ())
    if len(values) > 1:
        # One of them is the client's own: the device did not take it away.
        raise ClientRefusedError(FORGED, f"{name} is there {len(values)} times", 400)
    return values[0].strip() if values else ""


def _not_verified(whose: str, said: str) -> ClientRefusedError:
    """Say what a device found, which tells OpenSSL's number or words."""
    number = _NGINX_WORDS.get(said, said)
    code, words = UNTRUSTED, f"error {said}" if number.isdigit() else said
    if number.isdecimal() and len(number) < MAX_DIGITS:
        code, words = VERIFY_ERRORS.get(int(number), (code, words))
    return ClientRefusedError(code, f"{whose} was not verified by the ADC: {words}")


def _by_proxy_protocol(tls: ClientTLS | None) -> Verdict:
    if tls is None or not tls.certificate:
        raise ClientRefusedError(NO_CERTIFICATE, "the ADC says of no certificate")
    if tls.verify:
        raise _not_verified(tls.common_name, str(tls.verify))
    if not tls.common_name:
        raise ClientRefusedError(UNTRUSTED, "the ADC does not say the certificate's common name")
    name = f"commonName={tls.common_name}"
    return Verdict(subject=name, fingerprint=name)
