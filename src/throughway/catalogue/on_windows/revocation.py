"""What mends the revocation of certificates where client and server run Windows.

certutil asks as the system does; its caches outlive a mended distribution point, so that they
are emptied, and the time from which they count is set to now.
"""

from collections.abc import Mapping

from throughway.catalogue import iphttps_clients as clients
from throughway.catalogue import iphttps_revocation as revocation
from throughway.catalogue import ipsec_certificate as tunnels
from throughway.catalogue import location
from throughway.model.findings import Advice, Problem

VERIFY = "certutil -verify -urlfetch CERTIFICATE"
LISTS, ANSWERS = "certutil -urlcache CRL delete", "certutil -urlcache OCSP delete"
RESYNC = r"certutil -setreg chain\ChainCacheResyncFiletime @now"
EMPTIED = (LISTS, ANSWERS, RESYNC)
PUBLISH = "certutil -crl"
_KEPT = "certutil -urlcache CRL"
_DUMP = "certutil -dump CRL_FILE"
_STATE = "netsh interface httpstunnel show interfaces"
_REBIND = "Set-RemoteAccess -SslCertificate (Get-Item Cert:/LocalMachine/My/THUMBPRINT)"
_WEAK = "netsh advfirewall set global ipsec strongcrlcheck 1"
_ESCAPING = (
    "Set-WebConfigurationProperty -PSPath IIS:/ -Name allowDoubleEscaping -Value True "
    "-Filter system.webServer/security/requestFiltering"
)
_GLOBAL = "netsh advfirewall show global"
_STORE = "certutil -v -store My"
_MAIN = "netsh advfirewall monitor show mmsa"
_ENROL = ("certutil -pulse", "gpupdate /force")
_AGAIN = "Restart-Service NlaSvc -Force"
_LOOK = "Invoke-WebRequest NLS_URL -UseBasicParsing"
_INSIDE = "netsh dnsclient show state"

PROBLEMS: tuple[Problem, ...] = ()

_SERVER: Mapping[str, Advice] = {
    revocation.UNCHECKABLE.code: Advice(
        cause=(
            "The IP-HTTPS certificate names no http distribution point and no OCSP responder "
            "(0x80092012). Clients of Windows check it always and refuse the server; an ldap "
            "address cannot be asked from outside."
        ),
        resolution="Add an http distribution point to the authority, issue anew, and bind that.",
        fix=(_REBIND,),
        verify=(VERIFY, _STATE),
    ),
    revocation.DELTA_MISSING.code: Advice(
        cause=(
            "The delta list cannot be had (0x80092013): it is not copied to the distribution "
            "point, or IIS refuses the + in its name."
        ),
        resolution="Copy it there and allow double escaping; or have the authority make none.",
        fix=(
            _ESCAPING,
            r"certutil -setreg CA\CRLDeltaPeriodUnits 0",
            "Restart-Service CertSvc",
            PUBLISH,
            *EMPTIED,
        ),
        verify=(VERIFY, _STATE),
    ),
    revocation.WRONG_SIGNER.code: Advice(
        cause=(
            "The list at the distribution point was signed by another authority or with an older "
            "key of it: after a renewal with a new key each key has a list of its own."
        ),
        resolution="Publish the lists of all keys, each at the address that its certificates name.",
        fix=(PUBLISH, *EMPTIED),
        verify=(_DUMP, VERIFY),
    ),
    revocation.UNUSABLE.code: Advice(
        cause="What the distribution point serves is no list for this certificate: a page, often.",
        resolution="Copy the authority's list there again; see that no portal answers instead.",
        fix=(PUBLISH, *EMPTIED),
        verify=(_DUMP, VERIFY),
    ),
    revocation.OCSP_UNREACHABLE.code: Advice(
        cause="The online responder cannot be reached from outside, and no list is named beside.",
        resolution="Publish the responder on the Internet, or a list that is named beside it.",
        fix=("Restart-Service OcspSvc", ANSWERS, RESYNC),
        verify=(VERIFY, _STATE),
    ),
    revocation.OCSP_UNKNOWN.code: Advice(
        cause="The online responder has no revocation configuration for the issuing authority.",
        resolution="Add one for that authority, and for each of its keys, on the responder.",
        fix=("Restart-Service OcspSvc", ANSWERS, RESYNC),
        verify=(VERIFY,),
    ),
    revocation.OCSP_UNTRUSTED.code: Advice(
        cause=(
            "The responder's signing certificate has expired, or is not of the authority that "
            "issued the certificate."
        ),
        resolution="Let the responder enrol a signing certificate (OCSP Response Signing) anew.",
        fix=("certutil -pulse", "Restart-Service OcspSvc", ANSWERS),
        verify=(VERIFY,),
    ),
    revocation.OCSP_UNUSABLE.code: Advice(
        cause="The responder answers with an error, or with what is out of date: its list is.",
        resolution="Publish a new list where the responder reads it, and start it again.",
        fix=(PUBLISH, "Restart-Service OcspSvc", ANSWERS, RESYNC),
        verify=(VERIFY,),
    ),
    revocation.WRONG_USAGE.code: Advice(
        cause="The IP-HTTPS certificate lacks the usage server authentication (0x800B0110).",
        resolution="Issue it from a template for web servers, and bind that.",
        fix=(_REBIND,),
        verify=(_STORE, _STATE),
    ),
    revocation.CHAIN_INVALID.code: Advice(
        cause="A certificate of the chain breaks a rule: constraints, usage, a weak signature.",
        resolution="Look at what certutil names, and issue that certificate anew.",
        fix=(VERIFY, _REBIND),
        verify=(VERIFY, _STATE),
    ),
    clients.REVOKED.code: Advice(
        cause="The client's certificate for IP-HTTPS is in the server's revocation list.",
        resolution="Ask the authority's administrator why; then enrol a new one.",
        fix=_ENROL,
        verify=(VERIFY, _STATE),
    ),
    clients.CRL_UNUSABLE.code: Advice(
        cause="The list by which the server checks clients' certificates cannot be used.",
        resolution="Publish a new list of the authority that issues them.",
        fix=(PUBLISH, *EMPTIED),
        verify=(VERIFY,),
    ),
}
_TUNNELS: Mapping[str, Advice] = {
    tunnels.OCSP_UNREACHABLE.code: Advice(
        cause=(
            "The peer's certificate has only an OCSP responder, nobody answers there, and the "
            "check is strict (13817, 13848)."
        ),
        resolution="Mend the responder or name a list as well; check less strictly meanwhile.",
        fix=(VERIFY, ANSWERS, RESYNC, _WEAK),
        verify=(_GLOBAL, _MAIN),
    ),
    tunnels.CRL_NOT_RENEWED.code: Advice(
        cause="The revocation list of the computers' authority cannot be fetched any more.",
        resolution="Mend the distribution point before the list that is kept ends.",
        fix=(VERIFY, PUBLISH, *EMPTIED),
        verify=(_KEPT, _GLOBAL),
    ),
    tunnels.CERT_RENEWAL_DUE.code: Advice(
        cause="Less than 60 days, or a third, of the computer certificate's life are left.",
        resolution="See that autoenrolment reaches the authority.",
        fix=_ENROL,
        verify=(_STORE,),
    ),
    tunnels.CERT_ENDS_THIS_WEEK.code: Advice(
        cause="The computer certificate ends within a week; then the tunnels stay down.",
        resolution="Enrol a new one now, inside or over a VPN.",
        fix=_ENROL,
        verify=(_STORE,),
    ),
}
_LOCATION: Mapping[str, Advice] = {
    location.NLS_CRL_UNREACHABLE.code: Advice(
        cause=(
            "Windows checks the revocation of the network location server's certificate, and "
            "neither list nor responder can be reached inside: published on the Internet only, "
            "or behind a proxy that the system does not use. Clients in the intranet then believe "
            "to be outside, try to build tunnels, and resolve no intranet name meanwhile."
        ),
        resolution=(
            "Make the distribution point reachable inside without a proxy, empty the caches, and "
            "let the client look again."
        ),
        fix=(VERIFY, *EMPTIED, _AGAIN),
        verify=(_LOOK, _INSIDE),
    ),
    location.NLS_CRL_UNUSABLE.code: Advice(
        cause=(
            "What the distribution point of the network location server's certificate serves is "
            "out of date or no list for it. Clients in the intranet then believe to be outside."
        ),
        resolution="Publish a current list, empty the caches, and let the client look again.",
        fix=(PUBLISH, *EMPTIED, _AGAIN),
        verify=(VERIFY, _INSIDE),
    ),
    location.NLS_CERT_REVOKED.code: Advice(
        cause="The network location server shows a certificate that was revoked.",
        resolution="Bind a new one there; clients inside believe to be outside until then.",
        fix=("Set-DANetworkLocationServer -Url NLS_URL", *EMPTIED, _AGAIN),
        verify=(_LOOK, _INSIDE),
    ),
}
ADVICE: Mapping[str, Advice] = {**_SERVER, **_TUNNELS, **_LOCATION}
