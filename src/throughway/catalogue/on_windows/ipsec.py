"""What mends the IPsec tunnels where Windows runs, and what only Windows has."""

from collections.abc import Mapping

from throughway.model.findings import Advice, Component, Problem, Severity

AUDIT_DISABLED = Problem(
    code="ipsec-audit-disabled",
    title="Failures of IPsec are not audited",
    severity=Severity.INFO,
    component=Component.IPSEC,
    cause="Without auditing of IPsec Main Mode and Extended Mode no event says why a tunnel fails.",
    resolution="Switch it on while the tunnels are examined; it is noisy, so switch it off again.",
    fix=(
        'auditpol /set /subcategory:"IPsec Main Mode" /success:enable /failure:enable',
        'auditpol /set /subcategory:"IPsec Extended Mode" /success:enable /failure:enable',
    ),
    verify=('auditpol /get /category:"Logon/Logoff"',),
)

PROBLEMS: tuple[Problem, ...] = (AUDIT_DISABLED,)

ADVICE: Mapping[str, Advice] = {}
