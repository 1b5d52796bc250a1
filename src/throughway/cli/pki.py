"""``throughway pki``: a certification authority for deployments that have none."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from throughway.authority import directory as directories
from throughway.authority.audit import by_command, who
from throughway.authority.files import write_new
from throughway.cli import pki_cache, tokens
from throughway.cli.output import examples, print_fields, print_json, print_table
from throughway.cli.tokens import DEFAULT_DIRECTORY, Directory
from throughway.model.errors import ConfigError
from throughway.pki import judgement
from throughway.pki.authority import (
    DEFAULT_CRL_DAYS,
    DEFAULT_DAYS,
    DEFAULT_ROOT_DAYS,
    KeyType,
    Profile,
)
from throughway.pki.crl import revocation
from throughway.pki.index import Entry, Reason
from throughway.pki.judgement import CertificateFact, RevocationFact, RevocationState, Validity

FINDINGS = 1

Force = Annotated[bool, typer.Option("--force", help="Overwrite files that are there already.")]
AsJSON = Annotated[bool, typer.Option("--json", help="For programs.")]
KeyKind = Annotated[
    KeyType, typer.Option("--key-type", help="RSA where Windows clients want NULL cipher suites.")
]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="A certification authority for those who have none.",
)
app.add_typer(pki_cache.app, name="cache")


@app.command(
    epilog=examples(
        'throughway pki init --name "Corp DirectAccess Root" '
        "--crl-url http://crl.example.com/root.crl"
    )
)
def init(
    name: Annotated[str, typer.Option(help="The authority's name, shown in every certificate.")],
    directory: Directory = DEFAULT_DIRECTORY,
    crl_url: Annotated[
        str, typer.Option(help="Where clients and gateway fetch the CRL (http://).")
    ] = "",
    days: Annotated[int, typer.Option(help="Days until it expires.")] = DEFAULT_ROOT_DAYS,
    key_type: KeyKind = KeyType.P256,
    force: Force = False,
) -> None:
    """Make a root: certificate, key, and an empty CRL."""
    root = directories.create(
        directory, name, _now(), days=days, key_type=key_type, crl_url=crl_url, force=force
    )
    fact = judgement.describe(root.certificate, _now())
    typer.echo(f"The authority {name!r} is in {directory}.")
    print_fields(
        [
            ("Valid until", f"{fact.not_after:%Y-%m-%d}"),
            ("SHA-256", fact.fingerprint),
            ("CRL", f"{directory / directories.CRL} ({_publication(crl_url)})"),
            ("Keep secret", str(directory / directories.KEY)),
        ]
    )


@app.command(
    epilog=examples(
        "throughway pki issue gateway da.example.com --output /etc/throughway/gateway",
        "throughway pki issue computer client1.corp.example.com",
        "throughway pki issue server nls.corp.example.com",
    )
)
def issue(
    profile: Annotated[Profile, typer.Argument(help="What it is for.")],
    names: Annotated[list[str], typer.Argument(help="DNS names or addresses, the main one first.")],
    directory: Directory = DEFAULT_DIRECTORY,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this path plus .crt and .key.")
    ] = None,
    days: Annotated[int, typer.Option(help="Days until it expires.")] = DEFAULT_DAYS,
    key_type: KeyKind = KeyType.P256,
    crl_url: Annotated[
        str | None, typer.Option(help="Another distribution point than the authority's.")
    ] = None,
    force: Force = False,
    as_json: AsJSON = False,
) -> None:
    """Issue a certificate with a new key."""
    written = directories.issue(
        directory,
        profile,
        names,
        _now(),
        days=days,
        key_type=key_type,
        crl_url=crl_url,
        output=output,
        force=force,
    )
    with by_command(directory) as audit:
        made = directories.read_certificate(written.certificate)
        audit.issued(made, f"for a {profile}, by {who()}")
    if as_json:
        print_json(written)
        return
    print_fields(
        [
            ("Certificate", str(written.certificate)),
            ("Key", f"{written.key} (secret)"),
            ("Names", written.entry.names),
            ("Valid until", written.entry.not_after[:10]),
            ("Serial", written.entry.serial),
        ]
    )


@app.command(
    epilog=examples(
        "throughway pki revoke client1.corp.example.com --reason key-compromise",
        "throughway pki revoke 5C:DF:6B:80:27:5A",
    )
)
def revoke(
    certificate: Annotated[str, typer.Argument(help="A name or serial number, as `list` shows.")],
    directory: Directory = DEFAULT_DIRECTORY,
    reason: Annotated[Reason, typer.Option(help="Why.")] = Reason.UNSPECIFIED,
) -> None:
    """Revoke a certificate and write a new CRL; publish the CRL for it to count."""
    entry = directories.revoke(directory, certificate, reason, _now())
    with by_command(directory) as audit:
        audit.revoked(entry, reason)
    typer.echo(f"Revoked: {', '.join(entry.names)}, serial {entry.serial}.")
    typer.echo(f"Publish {directory / directories.CRL} where its certificates say the CRL is.")


@app.command(epilog=examples("throughway pki crl --days 7 --output /var/www/html/root.crl"))
def crl(
    directory: Directory = DEFAULT_DIRECTORY,
    days: Annotated[int, typer.Option(help="Days until the next one is due.")] = DEFAULT_CRL_DAYS,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it there too (DER).")
    ] = None,
) -> None:
    """Write a new CRL. A CRL that is not renewed in time shuts clients out: use a timer."""
    path = directories.renew_crl(directory, _now(), days)
    if output is not None:
        write_new(output, path.read_bytes(), force=True)
    number = directories.read_index(directory).crl_number
    typer.echo(f"CRL number {number}: {output or path}, next one due in {days} days.")


@app.command(
    "list", epilog=examples("throughway pki list", "throughway pki list --json | jq '.entries[]'")
)
def list_issued(directory: Directory = DEFAULT_DIRECTORY, as_json: AsJSON = False) -> None:
    """List what was issued, with what still counts."""
    index = directories.read_index(directory)
    if as_json:
        print_json(index)
        return
    print_table(
        ("NAME", "PROFILE", "STATE", "UNTIL", "SERIAL"),
        (
            (e.names[0] if e.names else "-", e.profile, _state(e), e.not_after[:10], e.serial)
            for e in index.entries
        ),
    )


@app.command(
    epilog=examples(
        "throughway pki show",
        "throughway pki show /etc/throughway/gateway.crt",
        "throughway pki show client1.corp.example.com --json",
    )
)
def show(
    certificate: Annotated[
        str | None, typer.Argument(help="A file, a name or a serial number; else the authority.")
    ] = None,
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJSON = False,
) -> None:
    """Show a certificate. Exit 1 when it is revoked, has expired or does so within 60 days."""
    path = _find(directory, certificate)
    fact = judgement.describe(directories.read_certificate(path), _now())
    found = _revocation(directory, path)
    if as_json:
        print_json({"file": path, "certificate": fact, "revocation": found})
    else:
        _show(path, fact, found)
    well = fact.validity is Validity.VALID and found.state is not RevocationState.REVOKED
    raise typer.Exit(0 if well else FINDINGS)


tokens.register(app)


def _publication(crl_url: str) -> str:
    return f"publish it at {crl_url}" if crl_url else "nobody fetches it: no --crl-url was given"


def _show(path: Path, fact: CertificateFact, revocation: RevocationFact) -> None:
    revoked = revocation.state is RevocationState.REVOKED
    left = f"{fact.days_left} days left" if fact.days_left >= 0 else "expired"
    print_fields(
        [
            ("File", str(path)),
            ("Subject", fact.subject),
            ("Names", fact.names),
            ("Issuer", fact.issuer),
            ("Serial", fact.serial),
            ("Usages", fact.usages),
            ("Valid", f"{fact.not_before:%Y-%m-%d} to {fact.not_after:%Y-%m-%d} ({left})"),
            ("State", "revoked" if revoked else str(fact.validity)),
            ("Revocation", _with_reason(revocation)),
            ("CRL", fact.crl_urls),
            ("SHA-256", fact.fingerprint),
        ]
    )


def _with_reason(revocation: RevocationFact) -> str:
    return f"{revocation.state} ({revocation.why})" if revocation.why else str(revocation.state)


def _find(directory: Path, wanted: str | None) -> Path:
    """Return the file that is meant."""
    if wanted is None:
        return directory / directories.CERTIFICATE
    if Path(wanted).is_file():
        return Path(wanted)
    found = directories.read_index(directory).find(wanted)
    if not found:
        raise ConfigError(wanted, "", "is neither a file nor a certificate of this authority")
    return Path(found[-1].file)


def _revocation(directory: Path, path: Path) -> RevocationFact:
    """Judge by this authority's own CRL, where there is one."""
    try:
        root = directories.read_certificate(directory / directories.CERTIFICATE)
        crl = directories.read_crl(directory)
    except ConfigError as error:
        return RevocationFact(state=RevocationState.UNKNOWN, why=error.why)
    return revocation(directories.read_certificate(path), root, crl, _now())


def _state(entry: Entry) -> str:
    if entry.revoked:
        return f"revoked {entry.revoked_at[:10]}"
    ends = datetime.fromisoformat(entry.not_after)
    if ends <= _now():
        return "expired"
    return "expires soon" if ends - _now() <= judgement.WARN_BEFORE else "valid"


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
