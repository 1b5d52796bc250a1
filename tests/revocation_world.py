"""A chain of three and everything that can be wrong with its revocation, as data.

    Corp Root - Corp Issuing - da.example.com

Lists and answers are made with `cryptography`; tests/pki/test_crl.py has them from OpenSSL too.
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from tests.patience import PATIENCE
from throughway.net.fetch import fetch
from throughway.net.revocation_lists import question
from throughway.pki.authority import Credential

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CRL_URL = "http://crl.example.com/issuing.crl"
SECOND_URL = "http://crl2.example.com/issuing.crl"
ROOT_URL = "http://crl.example.com/root.crl"
DELTA_URL = "http://crl.example.com/issuing+.crl"
OCSP_URL = "http://ocsp.example.com/"
HOST = "da.example.com"
FETCH_TIME = PATIENCE
"""Seconds."""


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def points(*urls: str, issuer: x509.Name | None = None) -> list[x509.DistributionPoint]:
    by = [x509.DirectoryName(issuer)] if issuer is not None else None
    return [
        x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, by)
        for url in urls
    ]


@dataclass(frozen=True)
class Places:
    """Where a certificate says that it could be revoked."""

    lists: Sequence[str] = ()
    deltas: Sequence[str] = ()
    responders: Sequence[str] = ()
    indirect: bool = False


def certify(
    subject: str,
    by: Credential | None,
    places: Places = Places(),
    *,
    ca: bool = False,
    usages: Iterable[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.SERVER_AUTH,),
    names: Sequence[str] | None = None,
    begin: datetime = NOW - DAY,
    end: datetime = NOW + 90 * DAY,
    crl_sign: bool = True,
) -> Credential:
    """Issue anything; without ``by`` it signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = by.certificate.subject if by is not None else name(subject)
    number = x509.random_serial_number()
    builder = x509.CertificateBuilder(
        issuer, name(subject), key.public_key(), number, begin, end
    ).add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if ca:
        usage = x509.KeyUsage(False, False, False, False, False, True, crl_sign, False, False)
        builder = builder.add_extension(usage, critical=True)
    else:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(usages)), critical=False)
        wanted = [subject] if names is None else names
        if wanted:
            alternative = x509.SubjectAlternativeName([x509.DNSName(each) for each in wanted])
            builder = builder.add_extension(alternative, critical=False)
    if places.lists:
        by_others = name("Some Indirect Authority") if places.indirect else None
        found = points(*places.lists, issuer=by_others)
        builder = builder.add_extension(x509.CRLDistributionPoints(found), critical=False)
    if places.deltas:
        freshest = x509.FreshestCRL(points(*places.deltas))
        builder = builder.add_extension(freshest, critical=False)
    if places.responders:
        access = x509.AuthorityInformationAccess(
            [
                x509.AccessDescription(
                    AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url)
                )
                for url in places.responders
            ]
        )
        builder = builder.add_extension(access, critical=False)
    signer = by.key if by is not None else key
    return Credential(key, builder.sign(signer, hashes.SHA256()))


@dataclass(frozen=True, kw_only=True)
class CRL:
    """One list; whatever is said here it says, right or wrong."""

    revoked: Sequence[tuple[int, x509.ReasonFlags | None]] = ()
    begin: datetime = NOW - HOUR
    end: datetime = NOW + DAY
    number: int | None = 1
    base: int | None = None
    """Makes it a delta list."""
    deltas: Sequence[str] = ()
    scope: x509.IssuingDistributionPoint | None = None
    issuer: x509.Name | None = None
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = ()
    entry_extensions: Sequence[tuple[x509.ExtensionType, bool]] = ()

    def build(self, by: Credential) -> bytes:
        subject = self.issuer or by.certificate.subject
        builder = x509.CertificateRevocationListBuilder(subject, self.begin, self.end)
        said: list[tuple[x509.ExtensionType, bool]] = list(self.extensions)
        if self.number is not None:
            said.append((x509.CRLNumber(self.number), False))
        if self.base is not None:
            said.append((x509.DeltaCRLIndicator(self.base), True))
        if self.deltas:
            said.append((x509.FreshestCRL(points(*self.deltas)), False))
        if self.scope is not None:
            said.append((self.scope, True))
        for extension, critical in said:
            builder = builder.add_extension(extension, critical=critical)
        for serial, reason in self.revoked:
            entry = x509.RevokedCertificateBuilder(serial, self.begin)
            if reason is not None:
                entry = entry.add_extension(x509.CRLReason(reason), critical=False)
            for extension, critical in self.entry_extensions:
                entry = entry.add_extension(extension, critical=critical)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(by.key, hashes.SHA256()).public_bytes(Encoding.DER)


def scope(
    *,
    urls: Sequence[str] = (),
    users: bool = False,
    authorities: bool = False,
    attributes: bool = False,
    indirect: bool = False,
    reasons: frozenset[x509.ReasonFlags] | None = None,
) -> x509.IssuingDistributionPoint:
    full = [x509.UniformResourceIdentifier(url) for url in urls] or None
    return x509.IssuingDistributionPoint(
        full, None, users, authorities, reasons, indirect, attributes
    )


@dataclass(frozen=True, kw_only=True)
class OCSP:
    """One answer of a responder."""

    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD
    begin: datetime = NOW - HOUR
    end: datetime | None = NOW + DAY
    nonce: bytes = b""
    delegate: Credential | None = None
    about: x509.Certificate | None = None

    def build(self, certificate: x509.Certificate, by: Credential) -> bytes:
        revoked = self.status is ocsp.OCSPCertStatus.REVOKED
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=self.about or certificate,
            issuer=by.certificate,
            algorithm=hashes.SHA1(),
            cert_status=self.status,
            this_update=self.begin,
            next_update=self.end,
            revocation_time=self.begin if revoked else None,
            revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
        )
        signer = self.delegate or by
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
        if self.delegate is not None:
            builder = builder.certificates([self.delegate.certificate])
        if self.nonce:
            builder = builder.add_extension(x509.OCSPNonce(self.nonce), critical=False)
        return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)


@dataclass(frozen=True)
class Chain:
    """Root, issuing authority, server; and what each of the first two has published."""

    root: Credential
    issuing: Credential
    leaf: Credential
    published: dict[str, bytes] = field(default_factory=dict)

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        return tuple(each.certificate for each in (self.leaf, self.issuing, self.root))

    @property
    def ders(self) -> tuple[bytes, ...]:
        return tuple(each.public_bytes(Encoding.DER) for each in self.certificates)

    @property
    def serial(self) -> int:
        return self.leaf.certificate.serial_number


ALL = Places((CRL_URL,), (), (OCSP_URL,))
LISTS = Places((CRL_URL, SECOND_URL))
ROOT = certify("Corp Root", None, ca=True)
ISSUING = certify("Corp Issuing", ROOT, Places((ROOT_URL,)), ca=True)
OTHER = certify("Corp Issuing", None, ca=True)
"""Of the same name, with another key."""
STRANGER = certify("Some Other Authority", None, ca=True)


def chain(places: Places = Places((CRL_URL,)), **options: object) -> Chain:
    """Return a chain whose root has published an empty list."""
    leaf = certify(HOST, ISSUING, places, **options)  # type: ignore[arg-type]
    return Chain(ROOT, ISSUING, leaf, {ROOT_URL: CRL().build(ROOT)})


class Web:
    """A real web server on loopback: distribution points and responders, right and wrong.

    ``pages`` says by path what is served: bytes, a status, another address, or nothing at all.
    """

    SILENT = "silent"
    """Accepts, and never answers."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes | int | str] = {}
        self.asked: list[str] = []
        self.over = threading.Event()
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked.append(self.path)
                self.answer(web.pages.get(self.path, 404))

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                web.asked.append(f"POST {self.path}")
                self.rfile.read(length)
                self.answer(web.pages.get(f"POST {self.path}", 405))

            def answer(self, page: bytes | int | str) -> None:
                if page == Web.SILENT:
                    web.over.wait()
                    return
                if isinstance(page, bytes):
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(page)))
                    self.end_headers()
                    self.wfile.write(page)
                    return
                self.send_response(page if isinstance(page, int) else 302)
                if isinstance(page, str):
                    self.send_header("Location", page)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.port = self._server.server_port

    def let_go(self) -> None:
        """Be silent to nobody any more: whoever renews lists waits for one that says nothing."""
        silent = [path for path, page in self.pages.items() if page == Web.SILENT]
        self.pages |= dict.fromkeys(silent, 404)
        over, self.over = self.over, threading.Event()
        over.set()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def ask(url: str, post: bytes) -> bytes:
    """Fetch as a gateway does, with more patience; less only where silence is told."""
    return await fetch(url, question(post), limit=100_000, seconds=FETCH_TIME, redirects=3)


def long_crl(by: Credential, count: int, *revoked: int) -> bytes:
    """Return a list of so many entries, of 52 bytes each, and of these serial numbers.

    By hand, since the builder of `cryptography` takes a time that grows with the square.
    """
    issuer = by.certificate
    key = by.key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    reason = x509.CRLReason(x509.ReasonFlags.superseded)
    told = _der(0x30, _extension(reason))
    date = _time(NOW - DAY)

    def entry(serial: int) -> bytes:
        number = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
        return _der(0x30, _der(0x02, number) + date + told)

    entries = b"".join(map(entry, (*revoked, *range(1 << 150, (1 << 150) + count))))
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    extensions = _der(0x30, _extension(x509.CRLNumber(1)) + _extension(identifier))
    algorithm = _der(0x30, bytes.fromhex("06082a8648ce3d040302"))  # ecdsa-with-SHA256
    listed = _der(
        0x30,
        *(_der(0x02, b"\1"), algorithm, issuer.subject.public_bytes()),
        *(_time(NOW - HOUR), _time(NOW + DAY), _der(0x30, entries), _der(0xA0, extensions)),
    )
    signature = key.sign(listed, ec.ECDSA(hashes.SHA256()))
    return _der(0x30, listed, algorithm, _der(0x03, b"\0" + signature))


def _extension(value: x509.ExtensionType) -> bytes:
    last = int(value.oid.dotted_string.removeprefix("2.5.29."))
    oid = _der(0x06, bytes((0x55, 0x1D, last)))
    return _der(0x30, oid, _der(0x04, value.public_bytes()))


def _time(moment: datetime) -> bytes:
    return _der(0x17, f"{moment:%y%m%d%H%M%SZ}".encode())


def _der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    if len(content) < 128:
        return bytes((tag, len(content))) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content
