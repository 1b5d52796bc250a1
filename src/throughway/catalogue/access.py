"""Problems of authorisation on the gateway: the directory it asks, and whom that keeps out."""

from throughway.catalogue.ipsec_certificate import CERT_NAME_MISMATCH
from throughway.model.findings import Component, Problem, Severity

_STATUS = ("throughway gateway status",)


def _withheld(
    code: str,
    title: str,
    cause: str,
    resolution: str,
    *fix: str,
    depends_on: tuple[Problem, ...] = (),
) -> Problem:
    """One account's own trouble, which is none of the gateway's."""
    return Problem(
        code=code,
        title=title,
        severity=Severity.INFO,
        component=Component.AUTHORISER,
        cause=cause,
        resolution=resolution,
        fix=fix,
        verify=_STATUS,
        depends_on=depends_on,
    )


UNREACHABLE = Problem(
    code="directory-unreachable",
    title="No domain controller answers the gateway",
    severity=Severity.WARNING,
    component=Component.DOMAIN,
    cause=(
        "None of the domain controllers that [directory] names, or that the domain's SRV records "
        "name, answers on LDAP. The last answers hold for as long as `keep` says; who was not "
        "looked up before is refused."
    ),
    resolution="Mend the way from the gateway to a domain controller: names, port 389 and port 88.",
    fix=(
        "dig +short SRV _ldap._tcp.dc._msdcs.DOMAIN",
        "dig +short SRV _kerberos._udp.DOMAIN",
    ),
    verify=_STATUS,
)
STALE = Problem(
    code="directory-answers-stale",
    title="The directory was out of reach for too long: nobody is let in",
    severity=Severity.CRITICAL,
    component=Component.DOMAIN,
    cause=(
        "No domain controller has answered for longer than `keep` of [directory]. Whether accounts "
        "are still good is not known any more, so all tunnels were ended."
    ),
    resolution="Mend the way to a domain controller; the tunnels come back by themselves.",
    fix=("dig +short SRV _ldap._tcp.dc._msdcs.DOMAIN", "dig +short SRV _kerberos._udp.DOMAIN"),
    verify=_STATUS,
)
CREDENTIALS_REFUSED = Problem(
    code="directory-credentials-refused",
    title="The domain refuses the gateway's own account",
    severity=Severity.CRITICAL,
    component=Component.DOMAIN,
    cause=(
        "The keytab of [directory] is missing, or holds no key of `principal` that the domain "
        "knows: the account's password was changed, or the account disabled."
    ),
    resolution="Export the account's key again, or join the gateway to the domain again.",
    fix=("klist -k KEYTAB", "kinit -kt KEYTAB GATEWAY_ACCOUNT"),
    verify=_STATUS,
)
ANSWER_REFUSED = Problem(
    code="directory-answer-refused",
    title="A domain controller's answer cannot be used",
    severity=Severity.CRITICAL,
    component=Component.DOMAIN,
    cause=(
        "The connection was not sealed, or more came than any directory of this size can hold. "
        "Something else than a domain controller may answer there."
    ),
    resolution="Find out who answers; name the domain controllers in `servers` of [directory].",
    fix=("dig +short SRV _ldap._tcp.dc._msdcs.DOMAIN",),
    verify=_STATUS,
)
GROUP_UNKNOWN = Problem(
    code="access-group-unknown",
    title="A group of the access rules is not in the directory",
    severity=Severity.WARNING,
    component=Component.DOMAIN,
    cause="An [[access]] rule names a group that was not found; the rule lets nobody in by it.",
    resolution="Correct the name (sAMAccountName or DN), or make the group.",
    fix=(
        "throughway gateway check --config /etc/throughway/gateway.toml",
        "throughway gateway reload",
    ),
    verify=_STATUS,
)
NOBODY = Problem(
    code="access-nobody-admitted",
    title="No computer may come in",
    severity=Severity.WARNING,
    component=Component.IPSEC,
    cause=(
        "The configuration names no computer, and the directory none by the groups of [[access]]. "
        "Without one the gateway has no connections: whoever comes is refused at once."
    ),
    resolution=(
        "Add a [[computers]] entry for each computer, or with [directory] put the computers into a "
        "group that an [[access]] rule names; then reload."
    ),
    fix=(
        "throughway gateway check --config /etc/throughway/gateway.toml",
        "throughway gateway reload",
    ),
    verify=_STATUS,
)
COMPUTER_UNKNOWN = _withheld(
    "access-computer-unknown",
    "The gateway does not know the computer",
    "The name in the computer's certificate is that of no [[computers]] entry, and of no member of "
    "the groups of [[access]].",
    "Add a [[computers]] entry with this identity (or put the computer into the group), and "
    "reload. If the entry is there, compare its identity with the name in the certificate.",
    "throughway gateway check --config /etc/throughway/gateway.toml",
    "throughway gateway reload",
    depends_on=(CERT_NAME_MISMATCH,),
)
ACCOUNT_UNKNOWN = _withheld(
    "access-account-unknown",
    "The directory does not have the account",
    "The account was deleted, or is none of the kind that was asked for; its tunnels are ended.",
    "If it should exist, make it again in the domain and join the computer again.",
)
ACCOUNT_DISABLED = _withheld(
    "access-account-disabled",
    "The account is disabled in the directory",
    "An administrator has disabled the account of the computer or of the user.",
    "If that was a mistake, enable it in the domain; the tunnels come back by themselves.",
    "samba-tool user enable USER",
)
ACCOUNT_EXPIRED = _withheld(
    "access-account-expired",
    "The account has expired in the directory",
    "The account's date of expiry has passed.",
    "Set a later date in the domain, or none.",
    "samba-tool user setexpiry USER --noexpiry",
)
ACCOUNT_LOCKED = _withheld(
    "access-account-locked",
    "The account is locked out in the directory",
    "Too many wrong passwords were tried; the domain has locked the account for a while.",
    "Find out who tried them; then unlock the account, or wait.",
    "samba-tool user unlock USER",
)
GROUP_MISSING = _withheld(
    "access-group-missing",
    "The account is in no group that may use the gateway",
    "No [[access]] rule matches the groups of the computer and of the user, nested ones included.",
    "Add the account to a group of a rule, if it should come in.",
    "samba-tool group addmembers GROUP USER",
)
COMPUTER_NOT_ALLOWED = _withheld(
    "access-computer-not-allowed",
    "The user may not log on at this computer",
    "The directory names the computers on which the user may log on (userWorkstations), and this "
    "is none of them.",
    "Log on at one of those, or add this one to the account.",
)
REALM_UNKNOWN = _withheld(
    "access-realm-unknown",
    "The user is of another realm",
    "The ticket is good, but of a realm that trusts ours, and [directory] is asked about its own "
    "domain only.",
    "Log on with an account of the gateway's domain.",
)
RADIUS_UNREACHABLE = Problem(
    code="radius-server-unreachable",
    title="No RADIUS server answers the gateway",
    severity=Severity.CRITICAL,
    component=Component.AUTHORISER,
    cause=(
        "None of the servers of [radius] answers; computers that prove themselves by password "
        "cannot come in. A server also says nothing to a gateway that it does not know as client."
    ),
    resolution="Start the server, let it know the gateway's address, open UDP port 1812 between.",
    fix=("ss -lun", "throughway gateway reload"),
    verify=_STATUS,
)
RADIUS_SECRET_WRONG = Problem(
    code="radius-secret-wrong",
    title="The RADIUS server has another secret",
    severity=Severity.CRITICAL,
    component=Component.AUTHORISER,
    cause=(
        "An answer came whose authenticators are not made with the secret of [radius], or that "
        "lacks the Message-Authenticator: the two ends have different secrets, the server is too "
        "old, or somebody forges answers."
    ),
    resolution="Put the same secret into both ends; have the server send Message-Authenticator.",
    fix=("throughway gateway reload",),
    verify=_STATUS,
)

KDC_PROXY_DOWN = Problem(
    code="kdc-proxy-down",
    title="The KDC proxy does not run",
    severity=Severity.CRITICAL,
    component=Component.AUTHORISER,
    cause=(
        "Its process has ended or cannot listen on the address of [kdc_proxy]; computers that "
        "prove themselves by a ticket cannot get one. It is started again by itself."
    ),
    resolution="Stop the program that holds the address, or give the proxy another one.",
    fix=("ss -ltnp", "journalctl -u throughway-gateway"),
    verify=_STATUS,
)

PROBLEMS = (
    KDC_PROXY_DOWN,
    UNREACHABLE,
    STALE,
    CREDENTIALS_REFUSED,
    ANSWER_REFUSED,
    GROUP_UNKNOWN,
    NOBODY,
    COMPUTER_UNKNOWN,
    ACCOUNT_UNKNOWN,
    ACCOUNT_DISABLED,
    ACCOUNT_EXPIRED,
    ACCOUNT_LOCKED,
    GROUP_MISSING,
    COMPUTER_NOT_ALLOWED,
    REALM_UNKNOWN,
    RADIUS_UNREACHABLE,
    RADIUS_SECRET_WRONG,
)
