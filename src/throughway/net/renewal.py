"""A certificate and its key as two files, and how others take their place without a moment between.

Each renewal has a new key. The old pair stays where it is until the new one was judged and, where
it can be, has opened a connection. Two files cannot be replaced at once: the key's is first, and
:meth:`Pair.recover` finishes what a power cut has left half done.
"""

import contextlib
import os
import ssl
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from throughway.model.errors import ConfigError, TrustError
from throughway.net.dial import Resolve
from throughway.net.est import ESTClient
from throughway.net.files import PRIVATE, PUBLIC, read_file, read_secret, write_atomically
from throughway.net.tls import client_context
from throughway.pki import judgement, pem
from throughway.pki.requests import REFUSED, build_request, sign_proof

NEW, OLD = ".new", ".old"
"""Suffixes of what waits to be put in place, and of what was there before."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The two files."""

    certificate: Path
    key: Path

    def read(self) -> tuple[tuple[x509.Certificate, ...], pem.PrivateKey]:
        """Return the certificate with what stands behind it, and the key."""
        try:
            chain = pem.parse_certificates(read_file(self.certificate), str(self.certificate))
            return chain, pem.parse_key(read_secret(self.key), str(self.key))
        except ValueError as error:
            raise ConfigError(str(self.certificate), "", str(error)) from None

    def recover(self) -> None:
        """Finish a replacement that was cut short, or forget what had not begun."""
        new = self._with(NEW)
        if new.certificate.exists() and not new.key.exists():
            os.replace(new.certificate, self._with("").certificate)
        for path in (new.key, new.certificate):
            path.unlink(missing_ok=True)

    def stage(self, chain: Sequence[x509.Certificate], key: pem.PrivateKey) -> "Pair":
        """Write another pair beside this one, and return it."""
        new = self._with(NEW)
        write_atomically(new.key, pem.build_key_pem(key), _mode(self.key, PRIVATE))
        text = b"".join(map(pem.build_certificate_pem, chain))
        write_atomically(new.certificate, text, _mode(self.certificate, PUBLIC))
        for path, former in ((new.key, self.key), (new.certificate, self.certificate)):
            with contextlib.suppress(OSError):  # a daemon may not, nor needs to where it is root's
                os.chown(path, former.stat().st_uid, former.stat().st_gid)
        return new

    def commit(self) -> None:
        """Put the staged pair in the place of this one, which is kept as the old one."""
        new, old = self._with(NEW), self._with(OLD)
        for path, kept in ((self.key, old.key), (self.certificate, old.certificate)):
            write_atomically(kept, path.read_bytes(), _mode(path, PRIVATE))
        self._put(new)

    def fall_back(self, now: datetime) -> bool:
        """Put the old pair back, when there is one that still counts; say whether that was done."""
        old = self._with(OLD)
        if not (old.key.exists() and old.certificate.exists()):
            return False
        chain, key = old.read()
        if not judgement.in_force(chain[0], now) or not pem.same_key(chain[0], key):
            return False
        self._put(self.stage(chain, key))
        self.forget_old()
        return True

    def forget_old(self) -> None:
        """Remove the old pair: the new one has proven itself."""
        for path in (self._with(OLD).key, self._with(OLD).certificate):
            path.unlink(missing_ok=True)

    def _put(self, new: "Pair") -> None:
        target = self._with("")
        os.replace(new.key, target.key)
        os.replace(new.certificate, target.certificate)

    def _with(self, suffix: str) -> "Pair":
        # Of what the names lead to: a symbolic link stays one.
        paths = (path.resolve() for path in (self.certificate, self.key))
        certificate, key = (path.with_name(path.name + suffix) for path in paths)
        return Pair(certificate, key)


async def renew(
    pair: Pair,
    url: str,
    anchors: Sequence[str],
    now: datetime,
    *,
    by_proof: bool = False,
    resolve: Resolve | None = None,
    mark: int = 0,
) -> x509.Certificate:
    """Get the next certificate for a new key and put both in place; return it.

    ``by_proof``: the certificate is a server's, which TLS does not take from a client. Raises
    :exc:`TrustError` or :exc:`TransportError`; then everything is as it was.
    """
    pair.recover()
    (old, *between), old_key = pair.read()
    key = _like(old_key)
    names = judgement.names(old)
    if not names:
        raise TrustError(f"{pair.certificate} has no alternative names", problem=REFUSED)
    request = build_request(key, names)
    shown = None if by_proof else pair
    client = ESTClient(url, _context(anchors, shown), resolve=resolve, mark=mark)
    if by_proof:
        chain = await client.renew(request, old, sign_proof(old_key, request))
    else:
        chain = await client.renew(request)
    made = _own(chain, key)
    judge_new(old, made, [pem.parse_certificate(a.encode()) for a in anchors], between, now)
    staged = pair.stage((made, *between), key)
    try:
        if not by_proof:
            # The other end takes it: only now is the old one given up.
            trial = ESTClient(url, _context(anchors, staged), resolve=resolve, mark=mark)
            await trial.authorities()
        pair.commit()
    finally:
        pair.recover()
    return made


def judge_new(
    old: x509.Certificate,
    new: x509.Certificate,
    anchors: Sequence[x509.Certificate],
    between: Sequence[x509.Certificate],
    now: datetime,
) -> None:
    """Refuse a certificate that is not for the same names, or would be worse than the old one."""
    if set(judgement.names(new)) != set(judgement.names(old)):
        raise TrustError("the new certificate is for other names", problem=REFUSED)
    chain = judgement.chain(new, anchors, now, between)
    if not chain.trusted:
        raise TrustError(f"the new certificate is not trusted: {chain.why}", problem=REFUSED)
    if new.not_valid_after_utc <= old.not_valid_after_utc:
        raise TrustError("the new certificate ends no later than the old one", problem=REFUSED)


def _own(chain: Sequence[x509.Certificate], key: pem.PrivateKey) -> x509.Certificate:
    """Return the certificate of our key: an answer has no order (RFC 5652, 10.2.3)."""
    for certificate in chain:
        if pem.same_key(certificate, key):
            return certificate
    raise TrustError("the authority certified another key than ours", problem=REFUSED)


def _like(key: pem.PrivateKey) -> pem.PrivateKey:
    """Make a key of the same kind: what peers can do with the old one they can with the new."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return ec.generate_private_key(key.curve)
    return rsa.generate_private_key(public_exponent=65537, key_size=key.key_size)


def _context(anchors: Sequence[str], shown: Pair | None) -> ssl.SSLContext:
    if shown is None:
        return client_context(anchors=anchors, system=False)
    return client_context(
        anchors=anchors, system=False, certificate=shown.certificate, key=shown.key
    )


def _mode(path: Path, default: int) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return default
