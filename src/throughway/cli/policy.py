"""``throughway policy``: what clients are told, as one signed bundle."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from throughway.authority.files import write_new
from throughway.cli.output import examples, note, print_fields, print_json
from throughway.gateway import publish, settings
from throughway.model.errors import ConfigError, TrustError
from throughway.model.policy import DEFAULT, NRPTRule, Policy
from throughway.net.files import PRIVATE, read_file
from throughway.pki import bundle, pem
from throughway.proto.nrpt.rules import always_exempt

DEFAULT_KEY = Path("/etc/throughway/policy.key")
FINDINGS = 1

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="What clients are told: build, sign and read the policy bundle.",
)


@app.command(epilog=examples("throughway policy key", "throughway policy key /root/policy.key"))
def key(
    file: Annotated[Path, typer.Argument(help="Where the secret key goes.")] = DEFAULT_KEY,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite: all clients must join again.")
    ] = False,
) -> None:
    """Make the key that signs policy bundles; the public half lies beside it as .pub."""
    secret = Ed25519PrivateKey.generate()
    public = file.with_suffix(".pub")
    if public.exists() and not force:
        raise ConfigError(str(public), "", "is there already; --force overwrites it")
    write_new(file, pem.build_key_pem(secret), PRIVATE, force=force)
    write_new(public, pem.build_public_key_pem(secret.public_key()), force=force)
    print_fields(
        [
            ("Secret key", str(file)),
            ("Public key", str(public)),
            ("Fingerprint", bundle.fingerprint(secret.public_key())),
        ]
    )


@app.command(
    epilog=examples(
        "throughway policy build",
        "throughway policy build --config gateway.toml --output /tmp/policy.bundle",
    )
)
def build(
    config: Annotated[
        Path, typer.Option("--config", "-c", help="The gateway's configuration (TOML).")
    ] = settings.DEFAULT_FILE,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it there too, to carry it away.")
    ] = None,
) -> None:
    """Build and sign the next version from the gateway's configuration.

    It is put where the gateway serves it (publish.bundle); clients fetch it by themselves.
    """
    loaded = settings.load(config)
    policy, data = publish.build_bundle(loaded, time.time())
    assert loaded.publish is not None
    paths = [loaded.publish.bundle, *([output] if output is not None else [])]
    for path in paths:
        publish.write_bundle(path, data)
    print_fields(
        [
            ("Bundle", [str(path) for path in paths]),
            ("Deployment", policy.deployment),
            ("Version", str(policy.version)),
            ("Expires", _day(policy.expires_at)),
            ("Fingerprint", bundle.fingerprint(bundle.claimed_key(data))),
        ]
    )
    if not policy.policy_url:
        note("Without publish.serve clients cannot fetch newer bundles: carry each one to them.")


@app.command(
    epilog=examples(
        "throughway policy show policy.bundle",
        "throughway policy show policy.bundle --key /etc/throughway/policy.pub --json",
    )
)
def show(
    file: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle to read.")],
    key: Annotated[
        Path | None, typer.Option("--key", help="Verify that this public key signed it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what a bundle says. Exit 1 when its signature is wrong or it has expired."""
    data = _read(file, bundle.MAX_BUNDLE)
    claimed = bundle.claimed_key(data, str(file))
    wanted = bundle.parse_public_key(_read(key), str(key)) if key is not None else claimed
    policy = bundle.verify(data, wanted, now=0)
    problem = _problem(policy)
    signer = bundle.fingerprint(claimed)
    if as_json:
        print_json(
            {"policy": policy, "signer": signer, "verified": key is not None, "problem": problem}
        )
    else:
        _show(policy, f"{signer} ({'verified' if key is not None else 'compare it yourself'})")
    if problem:
        note(problem)
        raise typer.Exit(FINDINGS)


def _show(policy: Policy, signer: str) -> None:
    print_fields(
        [
            ("Deployment", policy.deployment),
            ("Version", str(policy.version)),
            ("Issued", _day(policy.issued_at)),
            ("Expires", _day(policy.expires_at)),
            ("Signer", signer),
            ("IP-HTTPS", policy.iphttps_url),
            ("Gateway", policy.gateway_identity),
            ("Infrastructure", (policy.infrastructure.endpoint, *policy.infrastructure.prefixes)),
            ("Intranet", (policy.intranet.endpoint, *policy.intranet.prefixes)),
            ("Names", [_rule(rule) for rule in policy.nrpt]),
            ("Exempt", always_exempt(policy)),
            ("Fallback", policy.fallback),
            ("Location", policy.nls_urls),
            ("Anchors", [_fingerprint(anchor) for anchor in policy.trust_anchors]),
            ("Transports", " ".join(policy.transport_order)),
            ("Teredo server", policy.transports.teredo_server or "none"),
            ("Newer at", policy.policy_url or "nowhere"),
            ("Renewal at", policy.enrolment_url or "nowhere: certificates are renewed by hand"),
            ("Users", f"{policy.kerberos_realm} {policy.kerberos_service}".strip() or "none"),
        ]
    )


def _problem(policy: Policy) -> str:
    try:
        bundle.check_current(policy, time.time())
    except TrustError as error:
        return str(error)
    return ""


def _rule(rule: NRPTRule) -> str:
    told = f"{rule.namespace} -> {', '.join(rule.servers) or 'the local DNS (exempt)'}"
    return f"{told}, proxy {rule.proxy}" if rule.proxy != DEFAULT else told


def _fingerprint(anchor: str) -> str:
    return pem.certificate_fingerprint(pem.parse_certificate(anchor.encode()))


def _read(path: Path, limit: int = 1024 * 1024) -> bytes:
    try:
        return read_file(path, limit)
    except ValueError as error:
        raise ConfigError(str(path), "", str(error).removeprefix(f"{path} ")) from None


def _day(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
