"""Policy bundles: what was signed comes back whole, and nothing else comes back at all."""

import base64
import contextlib
import ipaddress
import json
from collections.abc import Callable
from dataclasses import asdict, replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import ConfigError, ThroughwayError, TrustError, WireError
from throughway.model.policy import NRPTRule, Policy, TransportsPolicy, TunnelPolicy
from throughway.pki import bundle
from throughway.pki.fields import TRANSPORTS

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PUBLIC = KEY.public_key()
NOW = 1_800_000_000
ANCHOR = "-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n"
POLICY = Policy(
    deployment="corp.example.com",
    version=7,
    issued_at=NOW - 100,
    expires_at=NOW + 100,
    iphttps_url="https://da.example.com:443/IPHTTPS",
    gateway_identity="da.example.com",
    infrastructure=TunnelPolicy(
        endpoint="2002:836b:2::836b:2", prefixes=("2001:db8:c0:1::10/128",)
    ),
    intranet=TunnelPolicy(endpoint="2002:836b:3::836b:3", prefixes=("2001:db8:c0::/48",)),
    nrpt=(
        NRPTRule(namespace=".corp.example.com", servers=("2001:db8:c0:1::10",)),
        NRPTRule(namespace="nls.corp.example.com"),
    ),
    nls_urls=("https://nls.corp.example.com/",),
    trust_anchors=(ANCHOR,),
    policy_url="http://[2001:db8:c0:1::1]:8080/policy.bundle",
    kerberos_realm="CORP.EXAMPLE.COM",
    kerberos_service="host@da.example.com",
)
SIGNED = bundle.sign(POLICY, KEY)


def payload_with(**changes: object) -> bytes:
    """Return a payload in the right spelling with some fields changed or, by None, gone."""
    values = {"format": 1} | asdict(POLICY) | changes
    values = {key: value for key, value in values.items() if value is not None}
    return json.dumps(values, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def problem_of(call: Callable[[], object]) -> str:
    with pytest.raises(TrustError) as caught:
        call()
    return caught.value.problem


labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
names = st.lists(labels, min_size=1, max_size=4).map(lambda x: ".".join([*x, "example"]))
addresses = st.ip_addresses(v=6, network="2001:db8::/32").map(str)
prefixes = st.tuples(st.integers(0, 2**64 - 1)).map(
    lambda x: f"{ipaddress.IPv6Address(x[0] << 64)}/64"
)
tunnels = st.builds(
    TunnelPolicy, endpoint=addresses, prefixes=st.lists(prefixes, min_size=1).map(tuple)
)
rules = st.builds(
    NRPTRule,
    namespace=st.one_of(names, names.map(lambda n: f".{n}"), st.just(".")),
    servers=st.lists(addresses, max_size=3).map(tuple),
)
policies = st.builds(
    Policy,
    deployment=st.text(min_size=1, max_size=60).filter(lambda t: t.isprintable() and t.strip()),
    version=st.integers(1, 2**53),
    issued_at=st.just(NOW),
    expires_at=st.integers(NOW + 1, bundle.MAX_TIME),
    iphttps_url=names.map(lambda n: f"https://{n}:443/IPHTTPS"),
    gateway_identity=names,
    infrastructure=tunnels,
    intranet=tunnels,
    nrpt=st.lists(rules, max_size=8).map(tuple),
    nls_urls=st.lists(names.map(lambda n: f"https://{n}/"), min_size=1, max_size=3).map(tuple),
    trust_anchors=st.just((ANCHOR,)),
    transport_order=st.permutations(TRANSPORTS).map(tuple),
    transports=st.builds(
        TransportsPolicy,
        force_iphttps=st.booleans(),
        force_tunnel=st.booleans(),
        proxy=st.sampled_from(["", "http://proxy.example.com:3128"]),
        teredo_server=st.sampled_from(["", "131.107.0.2"]),
        proxy_script=st.sampled_from(["", "https://www.example.com/proxy.pac"]),
        portal_probe=st.sampled_from(["", "http://probe.example.com/"]),
    ),
    policy_url=st.just(""),
    kerberos_realm=st.just(""),
    kerberos_service=st.just(""),
)


@given(policies)
def test_what_was_signed_comes_back(policy: Policy) -> None:
    assert bundle.verify(bundle.sign(policy, KEY), PUBLIC, NOW) == policy


def test_a_bundle_has_one_spelling() -> None:
    assert bundle.sign(bundle.verify(SIGNED, PUBLIC, NOW), KEY) == SIGNED


@pytest.mark.parametrize("bit", range(8))
def test_any_flipped_bit_is_refused(bit: int) -> None:
    for position in range(len(SIGNED)):
        changed = bytearray(SIGNED)
        changed[position] ^= 1 << bit
        with pytest.raises(TrustError) as caught:
            bundle.verify(bytes(changed), PUBLIC, NOW)
        assert caught.value.problem in {"policy-signature-invalid", "policy-malformed"}


@given(st.integers(0, len(SIGNED) - 1), st.binary(max_size=8), st.integers(0, 8))
def test_any_splice_is_refused(position: int, inserted: bytes, dropped: int) -> None:
    changed = SIGNED[:position] + inserted + SIGNED[position + dropped :]
    if changed == SIGNED:
        return
    assert problem_of(lambda: bundle.verify(changed, PUBLIC, NOW)) in {
        "policy-signature-invalid",
        "policy-malformed",
    }


@given(st.binary(max_size=300))
def test_garbage_is_refused(data: bytes) -> None:
    assert problem_of(lambda: bundle.verify(data, PUBLIC, NOW)) == "policy-signature-invalid"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@given(st.sampled_from(sorted(asdict(POLICY))), json_values)
def test_a_signed_field_of_any_kind_is_read_or_refused_clearly(field: str, value: object) -> None:
    with contextlib.suppress(ConfigError):
        policy = bundle.parse_policy(payload_with(**{field: value}))
        assert bundle.parse_policy(bundle.build_policy(policy)) == policy


@given(st.binary(max_size=200))
def test_a_garbage_payload_raises_only_config_error(data: bytes) -> None:
    with pytest.raises(ConfigError):
        bundle.parse_policy(data)


@pytest.mark.parametrize("depth", [100, 900, 990, 1000, 5000, 100_000])
@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_nesting_is_refused_and_crashes_nothing(opening: bytes, depth: int) -> None:
    closing = b"]" if opening == b"[" else b"}"
    deep = b'{"format":1,"key":' + opening * depth + b"1" + closing * depth + b"}\n"
    with contextlib.suppress(ThroughwayError):
        bundle.parse_policy(deep)
        pytest.fail("was accepted")
    assert problem_of(lambda: bundle.verify(deep, PUBLIC, NOW)) == "policy-signature-invalid"


def test_too_large_is_refused_unread() -> None:
    data = SIGNED + b" " * bundle.MAX_BUNDLE
    with pytest.raises(TrustError, match="larger than"):
        bundle.verify(data, PUBLIC, NOW)


def test_another_signer_is_refused_and_named() -> None:
    with pytest.raises(TrustError, match="another key") as caught:
        bundle.verify(bundle.sign(POLICY, OTHER), PUBLIC, NOW)
    assert caught.value.problem == "policy-signature-invalid"
    assert bundle.fingerprint(OTHER.public_key()) in str(caught.value)


def test_a_claimed_key_does_not_help_a_forger() -> None:
    values = json.loads(bundle.sign(POLICY, OTHER))
    values["key"] = json.loads(SIGNED)["key"]
    forged = json.dumps(values, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert problem_of(lambda: bundle.verify(forged, PUBLIC, NOW)) == "policy-signature-invalid"


def test_a_signature_of_the_bare_payload_does_not_count() -> None:
    values = json.loads(SIGNED)
    bare = KEY.sign(base64.b64decode(values["payload"]))
    values["signature"] = base64.b64encode(bare).decode()
    forged = json.dumps(values, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert problem_of(lambda: bundle.verify(forged, PUBLIC, NOW)) == "policy-signature-invalid"


@pytest.mark.parametrize(
    ("now", "problem"),
    [(POLICY.expires_at - 1, ""), (POLICY.expires_at, "policy-expired"), (2**40, "policy-expired")],
)
def test_expiry(now: int, problem: str) -> None:
    if problem:
        assert problem_of(lambda: bundle.verify(SIGNED, PUBLIC, now)) == problem
    else:
        assert bundle.verify(SIGNED, PUBLIC, now) == POLICY


def test_a_client_never_goes_back() -> None:
    assert bundle.verify(SIGNED, PUBLIC, NOW, at_least=7) == POLICY
    older = problem_of(lambda: bundle.verify(SIGNED, PUBLIC, NOW, at_least=8))
    assert older == "policy-rolled-back"


def test_the_claimed_key_is_the_signers() -> None:
    key = bundle.claimed_key(SIGNED)
    assert bundle.fingerprint(key) == bundle.fingerprint(PUBLIC)
    with pytest.raises(WireError, match="not a policy bundle"):
        bundle.claimed_key(b"hello")


def test_fingerprints_compare_as_people_write_them() -> None:
    shown = bundle.fingerprint(PUBLIC)
    digits = shown.replace(" ", "")
    colons = ":".join(digits[i : i + 2] for i in range(0, 64, 2)).upper()
    assert bundle.same_fingerprint(shown, digits)
    assert bundle.same_fingerprint(shown, f"SHA256:{colons}")
    assert not bundle.same_fingerprint(shown, digits[:-1])
    assert not bundle.same_fingerprint("", "")


def test_a_newer_format_asks_for_an_update() -> None:
    newer = SIGNED.replace(b'"format":1', b'"format":2')
    assert problem_of(lambda: bundle.verify(newer, PUBLIC, NOW)) == "policy-malformed"
    with pytest.raises(ConfigError, match="update"):
        bundle.parse_policy(payload_with(format=2))


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("version", 0, "from 1"),
        ("version", True, "whole number"),
        ("iphttps_url", "http://da.example.com/", "https://"),
        ("iphttps_url", "https://192.0.2.1/", "DNS name is needed"),
        ("iphttps_url", "https://da.example.com/" + "x" * 256, "at most 256"),
        ("iphttps_url", "https://da.example.com/\n", "no URL"),
        ("infrastructure", {"endpoint": "192.0.2.1", "prefixes": []}, "not an IPv6 address"),
        ("intranet", {"endpoint": "2001:db8::1", "prefixes": ["2001:db8::1/48"]}, "did you mean"),
        ("intranet", None, "is missing"),
        ("nrpt", [{"namespace": "..", "servers": []}], "not a DNS name"),
        ("nrpt", [{"namespace": ".", "servers": ["dns"]}], "not an IP address"),
        ("nls_urls", [], "1 to"),
        ("trust_anchors", ["hello"], "PEM"),
        ("trust_anchors", [ANCHOR * 2], "exactly one"),
        ("transport_order", ["pigeon"], "native, 6to4, teredo, iphttps"),
        ("transports", {"force_iphttps": "yes"}, "true or false"),
        ("transports", {"teredo_server": "10.0.0.1"}, "must be a public address"),
        ("transports", {"teredo_server": "da.example.com"}, "is not an IPv4 address"),
        ("expires_at", 1, "after issued_at"),
        ("expires_at", 2**50, "year 9999"),
        ("kerberos_realm", "", "the other way round"),
        ("deploymnet", "x", "did you mean 'deployment'"),
    ],
)
def test_each_wrong_field_is_named(field: str, value: object, why: str) -> None:
    with pytest.raises(ConfigError, match=field) as caught:
        bundle.parse_policy(payload_with(**{field: value}))
    assert why in str(caught.value)


def test_a_bundle_of_before_there_were_transports_is_read() -> None:
    assert bundle.parse_policy(payload_with(transports=None)).transports == TransportsPolicy()


def test_all_errors_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        bundle.parse_policy(payload_with(version=0, iphttps_url="x", nls_urls=[3]))
    assert [error.key for error in caught.value.errors] == [
        "version",
        "iphttps_url",
        "nls_urls[0]",
    ]


def test_signing_refuses_what_no_client_would_take() -> None:
    with pytest.raises(ConfigError, match="nls_urls"):
        bundle.sign(replace(POLICY, nls_urls=()), KEY)
    with pytest.raises(ConfigError, match="at most"):
        bundle.sign(replace(POLICY, trust_anchors=(ANCHOR.replace("MIIB", "M" * 8192),) * 40), KEY)
