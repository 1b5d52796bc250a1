"""What people and mishaps do to the lab's hosts, and how it is undone: for the scenarios."""

import contextlib
import dataclasses
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from throughway.lab import processes
from throughway.lab.deployment import (
    BUNDLE,
    CONFIGURATION,
    GATEWAY,
    GATEWAY_CONFIG,
    POLICY_KEY,
    POLICY_PUBLIC_KEY,
)
from throughway.lab.lab import Lab
from throughway.lab.observe import (
    PATIENCE,
    POLL,
    USER_PASSWORDS,
    Observer,
    Status,
    status_of,
    summary,
)
from throughway.lab.topology import GATEWAY_NAME
from throughway.lab.trust import CRL_URL
from throughway.model.errors import LabError
from throughway.model.policy import Policy
from throughway.pki import authority, bundle, pem
from throughway.pki.authority import Credential, Profile

CLIENT_BUNDLE = "/var/lib/throughway/client/policy.bundle"
OTHER = f"{CONFIGURATION}/other"
"""Stem of a certificate for IP-HTTPS alone, as a public authority would issue one."""


def read(lab: Lab, host: str, path: str) -> bytes:
    """Return a file of a host."""
    return processes.read_file(lab.namespaces(host), path)


@contextlib.contextmanager
def kept(lab: Lab, host: str, *paths: str) -> Iterator[None]:
    """Put files back as they were, or away when they were not there."""
    copy = 'for f; do rm -f "$f.kept"; [ ! -e "$f" ] || cp -a "$f" "$f.kept"; done'
    back = 'for f; do if [ -e "$f.kept" ]; then mv -f "$f.kept" "$f"; else rm -f "$f"; fi; done'
    lab.run(host, ["sh", "-c", copy, "sh", *paths], check=True)
    try:
        yield
    finally:
        lab.run(host, ["sh", "-c", back, "sh", *paths], check=True)


@dataclasses.dataclass(frozen=True)
class Shown:
    """What a ``status`` command has shown."""

    code: int
    text: str


def shown(lab: Lab, host: str, daemon: str = "client") -> Shown:
    """Return what a person is shown."""
    answer = lab.run(host, ["throughway", daemon, "status"])
    assert answer.stderr == ""
    return Shown(answer.returncode, answer.stdout)


def page_stays(client: Observer) -> None:
    """See that a client which is connected still is, without having waited for it."""
    assert "Welcome to the intranet" in client.fetch(), summary(client.status())


def stays_well(client: Observer) -> None:
    """See that a command shows no problem, once the daemon tells of none any more."""
    client.wait_well()
    answer = shown(client.lab, client.host)
    assert answer.code == 0, answer.text


def login(
    client: Observer, user: str, password: str = "", wait: float = PATIENCE
) -> subprocess.CompletedProcess[str]:
    """Log on by hand, with the user's own password or another one."""
    secret = password or client.lab.read(client.host, f"{USER_PASSWORDS}/{user}.password")
    command = ["throughway", "login", user, "--password-file", "-", "--wait", f"{wait:g}"]
    stdin = f"{secret.strip()}\n"
    return client.lab.run(client.host, command, stdin=stdin, timeout=2 * PATIENCE)


# The gateway


def gateway_status(lab: Lab, host: str = "edge1") -> Status:
    """Return ``gateway status --json``; nothing when the daemon does not answer."""
    return status_of(lab, host, GATEWAY)


def wait_gateway(
    lab: Lab, what: str, seen: Callable[[Status], object], patience: float = PATIENCE
) -> Status:
    """Return the first status of the gateway that shows what it must."""
    deadline = time.monotonic() + patience
    status: Status = {}
    while time.monotonic() < deadline:
        status = gateway_status(lab)
        if status and seen(status):
            return status
        time.sleep(POLL)
    told = {key: status.get(key) for key in ("state", "problems", "refusals", "sessions")}
    raise LabError(f"gateway: {what} not seen in {patience:g} s: {told}")


def wait_gateway_well(lab: Lab) -> Status:
    """Return the gateway's status once it works and tells of no problem."""
    return wait_gateway(lab, "well", lambda s: s["state"] == "ok" and not s["problems"])


def wait_sessions(lab: Lab, count: int) -> list[Status]:
    """Return the sessions that clients have by IP-HTTPS once there are so many, and no more."""
    status = wait_gateway(lab, f"{count} sessions", lambda s: len(s["sessions"]) == count)
    return list(status["sessions"])


def hang_up(lab: Lab) -> None:
    """Send SIGHUP to the gateway, as ``systemctl reload`` does."""
    service = lab.service("edge1", "gateway")
    assert service is not None
    service.send_signal(1)


@contextlib.contextmanager
def reconfigured(lab: Lab, text: str) -> Iterator[None]:
    """Let the gateway run with another configuration for a while."""
    try:
        with kept(lab, "edge1", GATEWAY_CONFIG):
            lab.write("edge1", GATEWAY_CONFIG, text)
            reload(lab)
            yield
    finally:
        reload(lab)


def reload(lab: Lab) -> None:
    """Tell the gateway to read its configuration anew; it must be a good one."""
    lab.run("edge1", ["throughway", "gateway", "reload"], check=True)


def refusal(lab: Lab, *words: str, after: float) -> Status:
    """Return the latest client refused since then of which the gateway has these words to say."""

    def told(status: Status) -> list[Status]:
        late = [one for one in status["refusals"] if one["at"] >= after]
        said = [(" ".join(map(str, one.values())), one) for one in late]
        return [one for text, one in said if all(word in text for word in words)]

    return told(wait_gateway(lab, " and ".join(words), told))[-1]


def log_of(lab: Lab, host: str, name: str) -> str:
    """Return the log of one of our daemons, "" when it has never run."""
    return lab.run(host, ["cat", f"/var/log/throughway/{name}.log"]).stdout


def edited(lab: Lab, *changes: tuple[str, str], table: str = "", count: int = -1) -> str:
    """Return the gateway's configuration with words replaced, in one table or everywhere."""
    text = lab.read("edge1", GATEWAY_CONFIG)
    begin = text.index(f"[{table}]") if table else 0
    end = text.find("\n[", begin) if table else len(text)
    part = text[begin:end]
    for old, new in changes:
        assert old in part, f"{old} is not in the configuration"
        part = part.replace(old, new, count)
    return text[:begin] + part + text[end:]


def leaks(lab: Lab, secrets: dict[str, str], *logs: str) -> list[str]:
    """Return which secrets can be read where nobody may; ``logs`` are others of the gateway's."""
    places = {f"log of {name}": log_of(lab, "edge1", name) for name in logs}
    for host, side in (("edge1", "gateway"), ("client1", "client")):
        shell = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>&- | tr '\\0' '\\n'"
        places[f"processes of {host}"] = lab.run(host, ["sh", "-c", shell]).stdout
        places[f"log of {side}"] = log_of(lab, host, side)
        places[f"status of {side}"] = lab.run(host, ["throughway", side, "status", "--json"]).stdout
        events = ["throughway", "events", "--json", "--last", "1000"]
        places[f"events of {side}"] = lab.run(host, events).stdout
    assert all(places.values()), places
    words = re.compile(r"[\w.]+")
    return [
        f"{what} in {place}"
        for place, text in places.items()
        for what, secret in secrets.items()
        if secret in (text if len(secret) > 8 else words.findall(text))
    ]


# Certificates


def root_of(lab: Lab) -> Credential:
    """Return the root of the lab, with its key."""
    directory = lab.directory / "pki"
    certificate = pem.parse_certificate((directory / "root.crt").read_bytes())
    key = pem.parse_key((directory / "root.key").read_bytes())
    return authority.open_authority(key, certificate)


def foreign_root() -> Credential:
    """Return a root of somebody else."""
    return authority.create_root("Another Root", datetime.now(UTC))


def put_certificate(
    lab: Lab, stem: str, root: Credential, name: str = GATEWAY_NAME, ends: datetime | None = None
) -> None:
    """Put a gateway's certificate and key on the gateway, as STEM.crt and STEM.key."""
    made = authority.issue(
        root, Profile.GATEWAY, [name], now=datetime.now(UTC), days=1, crl_url=CRL_URL
    )
    certificate = made.certificate if ends is None else _ending(made, root, ends)
    lab.write("edge1", f"{stem}.crt", pem.build_certificate_pem(certificate))
    lab.write("edge1", f"{stem}.key", pem.build_key_pem(made.key), 0o600)


def _ending(made: Credential, root: Credential, ends: datetime) -> x509.Certificate:
    """Return the same certificate with another end; authorities issue for whole days only."""
    same = made.certificate
    builder = x509.CertificateBuilder(
        issuer_name=same.issuer,
        subject_name=same.subject,
        public_key=same.public_key(),
        serial_number=same.serial_number,
        not_valid_before=same.not_valid_before_utc,
        not_valid_after=ends,
    )
    for extension in same.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(root.key, hashes.SHA256())


# Policies


def policy_of(lab: Lab) -> Policy:
    """Return the policy that the gateway publishes."""
    public = bundle.parse_public_key(read(lab, "edge1", POLICY_PUBLIC_KEY))
    return bundle.verify(read(lab, "edge1", BUNDLE), public, now=0)


def sign(lab: Lab, key: Ed25519PrivateKey | None = None, **changes: object) -> bytes:
    """Return the policy with changes, signed by the deployment or with another key."""
    own = pem.parse_signing_key(read(lab, "edge1", POLICY_KEY))
    policy = dataclasses.replace(policy_of(lab), **changes)  # type: ignore[arg-type]
    return bundle.sign(policy, key or own)
