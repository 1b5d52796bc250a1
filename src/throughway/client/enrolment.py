"""Joining a deployment and leaving it: everything is checked before anything is written.

The files are those that :class:`Place` names. ``client.toml`` is written last: the service
starts only when it is there.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from throughway.client import settings
from throughway.client.join import install_bundle, pinned_key
from throughway.model.config import ClientConfig
from throughway.model.errors import ConfigError, TrustError
from throughway.model.policy import Policy
from throughway.net.files import PRIVATE, read_toml, write_atomically
from throughway.pki import bundle, fields, judgement, pem
from throughway.pki.judgement import Usage

DEFAULT_DIRECTORY = Path("/etc/throughway")
DEFAULT_STATE = Path("/var/lib/throughway/client")

NETBIOS_NAME = 15
"""Characters that a computer account's name has at most ([MS-ADTS] 3.1.1.1.6)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a client keeps what it got when it joined."""

    directory: Path = DEFAULT_DIRECTORY
    state: Path = DEFAULT_STATE

    @property
    def config(self) -> Path:
        """The client's configuration."""
        return self.directory / "client.toml"

    @property
    def certificate(self) -> Path:
        """The computer certificate."""
        return self.directory / "computer.crt"

    @property
    def key(self) -> Path:
        """Its key."""
        return self.directory / "computer.key"

    @property
    def password(self) -> Path:
        """The computer account's password."""
        return self.directory / "account.password"

    @property
    def policy_key(self) -> Path:
        """The pinned key of the deployment."""
        return self.directory / "policy.pub"

    @property
    def bundle(self) -> Path:
        """The last good policy bundle."""
        return self.state / "policy.bundle"

    @property
    def pending_key(self) -> Path:
        """The key for which a certificate was asked by token, until it is in place."""
        return self.state / "joining.key"

    @property
    def token(self) -> Path:
        """The digest of the token by which this computer joined."""
        return self.state / "token.digest"

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them, the one that makes a client of this computer first."""
        return (
            *(self.config, self.bundle, self.certificate, self.key, self.password),
            *(self.pending_key, self.token),
            self.policy_key,
        )

    @property
    def joined(self) -> bool:
        """Whether this computer has joined, or has begun to, or has not wholly left.

        The pinned key is the first file that joining writes and the last that leaving removes.
        """
        return self.config.exists() or self.policy_key.exists()


@dataclass(frozen=True, slots=True, kw_only=True)
class Computer:
    """What the computer proves itself with."""

    certificate: bytes
    """PEM; intermediates may follow."""
    key: bytes
    account: str
    """The account; "" when it is to be told from the certificate."""
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What came of it."""

    policy: Policy
    identity: str
    account: str


def trusted_key(data: bytes, place: Place, trust: str) -> Ed25519PublicKey | None:
    """Return the bundle's key when it is the pinned one or has the fingerprint ``trust``.

    None: this computer has not joined before, so a person must compare the fingerprint.
    """
    claimed = bundle.claimed_key(data)
    shown = bundle.fingerprint(claimed)
    if trust:
        if not bundle.same_fingerprint(shown, trust):
            raise TrustError(
                f"the policy bundle is signed by {shown}, not by {trust}",
                problem="policy-signature-invalid",
            )
        return claimed
    if not place.policy_key.exists():
        return None
    pinned = pinned_key(place.policy_key)
    if pem.build_public_key_pem(pinned) != pem.build_public_key_pem(claimed):
        raise TrustError(
            f"the policy bundle is signed by {shown}, but this computer has joined "
            f"{bundle.fingerprint(pinned)}; if the deployment has a new key, compare it with "
            "the administrator's and give it with --trust",
            problem="policy-signature-invalid",
        )
    return claimed


def join(
    data: bytes, key: Ed25519PublicKey, computer: Computer, place: Place, now: float
) -> Joined:
    """Check everything, then make this computer a client; the same again changes nothing."""
    policy = bundle.verify(data, key, now)
    identity = check_certificate(computer, policy, datetime.fromtimestamp(now, UTC))
    config = _config(place, identity, computer.account or account_of(identity))
    _check_account(config.account, computer.password)
    text = _toml(config, place)
    try:
        place.directory.mkdir(parents=True, exist_ok=True)
        _write(place.policy_key, pem.build_public_key_pem(key))
        install_bundle(data, config, now)
        _write(place.key, computer.key, PRIVATE)
        _write(place.certificate, computer.certificate)
        _write(place.password, f"{computer.password}\n".encode(), PRIVATE)
        _write(place.config, text)
    except OSError as error:
        where = str(error.filename or place.directory)
        raise ConfigError(where, "", f"cannot be written: {error.strerror}") from error
    return Joined(policy=policy, identity=identity, account=config.account)


def leave(place: Place) -> tuple[Path, ...]:
    """Remove all that joining has installed; return what was there.

    Without a trace of joining, a certificate and key are not ours to remove.
    """
    if not place.joined:
        return ()
    there = tuple(path for path in place.files if path.exists())
    for path in there:
        path.unlink()
    return there


def check_certificate(computer: Computer, policy: Policy, now: datetime) -> str:
    """Return the identity that the certificate proves, when the gateway will accept it."""
    own, *between = pem.parse_certificates(computer.certificate, "computer certificate")
    key = pem.parse_key(computer.key, "computer key")
    if not pem.same_key(own, key):
        raise TrustError("the key does not belong to the computer certificate")
    if not judgement.allows(own, Usage.CLIENT):
        raise TrustError("the computer certificate lacks the usage clientAuth")
    anchors = [pem.parse_certificate(a.encode(), "trust anchor") for a in policy.trust_anchors]
    chain = judgement.chain(own, anchors, now, between)
    if not chain.trusted:
        raise TrustError(f"the gateway will not trust the computer certificate: {chain.why}")
    return _identity(own)


def account_of(identity: str) -> str:
    """Return the account that a computer of this name has in Active Directory."""
    return f"{identity.partition('.')[0][:NETBIOS_NAME].upper()}$"


def _identity(certificate: x509.Certificate) -> str:
    for name in judgement.names(certificate):
        try:
            return fields.check_dns_name(name)
        except ValueError:
            continue
    raise TrustError("the computer certificate has no DNS name among its alternative names")


def _check_account(account: str, password: str) -> None:
    try:
        fields.check_account(account)
    except ValueError as error:
        raise ConfigError("account", "", str(error)) from None
    if not password:
        raise ConfigError("password", "", "is empty")


def _config(place: Place, identity: str, account: str) -> ClientConfig:
    return ClientConfig(
        file=place.config,
        certificate=place.certificate,
        key=place.key,
        account=account,
        identity=identity,
        password_file=place.password,
        policy_key=place.policy_key,
        bundle=place.bundle,
    )


def _toml(config: ClientConfig, place: Place) -> bytes:
    """Return the new ``client.toml``; what an administrator has added stays."""
    values: dict[str, object] = {}
    if place.config.exists():
        values = read_toml(place.config)
    values |= {
        "certificate": str(config.certificate),
        "key": str(config.key),
        "account": config.account,
        "identity": config.identity,
        "password_file": str(config.password_file),
    }
    for name, path in (("bundle", config.bundle), ("policy_key", config.policy_key)):
        if path != settings.DEFAULTS[name]:
            values[name] = str(path)
    return build_toml(values)


def build_toml(values: Mapping[str, object]) -> bytes:
    """Return a TOML file of plain values and lists of them, and of tables of these."""
    tables = {key: value for key, value in values.items() if isinstance(value, Mapping)}
    lines = ["# Written by `throughway client join`; keys you add stay.\n"]
    lines += (_toml_line(key, value) for key, value in values.items() if key not in tables)
    for name, table in tables.items():
        lines.append(f"\n[{name}]\n")
        lines += (_toml_line(key, value) for key, value in table.items())
    return "".join(lines).encode()


def _toml_line(key: str, value: object) -> str:
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str | bool | int) for item in items):
        raise ConfigError(settings.DEFAULT_FILE.name, key, "must be text, a number, true or false")
    # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
    return f"{key} = {json.dumps(value, ensure_ascii=False)}\n".replace("\x7f", "\\u007f")


def _write(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write what is not there already, so that joining again changes nothing."""
    if path.exists() and path.read_bytes() == data and path.stat().st_mode & 0o777 == mode:
        return
    write_atomically(path, data, mode)
