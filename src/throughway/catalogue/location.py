"""Problems of finding out whether the client is inside or outside."""

from throughway.catalogue.host import CLOCK_SKEW
from throughway.model.findings import Component, Problem, Severity

NLS_CERTIFICATE_INVALID = Problem(
    code="nls-certificate-invalid",
    title="The network location server shows a certificate that proves nothing",
    severity=Severity.CRITICAL,
    component=Component.LOCATION,
    cause=(
        "The certificate of the network location server is expired, for another name, or from "
        "an authority that is not among the policy's trust anchors. Clients in the intranet "
        "then believe to be outside."
    ),
    resolution="Renew the certificate of the web server behind the URL.",
    verify=("curl --head NLS_URL", "throughway client status"),
    depends_on=(CLOCK_SKEW,),
)

NLS_CRL_UNREACHABLE = Problem(
    code="nls-crl-unreachable",
    title="The network location server counts for nothing: its revocation list cannot be fetched",
    severity=Severity.CRITICAL,
    component=Component.LOCATION,
    cause=(
        "The location server answers, but whether its certificate was revoked must be checked, "
        "and neither its CRL nor its OCSP responder can be reached from here. So it proves "
        "nothing, and a client in the intranet believes to be outside: it builds tunnels that "
        "cannot be built from inside, and intranet names do not resolve meanwhile. Mostly the "
        "distribution point is published on the Internet alone, or lies behind a proxy that is "
        "asked for only by browsers. Windows always checks it."
    ),
    resolution=(
        "Make the distribution point reachable from inside, without a proxy and by http; or check "
        'less strictly: location = "weak" under [publish.revocation].'
    ),
    fix=("curl --head CRL_URL", "throughway client refresh"),
    verify=("throughway pki cache list", "throughway client status"),
    depends_on=(NLS_CERTIFICATE_INVALID,),
)

NLS_CRL_UNUSABLE = Problem(
    code="nls-crl-unusable",
    title="The network location server counts for nothing: its revocation cannot be checked",
    severity=Severity.CRITICAL,
    component=Component.LOCATION,
    cause=(
        "Whether the location server's certificate was revoked must be checked, and what its "
        "distribution point or OCSP responder serves proves nothing: out of date, another "
        "authority's, without its delta list, no list at all; or the certificate names no place "
        "to ask. Clients in the intranet then believe to be outside."
    ),
    resolution=(
        "Publish a current list of the authority that issued the certificate, or issue one with "
        "an http distribution point."
    ),
    fix=("throughway pki crl --output CRL_FILE", "throughway client refresh"),
    verify=("openssl crl -in CRL_FILE -noout -issuer -nextupdate", "throughway client status"),
    depends_on=(CLOCK_SKEW, NLS_CERTIFICATE_INVALID),
)

NLS_CERT_REVOKED = Problem(
    code="nls-cert-revoked",
    title="The network location server's certificate was revoked",
    severity=Severity.CRITICAL,
    component=Component.LOCATION,
    cause=(
        "The revocation list or the OCSP responder names it: an old certificate is still in "
        "place, or somebody else plays the location server. Clients in the intranet believe to "
        "be outside."
    ),
    resolution="Put a new certificate in place, if this is the real location server.",
    fix=("throughway pki issue server NAME", "throughway client refresh"),
    verify=("curl --head NLS_URL", "throughway client status"),
)

OF_CERTIFICATE = (NLS_CERTIFICATE_INVALID, NLS_CERT_REVOKED, NLS_CRL_UNREACHABLE, NLS_CRL_UNUSABLE)
"""Why a location server that answers proves nothing."""

NLS_UNREACHABLE_INSIDE = Problem(
    code="nls-unreachable-inside",
    title="The network location server does not answer in the intranet",
    severity=Severity.WARNING,
    component=Component.LOCATION,
    cause=(
        "A domain controller answers without a tunnel, so this machine is inside, but none of "
        "the location URLs does: their web server is down or its name is not in the DNS."
    ),
    resolution=(
        "Mend the web server, and run two. Only https counts: that it does not answer a ping is "
        "no fault."
    ),
    verify=("curl --head NLS_URL", "throughway client status"),
    depends_on=OF_CERTIFICATE,
)

NLS_REACHABLE_OUTSIDE = Problem(
    code="nls-reachable-outside",
    title="The network location server answers from outside",
    severity=Severity.CRITICAL,
    component=Component.LOCATION,
    cause=(
        "The location URL is published to the Internet or reachable through another VPN. "
        "Clients outside then believe to be inside and open no tunnels."
    ),
    resolution="Make the location server's address unreachable from outside the intranet.",
    verify=("curl --head NLS_URL", "throughway client status"),
)

INSIDE_DETECTED_WRONGLY = Problem(
    code="inside-detected-wrongly",
    title="The client believes to be inside, but nothing of the intranet answers",
    severity=Severity.CRITICAL,
    component=Component.LOCATION,
    cause=(
        "A location URL was answered with a valid certificate, yet no domain controller or "
        "intranet DNS server can be reached without a tunnel."
    ),
    resolution="Find out what answers the location URL from here, and let the client look again.",
    fix=("throughway client refresh",),
    verify=("curl --verbose --head NLS_URL", "throughway client status"),
    depends_on=(NLS_REACHABLE_OUTSIDE,),
    visible_after=30.0,
)

OUTSIDE_DETECTED_WRONGLY = Problem(
    code="outside-detected-wrongly",
    title="The client is in the intranet, but believes to be outside",
    severity=Severity.CRITICAL,
    component=Component.LOCATION,
    cause=(
        "An intranet address is on this machine's own network, but no location URL answers with "
        "a valid certificate. Tunnels are tried that cannot be built from here."
    ),
    resolution="Mend the network location server, then let the client look again.",
    fix=("throughway client refresh",),
    verify=("curl --verbose --head NLS_URL", "throughway client status"),
    depends_on=(*OF_CERTIFICATE, NLS_UNREACHABLE_INSIDE),
    visible_after=30.0,
)

PROBLEMS = (
    *OF_CERTIFICATE,
    NLS_UNREACHABLE_INSIDE,
    NLS_REACHABLE_OUTSIDE,
    INSIDE_DETECTED_WRONGLY,
    OUTSIDE_DETECTED_WRONGLY,
)
