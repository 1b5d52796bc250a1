"""Problems of the certificates on the IP-HTTPS connection: the gateway's and the client's."""

from throughway.catalogue.host import CLOCK_SKEW
from throughway.catalogue.iphttps_peer import TLS_INSPECTED, WRONG_SERVER
from throughway.model.findings import Component, Problem, Severity

ISSUE = "throughway pki issue gateway HOST --output /etc/throughway/gateway --force"
SHOW = "openssl s_client -connect HOST:PORT -servername HOST -showcerts"
WRONG_PEER = (WRONG_SERVER, TLS_INSPECTED)
"""Then the certificate is not even the gateway's."""

EXPIRED = Problem(
    code="iphttps-cert-expired",
    title="The gateway's IP-HTTPS certificate has expired",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause="The end of the certificate's validity is past, by the clock of this machine.",
    resolution="Issue a new certificate for the same name, put it in place and reload the gateway.",
    fix=(ISSUE, "throughway gateway reload"),
    verify=(SHOW, "throughway gateway status"),
    depends_on=(CLOCK_SKEW, *WRONG_PEER),
)

NOT_YET_VALID = Problem(
    code="iphttps-cert-not-yet-valid",
    title="The gateway's IP-HTTPS certificate is not valid yet",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause="The certificate's validity begins in the future: mostly a clock is wrong.",
    resolution="Set the clocks of client and gateway; else issue the certificate again.",
    fix=("timedatectl set-ntp true",),
    verify=("timedatectl status", SHOW),
    depends_on=(CLOCK_SKEW, *WRONG_PEER),
)

NAME_MISMATCH = Problem(
    code="iphttps-cert-name-mismatch",
    title="The gateway's certificate is for another name",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "None of the certificate's subject alternative names is the host of the IP-HTTPS URL: "
        "the wrong certificate is bound, the public name was changed, or another server answers."
    ),
    resolution="Bind a certificate that has the URL's host among its alternative names.",
    fix=(ISSUE, "throughway gateway reload"),
    verify=(SHOW, "throughway client status"),
    depends_on=WRONG_PEER,
)

UNTRUSTED_ROOT = Problem(
    code="iphttps-cert-untrusted-root",
    title="The gateway's certificate comes from an authority this client does not trust",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "The chain ends in a root that is neither in the system's store nor among the policy's "
        "trust anchors, or the certificate is signed by itself. It can also mean that a device "
        "in between shows a certificate of its own."
    ),
    resolution=(
        "Compare the fingerprint of the root with the administrator's. If it is the right one, "
        "add it to the trust anchors of the policy, or to the system's store."
    ),
    fix=("update-ca-certificates", "throughway client join policy.bundle"),
    verify=(SHOW, "throughway client status"),
    depends_on=WRONG_PEER,
)

INTERMEDIATE_MISSING = Problem(
    code="iphttps-cert-intermediate-missing",
    title="The gateway does not send its intermediate certificate",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause="The chain from the gateway's certificate to its root has a gap.",
    resolution=(
        "Append the intermediate certificates to the gateway's certificate file, the gateway's "
        "own first, and reload."
    ),
    fix=("throughway gateway reload",),
    verify=(SHOW,),
    depends_on=WRONG_PEER,
)

REVOKED = Problem(
    code="iphttps-cert-revoked",
    title="The gateway's certificate was revoked",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "Its authority says so in the revocation list or by its OCSP responder: the key may be "
        "stolen."
    ),
    resolution="Issue a certificate with a new key and find out why the old one was revoked.",
    fix=(ISSUE, "throughway gateway reload"),
    verify=(SHOW, "throughway client status"),
    depends_on=WRONG_PEER,
)

NO_CRL_DISTRIBUTION_POINT = Problem(
    code="iphttps-cert-no-crl-distribution-point",
    title="The gateway's certificate does not say where it could be revoked",
    severity=Severity.WARNING,
    component=Component.IPHTTPS,
    cause=(
        "Without a CRL distribution point nobody can check revocation; Windows 7 clients refuse "
        "such a certificate (0x80092012)."
    ),
    resolution="Issue the certificate with a distribution point that is reachable from outside.",
    fix=(ISSUE, "throughway gateway reload"),
    verify=(SHOW,),
    depends_on=WRONG_PEER,
)

CRL_EXPIRED = Problem(
    code="iphttps-crl-expired",
    title="The revocation list for the gateway's certificate is out of date",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause="The authority has not published a new list (or delta list) before the old one ended.",
    resolution="Publish a new list at the distribution point, and let it be renewed by itself.",
    fix=("throughway pki crl --output CRL_FILE",),
    verify=("curl --remote-name CRL_URL", "openssl crl -in CRL_FILE -noout -nextupdate"),
    depends_on=(CLOCK_SKEW, *WRONG_PEER),
)

CRL_UNREACHABLE = Problem(
    code="iphttps-crl-unreachable",
    title="The revocation list for the gateway's certificate cannot be fetched",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "The distribution point in the certificate does not answer from outside: it has only an "
        "internal name, its host is down, or an NRPT rule sends its name to the intranet."
    ),
    resolution=(
        "Publish the list on a web server that anybody can reach, and exempt its name in the NRPT."
    ),
    verify=("curl --head CRL_URL", "throughway client status"),
    depends_on=(CRL_EXPIRED, *WRONG_PEER),
)

CLIENT_CERT_REQUIRED = Problem(
    code="iphttps-client-cert-required",
    title="The gateway asks for a client certificate, and this client sent none",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "The IP-HTTPS server (or a device before it) authenticates clients by certificate; the "
        "client has none from an authority it named."
    ),
    resolution=(
        "Give the client its computer certificate, or set the server's authentication mode to "
        "none: the tunnels authenticate the computer anyway."
    ),
    fix=("openssl x509 -in CERTIFICATE -noout -subject -issuer -dates",),
    verify=("throughway client status",),
    depends_on=WRONG_PEER,
)

CLIENT_CERT_REJECTED = Problem(
    code="iphttps-client-cert-rejected",
    title="The gateway refuses the client's certificate",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "The certificate that the client sent is expired, revoked, lacks the client "
        "authentication usage, or comes from an authority that the server does not accept."
    ),
    resolution="Read the gateway's log for the reason; renew the computer certificate.",
    fix=(
        "openssl x509 -in CERTIFICATE -noout -subject -issuer -dates -ext extendedKeyUsage",
        "journalctl -u throughway-gateway --since -10min",
    ),
    verify=("throughway client status",),
    depends_on=(CLOCK_SKEW, *WRONG_PEER),
)

NO_USABLE_CERT = Problem(
    code="iphttps-no-usable-cert",
    title="There is no usable certificate for IP-HTTPS",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "The certificate file is missing or unreadable, its private key does not belong to it, "
        "or it lacks the name or the usage that is needed (server authentication on the "
        "gateway, client authentication on the client)."
    ),
    resolution="Issue a certificate with the right name and usage and configure it with its key.",
    fix=(
        "openssl x509 -in CERTIFICATE -noout -subject -dates -ext subjectAltName,extendedKeyUsage",
    ),
    verify=("throughway gateway status iphttps", "throughway client status"),
    depends_on=(NAME_MISMATCH,),
)

EXPIRING = Problem(
    code="iphttps-cert-expiring",
    title="The gateway's IP-HTTPS certificate expires soon",
    severity=Severity.WARNING,
    component=Component.CERTIFICATES,
    cause="The end of its validity is near. On that day every client is cut off.",
    resolution="Issue a new certificate for the same name, put it in place and reload the gateway.",
    fix=(ISSUE, "throughway gateway reload"),
    verify=("openssl x509 -in CERTIFICATE -noout -enddate", "throughway gateway status"),
    depends_on=(EXPIRED,),
)

RENEWAL_DUE = Problem(
    code="iphttps-cert-renewal-due",
    title="The gateway's IP-HTTPS certificate is to be renewed",
    severity=Severity.INFO,
    component=Component.CERTIFICATES,
    cause="Less than 60 days of its validity are left, a third of its life where that is short.",
    resolution=(
        "Where the gateway has an [enrolment] and its authority issued the certificate, it is "
        "renewed by itself; else issue a new one for the same name in time."
    ),
    fix=(ISSUE, "throughway gateway reload"),
    verify=("openssl x509 -in CERTIFICATE -noout -enddate", "throughway gateway status"),
    depends_on=(EXPIRED,),
)

ENDS_THIS_WEEK = Problem(
    code="iphttps-cert-ends-this-week",
    title="The gateway's IP-HTTPS certificate ends within a week",
    severity=Severity.CRITICAL,
    component=Component.CERTIFICATES,
    cause="Less than 7 days of its validity are left. At its end every client is cut off.",
    resolution="Issue a new certificate for the same name now, put it in place and reload.",
    fix=(ISSUE, "throughway gateway reload"),
    verify=("openssl x509 -in CERTIFICATE -noout -enddate", "throughway gateway status"),
    depends_on=(EXPIRED,),
)

NO_TRUST = (
    EXPIRED,
    NOT_YET_VALID,
    NAME_MISMATCH,
    UNTRUSTED_ROOT,
    INTERMEDIATE_MISSING,
    REVOKED,
    CRL_UNREACHABLE,
    CRL_EXPIRED,
    CLIENT_CERT_REQUIRED,
    CLIENT_CERT_REJECTED,
    NO_USABLE_CERT,
)
"""Why the link does not come up although the gateway answers."""

REFUSED = (
    EXPIRED,
    NOT_YET_VALID,
    NAME_MISMATCH,
    UNTRUSTED_ROOT,
    INTERMEDIATE_MISSING,
    REVOKED,
    NO_CRL_DISTRIBUTION_POINT,
    CRL_UNREACHABLE,
    CRL_EXPIRED,
    CLIENT_CERT_REQUIRED,
    CLIENT_CERT_REJECTED,
)
"""Why one side breaks the handshake off because of the other's certificate."""

PROBLEMS = (*NO_TRUST, NO_CRL_DISTRIBUTION_POINT, EXPIRING, RENEWAL_DUE, ENDS_THIS_WEEK)
