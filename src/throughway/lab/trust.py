"""The lab's certification authority: what an administrator makes with ``throughway pki``."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from throughway.lab.topology import CRL_NAME
from throughway.pki import authority, pem
from throughway.pki.authority import Credential, KeyType, Profile, Revoked

ROOT_NAME = "Throughway Lab Root"
CRL_URL = f"http://{CRL_NAME}/root.crl"
CRL_LIFETIME = timedelta(days=7)
AGE = timedelta(days=365)
"""Of the root when its lab is built: it may have issued what has expired since."""
AT_ONCE = timedelta(0)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes
    serial: int


class LabAuthority:
    """A root whose key lies in the lab's directory, so that tests can issue more later."""

    def __init__(self, directory: Path, root: Credential) -> None:
        self._directory = directory
        self._root = root

    @classmethod
    def create(cls, directory: Path) -> "LabAuthority":
        """Make a new root and keep it in the directory."""
        root = authority.create_root(ROOT_NAME, datetime.now(UTC) - AGE, below=1)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (directory / "root.crt").write_bytes(pem.build_certificate_pem(root.certificate))
        (directory / "root.key").touch(mode=0o600)
        (directory / "root.key").write_bytes(pem.build_key_pem(root.key))
        return cls(directory, root)

    @classmethod
    def open(cls, directory: Path) -> "LabAuthority":
        """Read the root of a lab that is up."""
        certificate = pem.parse_certificate((directory / "root.crt").read_bytes())
        key = pem.parse_key((directory / "root.key").read_bytes())
        return cls(directory, authority.open_authority(key, certificate))

    def stranger(self, name: str = "Another Root") -> "LabAuthority":
        """Return a root that nobody in the lab trusts."""
        return LabAuthority(self._directory, authority.create_root(name, datetime.now(UTC) - AGE))

    def issuing(self, name: str) -> "LabAuthority":
        """Return an authority below this one."""
        now = datetime.now(UTC) - AGE
        return LabAuthority(self._directory, authority.create_root(name, now, above=self._root))

    @property
    def certificate(self) -> bytes:
        """The root's certificate, as PEM."""
        return pem.build_certificate_pem(self._root.certificate)

    def issue(
        self,
        profile: Profile,
        *names: str,
        life: timedelta = timedelta(days=authority.DEFAULT_DAYS),
        age: timedelta = AT_ONCE,
        key_type: KeyType = KeyType.P256,
        crl_url: str = CRL_URL,
        issuer_url: str = "",
    ) -> Issued:
        """Issue a certificate for these names, as it would have been done ``age`` ago."""
        key = authority.generate_key(key_type)
        made = authority.certify(
            self._root,
            profile,
            names,
            key.public_key(),
            now=datetime.now(UTC) - age,
            life=life,
            crl_url=crl_url,
            issuer_url=issuer_url,
        )
        return Issued(pem.build_certificate_pem(made), pem.build_key_pem(key), made.serial_number)

    def build_crl(self, *revoked: int, age: timedelta = AT_ONCE, delta: str = "") -> bytes:
        """Return a CRL (DER) that lists these serial numbers; each is newer than the last.

        ``delta``: where it says that its delta list is.
        """
        now = datetime.now(UTC) - age
        number = self._directory / "crl.number"
        count = int(number.read_text()) + 1 if number.exists() else 1
        number.write_text(str(count))
        entries = [Revoked(serial, now) for serial in revoked]
        crl = authority.build_crl(
            self._root,
            entries,
            number=count,
            now=now,
            next_update=now + CRL_LIFETIME,
            delta_url=delta,
        )
        return pem.build_crl_der(crl)
