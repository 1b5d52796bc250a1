"""Rules about the Windows machine itself: registry bits, services, editions, platforms."""

from throughway.catalogue.on_windows import host as catalogue
from throughway.doctor.rule import Rule
from throughway.model.evidence import Role
from throughway.model.facts.names import DAConnectionStatus
from throughway.model.facts.network import (
    Adapter,
    DisabledComponents,
    DomainReplication,
    ServiceState,
    SystemInformation,
)
from throughway.model.findings import Finding

_BITS = (
    (0x01, "all tunnel interfaces"),
    (0x02, "6to4"),
    (0x04, "ISATAP"),
    (0x08, "Teredo"),
    (0x10, "native interfaces"),
    (0x20, "IPv4 is preferred, which does no harm"),
)
_NO_CLIENTS = frozenset(
    {"home", "pro", "professional", "starter", "professionnel", "profesional", "famille", "hogar"}
    | {
        "professionell",
        "\u4e13\u4e1a\u7248",
        "\u5bb6\u5ead\u7248",
        "\u5bb6\u5ead\u4e2d\u6587\u7248",
    }
)
"""Words of editions, in the languages that translate them."""
_CLIENTS = frozenset(
    {"enterprise", "ultimate", "entreprise", "\u4f01\u4e1a\u7248", "\u65d7\u8230\u7248"}
)
_AZURE_SUFFIXES = ("reddog.microsoft.com", ".internal.cloudapp.net")
_AZURE_DNS = "168.63.129.16"
_ALL = 0x11
"""Tunnel interfaces or native ones: DirectAccess cannot work without either."""
_ONE = 0x0E
"""One transition technology each."""


def ipv6_disabled(components: DisabledComponents) -> Finding | None:
    """Bits that no DirectAccess survives."""
    if not components.bits & _ALL:
        return None
    return Finding(
        problem=catalogue.IPV6_DISABLED_BY_REGISTRY,
        summary=f"DisabledComponents is {components.bits:#x}: {explain(components.bits)}.",
        reason="the value stands in the evidence",
        evidence=(components.source,),
    )


def transition_disabled(components: DisabledComponents) -> Finding | None:
    """Bits for single technologies."""
    if components.bits & _ALL or not components.bits & _ONE:
        return None
    return Finding(
        problem=catalogue.IPV6_TRANSITION_DISABLED,
        summary=f"DisabledComponents is {components.bits:#x}: {explain(components.bits)}.",
        reason="the value stands in the evidence",
        evidence=(components.source,),
    )


def iphlpsvc_stopped(service: ServiceState) -> Finding | None:
    """The service is listed as not running."""
    if service.name != "iphlpsvc" or service.running is not False:
        return None
    return Finding(
        problem=catalogue.IPHLPSVC_STOPPED,
        summary="The IP Helper service (iphlpsvc) does not run.",
        reason="the service's state stands in the evidence",
        evidence=(service.source,),
    )


def unsupported_edition(
    system: SystemInformation, statuses: tuple[DAConnectionStatus, ...]
) -> Finding | None:
    """The product's name ends in an edition that takes no part in DirectAccess."""
    product = system.product or ""
    words = {word.strip("(),.").lower() for word in product.split()}
    if not words & _NO_CLIENTS or words & _CLIENTS or "server" in words:
        return None
    if any((status.status or "").lower().startswith("connected") for status in statuses):
        return None
    return Finding(
        problem=catalogue.UNSUPPORTED_EDITION,
        summary=f"This is {product}, which cannot be a DirectAccess client.",
        reason="the name of the product stands in the evidence",
        evidence=(system.source,),
    )


def on_azure(
    adapters: tuple[Adapter, ...], systems: tuple[SystemInformation, ...]
) -> Finding | None:
    """The network that Azure gives its machines is on one of the server's adapters."""
    for adapter in adapters:
        suffix = (adapter.suffix or "").lower()
        if suffix.endswith(_AZURE_SUFFIXES) or _AZURE_DNS in adapter.dns_servers:
            sign = suffix if suffix.endswith(_AZURE_SUFFIXES) else _AZURE_DNS
            return Finding(
                problem=catalogue.UNSUPPORTED_PLATFORM_AZURE,
                summary=f"The adapter {adapter.name} has {sign}, as machines in Azure do.",
                reason="only the platform gives that to its machines",
                evidence=(adapter.source, *(system.source for system in systems[:1])),
            )
    return None


def sysvol_by_frs(replication: DomainReplication) -> Finding | None:
    """The migration to DFS replication was not begun, or not gone through with."""
    if replication.dfsr is not False:
        return None
    return Finding(
        problem=catalogue.SYSVOL_REPLICATED_BY_FRS,
        summary="SYSVOL is still replicated by FRS.",
        reason="the state of the migration stands in the evidence",
        evidence=(replication.source,),
    )


def explain(bits: int) -> str:
    """Say what each bit that is set switches off."""
    return ", ".join(f"{bit:#04x} {what}" for bit, what in _BITS if bits & bit)


RULES = (
    Rule((catalogue.IPV6_DISABLED_BY_REGISTRY,), ipv6_disabled),
    Rule((catalogue.IPV6_TRANSITION_DISABLED,), transition_disabled),
    Rule((catalogue.IPHLPSVC_STOPPED,), iphlpsvc_stopped),
    Rule((catalogue.UNSUPPORTED_EDITION,), unsupported_edition, Role.CLIENT),
    Rule((catalogue.UNSUPPORTED_PLATFORM_AZURE,), on_azure, Role.SERVER),
    Rule((catalogue.SYSVOL_REPLICATED_BY_FRS,), sysvol_by_frs),
)
