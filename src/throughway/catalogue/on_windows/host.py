"""Problems of a Windows machine itself: IPv6 components, services, editions, platforms."""

from collections.abc import Mapping

from throughway.catalogue.host import BUG
from throughway.model.findings import Advice, Component, Problem, Severity

_KEY = r"HKLM\SYSTEM\CurrentControlSet\Services\tcpip6\Parameters"
_SHOW = f"reg query {_KEY} /v DisabledComponents"
_CLEAR = f"reg delete {_KEY} /v DisabledComponents /f"

IPV6_DISABLED_BY_REGISTRY = Problem(
    code="ipv6-disabled-by-registry",
    title="IPv6 or all of its tunnel interfaces are switched off in the registry",
    severity=Severity.CRITICAL,
    component=Component.HOST,
    cause=(
        "DisabledComponents has bit 0x01 (all tunnel interfaces, IP-HTTPS among them) or bit "
        "0x10 (native interfaces) set. Everything that DirectAccess carries is IPv6."
    ),
    resolution=(
        "Delete the value, also from the policy or image that sets it, and start the machine "
        "again. To prefer IPv4 the value 0x20 is enough, and DirectAccess works with it."
    ),
    fix=(_CLEAR, "shutdown /r /t 0"),
    verify=(_SHOW, "ipconfig /all"),
)

IPV6_TRANSITION_DISABLED = Problem(
    code="ipv6-transition-disabled",
    title="One of the IPv6 transition technologies is switched off in the registry",
    severity=Severity.WARNING,
    component=Component.HOST,
    cause=(
        "DisabledComponents has one of the bits 0x02 (6to4), 0x04 (ISATAP) or 0x08 (Teredo) set. "
        "IP-HTTPS still works; the other ways to the server do not."
    ),
    resolution="Clear the bit if that technology is meant to be used; else nothing is wrong.",
    fix=(_CLEAR,),
    verify=(_SHOW,),
    depends_on=(IPV6_DISABLED_BY_REGISTRY,),
)

IPHLPSVC_STOPPED = Problem(
    code="iphlpsvc-stopped",
    title="The IP Helper service does not run",
    severity=Severity.CRITICAL,
    component=Component.HOST,
    cause=(
        "IP Helper (iphlpsvc) carries IP-HTTPS, Teredo, 6to4 and ISATAP on clients and servers. "
        "It was stopped or disabled, or it does not respond."
    ),
    resolution="Let the service start by itself again, and start it now.",
    fix=(
        "sc config iphlpsvc start= auto",
        "Start-Service iphlpsvc",
    ),
    verify=("Get-Service iphlpsvc", "netsh interface httpstunnel show interfaces"),
)

UNSUPPORTED_EDITION = Problem(
    code="unsupported-edition",
    title="This edition of Windows cannot be a DirectAccess client",
    severity=Severity.CRITICAL,
    component=Component.HOST,
    cause=(
        "Clients must run Windows 7 Enterprise or Ultimate, or Enterprise or Education of "
        "Windows 8 and later. Other editions ignore the policy without a word."
    ),
    resolution="Change the edition (with an Enterprise key no reinstallation is needed).",
    fix=("slmgr /ipk KEY",),
    verify=("systeminfo",),
)

UNSUPPORTED_PLATFORM_AZURE = Problem(
    code="unsupported-platform-azure",
    title="DirectAccess servers are not supported in Azure virtual machines",
    severity=Severity.CRITICAL,
    component=Component.HOST,
    cause="The server runs on Azure, whose network does not carry what DirectAccess needs.",
    resolution=(
        "Move the server to a machine of your own or to a platform that is supported; its "
        "configuration is in the group policies, which can be saved first."
    ),
    fix=("Backup-GPO -All -Path FOLDER",),
    verify=("systeminfo",),
)

SYSVOL_REPLICATED_BY_FRS = Problem(
    code="sysvol-replicated-by-frs",
    title="SYSVOL is replicated by the File Replication Service",
    severity=Severity.WARNING,
    component=Component.HOST,
    cause=(
        "FRS (or a domain controller of 2003) is known to delete the DirectAccess policies when "
        "they change; clients and servers then lose their configuration."
    ),
    resolution="Migrate SYSVOL to DFS replication before anything else is changed.",
    fix=("dfsrmig /setglobalstate 1", "dfsrmig /setglobalstate 3"),
    verify=("dfsrmig /getglobalstate",),
)

PROBLEMS = (
    IPV6_DISABLED_BY_REGISTRY,
    IPV6_TRANSITION_DISABLED,
    IPHLPSVC_STOPPED,
    UNSUPPORTED_EDITION,
    UNSUPPORTED_PLATFORM_AZURE,
    SYSVOL_REPLICATED_BY_FRS,
)

ADVICE: Mapping[str, Advice] = {
    BUG.code: Advice(
        cause="Something in the evidence was not foreseen by the authors of this program.",
        resolution=(
            "Report it with what is said here and, where you may, with a redacted bundle. The "
            "rest of the diagnosis stands, but what this rule or reader looks for is not known."
        ),
        verify=("throughway doctor FOLDER",),
    ),
}
