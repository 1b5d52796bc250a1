"""What a device says of a client, and who is believed."""

from base64 import b64encode
from urllib.parse import quote

import pytest

from throughway.model.config import ADCConfig, Assertion
from throughway.proto.iphttps.adc import (
    ADC,
    BY_CONNECTION,
    MAX_CERTIFICATE,
    ClientRefusedError,
    Verdict,
    decode_certificate,
    refuse_claims,
)
from throughway.wire.proxy_protocol import ClientTLS

DER = bytes(range(200))
BASE64 = b64encode(DER).decode()
PEM = f"-----BEGIN CERTIFICATE-----\n{BASE64[:64]}\n{BASE64[64:]}\n-----END CERTIFICATE-----\n"
NGINX, HAPROXY = quote(PEM, safe=""), BASE64
CERTIFICATE, VERIFY = "x-ssl-client-cert", "x-ssl-client-verify"
GOOD = Verdict(subject="CN=client1", fingerprint="f1")


def adc(assertion: Assertion = Assertion.HEADER, verdict: Verdict = GOOD) -> ADC:
    config = ADCConfig(listen=(), addresses=(), client_certificate=assertion)

    def judge(der: bytes) -> Verdict:
        assert der == DER
        return verdict

    return ADC(config=config, judge=judge)


@pytest.mark.parametrize("value", [NGINX, HAPROXY, PEM.replace("\n", " ")])
def test_the_certificate_of_each_device_is_read(value: str) -> None:
    assert decode_certificate(value) == DER


@pytest.mark.parametrize(
    "value", ["%%%", "MII$", "-----BEGIN CERTIFICATE-----", "A" * (MAX_CERTIFICATE + 4), "A", "é"]
)
def test_what_is_no_certificate_is_refused(value: str) -> None:
    if value == "-----BEGIN CERTIFICATE-----":
        assert decode_certificate(value) == b""  # for the judge, who refuses it
        return
    with pytest.raises(ClientRefusedError) as caught:
        decode_certificate(value)
    assert (caught.value.status, caught.value.problem) == (400, "iphttps-client-cert-untrusted")


@pytest.mark.parametrize("verify", ["SUCCESS", "0"])
def test_a_verified_one_is_judged_again(verify: str) -> None:
    headers = {CERTIFICATE: (HAPROXY,), VERIFY: (verify,)}
    assert adc().identify(None, headers) == GOOD
    bad = Verdict(subject="CN=client1", problem="iphttps-client-cert-revoked", why="revoked on …")
    with pytest.raises(ClientRefusedError, match="CN=client1: revoked on") as caught:
        adc(verdict=bad).identify(None, headers)
    assert caught.value.problem == "iphttps-client-cert-revoked"


HEADER_FAULTS: dict[str, tuple[dict[str, tuple[str, ...]], str]] = {
    "nothing": ({}, "iphttps-client-cert-none"),
    "no certificate (nginx)": ({VERIFY: ("NONE",)}, "iphttps-client-cert-none"),
    "no certificate (HAProxy)": (
        {CERTIFICATE: ("",), VERIFY: ("0",)},
        "iphttps-client-cert-none",
    ),
    "not verified (nginx)": (
        {CERTIFICATE: (NGINX,), VERIFY: ("FAILED:certificate has expired",)},
        "iphttps-client-cert-expired",
    ),
    "not verified (HAProxy)": (
        {CERTIFICATE: (HAPROXY,), VERIFY: ("26",)},
        "iphttps-client-cert-usage",
    ),
    "not verified, nobody knows why": (
        {CERTIFICATE: (HAPROXY,), VERIFY: ("9" * 5000,)},
        "iphttps-client-cert-untrusted",
    ),
    "not verified, for another reason": (
        {CERTIFICATE: (HAPROXY,), VERIFY: ("20",)},
        "iphttps-client-cert-untrusted",
    ),
    "no word of it": ({CERTIFICATE: (HAPROXY,)}, "iphttps-client-cert-untrusted"),
    "two certificates": (
        {CERTIFICATE: (HAPROXY, HAPROXY), VERIFY: ("0",)},
        "iphttps-adc-header-forged",
    ),
    "two words of it": (
        {CERTIFICATE: (HAPROXY,), VERIFY: ("0", "0")},
        "iphttps-adc-header-forged",
    ),
}


@pytest.mark.parametrize("name", HEADER_FAULTS)
def test_each_fault_of_the_headers_has_its_code(name: str) -> None:
    headers, code = HEADER_FAULTS[name]
    with pytest.raises(ClientRefusedError) as caught:
        adc().identify(None, headers)
    assert caught.value.problem == code


@pytest.mark.parametrize(
    ("tls", "code"),
    [
        (None, "iphttps-client-cert-none"),
        (ClientTLS(version="TLSv1.3"), "iphttps-client-cert-none"),
        (ClientTLS(common_name="a", certificate=True, verify=20), "iphttps-client-cert-untrusted"),
        (ClientTLS(common_name="a", certificate=True, verify=10), "iphttps-client-cert-expired"),
        (ClientTLS(certificate=True), "iphttps-client-cert-untrusted"),
    ],
)
def test_the_proxy_header_must_say_who_was_verified(tls: ClientTLS | None, code: str) -> None:
    rules = adc(Assertion.PROXY_PROTOCOL)
    with pytest.raises(ClientRefusedError) as caught:
        rules.identify(tls, {})
    assert caught.value.problem == code
    good = ClientTLS(common_name="client1", certificate=True)
    assert rules.identify(good, {}).fingerprint == "commonName=client1"


def test_who_lets_only_good_ones_through_needs_no_words() -> None:
    assert adc(Assertion.CONNECTION).identify(None, {}) == Verdict(subject=BY_CONNECTION)


def test_nobody_else_may_say_it() -> None:
    refuse_claims({CERTIFICATE: (), VERIFY: ()})
    for headers in ({CERTIFICATE: ("",)}, {VERIFY: ("SUCCESS",), CERTIFICATE: ()}):
        with pytest.raises(ClientRefusedError) as caught:
            refuse_claims(headers)
        assert (caught.value.status, caught.value.problem) == (400, "iphttps-adc-header-forged")
