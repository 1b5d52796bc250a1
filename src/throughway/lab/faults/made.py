"""What a fault puts in the place of the right thing: certificates, revocation lists, policies."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from throughway.lab import deployment, processes
from throughway.lab.deployment import BUNDLE, POLICY_KEY, POLICY_PUBLIC_KEY
from throughway.lab.faults.fault import GATEWAY, Scene
from throughway.lab.faults.steps import Put, reload_gateway, restart_client
from throughway.lab.topology import GATEWAY_NAME
from throughway.lab.trust import AT_ONCE, CRL_URL, Issued, LabAuthority
from throughway.pki import bundle, pem
from throughway.pki.authority import Profile

if TYPE_CHECKING:
    from throughway.model.policy import Policy

CLIENT_BUNDLE = "/var/lib/throughway/client/policy.bundle"
ISSUER_FILE = deployment.CRL_FILE.replace("root.crl", "issuing.crt")
ISSUER_URL = CRL_URL.replace("root.crl", "issuing.crt")
LONG = timedelta(days=30)
PAST = timedelta(days=60)
FUTURE = timedelta(days=-2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """How a certificate is made."""

    profile: Profile = Profile.GATEWAY
    name: str = GATEWAY_NAME
    age: timedelta = AT_ONCE
    life: timedelta = LONG
    issuer: str = ""
    """The name of a stranger that issues it; "": the lab's root does."""
    issuing: str = ""
    """The name of an authority below the lab's root that issues it; its certificate is published,
    and in the file that is made it is not."""
    crl_url: str = CRL_URL
    revoked: bool = False

    def __call__(self, scene: Scene) -> Issued:
        """Make it; a CLIENT in the name is the client's."""
        lab = scene.lab
        authority: LabAuthority = lab.authority
        if self.issuer:
            authority = authority.stranger(self.issuer)
        if self.issuing:
            authority = authority.issuing(self.issuing)
            lab.write("inet1", ISSUER_FILE, authority.certificate)
        issued = authority.issue(
            self.profile,
            self.name.replace("CLIENT", scene.client),
            age=self.age,
            life=self.life,
            crl_url=self.crl_url,
            issuer_url=ISSUER_URL if self.issuing else "",
        )
        if self.revoked:
            lab.publish_crl(issued.serial)
        return issued


@dataclass(frozen=True, slots=True)
class Credential:
    """Another certificate with its key stands where the right ones were."""

    host: str
    certificate: str
    key: str
    make: Callable[[Scene], Issued]

    @property
    def holds(self) -> tuple[str, ...]:
        """Both files."""
        return f"{self.host}:{self.certificate}", f"{self.host}:{self.key}"

    def do(self, scene: Scene) -> None:
        """Put them there."""
        issued = self.make(scene)
        for step in self._puts(issued):
            step.do(scene)

    def undo(self, scene: Scene) -> None:
        """Put the right ones back, and the right revocation list."""
        for step in self._puts(None):
            step.undo(scene)
        if getattr(self.make, "revoked", False):
            scene.lab.publish_crl()

    def _puts(self, issued: Issued | None) -> tuple[Put, Put]:
        certificate, key = (issued.certificate, issued.key) if issued else (b"", b"")
        return (
            Put(self.host, self.certificate, lambda _: certificate),
            Put(self.host, self.key, lambda _: key, 0o600),
        )


@dataclass(frozen=True, slots=True)
class List:
    """The distribution point has another revocation list than the right one."""

    make: Callable[[Scene], bytes]
    holds: tuple[str, ...] = ("inet1:crl",)

    def do(self, scene: Scene) -> None:
        """Publish it."""
        scene.lab.put_crl(self.make(scene))

    def undo(self, scene: Scene) -> None:
        """Publish a right one."""
        scene.lab.publish_crl()


def listing(path: str) -> Callable[[Scene], bytes]:
    """Return what makes a list that revokes the gateway's certificate at ``path``."""

    def make(scene: Scene) -> bytes:
        own = pem.parse_certificate(processes.read_file(scene.lab.namespaces(GATEWAY), path))
        return scene.lab.authority.build_crl(own.serial_number)

    return make


def of_client(path: str) -> Callable[[Scene], bytes]:
    """Return what makes a list that revokes the client's certificate at ``path``."""

    def make(scene: Scene) -> bytes:
        spaces = scene.lab.namespaces(scene.client)
        own = pem.parse_certificate(processes.read_file(spaces, path))
        return scene.lab.authority.build_crl(own.serial_number)

    return make


def signed(**changes: object) -> Callable[[Scene], bytes]:
    """Return what makes the deployment's policy with these changes, signed as it should be."""
    return partial(_sign, changes, forged=False)


def unchecked(**changes: object) -> Callable[[Scene], bytes]:
    """Return the same as :func:`signed`, of a policy that nobody may make any more."""
    return partial(_sign, changes, forged=False, checked=False)


def forged(scene: Scene) -> bytes:
    """Return a policy that somebody else has signed."""
    return _sign({}, scene, forged=True)


def _sign(changes: dict[str, object], scene: Scene, *, forged: bool, checked: bool = True) -> bytes:
    edge = scene.lab.namespaces(GATEWAY)
    public = bundle.parse_public_key(processes.read_file(edge, POLICY_PUBLIC_KEY))
    policy: Policy = bundle.verify(processes.read_file(edge, BUNDLE), public, now=0)
    wanted: dict[str, Any] = {k: v(policy) if callable(v) else v for k, v in changes.items()}
    key = pem.parse_signing_key(processes.read_file(edge, POLICY_KEY))
    changed = dataclasses.replace(policy, **wanted)
    if not checked:
        return bundle.seal(bundle.build_policy(changed), key)
    return bundle.sign(changed, Ed25519PrivateKey.generate() if forged else key)


@dataclass(frozen=True, slots=True)
class Published:
    """Both ends have a newer policy, with changes that its builder would not make."""

    make: Callable[[Scene], bytes]
    holds: tuple[str, ...] = (f"{GATEWAY}:{BUNDLE}", f"CLIENT:{CLIENT_BUNDLE}")

    def do(self, scene: Scene) -> None:
        """Carry it to both."""
        data = self.make(scene)
        scene.lab.write(GATEWAY, BUNDLE, data)
        reload_gateway(scene)
        scene.lab.write(scene.client, CLIENT_BUNDLE, data)
        restart_client(scene)

    def undo(self, scene: Scene) -> None:
        """Publish a right one that is newer still: an older one would be taken for a forgery."""
        republish(scene)


def newer(policy: "Policy") -> int:
    """Return the version of the policy that comes after this one."""
    return policy.version + 1


def republish(scene: Scene) -> None:
    """Build the policy anew, and carry it to the client, which has no other way to it now."""
    lab = scene.lab
    lab.run(GATEWAY, ["throughway", "policy", "build"], check=True)
    reload_gateway(scene)
    lab.write(scene.client, CLIENT_BUNDLE, processes.read_file(lab.namespaces(GATEWAY), BUNDLE))
    restart_client(scene)
