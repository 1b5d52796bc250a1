"""A code service and people who come to it; what can be wrong with a code is data."""

import asyncio
import base64
import json
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import h11
from cryptography.hazmat.primitives.asymmetric import ec

from tests.authority_world import NAME, Authority, make_token
from tests.ipsec_world import CLIENT, REALM, SERVICE
from tests.pki_world import write_gateway
from tests.smart_cards import ALICE, BOB
from throughway.authority.registrar import Registrar
from throughway.gateway import settings
from throughway.gateway.codes import PATH, CodeService, Refusal, keep
from throughway.model.config import (
    CodeCheck,
    CodesConfig,
    RADIUSConfig,
    UserCertificatesConfig,
    UserProof,
    UsersConfig,
)
from throughway.model.errors import TrustError
from throughway.model.status import TunnelState, TunnelStatus
from throughway.net.webserver import Answer, Heard
from throughway.pki import totp
from throughway.pki.authority import Profile
from throughway.pki.pem import build_certificate_pem, build_key_pem
from throughway.pki.requests import build_request, build_user_request
from throughway.pki.tokens import parse_token

DEVICE = totp.make_device(ALICE, b"12345678901234567890")
TUNNEL = TunnelStatus(
    name="infrastructure",
    state=TunnelState.UP,
    remote_address=CLIENT,
    remote_identity="client1.corp.example.com",
)
NOW = time.time()


@dataclass
class Desk:
    """A code service, and people who come to it."""

    folder: Path
    check: CodeCheck = CodeCheck.TOTP
    radius: RADIUSConfig | None = None
    authority: str = "https://da.example.com:1"
    listen: tuple[str, int] = ("::1", 0)
    keytab: Path | None = None
    """For real tickets."""
    now: float = NOW
    tunnels: tuple[TunnelStatus, ...] = (TUNNEL,)
    refused: list[tuple[str, str, str]] = field(default_factory=list)
    issued: list[tuple[str, str]] = field(default_factory=list)
    failed: list[Refusal] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        config = settings.load(write_gateway(self.folder))
        wanted = CodesConfig(
            listen=self.listen,
            authority=self.authority,
            authority_ca=self.folder / "authority.crt",
            certificate=self.folder / "registrar.crt",
            key=self.folder / "registrar.key",
            check=self.check,
            book=self.folder / "codes.json",
            servers=self.radius.servers if self.radius else (),
            secret=self.radius.secret if self.radius else None,
        )
        users = UsersConfig(
            realm=REALM,
            keytab=self.keytab or self.folder / "none.keytab",
            service=SERVICE,
            require=UserProof.CODE,
            certificates=UserCertificatesConfig(ca=self.folder / "authority.crt"),
            codes=wanted,
        )
        keep(self.folder / "codes.json", totp.DeviceBook(devices=(DEVICE,)))
        self.service = CodeService(
            replace(config, users=users, runtime_directory=self.folder),
            lambda: self.tunnels,
            lambda *refusal: self.refused.append(refusal),
            lambda *issued: self.issued.append(issued),
            lambda: self.now,
            self.failed.append,
        )
        if self.keytab is None:
            self.service._accept = self.accept

    def accept(self, token: bytes) -> str:
        """A ticket is its owner's name here; replays and forgeries are test_kerberos's."""
        if not token.startswith(b"ticket of "):
            raise TrustError("the token is no Kerberos AP-REQ", problem="ipsec-user-refused")
        return token.removeprefix(b"ticket of ").decode()

    def code(self, off: float = 0.0) -> str:
        return DEVICE.code(self.now + off)

    def ask(
        self,
        code: str,
        *,
        user: str = ALICE,
        state: str = "",
        source: str = CLIENT,
        body: bytes | None = None,
    ) -> tuple[HTTPStatus, dict[str, Any]]:
        asked = {
            "token": base64.b64encode(f"ticket of {user}".encode() if user else b"").decode(),
            "code": code,
            "state": state,
            "request": base64.b64encode(build_user_request(self.key)).decode(),
        }
        request = h11.Request(method="POST", target=PATH, headers=[("Host", "x")])
        data = json.dumps(asked).encode() if body is None else body
        answer: Answer = asyncio.run(self.service.respond(Heard(request, data, source)))
        return answer.status, json.loads(answer.body)


@dataclass(frozen=True, kw_only=True)
class CodeFault:
    """What can be wrong with a code; data, for the matrix of who may come in."""

    name: str
    off: float = 0.0
    """Seconds by which the device's clock is ahead."""
    code: str = ""
    user: str = ALICE
    used: bool = False
    guesses: int = 0
    """Wrong ones before it."""
    source: str = CLIENT
    problem: str = ""
    """"": a certificate is given."""


CODE_FAULTS = (
    CodeFault(name="good"),
    CodeFault(name="guessed-too-often", guesses=5, problem="one-time-code-too-many"),
    CodeFault(name="without-a-ticket", user="", problem="ipsec-user-refused"),
    CodeFault(name="from-beside-the-tunnel", source="2001:db8::bad", problem="ipsec-user-refused"),
    CodeFault(name="wrong", code="000000", problem="one-time-code-wrong"),
    CodeFault(name="replayed", used=True, problem="one-time-code-used"),
    CodeFault(name="drifted", off=150.0, problem="one-time-code-clock"),
    CodeFault(name="of-another-user", user=BOB, problem="one-time-code-unknown-user"),
)


def register(authority: Authority, folder: Path, profile: Profile) -> None:
    """Enrol the gateway at the authority, by a token."""
    registrar = Registrar(authority.directory, timedelta(days=30), lambda: datetime.now(UTC))
    key = ec.generate_private_key(ec.SECP256R1())
    secret = parse_token(make_token(authority.directory, NAME, profile=profile)).secret
    made = registrar.enrol(build_request(key, [NAME]), secret)
    (folder / "registrar.crt").write_bytes(build_certificate_pem(made))
    (folder / "registrar.key").write_bytes(build_key_pem(key))
    (folder / "registrar.key").chmod(0o600)
    (folder / "authority.crt").write_bytes((authority.directory / "ca.crt").read_bytes())
