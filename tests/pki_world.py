"""A deployment's files in a directory: what settings, policy and join are tried on."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from throughway.pki import pem
from throughway.pki.authority import Credential, Profile, create_root, issue

NOW = datetime.now(UTC).replace(microsecond=0)
ROOT = create_root("Corp Root", NOW)
OTHER_ROOT = create_root("Other Root", NOW)
GATEWAY = issue(ROOT, Profile.GATEWAY, ["da.example.com"], now=NOW)
COMPUTER = issue(ROOT, Profile.COMPUTER, ["client1.corp.example.com"], now=NOW)
SIGNING_KEY = Ed25519PrivateKey.generate()

GATEWAY_TOML = """\
[iphttps]
url = "https://da.example.com:443/IPHTTPS"
listen = ["131.107.0.2:443", "[::1]:8443"]
certificate = "gateway.crt"
key = "gateway.key"
prefix = "2001:db8:da:1000::/64"

[ipsec]
identity = "da.example.com"
certificate = "gateway.crt"
key = "gateway.key"
ca = "root.crt"
infrastructure_endpoint = "2002:836b:2::836b:2"
intranet_endpoint = "2002:836b:3::836b:3"
infrastructure_prefixes = ["2001:db8:c0:1::/64"]
intranet_prefixes = ["2001:db8:c0::/48"]

[users]
realm = "CORP.EXAMPLE.COM"
keytab = "gateway.keytab"
service = "host@da.example.com"

[publish]
deployment = "corp.example.com"
signing_key = "policy.key"
bundle = "policy.bundle"
nls_urls = ["https://nls.corp.example.com/"]
trust_anchors = ["root.crt"]
serve = "[2001:db8:c0:1::1]:8080"

[[publish.nrpt]]
namespace = ".corp.example.com"
servers = ["2001:db8:c0:1::10"]

[[publish.nrpt]]
namespace = "nls.corp.example.com"

[[computers]]
account = "CLIENT1$"
identity = "client1.corp.example.com"
nt_hash = "client1.nthash"
"""


def write(path: Path, data: bytes | str, mode: int = 0o644) -> Path:
    """Write a file with this mode."""
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    path.chmod(mode)
    return path


def write_credential(folder: Path, stem: str, credential: Credential) -> None:
    """Write ``stem.crt`` and ``stem.key``."""
    write(folder / f"{stem}.crt", pem.build_certificate_pem(credential.certificate))
    write(folder / f"{stem}.key", pem.build_key_pem(credential.key), 0o600)


def write_gateway(folder: Path, changes: Iterable[tuple[str, str]] = ()) -> Path:
    """Write a gateway's whole directory; changes replace text in its configuration."""
    write(folder / "root.crt", pem.build_certificate_pem(ROOT.certificate))
    write_credential(folder, "gateway", GATEWAY)
    write(folder / "gateway.keytab", b"\x05\x02", 0o600)
    write(folder / "client1.nthash", "0123456789abcdef0123456789ABCDEF\n", 0o600)
    write(folder / "policy.key", pem.build_key_pem(SIGNING_KEY), 0o600)
    text = GATEWAY_TOML
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return write(folder / "gateway.toml", text)
