"""Problems of getting a certificate and of keeping it fresh: joining by token, renewal."""

from throughway.catalogue.host import CLOCK_SKEW
from throughway.model.findings import Component, Problem, Severity

TOKEN = "throughway pki token COMPUTER"
JOIN = "throughway client join https://HOST --token TOKEN"
TOKENS = "throughway pki tokens"

TOKEN_UNKNOWN = Problem(
    code="enrolment-token-unknown",
    title="The authority does not know this token",
    severity=Severity.CRITICAL,
    component=Component.CERTIFICATES,
    cause=(
        "The token was not copied whole, is of another authority, or a newer one was made for the "
        "same computer: that makes the older one void."
    ),
    resolution="Have the administrator make a new token, and join with it as it is shown.",
    fix=(TOKEN, JOIN),
    verify=(TOKENS, "throughway client status"),
)

TOKEN_USED = Problem(
    code="enrolment-token-used",
    title="This token was used before",
    severity=Severity.CRITICAL,
    component=Component.CERTIFICATES,
    cause=(
        "A token is good for one computer once. Either this computer has joined already and lost "
        "its files since, or somebody else has used the token."
    ),
    resolution=(
        "Look in the authority's list when it was used. If that was not this computer, revoke the "
        "certificate that was given for it. Then make a new token."
    ),
    fix=(TOKENS, "throughway pki revoke COMPUTER", TOKEN, JOIN),
    verify=(TOKENS,),
)

TOKEN_EXPIRED = Problem(
    code="enrolment-token-expired",
    title="This token has expired",
    severity=Severity.CRITICAL,
    component=Component.CERTIFICATES,
    cause="A token counts for 7 days, unless it was made otherwise, by the authority's clock.",
    resolution="Have the administrator make a new one.",
    fix=(TOKEN, JOIN),
    verify=(TOKENS,),
    depends_on=(CLOCK_SKEW,),
)

NAME_MISMATCH = Problem(
    code="enrolment-name-mismatch",
    title="The token or certificate is for another name",
    severity=Severity.CRITICAL,
    component=Component.CERTIFICATES,
    cause="The request asks for a name that its token, or the certificate it renews, has not.",
    resolution="Make a token for this computer's own name; a renewal changes no name.",
    fix=(TOKEN, JOIN),
    verify=(TOKENS,),
)

REQUEST_REFUSED = Problem(
    code="enrolment-request-refused",
    title="The authority refuses the request for a certificate",
    severity=Severity.CRITICAL,
    component=Component.CERTIFICATES,
    cause=(
        "The request is malformed, its key is too weak, it asks for something that nobody gets, "
        "or the certificate that it would renew was revoked, has expired or is not the authority's."
    ),
    resolution="The words behind say which. Where the certificate is lost, join by a new token.",
    fix=(TOKEN, JOIN),
    verify=("openssl x509 -in CERTIFICATE -noout -subject -issuer -dates", TOKENS),
    depends_on=(CLOCK_SKEW,),
)

AUTHORITY_OFFLINE = Problem(
    code="enrolment-authority-offline",
    title="The authority that enrols computers does not answer",
    severity=Severity.WARNING,
    component=Component.CERTIFICATES,
    cause=(
        "The enrolment service is not running or cannot be reached at the given name and port "
        "(8443 unless the URL says another), or its half that has the key has failed."
    ),
    resolution="Start it, open its port, and try again: a token stays good until it is used.",
    fix=("systemctl restart throughway-authority", "journalctl -u throughway-authority"),
    verify=("curl --insecure https://HOST:8443/.well-known/est/cacerts",),
)

AT_IPHTTPS = Problem(
    code="enrolment-at-iphttps",
    title="The URL leads to IP-HTTPS, not to the authority that enrols computers",
    severity=Severity.WARNING,
    component=Component.CERTIFICATES,
    cause=(
        "Port 443 of the gateway is that of IP-HTTPS, by which computers come in that have joined. "
        "The authority, where they join, has a port of its own: 8443 unless it is configured "
        "otherwise."
    ),
    resolution=(
        "Join at the name alone, which means port 8443, or at the port that the administrator has "
        "named. The token stays good."
    ),
    fix=(JOIN,),
    verify=("curl --insecure https://HOST:8443/.well-known/est/cacerts",),
)

SERVER_NOT_GENUINE = Problem(
    code="enrolment-server-not-genuine",
    title="The server that answers is not the authority which made the token",
    severity=Severity.CRITICAL,
    component=Component.CERTIFICATES,
    cause=(
        "A token carries the fingerprint of its authority, and the server shows another one: the "
        "URL or the token is another deployment's, the authority was made anew since, or somebody "
        "in between (a proxy that inspects TLS, or worse) poses as the server."
    ),
    resolution="Compare URL and token with the administrator; join from another network.",
    fix=(JOIN,),
    verify=("throughway pki show",),
)

NOT_RENEWED = Problem(
    code="certificate-not-renewed",
    title="A certificate that is due could not be renewed",
    severity=Severity.WARNING,
    component=Component.CERTIFICATES,
    cause=(
        "Two thirds of the certificate's life are over, and the authority has not given another: "
        "it does not answer through the infrastructure tunnel, or it refuses."
    ),
    resolution="It is tried again by itself, and the old one counts until its end. Mend the cause.",
    fix=("systemctl restart throughway-authority", "journalctl -u throughway-authority"),
    verify=("openssl x509 -in CERTIFICATE -noout -dates", "throughway client status"),
    depends_on=(AUTHORITY_OFFLINE, REQUEST_REFUSED, NAME_MISMATCH, CLOCK_SKEW),
)

PROBLEMS = (
    TOKEN_UNKNOWN,
    TOKEN_USED,
    TOKEN_EXPIRED,
    NAME_MISMATCH,
    REQUEST_REFUSED,
    AUTHORITY_OFFLINE,
    AT_IPHTTPS,
    SERVER_NOT_GENUINE,
    NOT_RENEWED,
)
