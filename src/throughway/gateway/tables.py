"""The tables of ``gateway.toml``, as ``model/config.py`` has them; the defaults are the model's."""

from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from throughway.gateway.values import (
    AUTO,
    HTTPSURL,
    HTTPURL,
    MAX_SESSIONS,
    Addresses,
    DNSName,
    File,
    Groups,
    Header,
    Interface,
    IPv4Prefix,
    IPv6Address,
    IPv6Prefix,
    Network,
    Prefixes,
    ProxyURL,
    Sessions,
    SocketAddress,
    Text,
    WebURL,
    Workers,
    checked,
)
from throughway.model import config as model
from throughway.model.config import (
    Assertion,
    AuthenticationMode,
    Carrier,
    CodeCheck,
    ESPMode,
    GatewayConfig,
    LogLevel,
    Spread,
    UserProof,
)
from throughway.model.policy import (
    DEFAULT,
    LONGEST_INTERVAL,
    MAX_PROBES,
    SHORTEST_INTERVAL,
    Fallback,
    ProbeKind,
    ResourceProbe,
)
from throughway.model.revocation import Revocation, RevocationPolicy
from throughway.model.statement import (
    MAX_CHECKS,
    HealthMode,
    HealthPolicy,
    PolicyCheck,
    SubjectKind,
)
from throughway.model.status import TransportKind
from throughway.pki import fields, health_policy

DEFAULT_AUDIT = Path("/var/log/throughway/gateway-events.jsonl")
DEFAULT_LOG = Path("/var/log/throughway/gateway-log.jsonl")


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
PROBE = _defaults(ResourceProbe)
METRICS = _defaults(model.MetricsConfig)
SIXTOFOUR = _defaults(model.SixToFourServerConfig)
TEREDO = _defaults(model.TeredoServerConfig)
NAT64 = _defaults(model.NAT64Config)
HEALTH = _defaults(HealthPolicy)
AUDIT = _defaults(model.AuditConfig)
LOG = _defaults(model.LogConfig)
GATEWAY = _defaults(GatewayConfig)


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
    prefix: Annotated[str, checked(fields.check_link_prefix)]
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

    account: Annotated[str, checked(fields.check_account)]
    identity: DNSName
    nt_hash: File | None = None


class UserCertificatesTable(Table):
    """``[users.certificates]``."""

    ca: File
    revocation: Revocation = CERTIFICATES["revocation"]


class CodesTable(Table):
    """``[users.codes]``."""

    listen: SocketAddress
    authority: Annotated[str, checked(fields.check_enrolment_url)]
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

    realm: Annotated[str, checked(fields.check_realm)]
    keytab: File
    service: Annotated[str, checked(fields.check_service)]
    require: UserProof = USERS["require"]
    certificates: UserCertificatesTable | None = None
    codes: CodesTable | None = None


class DirectoryTable(Table):
    """``[directory]``."""

    domain: DNSName
    keytab: File
    principal: Annotated[str, checked(fields.check_text)]
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

    namespace: Annotated[str, checked(fields.check_namespace)]
    servers: Annotated[tuple[IPv6Address, ...], Field(max_length=8)] = ()
    proxy: Annotated[str, checked(fields.check_proxy)] = DEFAULT


class RevocationTable(Table):
    """``[publish.revocation]``."""

    iphttps: Revocation = REVOCATION["iphttps"]
    ipsec: Revocation = REVOCATION["ipsec"]
    location: Revocation = REVOCATION["location"]


class ProbeTable(Table):
    """``[[publish.probes]]``."""

    kind: ProbeKind
    target: Text
    name: str = PROBE["name"]
    interval: Annotated[int, Field(ge=SHORTEST_INTERVAL, le=LONGEST_INTERVAL)] = PROBE["interval"]


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
    force_tunnel_proxy: Annotated[str, checked(fields.check_proxy_url)] = PUBLISH[
        "force_tunnel_proxy"
    ]
    revocation: RevocationTable | None = None
    register_names: bool = PUBLISH["register_names"]
    reasons_port: Annotated[int, Field(ge=0, le=65535)] = PUBLISH["reasons_port"]
    proxy: ProxyURL = ""
    proxy_script: WebURL = ""
    portal_probe: HTTPURL = ""
    serve: SocketAddress | None = None
    probes: Annotated[tuple[ProbeTable, ...], Field(max_length=MAX_PROBES)] = ()


class SixToFourTable(Table):
    """``[sixtofour]``."""

    interface: Interface = SIXTOFOUR["interface"]
    carrier: Carrier = SIXTOFOUR["carrier"]


class TeredoTable(Table):
    """``[teredo]``."""

    address: Annotated[str, checked(fields.check_public_ipv4)]
    interface: Interface = TEREDO["interface"]


class MetricsTable(Table):
    """``[metrics]``."""

    listen: SocketAddress = METRICS["listen"]


class NAT64Table(Table):
    """``[nat64]``."""

    prefix: Annotated[str, checked(fields.check_nat64_prefix)]
    ipv4_prefixes: Annotated[tuple[IPv4Prefix, ...], Field(min_length=1, max_length=64)]
    listen: Annotated[tuple[SocketAddress, ...], Field(min_length=1, max_length=8)]
    servers: Annotated[
        tuple[Annotated[str, checked(fields.check_address)], ...],
        Field(min_length=1, max_length=8),
    ]
    pool: IPv4Prefix = NAT64["pool"]
    interface: Interface = NAT64["interface"]
    exclude_names: Annotated[tuple[DNSName, ...], Field(max_length=fields.MAX_ITEMS)] = ()
    exclude_prefixes: Annotated[tuple[IPv6Prefix, ...], Field(max_length=64)] = ()
    queries_per_client: Annotated[int, Field(ge=1, le=100_000)] = NAT64["queries_per_client"]


class EnrolmentTable(Table):
    """``[enrolment]``."""

    url: Annotated[str, checked(fields.check_enrolment_url)]


class HealthCheckTable(Table):
    """``[[health.checks]]``."""

    name: Annotated[str, checked(health_policy.check_own_name)]
    kind: SubjectKind
    subject: Text
    value: str = ""
    fix: str = ""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        health_policy.check_subject(self.kind, self.subject, self.value)
        return self


def health_policy_of(table: "HealthTable") -> HealthPolicy:
    """Return what ``[health]`` asks for."""
    values = {key: value for key, value in dict(table).items() if key != "authority"}
    checks = tuple(PolicyCheck(**dict(check)) for check in table.checks)
    return HealthPolicy(**(values | {"checks": checks}))


class HealthTable(Table):
    """``[health]``."""

    mode: HealthMode = HEALTH["mode"]
    required: Annotated[tuple[Text, ...], Field(max_length=MAX_CHECKS)] = HEALTH["required"]
    hours: Annotated[int, Field(ge=1, le=health_policy.MAX_HOURS)] = HEALTH["hours"]
    deferred_until: str = HEALTH["deferred_until"]
    update_days: Annotated[int, Field(ge=1, le=3650)] = HEALTH["update_days"]
    signature_days: Annotated[int, Field(ge=1, le=3650)] = HEALTH["signature_days"]
    agent: str = HEALTH["agent"]
    authority: File | None = None
    checks: Annotated[tuple[HealthCheckTable, ...], Field(max_length=MAX_CHECKS)] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        health_policy.check_whole(health_policy_of(self))
        return self


class AuditTable(Table):
    """``[audit]``."""

    file: File | None = DEFAULT_AUDIT
    journal: bool = AUDIT["journal"]
    keep_days: Annotated[int, Field(ge=1, le=3650)] = AUDIT["keep_days"]


class LogTable(Table):
    """``[log]``."""

    level: LogLevel = LOG["level"]
    file: File | None = DEFAULT_LOG
    journal: bool = LOG["journal"]
    keep_days: Annotated[int, Field(ge=1, le=3650)] = LOG["keep_days"]


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
    log: LogTable = LogTable()
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
    "publish.probes": ProbeTable,
    "publish.revocation": RevocationTable,
    "metrics": MetricsTable,
    "sixtofour": SixToFourTable,
    "teredo": TeredoTable,
    "nat64": NAT64Table,
    "enrolment": EnrolmentTable,
    "health": HealthTable,
    "health.checks": HealthCheckTable,
    "audit": AuditTable,
    "log": LogTable,
}
"""Every table by its name in the file."""
