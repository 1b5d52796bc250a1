"""What mends the certificates of IP-HTTPS where client and server run Windows."""

from collections.abc import Mapping

from throughway.catalogue import iphttps_certificate as certificate
from throughway.catalogue.on_windows.revocation import EMPTIED, PUBLISH
from throughway.catalogue.on_windows.revocation import VERIFY as _VERIFY
from throughway.model.findings import Advice, Problem

_STATE = "netsh interface httpstunnel show interfaces"
_STORE = "certutil -store My"
_REBIND = "Set-RemoteAccess -SslCertificate (Get-Item Cert:/LocalMachine/My/THUMBPRINT)"

PROBLEMS: tuple[Problem, ...] = ()

ADVICE: Mapping[str, Advice] = {
    certificate.EXPIRED.code: Advice(
        cause="The server's IP-HTTPS certificate has expired, or the client's clock is wrong.",
        resolution="Renew the certificate and bind it to IP-HTTPS; check the client's date.",
        fix=(_REBIND,),
        verify=(_STORE, _STATE),
    ),
    certificate.NOT_YET_VALID.code: Advice(
        cause="The IP-HTTPS certificate is not valid yet: the client's or the CA's clock is wrong.",
        resolution="Set the clock right.",
        fix=("w32tm /resync",),
        verify=("w32tm /query /status", _STATE),
    ),
    certificate.NAME_MISMATCH.code: Advice(
        cause=(
            "The host name of the URL is not among the names of the server's certificate, or "
            "its subject holds more than the name; the client finds no certificate that fits."
        ),
        resolution="Issue a certificate for exactly the public name and bind it to IP-HTTPS.",
        fix=(_REBIND,),
        verify=(_STORE, _STATE),
    ),
    certificate.UNTRUSTED_ROOT.code: Advice(
        cause=(
            "The authority that issued the IP-HTTPS certificate is missing in the client's "
            "computer store (Trusted Root, or Intermediate), or the certificate is self-signed "
            "and was not given out by group policy."
        ),
        resolution=(
            "Import root and intermediate certificates into the computer's store, for all "
            "clients by group policy."
        ),
        fix=("certutil -addstore Root CERTIFICATE", "gpupdate /force"),
        verify=("certutil -store Root", _STATE),
    ),
    certificate.INTERMEDIATE_MISSING.code: Advice(
        cause="The chain of the IP-HTTPS certificate has a gap: an intermediate is missing.",
        resolution="Install the intermediate certificate on the server, so that it is sent along.",
        fix=("certutil -addstore CA CERTIFICATE",),
        verify=(_VERIFY, _STATE),
    ),
    certificate.REVOKED.code: Advice(
        cause="The revocation list names the server's IP-HTTPS certificate.",
        resolution="Issue a new certificate and bind it to IP-HTTPS.",
        fix=(_REBIND,),
        verify=(_VERIFY,),
    ),
    certificate.NO_CRL_DISTRIBUTION_POINT.code: Advice(
        cause=(
            "The certificate names no distribution point that the client can use, so revocation "
            "cannot be checked; Windows 7 insists on it."
        ),
        resolution="Issue a certificate with an http distribution point that is public.",
        fix=(_REBIND,),
        verify=(_VERIFY,),
    ),
    certificate.CRL_UNREACHABLE.code: Advice(
        cause=(
            "The revocation list cannot be fetched from outside: the distribution point is not "
            "published, the CRL or delta CRL has expired or is missing, a stale answer is in "
            "the cache, or a proxy is in the way."
        ),
        resolution=(
            "Publish CRL and delta CRL at an http address that is reachable from the Internet; "
            "clear the client's cache."
        ),
        fix=(_VERIFY, *EMPTIED),
        verify=(_VERIFY, _STATE),
    ),
    certificate.CRL_EXPIRED.code: Advice(
        cause="The published revocation list (or its delta) is older than its next update.",
        resolution="Publish a new list on the authority and copy it to the distribution point.",
        fix=(PUBLISH, *EMPTIED),
        verify=(_VERIFY,),
    ),
    certificate.CLIENT_CERT_REQUIRED.code: Advice(
        cause=(
            "The server, or a device before it, demands a client certificate for IP-HTTPS, and "
            "this client has none that fits (0x90320)."
        ),
        resolution=(
            "Enrol a computer certificate of the authority that is configured there, or correct "
            "the authority on the device."
        ),
        fix=("certutil -pulse",),
        verify=(_STORE, _STATE),
    ),
    certificate.CLIENT_CERT_REJECTED.code: Advice(
        cause="The client's certificate was shown and refused: another authority, or expired.",
        resolution="Compare its issuer with the authority configured on the server or device.",
        fix=("certutil -pulse",),
        verify=(_STORE, _STATE),
    ),
    certificate.NO_USABLE_CERT.code: Advice(
        cause=(
            "No certificate fits the IP-HTTPS URL (0x103): its names, its subject or its usage "
            "are not what the URL asks for, or there is none."
        ),
        resolution="Bind a certificate for exactly the public name, with its key, to IP-HTTPS.",
        fix=(_STORE, _REBIND),
        verify=(_STATE,),
    ),
    certificate.EXPIRING.code: Advice(
        cause="The IP-HTTPS certificate expires soon; on that day every client is cut off.",
        resolution="Renew it and bind the new one.",
        fix=(_REBIND,),
        verify=(_STORE,),
    ),
}
