"""Problems of group policy: the configuration of Windows clients and servers."""

from collections.abc import Mapping

from throughway.catalogue.on_windows.host import (
    SYSVOL_REPLICATED_BY_FRS,
    UNSUPPORTED_EDITION,
)
from throughway.model.findings import Advice, Component, Problem, Severity

_RESULT = "gpresult /r /scope computer"
_CONFIGURATION = "Get-RemoteAccessConfiguration"
_UPDATE = "gpupdate /force"

GPO_DELETED = Problem(
    code="gpo-deleted",
    title="A DirectAccess group policy is gone",
    severity=Severity.CRITICAL,
    component=Component.POLICY,
    cause=(
        "The policy object was deleted by hand or lost in a replication fault; clients lose "
        "their settings with the next refresh."
    ),
    resolution="Restore the policy from its backup; without one, configure DirectAccess anew.",
    fix=("Restore-GPO -Name GPO -Path PATH", _UPDATE),
    verify=("Get-GPO -Name GPO", "Get-RemoteAccess"),
    depends_on=(SYSVOL_REPLICATED_BY_FRS,),
)

GPO_NOT_LINKED = Problem(
    code="gpo-not-linked",
    title="The DirectAccess group policy is not linked",
    severity=Severity.WARNING,
    component=Component.POLICY,
    cause=(
        "The policy object exists, but no link leads from the machine's organisational unit or "
        "domain to it (or it is a staging policy that was not exported)."
    ),
    resolution="Link the policy to the domain or unit of the machine and let it be fetched.",
    fix=("New-GPLink -Name GPO -Target PATH", _UPDATE),
    verify=(_RESULT, "Get-RemoteAccess"),
    depends_on=(GPO_DELETED,),
)

SERVER_CONFIG_NOT_RETRIEVED = Problem(
    code="server-config-not-retrieved",
    title="The server has not fetched its configuration from the domain controller",
    severity=Severity.WARNING,
    component=Component.POLICY,
    cause=(
        "The configuration is not on the server yet (that takes up to 10 minutes), no domain "
        "controller answers, or none that can be written to holds the policy."
    ),
    resolution="Wait ten minutes; then fetch it by hand and look whether a controller answers.",
    fix=(_UPDATE,),
    verify=(_RESULT, "nltest /dsgetdc:DOMAIN /force"),
    depends_on=(GPO_NOT_LINKED, GPO_DELETED),
)

SERVER_CONFIG_NOT_APPLIED = Problem(
    code="server-config-not-applied",
    title="The server has fetched its configuration but not applied it",
    severity=Severity.WARNING,
    component=Component.POLICY,
    cause=(
        "Applying takes up to 15 minutes; the scheduled task that does it (RAConfigTask) failed "
        "or is disabled."
    ),
    resolution="Wait fifteen minutes; then look at the task and start it.",
    fix=("Start-ScheduledTask -TaskName RAConfigTask", _UPDATE),
    verify=("Get-ScheduledTask -TaskName RAConfigTask", "Get-RemoteAccessHealth"),
    depends_on=(SERVER_CONFIG_NOT_RETRIEVED,),
)

MULTISITE_CONFIG_MISMATCH = Problem(
    code="multisite-config-mismatch",
    title="The entry points of the deployment have different configurations",
    severity=Severity.CRITICAL,
    component=Component.POLICY,
    cause="A change failed half way and was not rolled back; the servers' policies differ.",
    resolution="Restore the servers' policies from one backup, or make the change again.",
    fix=(_UPDATE,),
    verify=("Get-DAMultiSite", "Get-RemoteAccess -EntrypointName NAME"),
)

GPO_NOT_APPLIED = Problem(
    code="gpo-not-applied",
    title="The DirectAccess policy has not reached this client",
    severity=Severity.CRITICAL,
    component=Component.POLICY,
    cause=(
        "The client's policy is not among those applied: the computer is not in the clients' "
        "security group (or was not restarted since), a filter excludes it, or it has had no "
        "contact with a domain controller."
    ),
    resolution=(
        "Put the computer into the group, restart it inside (or over another VPN) and fetch the "
        "policy."
    ),
    fix=(_UPDATE,),
    verify=(_RESULT, "Get-DnsClientNrptPolicy"),
    depends_on=(UNSUPPORTED_EDITION, GPO_NOT_LINKED, GPO_DELETED),
)

PROBLEMS: tuple[Problem, ...] = (
    GPO_DELETED,
    GPO_NOT_LINKED,
    SERVER_CONFIG_NOT_RETRIEVED,
    SERVER_CONFIG_NOT_APPLIED,
    MULTISITE_CONFIG_MISMATCH,
    GPO_NOT_APPLIED,
)

ADVICE: Mapping[str, Advice] = {}
