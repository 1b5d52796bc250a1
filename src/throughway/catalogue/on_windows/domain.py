"""Problems of the Windows domain, and what mends the shared ones there."""

from collections.abc import Mapping

from throughway.catalogue import domain, host
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
    host.CLOCK_SKEW.code: Advice(
        cause="The clock differs from that of its time source by more than five minutes.",
        resolution="Let the machine take its time from the domain, or set the clock.",
        fix=("w32tm /resync /rediscover",),
        verify=("w32tm /stripchart /computer:DC /samples:3 /dataonly",),
    ),
    domain.KERBEROS_CLOCK_SKEW.code: Advice(
        cause="A domain controller refused a ticket because the clocks differ by too much.",
        resolution="Let the machine take its time from the domain.",
        fix=("w32tm /resync /rediscover",),
        verify=("w32tm /stripchart /computer:DC /samples:3 /dataonly", "klist get krbtgt"),
    ),
    domain.KERBEROS_UNREACHABLE.code: Advice(
        cause=(
            "Port 88 of the domain controller does not answer: its Kerberos service is down, a "
            "filter drops it, or no tunnel leads to it. Nobody gets a ticket for the intranet."
        ),
        resolution="Start the service on the controller and let port 88 pass inside.",
        fix=("Restart-Service Kdc",),
        verify=("Test-NetConnection DC -Port 88", "klist get krbtgt"),
    ),
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
