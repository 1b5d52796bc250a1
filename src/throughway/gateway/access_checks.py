"""What ``[directory]``, ``[[access]]`` and ``[radius]`` must be to each other and to the rest."""

from collections.abc import Iterator
from ipaddress import IPv6Network

from throughway.model.config import EVERYTHING, GatewayConfig
from throughway.net.files import read_secret

KEYTAB_VERSIONS = (b"\x05\x01", b"\x05\x02")
"""First bytes of a keytab (MIT krb5, file format versions 1 and 2)."""
MIN_SECRET = 16
"""Characters: RFC 2865 section 3 would like as many, and MD5 is all that protects."""

Wrong = Iterator[tuple[str, str]]


def check(config: GatewayConfig) -> Wrong:
    """Yield keys and what is wrong with them."""
    if config.directory is not None:
        yield from keytab("directory.keytab", config)
        if not config.access:
            yield "access", "is missing: with [directory] nobody may come in without a rule"
        if config.users is not None and config.users.realm != config.directory.realm:
            yield "directory.domain", f"is not that of the realm of [users], {config.users.realm}"
    elif config.access:
        yield "access", "needs [directory], where its groups are looked up"
    yield from _prefixes(config)
    yield from _computers(config)
    if config.radius is not None:
        yield from _radius(config)
    if config.kdc_proxy is not None:
        if config.directory is None or config.users is None:
            yield "kdc_proxy", "needs [directory] and [users]: domain, and service of the tickets"
        if config.kdc_proxy.listen in config.iphttps.listen:
            yield "kdc_proxy.listen", "is IP-HTTPS' already; take another address or port"


def keytab(key: str, config: GatewayConfig) -> Wrong:
    """Yield what is wrong with the keytab of the gateway's own account."""
    assert config.directory is not None
    try:
        data = read_secret(config.directory.keytab)
    except ValueError as error:
        yield key, str(error)
        return
    if data[:2] not in KEYTAB_VERSIONS:
        yield key, f"{config.directory.keytab} is not a keytab; export {config.directory.principal}"


def _prefixes(config: GatewayConfig) -> Wrong:
    intranet = [IPv6Network(prefix) for prefix in config.ipsec.intranet_prefixes]
    for index, rule in enumerate(config.access):
        for prefix in rule.prefixes:
            network = IPv6Network(prefix)
            if prefix != EVERYTHING and not any(network.subnet_of(wide) for wide in intranet):
                yield f"access[{index}].prefixes", f"{prefix} is outside of ipsec.intranet_prefixes"


def _computers(config: GatewayConfig) -> Wrong:
    if config.radius is not None or config.users is not None:
        return
    for index, computer in enumerate(config.computers):
        if computer.nt_hash is None:
            why = "is missing: without [users] or [radius] nobody can check the account otherwise"
            yield f"computers[{index}].nt_hash", why


def _radius(config: GatewayConfig) -> Wrong:
    assert config.radius is not None
    try:
        secret = read_secret(config.radius.secret).strip(b"\r\n")
    except ValueError as error:
        yield "radius.secret", str(error)
        return
    if len(secret) < MIN_SECRET:
        yield "radius.secret", f"{config.radius.secret} holds fewer than {MIN_SECRET} characters"
    if config.users is None and config.directory is None:
        yield "radius", "needs [users] or [directory], which say the realm"
