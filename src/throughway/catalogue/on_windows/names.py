"""Problems of name resolution on Windows clients, and what mends the shared ones there."""

from collections.abc import Mapping

from throughway.catalogue import names
from throughway.model.findings import Advice, Component, Problem, Severity

_POLICY = "Get-DnsClientNrptPolicy -Effective"
_RULES = "Get-DnsClientNrptRule"

NRPT_POLICY_OVERRIDES_LOCAL = Problem(
    code="nrpt-policy-overrides-local",
    title="Rules of a group policy put the local name resolution rules out of force",
    severity=Severity.WARNING,
    component=Component.NAMES,
    cause="As soon as a policy holds one rule, Windows ignores all local ones.",
    resolution="Put the local rules into the policy, or remove the policy's rules.",
    fix=(_RULES,),
    verify=(_POLICY,),
)

NRPT_EXCLUSION_BREAKS_RULE = Problem(
    code="nrpt-exclusion-breaks-rule",
    title="An exemption takes names out of the intranet that belong there",
    severity=Severity.WARNING,
    component=Component.NAMES,
    cause="A rule without DNS servers is more specific than the rule for the intranet's suffix.",
    resolution="Remove the exemption, or make it as narrow as the one name it is for.",
    fix=('Remove-DAClientDnsConfiguration -DnsSuffix "NAME"', "gpupdate /force"),
    verify=(_POLICY,),
)

NRPT_DNSSEC_REQUIRED = Problem(
    code="nrpt-dnssec-required",
    title="A name resolution rule demands DNSSEC that the servers do not give",
    severity=Severity.WARNING,
    component=Component.NAMES,
    cause="The rule wants validated answers; unsigned zones then do not resolve at all.",
    resolution="Sign the zone, or take the demand out of the rule.",
    fix=(_RULES,),
    verify=(_POLICY, "Resolve-DnsName HOST"),
)

FORCE_TUNNEL_WITHOUT_PROXY = Problem(
    code="force-tunnel-without-proxy",
    title="All traffic is forced into the tunnel, but no proxy leads out of it",
    severity=Severity.CRITICAL,
    component=Component.NAMES,
    cause=(
        "Force tunnelling sends every name to the intranet. Without a proxy (or NAT64) inside, "
        "clients reach nothing of the Internet."
    ),
    resolution="Name a proxy in the rule for all names, or switch force tunnelling off.",
    fix=("Set-DAClient -ForceTunnel Disabled", "gpupdate /force"),
    verify=(_POLICY,),
)

PROBLEMS: tuple[Problem, ...] = (
    NRPT_POLICY_OVERRIDES_LOCAL,
    NRPT_EXCLUSION_BREAKS_RULE,
    NRPT_DNSSEC_REQUIRED,
    FORCE_TUNNEL_WITHOUT_PROXY,
)

ADVICE: Mapping[str, Advice] = {
    names.NRPT_NOT_EFFECTIVE.code: Advice(
        cause=(
            "The policy has rules for the intranet's names, but the DNS client does not apply "
            "them: it holds an old location, or the settings are disabled by hand."
        ),
        resolution=(
            "Let the client look again where it is; if that does not help, start the services "
            "that decide it again and fetch the policy."
        ),
        fix=("gpupdate /force", "Restart-Service iphlpsvc", "Restart-Service NlaSvc -Force"),
        verify=("netsh dnsclient show state", "netsh namespace show effectivepolicy"),
    ),
    names.NRPT_MISSING.code: Advice(
        cause="The client has no name resolution rules at all: its policy has not arrived.",
        resolution="Let the client fetch its group policy inside, or over another VPN.",
        fix=("gpupdate /force",),
        verify=("gpresult /r /scope computer", "Get-DnsClientNrptPolicy"),
    ),
    names.NRPT_NO_DIRECTACCESS_RULE.code: Advice(
        cause=(
            "No rule of the name resolution policy names an intranet DNS server: what is there "
            "is of another purpose, or the DirectAccess policy has not reached this client."
        ),
        resolution="Let the client fetch its policy; check the suffixes configured on the server.",
        fix=("gpupdate /force", "Get-DAClientDnsConfiguration"),
        verify=("Get-DnsClientNrptPolicy",),
    ),
    names.NRPT_STALE_RULE.code: Advice(
        cause=(
            "A rule that DirectAccess did not make, for all names or for one it cannot say, sends "
            "them to DNS servers of its own. VPN programs leave such rules behind, as after sleep."
        ),
        resolution="Remove the rule by its name (a GUID), or connect and disconnect that program.",
        fix=(_RULES, "Remove-DnsClientNrptRule -Name NAME", "Restart-Service Dnscache"),
        verify=("Get-DnsClientNrptPolicy",),
    ),
    names.APP_BYPASSES_NRPT.code: Advice(
        cause=(
            "DirectAccess works and Windows resolves the name, but the program (a Linux in WSL, "
            "a browser with DNS over HTTPS, nslookup) asks DNS servers of its own and knows "
            "nothing of the name resolution policy."
        ),
        resolution="Let the program use the resolver of Windows, or a proxy on Windows.",
        fix=("Resolve-DnsName HOST",),
        verify=("ping HOST",),
    ),
    names.NRPT_DNS_SERVER_UNREACHABLE.code: Advice(
        cause="The DNS servers that the rules name do not answer through the tunnel.",
        resolution="Look whether the server answers inside, and whether DNS64 runs on it.",
        fix=("nslookup NAME DNS", "Get-NetDnsTransitionConfiguration"),
        verify=("Resolve-DnsName NAME",),
    ),
    names.NRPT_CORRUPT.code: Advice(
        cause=(
            "The name resolution policy table cannot be used (0x2564): two rules contradict each "
            "other or one is broken, and name resolution fails until it is mended."
        ),
        resolution=(
            "Find the broken or doubled rule among the policy's and the local ones, remove it at "
            "its source, and start the machine again."
        ),
        fix=(
            r'reg query "HKLM\SOFTWARE\Policies\Microsoft\Windows NT\DNSClient" /s',
            r"reg query HKLM\SYSTEM\CurrentControlSet\Services\Dnscache\Parameters /s",
            "gpupdate /force",
        ),
        verify=("Get-DnsClientNrptPolicy -Effective",),
    ),
}
