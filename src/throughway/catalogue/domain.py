"""Problems of the domain: controllers, Kerberos, the servers clients are managed from."""

from throughway.catalogue.host import CLOCK_SKEW
from throughway.catalogue.ipsec import INFRASTRUCTURE_TUNNEL_DOWN, INTRANET_TUNNEL_DOWN
from throughway.catalogue.location import INSIDE_DETECTED_WRONGLY
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
    verify=("throughway client status",),
    depends_on=(*NO_INFRASTRUCTURE, INSIDE_DETECTED_WRONGLY),
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

KERBEROS_PASSWORD_WRONG = Problem(
    code="kerberos-password-wrong",
    title="The password is wrong",
    severity=Severity.WARNING,
    component=Component.DOMAIN,
    cause="The domain knows the user, but not with this password.",
    resolution="Try again and mind upper and lower case; too many tries lock the account.",
    fix=("throughway login USER",),
    verify=("throughway client status",),
)

KERBEROS_PASSWORD_EXPIRED = Problem(
    code="kerberos-password-expired",
    title="The user's password has expired",
    severity=Severity.WARNING,
    component=Component.DOMAIN,
    cause="The domain gives no ticket until the password has been changed.",
    resolution="Change the password; the infrastructure tunnel is enough for that.",
    fix=("kpasswd USER", "throughway login USER"),
    verify=("throughway client status",),
)

KERBEROS_USER_UNKNOWN = Problem(
    code="kerberos-user-unknown",
    title="The domain does not know this user",
    severity=Severity.WARNING,
    component=Component.DOMAIN,
    cause="The name is misspelt, or belongs to another domain.",
    resolution="Give the name as it is in the domain, with its realm when it is not the client's.",
    fix=("throughway login USER",),
    verify=("throughway client status",),
)

KERBEROS_REALM_UNKNOWN = Problem(
    code="kerberos-realm-unknown",
    title="No domain controller of this Kerberos realm is known",
    severity=Severity.WARNING,
    component=Component.DOMAIN,
    cause=(
        "The part behind the @ is misspelt, or another domain's, or the DNS names no domain "
        "controllers for it (SRV records of _kerberos), nor does krb5.conf."
    ),
    resolution=(
        "Give the realm as it is, in capital letters, or none: then it is the one that this "
        "computer has joined. For another domain's, let its names be asked inside."
    ),
    fix=("throughway login USER", "dig SRV _kerberos._udp.REALM"),
    verify=("throughway client status",),
)

KERBEROS_ACCOUNT_DISABLED = Problem(
    code="kerberos-account-disabled",
    title="The user's account is disabled, locked or expired",
    severity=Severity.WARNING,
    component=Component.DOMAIN,
    cause="An administrator shut the account, its time is over, or too many tries locked it.",
    resolution="Ask the domain's administrator; a locked account opens by itself after a while.",
    fix=("samba-tool user enable USER",),
    verify=("throughway login USER",),
)

KERBEROS_TICKET_MISSING = Problem(
    code="kerberos-ticket-missing",
    title="There is no Kerberos ticket to use",
    severity=Severity.WARNING,
    component=Component.DOMAIN,
    cause="The credential cache is empty, unreadable, or of a kind that is not a file.",
    resolution="Log on with the password.",
    fix=("throughway login USER",),
    verify=("klist", "throughway client status"),
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
    verify=("throughway client status", "throughway gateway status management-servers --now"),
    depends_on=NO_INFRASTRUCTURE,
)

RESOURCE_UNREACHABLE = Problem(
    code="resource-unreachable",
    title="A resource of the intranet does not answer",
    severity=Severity.WARNING,
    component=Component.DOMAIN,
    cause=(
        "The tunnel to it is up, but what the policy lets clients try (`[[publish.probes]]`) gave "
        "no answer: the server or its service is down, it has no IPv6 address, a firewall inside "
        "keeps clients out, or its way back to the clients' prefix is missing."
    ),
    resolution=(
        "Look whether it answers inside. If it does there, let it answer the clients' prefix, too; "
        "if it exists no more, take it out of the policy."
    ),
    fix=("throughway policy build --config /etc/throughway/gateway.toml",),
    verify=("throughway client refresh", "throughway client status"),
    depends_on=(*NO_INFRASTRUCTURE, INTRANET_TUNNEL_DOWN, INSIDE_DETECTED_WRONGLY),
)

PROBLEMS = (
    DC_UNREACHABLE,
    KERBEROS_UNREACHABLE,
    KERBEROS_CLOCK_SKEW,
    KERBEROS_PASSWORD_WRONG,
    KERBEROS_PASSWORD_EXPIRED,
    KERBEROS_USER_UNKNOWN,
    KERBEROS_REALM_UNKNOWN,
    KERBEROS_ACCOUNT_DISABLED,
    KERBEROS_TICKET_MISSING,
    KERBEROS_TICKET_EXPIRED,
    KERBEROS_SERVICE_UNKNOWN,
    MANAGEMENT_SERVER_UNREACHABLE,
    RESOURCE_UNREACHABLE,
)
