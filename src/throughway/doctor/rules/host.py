"""Rules about the Windows machine itself: registry bits, services, editions, platforms."""

from throughway.catalogue.on_windows import host as catalogue
from throughway.doctor.rule import Rule
from throughway.model.facts.network import DisabledComponents, ServiceState
from throughway.model.findings import Finding

_BITS = (
    (0x01, "all tunnel interfaces"),
    (0x02, "6to4"),
    (0x04, "ISATAP"),
    (0x08, "Teredo"),
    (0x10, "native interfaces"),
    (0x20, "IPv4 is preferred, which does no harm"),
)
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


def explain(bits: int) -> str:
    """Say what each bit that is set switches off."""
    return ", ".join(f"{bit:#04x} {what}" for bit, what in _BITS if bits & bit)


RULES = (
    Rule((catalogue.IPV6_DISABLED_BY_REGISTRY,), ipv6_disabled),
    Rule((catalogue.IPV6_TRANSITION_DISABLED,), transition_disabled),
    Rule((catalogue.IPHLPSVC_STOPPED,), iphlpsvc_stopped),
)
