"""``gateway.toml`` to :class:`GatewayConfig`, checked whole: every error at once.

The tables mirror ``model/config.py``; what a single value must be is said here, what values,
files and certificates must be to each other in :mod:`throughway.gateway.checks`.
"""

import ipaddress
import os
import re
from collections.abc import Iterator
from dataclasses import fields as dataclass_fields
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from throughway.gateway import checks
from throughway.model import config as model
from throughway.model.config import (
    EVERYTHING,
    MAX_WORKERS,
    Assertion,
    AuthenticationMode,
    Carrier,
    CodeCheck,
    ESPMode,
    GatewayConfig,
    Spread,
    UserProof,
)
from throughway.model.errors import ConfigError
from throughway.model.policy import DEFAULT, Fallback, NRPTRule
from throughway.model.revocation import Revocation, RevocationPolicy
from throughway.model.statement import (
    MAX_CHECKS,
    HealthMode,
    HealthPolicy,
    PolicyCheck,
    SubjectKind,
)
from throughway.model.status import TransportKind
from throughway.net.files import read_toml
from throughway.pki import fields, health_policy

DEFAULT_FILE = Path("/etc/throughway/gateway.toml")
DEFAULT_AUDIT = Path("/var/log/throughway/gateway-events.jsonl")


def _defaults(kind: type) -> dict[str, Any]:
    """Return the defaults that the model gives, so that they are written once."""
    return {field.name: field.default for field in dataclass_fields(kind)}


IPHTTPS = _defaults(model.IPHTTPSServerConfig)
ADC = _defaults(model.ADCConfig)
REVOCATION = _defaults(RevocationPolicy)
IPSEC = _defaults(model.IPsecServerConfig)
DIRECTORY = _defaults(model.DirectoryConfig)
RADIUS = _defaults(model.RADIUSConfig)
USERS = _defaults(model.UsersConfig)
CERTIFICATES = _defaults(model.UserCertificatesConfig)
CODES = _defaults(model.CodesConfig)
PUBLISH = _defaults(model.PublishConfig)
METRICS = _defaults(model.MetricsConfig)
SIXTOFOUR = _defaults(model.SixToFourServerConfig)
TEREDO = _defaults(model.TeredoServerConfig)
NAT64 = _defaults(model.NAT64Config)
HEALTH = _defaults(HealthPolicy)
AUDIT = _defaults(model.AuditConfig)
GATEWAY = _defaults(GatewayConfig)

MAX_SESSIONS = 65536
"""Each session is a TCP connection: there are no more ports on one address."""


AUTO = "auto"
"""As many workers as there are cores and /64."""


def _resolve(value: Path, info: ValidationInfo) -> Path:
    """A relative path begins where the configuration file is."""
    if not str(value) or value == Path():
        raise ValueError("must name a file")
    return Path(info.context or ".") / value


def _socket_address(value: object) -> tuple[str, int]:
    """``address:port``, an IPv6 address in brackets (RFC 3986, 3.2.2)."""
    wanted = 'must be "address:port", such as "192.0.2.1:443" or "[2001:db8::1]:443"'
    if not isinstance(value, str):
        raise ValueError(wanted)
    host, _, port = value.rpartition(":")
    try:
        if host.startswith("[") and host.endswith("]"):
            address: str = str(ipaddress.IPv6Address(host[1:-1].replace("%", "/")))
        else:
            address = str(ipaddress.IPv4Address(host))
    except ValueError:
        raise ValueError(f"{wanted}, is {value!r}") from None
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise ValueError(f"{port!r} is not a port from 1 to 65535")
    return address, int(port)


def _workers(value: object) -> object:
    """``"auto"`` is for the gateway to decide."""
    if isinstance(value, str):
        if value != AUTO:
            raise ValueError(f'must be a number or "{AUTO}", is {value!r}')
        return None
    return value


def _checked(check: fields.Check) -> AfterValidator:
    return AfterValidator(check)


def _network(value: str) -> str:
    """An address, or a prefix of addresses, of IPv4 or IPv6."""
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise ValueError(f"must be an address or a prefix: {error}") from None


def _header(value: str) -> str:
    """A header's name (RFC 9110, 5.6.2), as far as anybody uses it."""
    if not HEADER.fullmatch(value) or value.lower() in TAKEN_HEADERS:
        raise ValueError(f"must be the name of a header of its own, is {value!r}")
    return value


HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
TAKEN_HEADERS = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection"}
)
"""Headers that have a meaning already."""
Network = Annotated[str, AfterValidator(_network)]
Header = Annotated[str, AfterValidator(_header)]
Text = Annotated[str, _checked(fields.check_text)]
Sessions = Annotated[int, Field(ge=1, le=MAX_SESSIONS)]
Workers = Annotated[
    Annotated[int, Field(ge=1, le=MAX_WORKERS, strict=True)] | None, BeforeValidator(_workers)
]
Addresses = Annotated[int, Field(ge=1, le=256)]
Interface = Annotated[str, _checked(fields.check_interface)]
DNSName = Annotated[str, _checked(fields.check_dns_name)]
HTTPSURL = Annotated[str, _checked(fields.check_https_url)]
HTTPURL = Annotated[str, _checked(fields.check_http_url)]
WebURL = Annotated[str, _checked(fields.check_web_url)]
ProxyURL = Annotated[str, _checked(fields.check_proxy_url)]
IPv6Address = Annotated[str, _checked(fields.check_ipv6_address)]
IPv6Prefix = Annotated[str, _checked(fields.check_ipv6_prefix)]
IPv4Prefix = Annotated[str, _checked(fields.check_ipv4_prefix)]
Prefixes = Annotated[tuple[IPv6Prefix, ...], Field(min_length=1, max_length=fields.MAX_ITEMS)]
File = Annotated[Path, AfterValidator(_resolve)]
Groups = Annotated[
    tuple[Annotated[str, _checked(fields.check_text)], ...], Field(max_length=fields.MAX_ITEMS)
]
SocketAddress = Annotated[tuple[str, int], BeforeValidator(_socket_address)]


class Table(BaseModel):
    """A table of the file; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ADCTable(Table):
    """``[iphttps.adc]``."""

    listen: Annotated[tuple[SocketAddress, ...], Field(min_length=1, max_length=16)]
    addresses: Annotated[tuple[Network, ...], Field(min_length=1, max_length=64)]
    tls: bool = ADC["tls"]
    proxy_protocol: bool = ADC["proxy_protocol"]
    client_certificate: Assertion = ADC["client_certificate"]
    certificate_header: Header = ADC["certificate_header"]
    verify_header: Header = ADC["verify_header"]


class IPHTTPSTable(Table):
    """``[iphttps]``."""

    url: HTTPSURL
    listen: Annotated[tuple[SocketAddress, ...], Field(max_length=16)]
    certificate: File | None = None
    key: File | None = None
    prefix: Annotated[str, _checked(fields.check_link_prefix)]
    authentication: AuthenticationMode = IPHTTPS["authentication"]
    client_ca: File | None = None
    client_crls: Annotated[tuple[File, ...], Field(max_length=16)] = IPHTTPS["client_crls"]
    sessions_per_certificate: Annotated[int, Field(ge=0, le=MAX_SESSIONS)] = IPHTTPS[
        "sessions_per_certificate"
    ]
    null_suites: bool = IPHTTPS["null_suites"]
    rsa_certificate: File | None = None
    rsa_key: File | None = None
    adc: ADCTable | None = None
    interface: Interface = IPHTTPS["interface"]
    workers: Workers = Field(AUTO, validate_default=True)
    spread: Spread = IPHTTPS["spread"]
    max_sessions: Sessions = IPHTTPS["max_sessions"]
    max_sessions_per_source: Sessions = IPHTTPS["max_sessions_per_source"]
    max_addresses_per_session: Addresses = IPHTTPS["max_addresses_per_session"]
    head_timeout: Annotated[float, Field(gt=0, le=120)] = IPHTTPS["head_timeout"]
    client_to_client: bool = IPHTTPS["client_to_client"]


class IPsecTable(Table):
    """``[ipsec]``."""

    identity: DNSName
    certificate: File
    key: File
    ca: File
    infrastructure_endpoint: IPv6Address
    intranet_endpoint: IPv6Address
    infrastructure_prefixes: Prefixes
    intranet_prefixes: Prefixes
    revocation: Revocation = IPSEC["revocation"]
    crl_urls: Annotated[tuple[HTTPURL, ...], Field(max_length=16)] = ()
    esp: ESPMode = IPSEC["esp"]


class ComputerTable(Table):
    """``[[computers]]``."""

    account: Annotated[str, _checked(fields.check_account)]
    identity: DNSName
    nt_hash: File | None = None


class UserCertificatesTable(Table):
    """``[users.certificates]``."""

    ca: File
    revocation: Revocation = CERTIFICATES["revocation"]


class CodesTable(Table):
    """``[users.codes]``."""

    listen: SocketAddress
    authority: Annotated[str, _checked(fields.check_enrolment_url)]
    authority_ca: File
    certificate: File
    key: File
    check: CodeCheck = CODES["check"]
    hours: Annotated[int, Field(ge=1, le=24)] = CODES["hours"]
    book: File | None = None
    servers: Annotated[tuple[SocketAddress, ...], Field(max_length=8)] = ()
    secret: File | None = None
    timeout: Annotated[float, Field(ge=0.5, le=20)] = CODES["timeout"]


class UsersTable(Table):
    """``[users]``."""

    realm: Annotated[str, _checked(fields.check_realm)]
    keytab: File
    service: Annotated[str, _checked(fields.check_service)]
    require: UserProof = USERS["require"]
    certificates: UserCertificatesTable | None = None
    codes: CodesTable | None = None


class DirectoryTable(Table):
    """``[directory]``."""

    domain: DNSName
    keytab: File
    principal: Annotated[str, _checked(fields.check_text)]
    servers: Annotated[tuple[DNSName, ...], Field(max_length=16)] = DIRECTORY["servers"]
    base: str = DIRECTORY["base"]
    interval: Annotated[float, Field(ge=1, le=40)] = DIRECTORY["interval"]
    keep: Annotated[float, Field(ge=0, le=604_800)] = DIRECTORY["keep"]
    enrol: bool = DIRECTORY["enrol"]


class AccessTable(Table):
    """``[[access]]``."""

    computers: Groups = ()
    users: Groups = ()
    prefixes: Annotated[tuple[IPv6Prefix, ...], Field(max_length=fields.MAX_ITEMS)] = ()


class RADIUSTable(Table):
    """``[radius]``."""

    servers: Annotated[tuple[SocketAddress, ...], Field(min_length=1, max_length=8)]
    secret: File
    timeout: Annotated[float, Field(ge=0.5, le=10)] = RADIUS["timeout"]


class KDCProxyTable(Table):
    """``[kdc_proxy]``."""

    listen: SocketAddress


class NRPTTable(Table):
    """``[[publish.nrpt]]``."""

    namespace: Annotated[str, _checked(fields.check_namespace)]
    servers: Annotated[tuple[IPv6Address, ...], Field(max_length=8)] = ()
    proxy: Annotated[str, _checked(fields.check_proxy)] = DEFAULT


class RevocationTable(Table):
    """``[publish.revocation]``."""

    iphttps: Revocation = REVOCATION["iphttps"]
    ipsec: Revocation = REVOCATION["ipsec"]
    location: Revocation = REVOCATION["location"]


class PublishTable(Table):
    """``[publish]``."""

    deployment: Text
    signing_key: File
    bundle: File
    nrpt: Annotated[tuple[NRPTTable, ...], Field(min_length=1, max_length=fields.MAX_ITEMS)]
    nls_urls: Annotated[tuple[HTTPSURL, ...], Field(min_length=1, max_length=8)]
    trust_anchors: Annotated[tuple[File, ...], Field(min_length=1, max_length=8)]
    fallback: Fallback = PUBLISH["fallback"]
    valid_days: Annotated[int, Field(ge=1, le=3650)] = PUBLISH["valid_days"]
    transports: tuple[TransportKind, ...] = PUBLISH["transports"]
    force_iphttps: bool = PUBLISH["force_iphttps"]
    force_tunnel: bool = PUBLISH["force_tunnel"]
    force_tunnel_proxy: Annotated[str, _checked(fields.check_proxy_url)] = PUBLISH[
        "force_tunnel_proxy"
    ]
    revocation: RevocationTable | None = None
    register_names: bool = PUBLISH["register_names"]
    reasons_port: Annotated[int, Field(ge=0, le=65535)] = PUBLISH["reasons_port"]
    proxy: ProxyURL = ""
    proxy_script: WebURL = ""
    portal_probe: HTTPURL = ""
    serve: SocketAddress | None = None


class SixToFourTable(Table):
    """``[sixtofour]``."""

    interface: Interface = SIXTOFOUR["interface"]
    carrier: Carrier = SIXTOFOUR["carrier"]


class TeredoTable(Table):
    """``[teredo]``."""

    address: Annotated[str, _checked(fields.check_public_ipv4)]
    interface: Interface = TEREDO["interface"]


class MetricsTable(Table):
    """``[metrics]``."""

    listen: SocketAddress = METRICS["listen"]


class NAT64Table(Table):
    """``[nat64]``."""

    prefix: Annotated[str, _checked(fields.check_nat64_prefix)]
    ipv4_prefixes: Annotated[tuple[IPv4Prefix, ...], Field(min_length=1, max_length=64)]
    listen: Annotated[tuple[SocketAddress, ...], Field(min_length=1, max_length=8)]
    servers: Annotated[
        tuple[Annotated[str, _checked(fields.check_address)], ...],
        Field(min_length=1, max_length=8),
    ]
    pool: IPv4Prefix = NAT64["pool"]
    interface: Interface = NAT64["interface"]
    exclude_names: Annotated[tuple[DNSName, ...], Field(max_length=fields.MAX_ITEMS)] = ()
    exclude_prefixes: Annotated[tuple[IPv6Prefix, ...], Field(max_length=64)] = ()
    queries_per_client: Annotated[int, Field(ge=1, le=100_000)] = NAT64["queries_per_client"]


class EnrolmentTable(Table):
    """``[enrolment]``."""

    url: Annotated[str, _checked(fields.check_enrolment_url)]


class HealthCheckTable(Table):
    """``[[health.checks]]``."""

    name: Annotated[str, _checked(health_policy.check_own_name)]
    kind: SubjectKind
    subject: Text
    value: str = ""
    fix: str = ""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        health_policy.check_subject(self.kind, self.subject, self.value)
        return self


def _health_policy(table: "HealthTable") -> HealthPolicy:
    checks = tuple(PolicyCheck(**dict(check)) for check in table.checks)
    return HealthPolicy(**(dict(table) | {"checks": checks}))


class HealthTable(Table):
    """``[health]``."""

    mode: HealthMode = HEALTH["mode"]
    required: Annotated[tuple[Text, ...], Field(max_length=MAX_CHECKS)] = HEALTH["required"]
    hours: Annotated[int, Field(ge=1, le=health_policy.MAX_HOURS)] = HEALTH["hours"]
    deferred_until: str = HEALTH["deferred_until"]
    update_days: Annotated[int, Field(ge=1, le=3650)] = HEALTH["update_days"]
    signature_days: Annotated[int, Field(ge=1, le=3650)] = HEALTH["signature_days"]
    agent: str = HEALTH["agent"]
    checks: Annotated[tuple[HealthCheckTable, ...], Field(max_length=MAX_CHECKS)] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        health_policy.check_whole(_health_policy(self))
        return self


class AuditTable(Table):
    """``[audit]``."""

    file: File | None = DEFAULT_AUDIT
    journal: bool = AUDIT["journal"]
    keep_days: Annotated[int, Field(ge=1, le=3650)] = AUDIT["keep_days"]


class GatewayFile(Table):
    """The whole file."""

    iphttps: IPHTTPSTable
    ipsec: IPsecTable
    computers: tuple[ComputerTable, ...] = ()
    users: UsersTable | None = None
    directory: DirectoryTable | None = None
    access: Annotated[tuple[AccessTable, ...], Field(max_length=fields.MAX_ITEMS)] = ()
    radius: RADIUSTable | None = None
    kdc_proxy: KDCProxyTable | None = None
    publish: PublishTable | None = None
    metrics: MetricsTable | None = None
    sixtofour: SixToFourTable | None = None
    teredo: TeredoTable | None = None
    nat64: NAT64Table | None = None
    enrolment: EnrolmentTable | None = None
    health: HealthTable = HealthTable()
    audit: AuditTable = AuditTable()
    state_directory: File = GATEWAY["state_directory"]
    runtime_directory: File = GATEWAY["runtime_directory"]
    control_socket: File = GATEWAY["control_socket"]


TABLES: dict[str, type[Table]] = {
    "": GatewayFile,
    "iphttps": IPHTTPSTable,
    "iphttps.adc": ADCTable,
    "ipsec": IPsecTable,
    "computers": ComputerTable,
    "users": UsersTable,
    "directory": DirectoryTable,
    "access": AccessTable,
    "radius": RADIUSTable,
    "users.certificates": UserCertificatesTable,
    "kdc_proxy": KDCProxyTable,
    "users.codes": CodesTable,
    "publish": PublishTable,
    "publish.nrpt": NRPTTable,
    "publish.revocation": RevocationTable,
    "metrics": MetricsTable,
    "sixtofour": SixToFourTable,
    "teredo": TeredoTable,
    "nat64": NAT64Table,
    "enrolment": EnrolmentTable,
    "health": HealthTable,
    "health.checks": HealthCheckTable,
    "audit": AuditTable,
}
"""Every table by its name in the file."""


def load(path: Path = DEFAULT_FILE) -> GatewayConfig:
    """Read and check the file; raises one :exc:`ConfigError` that tells every error."""
    if not os.path.exists(path):
        raise ConfigError(str(path), "", "does not exist; docs/operate/configuration.md shows one")
    try:
        file = GatewayFile.model_validate(read_toml(path), context=str(path.parent))
    except ValidationError as error:
        raise fields.combined(str(path), _told(error, path)) from None
    config = _config(file, path)
    if errors := list(checks.check(config)):
        raise fields.combined(str(path), errors)
    return config


def _config(file: GatewayFile, path: Path) -> GatewayConfig:
    ipsec = model.IPsecServerConfig(**dict(file.ipsec))
    if file.publish is not None and file.publish.force_tunnel:
        ipsec = replace(ipsec, intranet_prefixes=(EVERYTHING,))
    return GatewayConfig(
        file=path,
        iphttps=_iphttps(file.iphttps),
        ipsec=ipsec,
        computers=tuple(model.Computer(**dict(computer)) for computer in file.computers),
        users=_users(file.users) if file.users else None,
        directory=model.DirectoryConfig(**dict(file.directory)) if file.directory else None,
        access=tuple(model.AccessRule(**dict(rule)) for rule in file.access),
        radius=model.RADIUSConfig(**dict(file.radius)) if file.radius else None,
        kdc_proxy=model.KDCProxyConfig(**dict(file.kdc_proxy)) if file.kdc_proxy else None,
        publish=_publish(file.publish) if file.publish else None,
        metrics=model.MetricsConfig(**dict(file.metrics)) if file.metrics else None,
        teredo=model.TeredoServerConfig(**dict(file.teredo)) if file.teredo else None,
        sixtofour=model.SixToFourServerConfig(**dict(file.sixtofour)) if file.sixtofour else None,
        nat64=model.NAT64Config(**dict(file.nat64)) if file.nat64 else None,
        enrolment=model.EnrolmentConfig(**dict(file.enrolment)) if file.enrolment else None,
        health=_health(file.health),
        audit=model.AuditConfig(**dict(file.audit)),
        state_directory=file.state_directory,
        runtime_directory=file.runtime_directory,
        control_socket=file.control_socket,
    )


def _health(table: HealthTable) -> model.HealthConfig:
    return model.HealthConfig(policy=_health_policy(table))


def _iphttps(table: IPHTTPSTable) -> model.IPHTTPSServerConfig:
    adc = model.ADCConfig(**dict(table.adc)) if table.adc else None
    return model.IPHTTPSServerConfig(**dict(table) | {"adc": adc})


def _users(table: UsersTable) -> model.UsersConfig:
    certificates = table.certificates
    told = model.UserCertificatesConfig(**dict(certificates)) if certificates else None
    codes = model.CodesConfig(**dict(table.codes)) if table.codes else None
    return model.UsersConfig(**(dict(table) | {"certificates": told, "codes": codes}))


def _publish(table: PublishTable) -> model.PublishConfig:
    values = dict(table) | {
        "nrpt": tuple(NRPTRule(**dict(rule)) for rule in table.nrpt),
        "revocation": RevocationPolicy(**dict(table.revocation or RevocationTable())),
    }
    return model.PublishConfig(**values)


def _told(error: ValidationError, path: Path) -> Iterator[ConfigError]:
    """Say each of pydantic's errors in the words of the file."""
    for detail in error.errors(include_url=False):
        location = detail["loc"]
        yield ConfigError(str(path), key_of(location), _reason(cast("dict[str, Any]", detail)))


def _reason(detail: dict[str, Any]) -> str:
    match detail["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            *outer, name = detail["loc"]
            return f"unknown key{fields.did_you_mean(str(name), known_keys(tuple(outer)))}"
        case "value_error":
            return str(detail["ctx"]["error"])
        case "tuple_type":
            return f"must be a list: [...], is {detail['input']!r}"
        case _:
            return f"{detail['msg']}, is {detail['input']!r}"


def key_of(location: tuple[int | str, ...]) -> str:
    """Write a place as the documentation does: ``publish.nrpt[0].servers``."""
    key = ""
    for part in location:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else part
    return key


def known_keys(location: tuple[int | str, ...]) -> tuple[str, ...]:
    """Return the keys of the table at a place."""
    name = ".".join(part for part in location if isinstance(part, str))
    return tuple(TABLES[name].model_fields) if name in TABLES else ()
