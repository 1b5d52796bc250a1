"""Problems of the Windows domain, and what mends the shared ones there."""

from collections.abc import Mapping

from throughway.catalogue import domain
from throughway.model.findings import Advice, Component, Problem, Severity

DC_SITE_RECORDS_MISSING = Problem(
    code="dc-site-records-missing",
    title="Domain controllers do not register the records without a site",
    severity=Severity.WARNING,
    component=Component.DOMAIN,
    cause=(
        "Clients outside belong to no site. Unless controllers with IPv6 register site-less "
        "locator records, clients find none of them."
    ),
    resolution="Let the controllers register them; check the policy on locator records.",
    fix=("nltest /dsregdns",),
    verify=("nltest /dsgetdc:DOMAIN /force",),
    depends_on=domain.NO_INFRASTRUCTURE,
)

PROBLEMS: tuple[Problem, ...] = (DC_SITE_RECORDS_MISSING,)

ADVICE: Mapping[str, Advice] = {
    domain.DC_UNREACHABLE.code: Advice(
        cause="No domain controller answers: the infrastructure tunnel or name resolution is down.",
        resolution="Mend what stands below: tunnel, names, then the controller itself.",
        fix=("nltest /dsgetdc:DOMAIN /force",),
        verify=("nltest /dsgetdc:DOMAIN /force",),
    ),
    domain.MANAGEMENT_SERVER_UNREACHABLE.code: Advice(
        cause="A management server of the configuration does not answer.",
        resolution="Look at the server; refresh the list of management servers if it has moved.",
        fix=("Update-DAMgmtServer",),
        verify=("Get-DAMgmtServer", "Get-RemoteAccessHealth"),
    ),
}
