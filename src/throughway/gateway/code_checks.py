"""What values and files of ``[users.codes]`` must be to each other."""

from collections.abc import Iterator
from ipaddress import IPv6Network, ip_address

from throughway.model.config import (
    CodeCheck,
    CodesConfig,
    IPsecServerConfig,
    UserProof,
    UsersConfig,
)
from throughway.model.errors import TrustError
from throughway.net.files import read_file, read_secret
from throughway.pki import pem

Wrong = Iterator[tuple[str, str]]
"""Keys and what is wrong with them."""


def check_codes(users: UsersConfig, ipsec: IPsecServerConfig) -> Wrong:
    """Yield everything that is wrong."""
    codes = users.codes
    if codes is None:
        if users.require is UserProof.CODE:
            yield "require", 'is "code", which needs [users.codes]'
        return
    if users.certificates is None:
        why = "needs [users.certificates], whose ca has the root of the authority that issues"
        yield "codes.authority", why
    inside = (IPv6Network(prefix) for prefix in ipsec.infrastructure_prefixes)
    if not any(ip_address(codes.listen[0]) in prefix for prefix in inside):
        why = "must be an address among ipsec.infrastructure_prefixes: clients ask it there"
        yield "codes.listen", f"{codes.listen[0]} {why}"
    if codes.check is CodeCheck.RADIUS:
        yield from _servers(codes)
    yield from _pair(codes)


def _servers(codes: CodesConfig) -> Wrong:
    if not codes.servers:
        yield "codes.servers", 'must name a server with check = "radius"'
    if codes.secret is None:
        yield "codes.secret", 'is needed with check = "radius"'
        return
    try:
        read_secret(codes.secret)
    except ValueError as error:
        yield "codes.secret", str(error)


def _pair(codes: CodesConfig) -> Wrong:
    try:
        pem.parse_certificates(read_file(codes.authority_ca), str(codes.authority_ca))
    except (ValueError, TrustError) as error:
        yield "codes.authority_ca", str(error)
    try:
        own = pem.parse_certificate(read_file(codes.certificate), str(codes.certificate))
        key = pem.parse_key(read_secret(codes.key), str(codes.key))
    except (ValueError, TrustError) as error:
        yield "codes.certificate", str(error)
        return
    if not pem.same_key(own, key):
        yield "codes.key", f"{codes.key} does not belong to {codes.certificate}"
