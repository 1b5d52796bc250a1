"""What our own client and gateway can say has a fault in the lab that makes them say it."""

import pytest

from tests.catalogue.test_reachable import live
from throughway.catalogue import PROBLEMS
from throughway.lab.faults import FAULTS

SAID = {code for fault in FAULTS.values() for code in (fault.client, fault.gateway) if code}
LIVE = [
    "ipv6-disabled",
    "clock-skew",
    "internet-down",
    "captive-portal",
    "proxy-required-not-configured",
    "proxy-blocks-iphttps",
    "proxy-authentication-required",
    "proxy-unreachable",
    "iphttps-url-too-long",
    "iphttps-url-is-ip-address",
    "iphttps-url-invalid",
    "iphttps-interface-creation-failed",
    "iphttps-name-unresolvable",
    "iphttps-name-captured-by-nrpt",
    "iphttps-port-blocked",
    "iphttps-connection-refused",
    "iphttps-connection-reset",
    "iphttps-wrong-server",
    "iphttps-tls-inspected",
    "iphttps-null-suites-missing",
    "iphttps-tls-handshake-failed",
    "iphttps-cert-expired",
    "iphttps-cert-not-yet-valid",
    "iphttps-cert-expiring",
    "iphttps-cert-name-mismatch",
    "iphttps-cert-untrusted-root",
    "iphttps-cert-intermediate-missing",
    "iphttps-cert-revoked",
    "iphttps-cert-no-crl-distribution-point",
    "iphttps-crl-unreachable",
    "iphttps-crl-expired",
    "iphttps-client-cert-required",
    "iphttps-client-cert-rejected",
    "iphttps-no-usable-cert",
    "iphttps-http-refused",
    "iphttps-no-router-advertisement",
    "iphttps-no-global-address",
    "iphttps-route-unpublished",
    "iphttps-advertising-disabled",
    "iphttps-forwarding-disabled",
    "iphttps-listener-down",
    "policy-signature-invalid",
    "policy-expired",
    "policy-out-of-date",
    "ipsec-account-certificate-mismatch",
    "ipsec-daemon-down",
    "ipsec-traffic-leak",
]
"""The codes that are said live, as the catalogue began."""
BY_HAND = "no daemon says it: the doctor does, and who tries the way by hand"
NOT_YET = "nobody has made it in the lab yet"
WITHOUT = {
    "iphttps-url-too-long": "the gateway refuses such a configuration before it is in force",
    "proxy-required-not-configured": BY_HAND,
    "iphttps-name-captured-by-nrpt": BY_HAND,
    "iphttps-null-suites-missing": BY_HAND,
    "iphttps-interface-creation-failed": NOT_YET,
    "iphttps-tls-handshake-failed": NOT_YET,
    "iphttps-client-cert-required": NOT_YET,
    "iphttps-no-global-address": NOT_YET,
    "iphttps-advertising-disabled": "it goes within the link as that is opened: no filter sees it",
}
"""Why there is none."""


@pytest.mark.parametrize("code", LIVE)
def test_what_is_said_live_can_be_made_in_the_lab(code: str) -> None:
    assert code in PROBLEMS
    assert code in SAID or WITHOUT.get(code), "no fault makes anybody say it, and nobody says why"


def test_reasons_are_of_live_codes() -> None:
    assert WITHOUT.keys() <= set(LIVE)


@pytest.mark.parametrize("code", sorted(SAID))
def test_what_a_fault_waits_for_can_be_said(code: str) -> None:
    assert code in live(), "no daemon can say it"
