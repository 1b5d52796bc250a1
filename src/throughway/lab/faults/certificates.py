"""Faults of certificates: the gateway's for IP-HTTPS and for IPsec, and the computer's."""

import time
from dataclasses import dataclass
from datetime import timedelta

from throughway.lab import processes
from throughway.lab.deployment import CONFIGURATION, GATEWAY_CONFIG
from throughway.lab.faults.fault import CLIENT, GATEWAY, Fault, Scene, Step
from throughway.lab.faults.made import FUTURE, ISSUER_FILE, PAST, Credential, Made, of_client
from throughway.lab.faults.made import List as RevocationList
from throughway.lab.faults.revocation import STRICT
from throughway.lab.faults.servers import Restarted, between
from throughway.lab.faults.steps import (
    Edit,
    Heard,
    Put,
    flush_revocation,
    reload_gateway,
    restart_client,
)
from throughway.lab.topology import fqdn
from throughway.pki import pem
from throughway.pki.authority import Profile

OWN = (f"{CONFIGURATION}/gateway.crt", f"{CONFIGURATION}/gateway.key")
STRANGERS = f"{CONFIGURATION}/strangers.crt"
COMPUTER = (f"{CONFIGURATION}/computer.crt", f"{CONFIGURATION}/computer.key")
SHORT = timedelta(seconds=15)
"""A gateway refuses to take what has expired: it must take it before, and that takes a moment."""
END_TIMEOUT = 120.0
AGE = timedelta(days=200)
"""Of what has lived long: one that lives for days is not near its end on its first day."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Time passes until a certificate has expired."""

    host: str
    path: str
    holds: tuple[str, ...] = ()

    def do(self, scene: Scene) -> None:
        """Wait for it."""
        data = processes.read_file(scene.lab.namespaces(self.host), self.path)
        end = pem.parse_certificate(data).not_valid_after_utc.timestamp()
        processes.wait_until(lambda: time.time() > end, END_TIMEOUT, f"the end of {self.path}")

    def undo(self, scene: Scene) -> None:
        """Nothing: time does not go back."""


def _used_for(table: str) -> tuple[str, str, tuple[str, str]]:
    """Return what names the certificate in a table of the configuration, another one, its files."""
    before = {"iphttps": 'listen = ["131.107.0.2:443"]', "ipsec": 'identity = "da.example.com"'}
    text = '{before}\ncertificate = "{stem}.crt"\nkey = "{stem}.key"'
    own, other = f"{CONFIGURATION}/gateway", f"{CONFIGURATION}/{table}-fault"
    return (
        text.format(before=before[table], stem=own),
        text.format(before=before[table], stem=other),
        (f"{other}.crt", f"{other}.key"),
    )


def _gateway(table: str, made: Made, *, ends: bool = False) -> tuple[Step, ...]:
    """Return the steps after which the gateway shows another certificate for this."""
    old, new, files = _used_for(table)
    shown = Heard(
        (Credential(GATEWAY, *files, made), Edit(GATEWAY, GATEWAY_CONFIG, old, new)),
        reload_gateway,
    )
    rest: tuple[Step, ...] = (Restarted(),)
    if made.revoked:
        rest = (Heard((), flush_revocation), *rest)
    return (shown, Ended(GATEWAY, files[0]), *rest) if ends else (shown, *rest)


def _demanded() -> tuple[Step, ...]:
    """Return the steps after which the gateway takes only clients of another authority."""
    before = 'listen = ["131.107.0.2:443"]\n'
    after = f'{before}authentication = "certificates"\nclient_ca = "{STRANGERS}"\n'
    other = Put(GATEWAY, STRANGERS, lambda scene: scene.lab.authority.stranger().certificate)
    asked = Heard((other, Edit(GATEWAY, GATEWAY_CONFIG, before, after)), reload_gateway)
    return (asked, Restarted())


def _computer(made: Made) -> tuple[Step, ...]:
    return (Heard((Credential(CLIENT, *COMPUTER, made),), restart_client),)


def _of_computer(**how: object) -> Made:
    return Made(profile=Profile.COMPUTER, name=fqdn("CLIENT"), **how)  # type: ignore[arg-type]


STRANGER = "Another Root"
ISSUING = "Throughway Lab Issuing CA"

IPHTTPS = (
    Fault(
        name="iphttps-certificate-expired",
        title="the gateway's certificate for IP-HTTPS has expired",
        steps=_gateway("iphttps", Made(life=SHORT), ends=True),
        client="iphttps-cert-expired",
        gateway="iphttps-cert-expired",
    ),
    Fault(
        name="iphttps-certificate-not-yet-valid",
        title="the certificate that a client is shown for IP-HTTPS begins in two days",
        steps=between(Made(age=FUTURE)),
        client="iphttps-cert-not-yet-valid",
    ),
    Fault(
        name="iphttps-certificate-wrong-name",
        title="the certificate that a client is shown for IP-HTTPS has another name",
        steps=between(Made(name="other.example.com")),
        client="iphttps-cert-name-mismatch",
    ),
    Fault(
        name="iphttps-certificate-untrusted",
        title="the gateway's certificate for IP-HTTPS is of a root that nobody trusts",
        steps=_gateway("iphttps", Made(issuer=STRANGER)),
        client="iphttps-cert-untrusted-root",
    ),
    Fault(
        name="iphttps-certificate-intermediate-missing",
        title="the gateway does not send the certificate of the authority between it and the root",
        steps=(
            Put("inet1", ISSUER_FILE, lambda _: b""),
            *_gateway("iphttps", Made(issuing=ISSUING)),
        ),
        client="iphttps-cert-intermediate-missing",
    ),
    Fault(
        name="iphttps-certificate-revoked",
        title="the gateway's certificate for IP-HTTPS is revoked",
        steps=_gateway("iphttps", Made(revoked=True)),
        client="iphttps-cert-revoked",
        gateway="gateway-cert-revoked",
    ),
    Fault(
        name="iphttps-certificate-wrong-usage",
        title="the certificate that a client is shown for IP-HTTPS is not for servers",
        steps=between(Made(profile=Profile.COMPUTER)),
        client="iphttps-cert-wrong-usage",
    ),
    Fault(
        name="iphttps-certificate-ends-soon",
        title="the gateway's certificate for IP-HTTPS ends in two days",
        steps=_gateway("iphttps", Made(age=AGE, life=AGE + timedelta(days=2))),
        gateway="iphttps-cert-ends-this-week",
    ),
    Fault(
        name="iphttps-certificate-ends-in-weeks",
        title="the gateway's certificate for IP-HTTPS ends in three weeks",
        steps=_gateway("iphttps", Made(age=AGE, life=AGE + timedelta(days=21))),
        gateway="iphttps-cert-expiring",
    ),
    Fault(
        name="iphttps-certificate-without-distribution-point",
        title="the gateway's certificate names no place of a list; revocation must be known",
        steps=(STRICT, *_gateway("iphttps", Made(crl_url=""))),
        client="iphttps-cert-revocation-uncheckable",
        gateway="iphttps-cert-no-crl-distribution-point",
    ),
    Fault(
        name="iphttps-certificate-of-client-rejected",
        title="the gateway asks clients for certificates of an authority that none has",
        steps=_demanded(),
        client="iphttps-client-cert-rejected",
    ),
    Fault(
        name="iphttps-certificate-without-key",
        title="the gateway's key for IP-HTTPS is not that of its certificate",
        steps=(
            Heard(
                (
                    Credential(
                        GATEWAY,
                        f"{CONFIGURATION}/gateway.crt",
                        f"{CONFIGURATION}/fault-aside.key",
                        Made(),
                    ),
                ),
                reload_gateway,
            ),
        ),
        gateway="iphttps-no-usable-cert",
    ),
)

IPSEC = (
    Fault(
        name="ipsec-gateway-certificate-expired",
        title="the gateway's certificate for IPsec has expired",
        steps=_gateway("ipsec", Made(life=SHORT), ends=True),
        client="ipsec-cert-expired",
        gateway="ipsec-cert-expired",
    ),
    Fault(
        name="ipsec-gateway-certificate-wrong-name",
        title="the gateway's certificate for IPsec has another name",
        steps=_gateway("ipsec", Made(name="other.example.com")),
        # It is not taken: who is connected stays so.
        gateway="configuration-refused",
    ),
    Fault(
        name="ipsec-gateway-certificate-untrusted",
        title="the gateway's certificate for IPsec is of a root that nobody trusts",
        steps=_gateway("ipsec", Made(issuer=STRANGER)),
        # Nor is this one; what it is refused for stands in the words.
        gateway="configuration-refused",
    ),
    Fault(
        name="ipsec-gateway-certificate-replaced",
        title="in the place of the gateway's certificate lies one of a root that nobody trusts",
        steps=(Credential(GATEWAY, *OWN, Made(issuer=STRANGER)),),
        # Before anything reads it: the next restart would cut everybody off.
        gateway="ipsec-cert-wrong-chain",
    ),
    Fault(
        name="ipsec-gateway-certificate-revoked",
        title="the gateway's certificate for IPsec is revoked",
        steps=_gateway("ipsec", Made(revoked=True)),
        client="ipsec-cert-revoked",
        gateway="gateway-cert-revoked",
    ),
)

OF_COMPUTERS = (
    Fault(
        name="computer-certificate-expired",
        title="the computer's certificate has expired",
        steps=_computer(_of_computer(age=PAST)),
        client="ipsec-cert-expired",
    ),
    Fault(
        name="computer-certificate-not-yet-valid",
        title="the computer's certificate begins in two days",
        steps=_computer(_of_computer(age=FUTURE)),
        client="ipsec-cert-not-yet-valid",
    ),
    Fault(
        name="computer-certificate-wrong-name",
        title="the computer's certificate has another name",
        steps=_computer(Made(profile=Profile.COMPUTER, name=fqdn("stranger"))),
        client="ipsec-cert-name-mismatch",
    ),
    Fault(
        name="computer-certificate-untrusted",
        title="the computer's certificate is of a root that the gateway does not trust",
        steps=_computer(_of_computer(issuer=STRANGER)),
        client="ipsec-cert-wrong-chain",
    ),
    Fault(
        name="computer-certificate-wrong-usage",
        title="the computer's certificate is not for client authentication",
        steps=_computer(Made(profile=Profile.SERVER, name=fqdn("CLIENT"))),
        client="ipsec-cert-missing-client-auth",
    ),
    Fault(
        name="computer-certificate-revoked",
        title="the computer's certificate is revoked",
        steps=(
            # Both times somebody says so: else it is known with the next list.
            Heard((RevocationList(of_client(COMPUTER[0])),), flush_revocation),
            Restarted(),
        ),
        client="ipsec-cert-revoked",
    ),
    Fault(
        name="computer-certificate-missing",
        title="the computer has no certificate",
        steps=(Heard((Put(CLIENT, COMPUTER[0], None),), restart_client),),
        client="ipsec-no-machine-cert",
    ),
    Fault(
        name="computer-certificate-without-key",
        title="the computer's certificate has no private key",
        steps=(Heard((Put(CLIENT, COMPUTER[1], None),), restart_client),),
        client="ipsec-cert-no-private-key",
    ),
    Fault(
        name="computer-certificate-wrong-key",
        title="the computer's key is not that of its certificate",
        steps=(
            Heard(
                (
                    Put(
                        CLIENT,
                        COMPUTER[1],
                        lambda scene: Made()(scene).key,
                        0o600,
                    ),
                ),
                restart_client,
            ),
        ),
        client="ipsec-cert-no-private-key",
    ),
    Fault(
        name="computer-certificate-ends-soon",
        title="the computer's certificate ends in two days",
        steps=_computer(_of_computer(age=AGE, life=AGE + timedelta(days=2))),
        client="ipsec-cert-ends-this-week",
    ),
)

FAULTS = (*IPHTTPS, *IPSEC, *OF_COMPUTERS)
