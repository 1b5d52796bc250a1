"""What values, files and certificates of ``gateway.toml`` must be to each other.

Each check yields a :exc:`ConfigError` for what is wrong, with its remedy; nothing is raised,
so that all of it is told at once.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from throughway.gateway import access_checks
from throughway.gateway.code_checks import check_codes
from throughway.gateway.health_certificates import open_health_authority
from throughway.gateway.sixtofour import interfaces as sixtofour_interfaces
from throughway.gateway.workers import interfaces
from throughway.model.config import (
    EVERYTHING,
    ADCConfig,
    Assertion,
    AuthenticationMode,
    Computer,
    EnrolmentConfig,
    GatewayConfig,
    IPHTTPSServerConfig,
    IPsecServerConfig,
    NAT64Config,
    PublishConfig,
    TeredoServerConfig,
    UserProof,
    UsersConfig,
)
from throughway.model.errors import ConfigError, TrustError
from throughway.model.policy import ResourceProbe
from throughway.model.statement import HealthMode
from throughway.model.status import TransportKind
from throughway.net.files import read_file, read_secret
from throughway.pki import judgement, pem
from throughway.pki.fields import INTERFACE, url_host
from throughway.pki.judgement import Usage, Validity
from throughway.pki.probes import check_names, check_probe
from throughway.proto.router import links_within
from throughway.wire import sixtofour
from throughway.wire.teredo import secondary_address

NT_HASH = re.compile(rb"[0-9A-Fa-f]{32}\s*")
KEYTAB_VERSIONS = (b"\x05\x01", b"\x05\x02")
"""First bytes of a keytab (MIT krb5, file format versions 1 and 2)."""

SMALLEST_POOL = 29
"""tayga takes two addresses of it; fewer than five for clients would be a jest."""
WELL_KNOWN = IPv6Network("64:ff9b::/96")

Wrong = Iterator[tuple[str, str]]
"""Keys and what is wrong with them."""


def check(config: GatewayConfig) -> Iterator[ConfigError]:
    """Yield everything that is wrong with a configuration whose values are well formed."""
    parts: list[tuple[str, Wrong]] = [
        ("iphttps.", _iphttps(config.iphttps)),
        ("ipsec.", _ipsec(config.ipsec)),
        ("", _computers(config.computers)),
    ]
    if config.sixtofour is not None:
        parts.append(("", _sixtofour(config)))
    elif config.publish is not None and TransportKind.SIXTOFOUR in config.publish.transports:
        parts.append(("", iter([("publish.transports", "names 6to4, but [sixtofour] is missing")])))
    if config.teredo is not None:
        parts.append(("teredo.", _teredo(config.teredo, config)))
    elif config.publish is not None and TransportKind.TEREDO in config.publish.transports:
        parts.append(("", iter([("publish.transports", "names teredo, but [teredo] is missing")])))
    if config.users is not None:
        parts.append(("users.", _users(config.users)))
        parts.append(("users.", check_codes(config.users, config.ipsec)))
    parts.append(("", access_checks.check(config)))
    if config.publish is not None:
        parts.append(("publish.", _publish(config.publish, config)))
    if config.enrolment is not None:
        parts.append(("enrolment.", _enrolment(config.enrolment, config.ipsec)))
    if config.nat64 is not None:
        parts.append(("nat64.", _nat64(config.nat64, config.ipsec)))
    parts.append(("health.", _health(config)))
    for prefix, wrong in parts:
        for key, why in wrong:
            yield ConfigError(str(config.file), f"{prefix}{key}", why)


def _health(config: GatewayConfig) -> Wrong:
    health, publish = config.health, config.publish
    if health.policy.mode is not HealthMode.OFF and (publish is None or not publish.reasons_port):
        why = f"is {health.policy.mode}: computers state their health at publish.reasons_port"
        yield "mode", f"{why}, which is not set"
    if health.authority is not None:
        try:
            root = open_health_authority(health.authority)
            if root.certificate in pem.parse_certificates(read_file(config.ipsec.ca), "ipsec.ca"):
                why = "health certificates would pass for computer certificates"
                yield "authority", f"must be another one than ipsec.ca: {why}"
        except (ValueError, TrustError) as error:
            yield "authority", str(error)


def _iphttps(iphttps: IPHTTPSServerConfig) -> Wrong:
    if iphttps.certificate is not None and iphttps.key is not None:
        yield from _certificate(iphttps.certificate, iphttps.key, url_host(iphttps.url))
        yield from _tls_usage(iphttps.certificate)
    yield from _without_certificate(iphttps)
    yield from _null_suites(iphttps)
    if iphttps.authentication is AuthenticationMode.CERTIFICATES:
        yield from _client_trust(iphttps)
    if iphttps.adc is not None:
        yield from _adc(iphttps, iphttps.adc)
    elif not iphttps.listen:
        yield "listen", "names no address, and there is no [iphttps.adc]: nobody could connect"
    if iphttps.max_sessions_per_source > iphttps.max_sessions:
        yield "max_sessions_per_source", f"is more than max_sessions ({iphttps.max_sessions})"
    if len(set(iphttps.listen)) != len(iphttps.listen):
        yield "listen", "names an address twice"
    there = links_within(iphttps.prefix)
    if iphttps.workers is not None and iphttps.workers > there:
        each = f"each needs a /64 for its clients, and {iphttps.prefix} has {there}"
        yield "workers", f"is {iphttps.workers}: {each}"
    elif not INTERFACE.fullmatch(last := interfaces(iphttps)[-1]):
        yield "interface", f"the last worker's would be {last!r}, longer than Linux allows"


def _without_certificate(iphttps: IPHTTPSServerConfig) -> Wrong:
    """Who speaks TLS here needs a certificate; behind an ADC that ends it nobody does."""
    ends_here = iphttps.listen or (iphttps.adc is not None and iphttps.adc.tls)
    for key in ("certificate", "key"):
        if ends_here and getattr(iphttps, key) is None:
            yield key, "is missing; only without it where TLS ends at the ADC: listen = []"
    if (iphttps.rsa_certificate is None) != (iphttps.rsa_key is None):
        key = "rsa_key" if iphttps.rsa_key is None else "rsa_certificate"
        yield key, "is missing: rsa_certificate and rsa_key belong together"


def _null_suites(iphttps: IPHTTPSServerConfig) -> Wrong:
    """A link without encryption is only for what IPsec has encrypted already."""
    certificate, key = iphttps.rsa_certificate, iphttps.rsa_key
    if certificate is not None and key is not None:
        host = url_host(iphttps.url)
        for name, why in (*_certificate(certificate, key, host), *_tls_usage(certificate)):
            yield f"rsa_{name}", why
        yield from _is_rsa(certificate)
    if not iphttps.null_suites:
        return
    if certificate is None:
        first = f"the key of {iphttps.certificate} is used for ECDSA suites"
        yield (
            "rsa_certificate",
            f"is needed by null_suites: they are of RSA alone, and {first}. Issue an RSA "
            "certificate for the same name and set rsa_certificate and rsa_key, or null_suites = "
            "false",
        )
    if iphttps.client_to_client:
        yield (
            "null_suites",
            "with client_to_client = true packets between clients would be encrypted by nobody: "
            "their IPsec ends at the gateway. Set one of the two to false",
        )
    if iphttps.authentication is AuthenticationMode.CERTIFICATES:
        yield (
            "null_suites",
            'with authentication = "certificates" multicast between clients would be encrypted by '
            "nobody, and weak certificates would do: NULL suites need OpenSSL's security level 0. "
            'Set null_suites = false or authentication = "none"',
        )


def _is_rsa(file: Path) -> Wrong:
    try:
        certificate = pem.parse_certificate(read_file(file))
    except (ValueError, TrustError):
        return  # said where the certificate itself is checked
    if not isinstance(certificate.public_key(), rsa.RSAPublicKey):
        yield "rsa_certificate", f"{file} is not for an RSA key: issue one that is"


def _client_trust(iphttps: IPHTTPSServerConfig) -> Wrong:
    """By what clients' certificates are judged, here or at the ADC."""
    adc = iphttps.adc
    by_adc = adc is not None and not adc.tls and adc.client_certificate is not Assertion.HEADER
    if iphttps.client_ca is None:
        if iphttps.listen or not by_adc:
            yield "client_ca", 'is needed when authentication = "certificates"'
        return
    yield from _anchors("client_ca", iphttps.client_ca)
    for index, file in enumerate(iphttps.client_crls):
        key = f"client_crls[{index}]"
        try:
            pem.parse_crl(read_file(file), str(file))
        except (ValueError, TrustError) as error:
            yield key, str(error)


def _adc(iphttps: IPHTTPSServerConfig, adc: ADCConfig) -> Wrong:
    if taken := set(adc.listen) & set(iphttps.listen):
        address, port = taken.pop()
        yield "adc.listen", f"{address} port {port} is clients' own, in listen: take another"
    for index, prefix in enumerate(adc.addresses):
        if ip_network(prefix).prefixlen == 0:
            yield f"adc.addresses[{index}]", f"{prefix} is everybody: what they say is believed"
    if adc.certificate_header.lower() == adc.verify_header.lower():
        yield "adc.verify_header", "must differ from certificate_header"
    asked = iphttps.authentication is AuthenticationMode.CERTIFICATES and not adc.tls
    if asked and adc.client_certificate is Assertion.PROXY_PROTOCOL and not adc.proxy_protocol:
        yield "adc.client_certificate", 'is "proxy-protocol": that needs proxy_protocol = true'


def _ipsec(ipsec: IPsecServerConfig) -> Wrong:
    yield from _certificate(ipsec.certificate, ipsec.key, ipsec.identity)
    yield from _issuer(ipsec)
    if ipsec.infrastructure_endpoint == ipsec.intranet_endpoint:
        yield "intranet_endpoint", "must differ from infrastructure_endpoint"
    for key in ("infrastructure_endpoint", "intranet_endpoint"):
        endpoint = IPv6Address(getattr(ipsec, key))
        for prefix in (*ipsec.infrastructure_prefixes, *ipsec.intranet_prefixes):
            if prefix != EVERYTHING and endpoint in IPv6Network(prefix):
                yield key, f"{endpoint} lies in {prefix}, which clients reach only through it"


def _sixtofour(config: GatewayConfig) -> Wrong:
    wanted = "with [sixtofour] it must be that of a public IPv4 address, such as "
    for key in ("infrastructure_endpoint", "intranet_endpoint"):
        endpoint = IPv6Address(getattr(config.ipsec, key))
        outer = endpoint.sixtofour
        if outer is None or not sixtofour.is_usable(outer.packed):
            yield f"ipsec.{key}", f"{wanted}2002:836b:2::836b:2 of 131.107.0.2, is {endpoint}"
    if config.sixtofour is not None:
        taken = set(interfaces(config.iphttps)) & set(sixtofour_interfaces(config.sixtofour))
        if taken:
            yield "sixtofour.interface", f"{taken.pop()} is a worker's of [iphttps] already"


def _teredo(teredo: TeredoServerConfig, config: GatewayConfig) -> Wrong:
    second = IPv4Address(secondary_address(IPv4Address(teredo.address).packed))
    if not sixtofour.is_usable(second.packed):
        yield "address", f"the address after it, {second}, is needed too and is not public"
    taken = set(interfaces(config.iphttps))
    if config.sixtofour is not None:
        taken |= set(sixtofour_interfaces(config.sixtofour))
    if teredo.interface in taken:
        yield "interface", f"{teredo.interface} is one of [iphttps] or [sixtofour] already"


def _computers(computers: tuple[Computer, ...]) -> Wrong:
    accounts: dict[str, int] = {}
    identities: dict[str, int] = {}
    for index, computer in enumerate(computers):
        for key, value, seen in (
            ("account", computer.account.lower(), accounts),
            ("identity", computer.identity, identities),
        ):
            if value in seen:
                why = f"{getattr(computer, key)!r} is computers[{seen[value]}] already"
                yield f"computers[{index}].{key}", why
            seen.setdefault(value, index)
        if computer.nt_hash is not None:
            yield from _nt_hash(f"computers[{index}].nt_hash", computer.nt_hash)


def _users(users: UsersConfig) -> Wrong:
    try:
        data = read_secret(users.keytab)
    except ValueError as error:
        yield "keytab", str(error)
    else:
        if data[:2] not in KEYTAB_VERSIONS:
            yield "keytab", f"{users.keytab} is not a keytab; export one for {users.service}"
    yield from _user_certificates(users)


def _user_certificates(users: UsersConfig) -> Wrong:
    if users.certificates is not None:
        yield from _anchors("certificates.ca", users.certificates.ca)
    elif users.require is not UserProof.ANY:
        yield "require", f'is "{users.require}", which needs [users.certificates]'


def _enrolment(enrolment: EnrolmentConfig, ipsec: IPsecServerConfig) -> Wrong:
    """A name is looked up by clients, inside; an address can be judged here."""
    try:
        address = IPv6Address(url_host(enrolment.url))
    except ValueError:
        return
    if not _within(str(address), ipsec.infrastructure_prefixes):
        yield "url", "must be among ipsec.infrastructure_prefixes: computers renew before any logon"


def _publish(publish: PublishConfig, config: GatewayConfig) -> Wrong:
    for index, anchor in enumerate(publish.trust_anchors):
        yield from _anchors(f"trust_anchors[{index}]", anchor)
    ipsec = config.ipsec
    behind = (*ipsec.infrastructure_prefixes, *ipsec.intranet_prefixes)
    namespaces: dict[str, int] = {}
    for index, rule in enumerate(publish.nrpt):
        if rule.namespace in namespaces:
            why = f"{rule.namespace!r} is nrpt[{namespaces[rule.namespace]}] already"
            yield f"nrpt[{index}].namespace", why
        namespaces.setdefault(rule.namespace, index)
        for server in rule.servers:
            if not _within(server, behind):
                yield f"nrpt[{index}].servers", f"{server} lies behind neither tunnel's prefixes"
    yield from _probes(publish.probes, behind)
    yield from _forced(publish)
    if publish.serve is not None and not _within(publish.serve[0], ipsec.infrastructure_prefixes):
        why = "must be an address among ipsec.infrastructure_prefixes: clients fetch it there"
        yield "serve", f"{publish.serve[0]} {why}"


def _probes(probes: tuple[ResourceProbe, ...], behind: tuple[str, ...]) -> Wrong:
    """Of a name only its clients know where it leads; an address can be judged here."""
    for index, probe in enumerate(probes):
        try:
            host = check_probe(probe.kind, probe.target)
        except ValueError as error:
            yield f"probes[{index}].target", str(error)
            continue
        with contextlib.suppress(ValueError):
            if not _within(str(ip_address(host)), behind):
                why = f"{host} lies behind neither tunnel's prefixes"
                yield f"probes[{index}].target", why
    for index, why in check_names(probes):
        yield f"probes[{index}].name", why


def _forced(publish: PublishConfig) -> Wrong:
    """With everything in the tunnel, every name must be asked through it."""
    if publish.force_tunnel_proxy and not publish.force_tunnel:
        yield "force_tunnel_proxy", "needs force_tunnel = true"
    if publish.force_tunnel and not any(r.namespace == "." and r.servers for r in publish.nrpt):
        yield (
            "force_tunnel",
            'needs a rule for all names: [[publish.nrpt]] with namespace = "." and the servers '
            "that resolve the Internet's names inside",
        )


def _nat64(nat64: NAT64Config, ipsec: IPsecServerConfig) -> Wrong:
    prefix = IPv6Network(nat64.prefix)
    if not any(prefix.subnet_of(IPv6Network(behind)) for behind in ipsec.intranet_prefixes):
        # So the tunnel's selectors and the clients' firewalls hold it too.
        yield "prefix", f"{prefix} must lie within one of ipsec.intranet_prefixes"
    for behind in ipsec.infrastructure_prefixes:
        if prefix.overlaps(IPv6Network(behind)):
            yield "prefix", f"{prefix} must lie apart from {behind}, the infrastructure"
    pool = IPv4Network(nat64.pool)
    if pool.prefixlen > SMALLEST_POOL:
        yield "pool", f"{pool} has no room for clients: a /{SMALLEST_POOL} at least"
    for reached in map(IPv4Network, nat64.ipv4_prefixes):
        if pool.overlaps(reached):
            yield "pool", f"{pool} overlaps {reached}, which clients are to reach"
        if prefix.subnet_of(WELL_KNOWN) and not reached.is_global:
            why = f"is for public addresses, and {reached} is private (RFC 6052, 3.1)"
            yield "prefix", f"{WELL_KNOWN} {why}"
    for index, (address, _) in enumerate(nat64.listen):
        if not _within(address, ipsec.infrastructure_prefixes):
            why = "must be an address among ipsec.infrastructure_prefixes: clients ask it there"
            yield f"listen[{index}]", f"{address} {why}"
    for index, server in enumerate(nat64.servers):
        if server in (address for address, _ in nat64.listen):
            yield f"servers[{index}]", f"{server} is the DNS64 itself"


def _certificate(certificate_file: Path, key_file: Path, name: str) -> Wrong:
    """A server's certificate with its key: there, belonging together, for this name, in force."""
    certificates: Sequence[x509.Certificate] = ()
    key = None
    try:
        certificates = pem.parse_certificates(read_file(certificate_file), str(certificate_file))
    except (ValueError, TrustError) as error:
        yield "certificate", str(error)
    try:
        key = pem.parse_key(read_secret(key_file), str(key_file))
    except (ValueError, TrustError) as error:
        yield "key", str(error)
    if certificates and key is not None:
        if why := pem.misplaced(certificates, key):
            yield "certificate", f"{certificate_file}: {key_file} {why}"
            return
        if not pem.same_key(certificates[0], key):
            yield "key", f"{key_file} does not belong to the certificate {certificate_file}"
    if certificates:
        yield from _proves(certificates[0], certificate_file, name)


def _proves(certificate: x509.Certificate, file: Path, name: str) -> Wrong:
    if not judgement.covers(certificate, name):
        names = ", ".join(judgement.names(certificate)) or "no name at all"
        yield "certificate", f"{file} is for {names}, not for {name}"
    validity = judgement.validity(certificate, datetime.now(UTC))
    if validity is Validity.EXPIRED:
        yield "certificate", f"{file} expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    elif validity is Validity.NOT_YET_VALID:
        begin = certificate.not_valid_before_utc
        yield (
            "certificate",
            f"{file} is valid from {begin:%Y-%m-%d %H:%M} UTC on: set the clock?",
        )


def _tls_usage(file: Path) -> Wrong:
    # Only for TLS: Windows' template for IPsec gives ikeIntermediate alone, and IKE takes it.
    try:
        certificate = pem.parse_certificate(read_file(file))
    except (ValueError, TrustError):
        return  # said where the certificate itself is checked
    if not judgement.allows(certificate, Usage.SERVER):
        yield "certificate", f"{file} may not be used by a TLS server (its extended key usage)"


def _issuer(ipsec: IPsecServerConfig) -> Wrong:
    """The gateway's own certificate must lead to the authority that clients are judged by."""
    try:
        anchors = pem.parse_certificates(read_file(ipsec.ca), str(ipsec.ca))
    except (ValueError, TrustError) as error:
        yield "ca", str(error)
        return
    for anchor in anchors:
        if not judgement.may_issue(anchor):
            name = judgement.name_of(anchor.subject)
            yield "ca", f"{ipsec.ca}: {name} is no authority's certificate (CA:TRUE is missing)"
            return
    try:
        own, *between = pem.parse_certificates(read_file(ipsec.certificate))
    except (ValueError, TrustError):
        return  # said where the certificate itself is checked
    now = datetime.now(UTC)
    chain = judgement.chain(own, anchors, now, between)
    if judgement.in_force(own, now) and not chain.trusted:
        yield "ca", f"{ipsec.certificate} does not lead to {ipsec.ca}: {chain.why}"


def _anchors(key: str, file: Path) -> Wrong:
    try:
        certificates = pem.parse_certificates(read_file(file), str(file))
    except (ValueError, TrustError) as error:
        yield key, str(error)
        return
    for certificate in certificates:
        if not judgement.in_force(certificate, datetime.now(UTC)):
            yield key, f"{file}: {judgement.name_of(certificate.subject)} has expired"


def _nt_hash(key: str, file: Path) -> Wrong:
    try:
        data = read_secret(file)
    except ValueError as error:
        yield key, str(error)
        return
    if not NT_HASH.fullmatch(data):
        yield key, f"{file} must hold the account's NT hash: 32 hexadecimal digits"


def _within(address: str, prefixes: Iterable[str]) -> bool:
    parsed = ip_address(address)
    return any(parsed in IPv6Network(prefix) for prefix in prefixes)
