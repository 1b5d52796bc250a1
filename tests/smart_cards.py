"""Smart cards for tests: SoftHSM's tokens, people's certificates, and what can be wrong with them.

``FAULTS`` is data, for the matrix of who may come in.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from throughway.model.config import SmartCardConfig, UserProof
from throughway.model.revocation import Revocation
from throughway.pki.authority import Credential, create_root
from throughway.pki.pem import PrivateKey, build_certificate_pem, build_key_pem
from throughway.pki.user_certificate import SMART_CARD_LOGON, upn_name

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN, SECURITY_OFFICER = "47-11-alice", "12345678"
LOGON = (ExtendedKeyUsageOID.CLIENT_AUTH, SMART_CARD_LOGON)
REALM = "CORP.EXAMPLE.COM"
ALICE, BOB = f"alice@{REALM}", f"bob@{REALM}"


def users_root(name: str = "Users Root") -> Credential:
    """Make the authority of users' certificates."""
    return create_root(name, datetime.now(UTC) - timedelta(days=30))


@dataclass(frozen=True, kw_only=True)
class Person:
    """What stands in a certificate of a person."""

    upn: str = "alice@corp.example.com"
    usages: tuple[x509.ObjectIdentifier, ...] = LOGON
    age_days: int = 1
    days: int = 30
    policies: tuple[x509.ObjectIdentifier, ...] = ()
    crl_url: str = ""
    rsa: bool = False
    upns: tuple[str, ...] = ()
    """Of others, beside."""
    mail: str = ""
    """An address beside the UPN, by which charon would send the certificate for another user."""

    def issue(self, root: Credential) -> Credential:
        """Make key and certificate."""
        key: PrivateKey = ec.generate_private_key(ec.SECP256R1())
        if self.rsa:
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        begin = datetime.now(UTC) - timedelta(days=self.age_days)
        name = self.upn.partition("@")[0] or "somebody"
        builder = x509.CertificateBuilder(
            issuer_name=root.certificate.subject,
            subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=begin,
            not_valid_after=begin + timedelta(days=self.days),
        )
        extensions: list[x509.ExtensionType] = [x509.ExtendedKeyUsage(self.usages)]
        names: list[x509.GeneralName] = [upn_name(self.upn)] if self.upn else []
        names += map(upn_name, self.upns)
        names += [x509.RFC822Name(self.mail)] if self.mail else []
        if names:
            extensions.append(x509.SubjectAlternativeName(names))
        if self.policies:
            told = [x509.PolicyInformation(policy, None) for policy in self.policies]
            extensions.append(x509.CertificatePolicies(told))
        if self.crl_url:
            place = x509.UniformResourceIdentifier(self.crl_url)
            point = x509.DistributionPoint([place], None, None, None)
            extensions.append(x509.CRLDistributionPoints([point]))
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return Credential(key, builder.sign(root.key, hashes.SHA256()))


class CardBox:
    """Where SoftHSM keeps its tokens: the readers, and the cards in them."""

    def __init__(self, directory: Path) -> None:
        """``SOFTHSM2_CONF`` must be set to :attr:`file` for whoever is to see the cards."""
        self.tokens = directory / "tokens"
        self.tokens.mkdir(parents=True)
        self.file = directory / "softhsm2.conf"
        self.file.write_text(f"directories.tokendir = {self.tokens}\nlog.level = ERROR\n")
        self._work = directory
        self._pulled = directory / "pulled"

    @property
    def config(self) -> SmartCardConfig:
        return SmartCardConfig(module=MODULE)

    def insert(self, name: str, credential: Credential | None, pin: str = PIN) -> None:
        """Put a card with a certificate in, or with none."""
        self._run(
            *("softhsm2-util", "--init-token", "--free", "--label", name),
            *("--so-pin", SECURITY_OFFICER, "--pin", pin),
        )
        if credential is None:
            return
        key, certificate = self._work / f"{name}.key", self._work / f"{name}.crt"
        key.write_bytes(build_key_pem(credential.key))
        certificate.write_bytes(build_certificate_pem(credential.certificate))
        self._run(
            *("softhsm2-util", "--import", str(key), "--token", name),
            *("--label", name, "--id", "a1", "--pin", pin),
        )
        self._run(
            *("pkcs11-tool", "--module", str(MODULE), "--token-label", name),
            *("--login", "--pin", pin, "--write-object", str(certificate), "--type", "cert"),
            *("--id", "a1", "--label", f"{name}'s certificate"),
        )

    def pull(self) -> None:
        """Take all cards out."""
        self.tokens.rename(self._pulled)
        self.tokens.mkdir()

    def put_back(self) -> None:
        """Put all of them in again."""
        shutil.rmtree(self.tokens)
        self._pulled.rename(self.tokens)

    def _run(self, *command: str) -> None:
        environment = {"PATH": os.environ["PATH"], "SOFTHSM2_CONF": str(self.file)}
        answer = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )
        assert answer.returncode == 0, f"{command}: {answer.stdout}{answer.stderr}"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is wrong with a card, and what the gateway must call it."""

    name: str
    person: Person = field(default_factory=Person)
    other_root: bool = False
    claims: str = ALICE
    """Who the client says the user is."""
    allowed: bool = True
    """Whether the gateway lets such a user in at all."""
    at_gateway: str = "ipsec-user-refused"
    at_client: str = "ipsec-user-refused"
    words: str = ""


FAULTS = (
    Fault(
        name="expired",
        person=Person(age_days=40),
        at_gateway="user-certificate-expired",
        at_client="user-certificate-expired",
        words="has expired",
    ),
    Fault(
        name="not-yet-valid",
        person=Person(age_days=-2),
        at_gateway="user-certificate-expired",
        words="not valid yet",
    ),
    Fault(
        name="of-another-authority",
        other_root=True,
        at_gateway="user-certificate-untrusted",
        at_client="user-certificate-untrusted",
        words="leads to none of the authorities",
    ),
    Fault(
        name="without-smart-card-usage",
        person=Person(usages=(ExtendedKeyUsageOID.CLIENT_AUTH,)),
        at_gateway="user-certificate-wrong-usage",
        words="not for smart-card logon",
    ),
    Fault(
        name="for-servers",
        person=Person(usages=(ExtendedKeyUsageOID.SERVER_AUTH,)),
        at_gateway="user-certificate-wrong-usage",
        at_client="user-certificate-wrong-usage",
        words="not for authentication of clients",
    ),
    Fault(
        name="of-another-realm",
        person=Person(upn="alice@elsewhere.example"),
        claims="alice@ELSEWHERE.EXAMPLE",
        at_gateway="user-certificate-no-principal",
        words="who is not of CORP.EXAMPLE.COM",
    ),
    Fault(
        name="user-not-allowed",
        allowed=False,
        words="may not come in",
    ),
)


class Kind(StrEnum):
    """What a user has to show."""

    CARD = "card"
    """A card that let itself be copied: what is judged is the same."""
    CODE = "code"
    """A certificate that was given for a one-time code."""
    TICKET = "ticket"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of who comes in by what; without a code of the gateway's or client's: in."""

    require: UserProof = UserProof.SMART_CARD
    revocation: Revocation | None = None
    """The policy, where it is about lists."""
    kind: Kind = Kind.CARD
    person: Person = field(default_factory=Person)
    published: str = ""
    """What the place of the list serves; "": the certificate names none."""
    claims: str = ALICE
    at_gateway: str = ""
    at_client: str = ""

    @property
    def policy(self) -> str:
        """Under which name it is in the table."""
        policy = str(self.require)
        return policy if self.revocation is None else f"{policy}, {self.revocation}"


WRONG_USAGE, USER_REFUSED = "user-certificate-wrong-usage", "ipsec-user-refused"
REVOKED, UNKNOWN = "user-certificate-revoked", "user-certificate-revocation-unknown"
REQUIRED = "ipsec-smart-card-required"
MAIL = "alice@corp.example.com"
READERS = {"good": "", "wrong PIN": "smart-card-failed", "none": REQUIRED}
"""Cards in a reader, and what the client says of them; the gateway says the same where it does."""
CASES: tuple[tuple[str, Case], ...] = (
    ("good", Case()),
    ("none, but a ticket", Case(kind=Kind.TICKET, at_gateway=REQUIRED, at_client=REQUIRED)),
    (
        "of another user",
        Case(
            person=Person(mail="bob@corp.example.com"),
            claims=BOB,
            at_gateway=USER_REFUSED,
            at_client=USER_REFUSED,
        ),
    ),
    (
        "of two users at once",
        Case(
            person=Person(upns=("bob@corp.example.com",)),
            at_gateway="user-certificate-no-principal",
            at_client=USER_REFUSED,
        ),
    ),
    (
        "of a computer",
        Case(
            person=Person(upn="", mail=MAIL, usages=(ExtendedKeyUsageOID.CLIENT_AUTH,)),
            at_gateway=WRONG_USAGE,
            at_client=USER_REFUSED,
        ),
    ),
    (
        "without a user's name",
        Case(
            person=Person(upn="", mail=MAIL),
            at_gateway="user-certificate-no-principal",
            at_client=USER_REFUSED,
        ),
    ),
    (
        "certificate for a one-time code",
        Case(kind=Kind.CODE, at_gateway=WRONG_USAGE, at_client=USER_REFUSED),
    ),
    ("certificate for a one-time code", Case(require=UserProof.CODE, kind=Kind.CODE)),
    (
        "a card without a code",
        Case(require=UserProof.CODE, at_gateway=WRONG_USAGE, at_client=USER_REFUSED),
    ),
    (
        "none, but a ticket",
        Case(require=UserProof.CODE, kind=Kind.TICKET, at_gateway=REQUIRED, at_client=REQUIRED),
    ),
    ("certificate for a one-time code", Case(require=UserProof.STRONG, kind=Kind.CODE)),
    ("good", Case(require=UserProof.STRONG)),
    (
        "none, but a ticket",
        Case(require=UserProof.STRONG, kind=Kind.TICKET, at_gateway=REQUIRED, at_client=REQUIRED),
    ),
    *(
        (
            name,
            Case(
                revocation=policy,
                published=published,
                at_gateway="" if policy in admitted else problem,
                at_client="" if policy in admitted else USER_REFUSED,
            ),
        )
        for name, published, problem, admitted in (
            ("list good", "good", "", tuple(Revocation)),
            ("revoked", "listed", REVOKED, (Revocation.NONE,)),
            ("list unreachable", "nothing", UNKNOWN, (Revocation.NONE, Revocation.WEAK)),
            ("list stale", "stale", UNKNOWN, (Revocation.NONE, Revocation.WEAK)),
            ("list unusable", "garbage", UNKNOWN, (Revocation.NONE, Revocation.WEAK)),
            ("list of another authority", "foreign", UNKNOWN, (Revocation.NONE, Revocation.WEAK)),
            ("no distribution point", "", UNKNOWN, (Revocation.NONE, Revocation.WEAK)),
        )
        for policy in Revocation
    ),
)
