"""What an authority answers to requests that come by the network, with its key at hand.

It runs in the process that owns the authority's directory, reads nothing from the network itself,
and writes down everything that it issues before anybody can have it.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from throughway.authority import directory as directories
from throughway.authority.files import Kept, give_to_owner, locked, write_new
from throughway.model.errors import ConfigError, TrustError
from throughway.net.files import PRIVATE, read_secret_of_another
from throughway.pki import judgement, pem, tokens
from throughway.pki.authority import (
    Credential,
    KeyType,
    Profile,
    PublicKey,
    certify,
    certify_user,
    generate_key,
)
from throughway.pki.index import Index
from throughway.pki.requests import REFUSED, check_proof, judge_request, judge_user_request
from throughway.pki.tokens import Issuable, Token, TokenBook

TOKENS = "tokens.json"

MAX_IN_FORCE = 12
"""Certificates of one name at a time: a computer that renews again and again has a mistake, and
the index must not grow with it."""
USER_LIFE = timedelta(hours=24)
"""The longest that a user's certificate lives: it stands for a code that was right a moment ago."""
USERS_KEPT_FOR = timedelta(days=7)
"""How long a user's certificate that has ended is remembered: there is one for each logon, and the
index must last for years."""
KEPT_FOR = timedelta(days=90)
"""How long a token that has expired can still be told from one that never was."""
SERVER_LIFE = timedelta(days=90)
"""Of the service's own certificate, which lives in its memory; it makes another one in time."""


@dataclass(frozen=True, slots=True)
class Registrar:
    """An authority that answers; every call reads the directory, which commands change too."""

    directory: Path
    life: timedelta
    now: Callable[[], datetime]
    _index: Kept[Index] = field(default_factory=lambda: Kept(_index_in))
    _book: Kept[TokenBook] = field(default_factory=lambda: Kept(_book_in))

    def anchor(self) -> x509.Certificate:
        """Return the authority's certificate."""
        return directories.read_certificate(self.directory / directories.CERTIFICATE)

    def enrol(self, request: bytes, secret: bytes) -> x509.Certificate:
        """Return a first certificate for a token; the same key gets the same one again."""
        with self._opened() as (root, index):
            now, book = self.now(), self._read_book()
            token = book.find(secret, now)
            key = judge_request(request, token.names, token.profile)
            digest = tokens.key_digest(key)
            tokens.judge_use(token, digest)
            if token.used_at:
                return self._issued(index, token)
            made = self._certify(root, index, token.profile, token.names, key)
            book = book.used(token, now, digest, judgement.serial_of(made))
            write_book(self.directory, book)
            self._book.put(self.directory / TOKENS, book)
            return made

    def renew(
        self, request: bytes, certificate: bytes, proof: bytes | None = None
    ) -> x509.Certificate:
        """Return a certificate that takes the place of one, for the same names.

        Without ``proof`` the caller has seen (TLS) that the asker has the old key; a proof is the
        old key's signature of the request.
        """
        with self._opened() as (root, index):
            old = _parse(certificate)
            self._judge_old(old, root.certificate, index)
            if proof is not None:
                check_proof(old, request, proof)
            names = judgement.names(old)
            profile = Profile(index.find(judgement.serial_of(old))[0].profile)
            key = judge_request(request, names, profile, exactly=True)
            return self._certify(root, index, profile, names, key)

    def certify_user(
        self, request: bytes, certificate: bytes, principal: str, life: timedelta
    ) -> x509.Certificate:
        """Return a user's certificate, for a registration authority of ours that vouches for it.

        The caller has seen (TLS) that the asker has the key of ``certificate``.
        """
        with self._opened() as (root, index):
            shown = _parse(certificate)
            self._judge_old(shown, root.certificate, index)
            entry = index.find(judgement.serial_of(shown))[0]
            if entry.profile != Profile.REGISTRAR:
                why = f"{entry.names[0]} may not ask for users' certificates: it is no registrar"
                raise TrustError(why, problem=REFUSED)
            key, now = judge_user_request(request), self.now()
            index, gone = index.without_users(now - USERS_KEPT_FOR)
            self._judge_number(index, principal.lower(), now)
            made = certify_user(
                root,
                _checked_principal(principal),
                key,
                now=now,
                life=min(life, USER_LIFE),
                crl_url=index.crl_url,
            )
            self._keep(index, made, Profile.USER)
            for entry in gone:  # they are in no index any more
                Path(entry.file).unlink(missing_ok=True)
            return made

    def admit(self, *, secret: bytes = b"", certificate: bytes = b"") -> str:
        """Return the name of who shows a token that counts, or a certificate of ours."""
        if secret:
            return self._read_book().find(secret, self.now()).names[0]
        old = _parse(certificate)
        self._judge_old(old, self.anchor(), self._read_index())
        return judgement.names(old)[0]

    def tokens(self) -> tuple[Issuable, ...]:
        """Return all tokens that are known."""
        return self._read_book().tokens

    def serve_as(self, names: Sequence[str]) -> Credential:
        """Return a key and certificate for the service itself."""
        with self._opened() as (root, index):
            key = generate_key(KeyType.P256)
            made = self._certify(
                root, index, Profile.SERVER, names, key.public_key(), SERVER_LIFE, limited=False
            )
        return Credential(key, made)

    def publish_crl(self, output: Path | None, days: int) -> bool:
        """Make a new CRL at half the life of the last, put it where it is served; say if so."""
        now, path = self.now(), self.directory / directories.CRL
        crl = directories.read_crl(self.directory)
        begins, ends = crl.last_update_utc, crl.next_update_utc
        renewed = ends is None or now >= begins + (ends - begins) / 2
        if renewed:
            directories.renew_crl(self.directory, now, days)
        if output is not None:
            data = directories.read(path)
            if not output.exists() or output.read_bytes() != data:
                write_new(output, data, force=True)
        return renewed

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple[Credential, Index]]:
        directory = directories.present(self.directory)
        with locked(directory):
            yield directories.open_authority(directory), self._read_index()

    def _read_index(self) -> Index:
        return self._index.get(self.directory / directories.INDEX)

    def _read_book(self) -> TokenBook:
        return self._book.get(self.directory / TOKENS)

    def _judge_old(self, old: x509.Certificate, root: x509.Certificate, index: Index) -> None:
        entries = [e for e in index.entries if e.serial == judgement.serial_of(old)]
        try:
            old.verify_directly_issued_by(root)
        except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
            entries = []
        if not entries:
            raise TrustError("the certificate shown is not of this authority", problem=REFUSED)
        name = judgement.name_of(old.subject)
        if entries[0].profile == Profile.USER:
            raise TrustError("a user's certificate is not renewed; a code is", problem=REFUSED)
        if entries[0].revoked:
            when = entries[0].revoked_at[:10]
            raise TrustError(f"the certificate of {name} was revoked on {when}", problem=REFUSED)
        if not judgement.in_force(old, self.now()):
            why = judgement.validity(old, self.now())
            raise TrustError(
                f"the certificate of {name} is {why}; it needs a token", problem=REFUSED
            )

    def _certify(
        self,
        root: Credential,
        index: Index,
        profile: Profile,
        names: Sequence[str],
        key: PublicKey,
        life: timedelta | None = None,
        *,
        limited: bool = True,
    ) -> x509.Certificate:
        now = self.now()
        if limited:
            self._judge_number(index, names[0], now)
        made = certify(
            root, profile, names, key, now=now, life=life or self.life, crl_url=index.crl_url
        )
        self._keep(index, made, profile)
        return made

    def _judge_number(self, index: Index, name: str, now: datetime) -> None:
        alive = [
            entry
            for entry in index.find(name)
            if not entry.revoked and datetime.fromisoformat(entry.not_after) > now
        ]
        if len(alive) >= MAX_IN_FORCE:
            why = f"{name} has {len(alive)} certificates in force; revoke what is not needed"
            raise TrustError(why, problem=REFUSED)

    def _keep(self, index: Index, made: x509.Certificate, profile: Profile) -> None:
        folder = self.directory / directories.ISSUED
        file = folder / f"{judgement.serial_of(made)}.crt"
        # The index first: what is not in it could never be revoked.
        index = index.added(made, profile, str(file))
        directories.save_index(self.directory, index)
        self._index.put(self.directory / directories.INDEX, index)
        write_new(file, pem.build_certificate_pem(made), force=True)
        give_to_owner(self.directory, folder, file)

    def _issued(self, index: Index, token: Issuable) -> x509.Certificate:
        """Return what was given for a token before: an answer was lost on its way."""
        entries = [entry for entry in index.entries if entry.serial == token.serial]
        if not entries or entries[0].revoked:
            tokens.judge_use(token, "")
        return directories.read_certificate(Path(entries[0].file))


def _index_in(path: Path) -> Index:
    return directories.read_index(path.parent)


def _book_in(path: Path) -> TokenBook:
    return read_book(path.parent)


def make_tokens(
    directory: Path,
    computers: Sequence[tuple[str, ...]],
    profile: Profile,
    secrets: Sequence[bytes],
    *,
    now: datetime,
    life: timedelta,
) -> tuple[str, ...]:
    """Return a token for each of the computers, given by their names, the main one first."""
    if len(secrets) > tokens.MAX_TOKENS // 2:
        raise ConfigError("token", "", f"at most {tokens.MAX_TOKENS // 2} can be made at a time")
    root = directories.read_certificate(directories.present(directory) / directories.CERTIFICATE)
    pin, ends = tokens.pin_of(root), (now + life).isoformat()
    made = [
        Issuable(
            digest=tokens.digest_of(secret),
            names=tuple(name.lower() for name in names),
            profile=profile,
            expires_at=ends,
        )
        for names, secret in zip(computers, secrets, strict=True)
    ]
    with locked(directory):
        book = read_book(directory).without_old(now - KEPT_FOR).added(*made)
        write_book(directory, book)
    return tuple(
        tokens.build_token(Token(secret, pin, token.names[0]))
        for secret, token in zip(secrets, made, strict=True)
    )


def read_book(directory: Path) -> TokenBook:
    """Return the authority's tokens."""
    path = directory / TOKENS
    if not path.exists():
        return TokenBook()
    return tokens.parse_book(directories.read(path, read_secret_of_another), str(path))


def write_book(directory: Path, book: TokenBook) -> None:
    """Write the authority's tokens; whoever calls holds the lock."""
    path = directory / TOKENS
    write_new(path, tokens.build_book(book), PRIVATE, force=True)
    give_to_owner(directory, path)


def _checked_principal(principal: str) -> str:
    user, _, realm = principal.rpartition("@")
    if not (user and realm and principal.isascii() and principal.isprintable()):
        raise TrustError("the user must be given as user@REALM", problem=REFUSED)
    return principal


def _parse(certificate: bytes) -> x509.Certificate:
    try:
        return pem.load_certificate(certificate)
    except pem.UNREADABLE:
        raise TrustError("no certificate was shown", problem=REFUSED) from None
