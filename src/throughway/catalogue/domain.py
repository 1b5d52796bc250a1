"""Problems of the domain: controllers, Kerberos, the servers clients are managed from."""

from throughway.catalogue.host import CLOCK_SKEW
from throughway.catalogue.ipsec import INFRASTRUCTURE_TUNNEL_DOWN
from throughway.catalogue.names import NRPT_DNS_SERVER_UNREACHABLE, NRPT_NOT_EFFECTIVE
from throughway.model.findings import Component, Problem, Severity

NO_INFRASTRUCTURE = (INFRASTRUCTURE_TUNNEL_DOWN, NRPT_DNS_SERVER_UNREACHABLE, NRPT_NOT_EFFECTIVE)

DC_UNREACHABLE = Problem(
    code="dc-unreachable",
    title="No domain controller can be reached",
    severity=Severity.CRITICAL,
    component=Component.DOMAIN,
    cause=(
        "The DNS names no domain controller with an IPv6 address, or none of those it names "
        "answers through the infrastructure tunnel."
    ),
    resolution=(
        "Look whether the controllers are up, have AAAA records, and lie within the "
        "infrastructure prefixes of the policy."
    ),
    fix=("dig SRV _ldap._tcp.dc._msdcs.REALM", "ping -c 3 DC"),
    verify=("throughway client status", "throughway gateway status domain"),
    depends_on=NO_INFRASTRUCTURE,
    visible_after=5.0,
)

KERBEROS_UNREACHABLE = Problem(
    code="kerberos-unreachable",
    title="No Kerberos server answers",
    severity=Severity.CRITICAL,
    component=Component.DOMAIN,
    cause="Port 88 of the domain controllers does not answer: nobody can log on for the intranet.",
    resolution="Start the Kerberos service of the controllers, and let port 88 pass inside.",
    fix=("dig SRV _kerberos._tcp.REALM",),
    verify=("kinit USER", "throughway client status"),
    depends_on=(DC_UNREACHABLE,),
    visible_after=5.0,
)

KERBEROS_CLOCK_SKEW = Problem(
    code="kerberos-clock-skew",
    title="The clocks of this machine and of the domain differ too much for Kerberos",
    severity=Severity.CRITICAL,
    component=Component.DOMAIN,
    cause="The Kerberos server refused a request because the clocks differ by over five minutes.",
    resolution="Set this machine's clock by a time service, best by the domain controllers.",
    fix=("timedatectl set-ntp true",),
    verify=("timedatectl status", "kinit USER"),
    depends_on=(CLOCK_SKEW,),
)

KERBEROS_PASSWORD_REFUSED = Problem(
    code="kerberos-password-refused",
    title="The domain does not accept this user and password",
    severity=Severity.WARNING,
    component=Component.DOMAIN,
    cause="The password is wrong, has expired, or the account is unknown, locked or disabled.",
    resolution="Try again, mind upper and lower case; else ask the domain's administrator.",
    fix=("throughway login USER",),
    verify=("throughway client status",),
)

KERBEROS_TICKET_EXPIRED = Problem(
    code="kerberos-ticket-expired",
    title="The user's Kerberos ticket has expired",
    severity=Severity.WARNING,
    component=Component.DOMAIN,
    cause="Tickets hold for some hours only; without one the intranet tunnel cannot be renewed.",
    resolution="Log on again.",
    fix=("throughway login USER",),
    verify=("throughway client status",),
)

KERBEROS_SERVICE_UNKNOWN = Problem(
    code="kerberos-service-unknown",
    title="The domain does not know the gateway's service",
    severity=Severity.CRITICAL,
    component=Component.DOMAIN,
    cause=(
        "The Kerberos server has no account with the service name that the policy gives for the "
        "gateway, so no ticket for it can be had."
    ),
    resolution="Add the service principal name to the gateway's account in the domain.",
    fix=("samba-tool spn list GATEWAY_ACCOUNT",),
    verify=("kvno SERVICE", "throughway login USER"),
)

MANAGEMENT_SERVER_UNREACHABLE = Problem(
    code="management-server-unreachable",
    title="A management server cannot be reached through the infrastructure tunnel",
    severity=Severity.WARNING,
    component=Component.DOMAIN,
    cause="The server is down or its address is not within the infrastructure prefixes.",
    resolution="Start the server, or add its address to the prefixes and publish the policy.",
    fix=("throughway policy build --config /etc/throughway/gateway.toml",),
    verify=("throughway gateway status domain",),
    depends_on=NO_INFRASTRUCTURE,
)

PROBLEMS = (
    DC_UNREACHABLE,
    KERBEROS_UNREACHABLE,
    KERBEROS_CLOCK_SKEW,
    KERBEROS_PASSWORD_REFUSED,
    KERBEROS_TICKET_EXPIRED,
    KERBEROS_SERVICE_UNKNOWN,
    MANAGEMENT_SERVER_UNREACHABLE,
)
