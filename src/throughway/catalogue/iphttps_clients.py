"""Problems of clients that the gateway does not let onto the link, and of the ADC before it.

The client of each hears ``iphttps-client-cert-required`` or ``iphttps-client-cert-rejected``; these
are the gateway's words for the same moment, in its status and its log.
"""

from throughway.catalogue.host import CLOCK_SKEW
from throughway.model.findings import Component, Problem, Severity

_LOG = "journalctl -u throughway-gateway --since -10min"
_STATUS = "throughway gateway status"
_SHOW = "openssl x509 -in CERTIFICATE -noout -subject -issuer -dates -ext extendedKeyUsage"

WITHOUT_CERTIFICATE = Problem(
    code="iphttps-client-cert-none",
    title="A client showed no certificate, and IP-HTTPS wants one",
    severity=Severity.WARNING,
    component=Component.IPHTTPS,
    cause=(
        "The authentication mode is certificates. What connected has no computer certificate, or "
        "is no client of this deployment: scanners of the Internet come here too."
    ),
    resolution=(
        "Where it is a computer of yours, issue it a certificate and configure that on the client. "
        "Otherwise there is nothing to do: it was refused."
    ),
    fix=("throughway pki issue computer COMPUTER",),
    verify=(_STATUS, _LOG),
)

UNTRUSTED = Problem(
    code="iphttps-client-cert-untrusted",
    title="A client's certificate comes from an authority that is not accepted",
    severity=Severity.WARNING,
    component=Component.IPHTTPS,
    cause=(
        "The certificate does not lead to an authority in client_ca: it is another deployment's, "
        "an intermediate authority is missing, or the ADC could not verify it."
    ),
    resolution=(
        "Compare the issuer with the authorities in client_ca. Put the intermediate authority into "
        "that file, or issue the client a certificate of the right authority."
    ),
    fix=(_SHOW, "throughway gateway reload"),
    verify=(_STATUS, _LOG),
)

EXPIRED = Problem(
    code="iphttps-client-cert-expired",
    title="A client's certificate is not in force any more, or not yet",
    severity=Severity.WARNING,
    component=Component.IPHTTPS,
    cause="Its time is over and nobody renewed it, or a clock is wrong, here or on the client.",
    resolution="Compare the clocks; renew the computer's certificate.",
    fix=("throughway pki issue computer COMPUTER", "timedatectl status"),
    verify=(_STATUS, _LOG),
    depends_on=(CLOCK_SKEW,),
)

REVOKED = Problem(
    code="iphttps-client-cert-revoked",
    title="A client came with a certificate that was revoked",
    severity=Severity.WARNING,
    component=Component.IPHTTPS,
    cause=(
        "The authority's list in client_crls names the certificate: the computer was lost or "
        "retired, or its certificate was replaced and the old one is still in use."
    ),
    resolution=(
        "Find out who uses it. A computer that may come back needs a new certificate and key."
    ),
    fix=("throughway pki list", "throughway pki issue computer COMPUTER"),
    verify=(_STATUS, _LOG),
)

WRONG_USAGE = Problem(
    code="iphttps-client-cert-usage",
    title="A client's certificate may not be used by a TLS client",
    severity=Severity.WARNING,
    component=Component.IPHTTPS,
    cause=(
        "Its extended key usage lacks client authentication (1.3.6.1.5.5.7.3.2): the template is "
        "one for servers, or for IPsec alone."
    ),
    resolution="Issue the computer a certificate with the usage client authentication.",
    fix=(_SHOW, "throughway pki issue computer COMPUTER"),
    verify=(_STATUS, _LOG),
)

CRL_UNUSABLE = Problem(
    code="iphttps-client-crl-unusable",
    title="Revocation of clients' certificates cannot be checked: every client is refused",
    severity=Severity.CRITICAL,
    component=Component.IPHTTPS,
    cause=(
        "client_crls is configured, and the list of the client's authority is missing there or "
        "its time is over."
    ),
    resolution=(
        "Put the authority's current list in place and reload the gateway; let that be done by "
        "itself before the list ends. Without client_crls revocation is not checked here."
    ),
    fix=("throughway pki crl --output CRL_FILE", "throughway gateway reload"),
    verify=("openssl crl -in CRL_FILE -noout -issuer -nextupdate", _STATUS),
    depends_on=(CLOCK_SKEW,),
)

STRANGER = Problem(
    code="iphttps-adc-stranger",
    title="Somebody else than the ADC connects to the ADC's port",
    severity=Severity.WARNING,
    component=Component.IPHTTPS,
    cause=(
        "A connection to an address of iphttps.adc.listen came from outside iphttps.adc.addresses. "
        "It was closed: what comes there is believed."
    ),
    resolution=(
        "Where it is your ADC, add the address that it connects from. Otherwise let a firewall "
        "keep that port closed to everybody else."
    ),
    fix=("throughway gateway check", "throughway gateway reload"),
    verify=(_STATUS, _LOG),
)

HEADER_MISSING = Problem(
    code="iphttps-adc-header-missing",
    title="The ADC sends no PROXY header before its connections",
    severity=Severity.WARNING,
    component=Component.IPHTTPS,
    cause=(
        "iphttps.adc.proxy_protocol is on, and a connection from the ADC did not begin with a "
        "PROXY header (version 1 or 2) that could be read. It was closed: without the header "
        "nobody knows whose it is. A problem of the gateway's it is when five came in a row, and "
        "nobody got in meanwhile; it is over when somebody does, or none comes for twenty minutes."
    ),
    resolution=(
        "Switch the PROXY protocol on there (nginx: proxy_protocol on; HAProxy: send-proxy-v2), "
        "or set proxy_protocol = false here: then limits for each source do not hold."
    ),
    fix=("throughway gateway check", "throughway gateway reload"),
    verify=(_STATUS, _LOG),
)

HEADER_FORGED = Problem(
    code="iphttps-adc-header-forged",
    title="A client sent headers that only the ADC may send",
    severity=Severity.WARNING,
    component=Component.IPHTTPS,
    cause=(
        "A request held the header for a client's certificate, or for what became of it, and did "
        "not come from the ADC, or held it twice: somebody tries to pass for another computer, or "
        "the ADC adds its own header without taking the client's away."
    ),
    resolution=(
        "Let the ADC replace both headers in every request (nginx: proxy_set_header; HAProxy: "
        "http-request set-header, never add-header). The request was refused."
    ),
    fix=(_LOG,),
    verify=(_STATUS,),
)

PROBLEMS = (
    WITHOUT_CERTIFICATE,
    UNTRUSTED,
    EXPIRED,
    REVOKED,
    WRONG_USAGE,
    CRL_UNUSABLE,
    STRANGER,
    HEADER_MISSING,
    HEADER_FORGED,
)
