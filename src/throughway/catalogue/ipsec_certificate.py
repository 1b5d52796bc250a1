"""Problems of the computer certificates that open the IPsec tunnels, on either end."""

from throughway.catalogue.host import CLOCK_SKEW
from throughway.model.findings import Component, Problem, Severity

ISSUE = "throughway pki issue computer COMPUTER"
INSTALL = "throughway client join policy.bundle --certificate COMPUTER.crt --key COMPUTER.key"
RESTART = "systemctl restart throughway-client"
SHOW = "openssl x509 -in CERTIFICATE -noout -subject -issuer -dates -ext extendedKeyUsage"

NO_MACHINE_CERT = Problem(
    code="ipsec-no-machine-cert",
    title="This computer has no certificate for the tunnels",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause="The configured certificate file is missing, unreadable or no certificate (13806).",
    resolution="Issue a computer certificate with client authentication usage and configure it.",
    fix=(ISSUE, INSTALL, RESTART),
    verify=(SHOW, "throughway client status"),
)

CERT_NO_PRIVATE_KEY = Problem(
    code="ipsec-cert-no-private-key",
    title="The computer certificate has no private key",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause="The key file is missing, unreadable, or belongs to another certificate (13820).",
    resolution="Put the key that belongs to the certificate in place, readable by root only.",
    fix=("openssl x509 -in CERTIFICATE -noout -pubkey", "openssl pkey -in KEY -pubout"),
    verify=("throughway client status",),
    depends_on=(NO_MACHINE_CERT,),
)

CERT_EXPIRED = Problem(
    code="ipsec-cert-expired",
    title="The computer certificate has expired",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause="The end of the certificate's validity is past (13801).",
    resolution="Issue a new computer certificate. It can be done while connected in another way.",
    fix=(ISSUE, INSTALL, RESTART),
    verify=(SHOW, "throughway client status"),
    depends_on=(CLOCK_SKEW,),
)

CERT_NOT_YET_VALID = Problem(
    code="ipsec-cert-not-yet-valid",
    title="A tunnel certificate is not valid yet",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause="The certificate's validity begins in the future (13801): mostly a clock is wrong.",
    resolution="Set the clocks of client and gateway; else issue the certificate again.",
    fix=("timedatectl set-ntp true",),
    verify=("timedatectl status", SHOW, "throughway client status"),
    depends_on=(CLOCK_SKEW,),
)

CERT_NAME_MISMATCH = Problem(
    code="ipsec-cert-name-mismatch",
    title="The computer certificate is another computer's",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause=(
        "None of its subject alternative names is the identity in client.toml: the computer was "
        "renamed, or another computer's files were put in place. The gateway knows a computer by "
        "that name."
    ),
    resolution="Issue a certificate for this computer's name, or correct the identity.",
    fix=(ISSUE, INSTALL, RESTART),
    verify=(
        "openssl x509 -in CERTIFICATE -noout -ext subjectAltName",
        "throughway client status",
    ),
)

CERT_MISSING_CLIENT_AUTH = Problem(
    code="ipsec-cert-missing-client-auth",
    title="The computer certificate lacks the client authentication usage",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause="Its extended key usage does not hold clientAuth (1.3.6.1.5.5.7.3.2).",
    resolution="Issue the computer certificate again with that usage.",
    fix=(ISSUE, INSTALL, RESTART),
    verify=(SHOW, "throughway client status"),
)

CERT_WRONG_CHAIN = Problem(
    code="ipsec-cert-wrong-chain",
    title="A tunnel certificate comes from the wrong authority",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause=(
        "The chain of the peer's or of our certificate does not end in the authority that is "
        "configured for the tunnels (13801, 13887)."
    ),
    resolution="Compare the issuers; configure the same authority on both sides.",
    fix=("journalctl -u throughway-gateway --since -10min",),
    verify=(SHOW, "throughway client status"),
)

CERT_REVOKED = Problem(
    code="ipsec-cert-revoked",
    title="A tunnel certificate was revoked",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause="The revocation list names the certificate: this computer was shut out on purpose.",
    resolution="Ask the administrator why. If it was in error, issue a new certificate.",
    fix=(ISSUE, INSTALL, RESTART),
    verify=("openssl crl -in CRL_FILE -noout -text", "throughway client status"),
)

CRL_EXPIRED = Problem(
    code="ipsec-crl-expired",
    title="The revocation list for computer certificates is out of date",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause="Its next update is past; with strict checking every computer is refused.",
    resolution="Publish a new list and let it be renewed by itself.",
    fix=("throughway pki crl --output CRL_FILE", "throughway gateway reload"),
    verify=("openssl crl -in CRL_FILE -noout -nextupdate", "throughway gateway status ipsec"),
    depends_on=(CLOCK_SKEW,),
)

CRL_UNREACHABLE = Problem(
    code="ipsec-crl-unreachable",
    title="The gateway cannot fetch the revocation list for computer certificates",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause=(
        "The gateway checks revocation strictly, and the distribution point does not answer or "
        "the certificate names none (13817, 13848): every computer is refused."
    ),
    resolution=(
        'Mend the distribution point. Until then revocation = "weak" in the gateway\'s '
        "configuration lets computers in that no cached list names."
    ),
    fix=("curl --head CRL_URL", "throughway gateway reload"),
    verify=("throughway gateway status ipsec",),
    depends_on=(CRL_EXPIRED,),
)

OCSP_UNREACHABLE = Problem(
    code="ipsec-ocsp-unreachable",
    title="Nobody answers for a tunnel certificate that has only an OCSP responder",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause=(
        "Revocation is checked strictly, the certificate names no CRL, and its OCSP responder "
        "does not answer, does not know it, or answers what proves nothing: who shows it is "
        "refused (13817, 13848)."
    ),
    resolution=(
        "Mend the responder, or issue certificates that name a CRL as well, which is fetched "
        'before anybody needs it. Until then revocation = "weak" lets it in.'
    ),
    fix=("curl --head OCSP_URL", "throughway gateway reload"),
    verify=("throughway pki cache list", "throughway gateway status ipsec"),
    depends_on=(CLOCK_SKEW,),
)

CRL_NOT_RENEWED = Problem(
    code="ipsec-crl-not-renewed",
    title="A revocation list for computer certificates cannot be renewed",
    severity=Severity.WARNING,
    component=Component.CERTIFICATES,
    cause=(
        "A distribution point does not answer, or what it serves is no list of the authorities "
        "in ipsec.ca. Revocation is checked weakly, so everybody comes in whom no list names that "
        "is kept: also who was revoked since."
    ),
    resolution="Mend the distribution point; see what is kept, and until when it is good.",
    fix=("curl --head CRL_URL",),
    verify=("throughway pki cache list", "throughway gateway status"),
)

CERT_EXPIRING = Problem(
    code="ipsec-cert-expiring",
    title="A tunnel certificate expires soon",
    severity=Severity.WARNING,
    component=Component.CERTIFICATES,
    cause="The end of its validity is near. From that day on the tunnels stay down.",
    resolution="Issue a new certificate for the same name and put it in place.",
    fix=(ISSUE, INSTALL, RESTART),
    verify=("openssl x509 -in CERTIFICATE -noout -enddate",),
    depends_on=(CERT_EXPIRED,),
)

CERT_RENEWAL_DUE = Problem(
    code="ipsec-cert-renewal-due",
    title="A tunnel certificate is to be renewed",
    severity=Severity.INFO,
    component=Component.CERTIFICATES,
    cause="Less than 60 days of its validity are left, a third of its life where that is short.",
    resolution=(
        "Where the deployment has an enrolment service it is renewed by itself; else issue a new "
        "one for the same name in time."
    ),
    fix=(ISSUE, INSTALL, RESTART),
    verify=("openssl x509 -in CERTIFICATE -noout -enddate",),
    depends_on=(CERT_EXPIRED,),
)

CERT_ENDS_THIS_WEEK = Problem(
    code="ipsec-cert-ends-this-week",
    title="A tunnel certificate ends within a week",
    severity=Severity.CRITICAL,
    component=Component.CERTIFICATES,
    cause="Less than 7 days of its validity are left. From its end on the tunnels stay down.",
    resolution="Issue a new certificate for the same name now, and find out why none was renewed.",
    fix=(ISSUE, INSTALL, RESTART),
    verify=("openssl x509 -in CERTIFICATE -noout -enddate",),
    depends_on=(CERT_EXPIRED,),
)

NO_TRUST = (
    NO_MACHINE_CERT,
    CERT_NO_PRIVATE_KEY,
    CERT_EXPIRED,
    CERT_NOT_YET_VALID,
    CERT_NAME_MISMATCH,
    CERT_MISSING_CLIENT_AUTH,
    CERT_WRONG_CHAIN,
    CERT_REVOKED,
    CRL_UNREACHABLE,
    CRL_EXPIRED,
    OCSP_UNREACHABLE,
)
"""Why the first round of authentication fails."""

PROBLEMS = (
    *NO_TRUST,
    *(CERT_EXPIRING, CERT_RENEWAL_DUE, CERT_ENDS_THIS_WEEK, CRL_NOT_RENEWED),
)
