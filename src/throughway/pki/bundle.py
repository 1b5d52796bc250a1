"""The policy bundle: a deployment's :class:`Policy`, signed with Ed25519 (RFC 8032).

A bundle is one JSON object in exactly one spelling (keys sorted, no spaces, one line end)::

    {"format": 1, "key": <public key>, "payload": <policy>, "signature": <signature>}

The last three are base64; the payload decodes to the policy as JSON, again in one spelling.
What is signed is CONTEXT and the payload, so the same key can sign nothing else by accident.
``key`` is only a claim: it serves the first join, where a person compares its fingerprint.
Since only one spelling is accepted, no byte of a bundle can change unnoticed.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from throughway.model.errors import ConfigError, TrustError, WireError
from throughway.model.policy import (
    DEFAULT,
    MAX_PROBES,
    POLICY_FORMAT,
    Fallback,
    NRPTRule,
    Policy,
    TransportsPolicy,
    TunnelPolicy,
)
from throughway.model.revocation import Revocation, RevocationPolicy
from throughway.pki import fields
from throughway.pki.fields import Fields
from throughway.pki.health_policy import read_health
from throughway.pki.probes import check_names, read_probe

MAX_BUNDLE = 256 * 1024
"""Bytes: the largest policy (MAX_ITEMS of everything) fits; memory of a client stays small."""

MAX_ANCHOR = 16 * 1024
"""Characters of one PEM certificate."""

MAX_TIME = 253_402_300_799
"""The last second of the year 9999: later ones have no date."""

MAX_PORT = 65535

CONTEXT = b"throughway policy bundle\0"
SOURCE = "policy bundle"
KEY_LENGTH = 32
SIGNATURE_LENGTH = 64


def sign(policy: Policy, key: Ed25519PrivateKey) -> bytes:
    """Return the signed bundle; refuses a policy which no client would accept."""
    payload = build_policy(policy)
    parse_policy(payload)
    return seal(payload, key)


def seal(payload: bytes, key: Ed25519PrivateKey) -> bytes:
    """Return the signed bundle of a payload, whatever that says."""
    data = _canonical(
        {
            "format": POLICY_FORMAT,
            "key": _encode(_raw(key.public_key())),
            "payload": _encode(payload),
            "signature": _encode(key.sign(CONTEXT + payload)),
        }
    )
    if len(data) > MAX_BUNDLE:
        raise ConfigError(SOURCE, "", f"has {len(data)} bytes; clients take at most {MAX_BUNDLE}")
    return data


def verify(data: bytes, key: Ed25519PublicKey, now: float, at_least: int = 0) -> Policy:
    """Return the policy, when ``key`` signed it, it has not expired and is new enough.

    Raises :exc:`TrustError`, whose ``problem`` is the catalogue's code, when the bundle
    proves nothing, and :exc:`ConfigError` when what was truly signed cannot be obeyed.
    """
    try:
        claimed, payload, signature = _parse_envelope(data)
    except WireError as error:
        raise TrustError(str(error), problem="policy-signature-invalid") from error
    if _raw(claimed) != _raw(key):
        raise TrustError(
            f"the policy bundle is signed with another key ({fingerprint(claimed)}) "
            f"than the trusted one ({fingerprint(key)})",
            problem="policy-signature-invalid",
        )
    try:
        key.verify(signature, CONTEXT + payload)
    except InvalidSignature:
        raise TrustError(
            "the signature of the policy bundle is wrong: it was changed after signing",
            problem="policy-signature-invalid",
        ) from None
    policy = parse_policy(payload)
    check_current(policy, now, at_least)
    return policy


def check_current(policy: Policy, now: float, at_least: int = 0) -> None:
    """Refuse a policy that has expired or is older than one already obeyed."""
    if policy.version < at_least:
        raise TrustError(
            f"the policy bundle has version {policy.version}; version {at_least} was here before",
            problem="policy-rolled-back",
        )
    if now >= policy.expires_at:
        days = int(now - policy.expires_at) // 86400
        when = f"{days} days ago" if days > 1 else "lately"
        raise TrustError(
            f"the policy bundle (version {policy.version}) expired {when}",
            problem="policy-expired",
        )


def claimed_key(data: bytes, file: str = "") -> Ed25519PublicKey:
    """Return the key which the bundle names as its signer; by itself that proves nothing.

    ``file`` names it in the error's text.
    """
    try:
        return _parse_envelope(data)[0]
    except WireError as error:
        raise WireError(f"{file}: {error}" if file else str(error)) from None


def parse_public_key(data: bytes, what: str = "public key") -> Ed25519PublicKey:
    """Return the Ed25519 public key in the PEM; ``what`` names it in the error's text."""
    try:
        key = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TrustError(f"{what}: no public key in PEM form") from error
    if not isinstance(key, Ed25519PublicKey):
        raise TrustError(f"{what}: not an Ed25519 public key")
    return key


def fingerprint(key: Ed25519PublicKey) -> str:
    """Return SHA-256 of the raw public key, as 64 hexadecimal digits in groups of four."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(_raw(key))
    text = digest.finalize().hex()
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4))


def same_fingerprint(one: str, other: str) -> bool:
    """Compare fingerprints as people write them: spaces, colons and case do not matter."""
    return _plain(one) == _plain(other) != ""


def build_policy(policy: Policy) -> bytes:
    """Return the payload of a bundle."""
    values = asdict(policy)
    if not policy.probes:
        del values["probes"]  # which clients that know of none would refuse
    return _canonical({"format": POLICY_FORMAT} | values)


def parse_policy(payload: bytes) -> Policy:
    """Return the policy; every field is checked, and all errors are told at once."""
    values = _parse_json(payload, "the payload")
    version = values.pop("format", None)
    if type(version) is not int or version != POLICY_FORMAT:
        raise ConfigError(
            SOURCE,
            "format",
            f"is {str(version)[:20]}; this throughway reads format {POLICY_FORMAT}: update it",
        )
    if _canonical({"format": version} | values) != payload:
        raise ConfigError(SOURCE, "", "is not in the one spelling that is signed")
    return _read_policy(Fields(values, SOURCE))


def _read_policy(top: Fields) -> Policy:
    infrastructure, intranet = top.table("infrastructure"), top.table("intranet")
    rules, transports = top.tables("nrpt"), top.optional_table("transports")
    revocation, health = top.optional_table("revocation"), top.optional_table("health")
    probes = top.tables("probes", MAX_PROBES) if top.has("probes") else []
    policy = Policy(
        deployment=top.text("deployment"),
        version=top.integer("version", 1),
        issued_at=top.integer("issued_at"),
        expires_at=top.integer("expires_at"),
        iphttps_url=top.text("iphttps_url", fields.check_https_url),
        gateway_identity=top.text("gateway_identity", fields.check_dns_name),
        infrastructure=_read_tunnel(infrastructure),
        intranet=_read_tunnel(intranet),
        nrpt=tuple(_read_rule(rule) for rule in rules),
        fallback=_read_fallback(top),
        exempt_names=top.texts("exempt_names", fields.check_dns_name, default=()),
        nls_urls=top.texts("nls_urls", fields.check_https_url, minimum=1),
        trust_anchors=top.texts("trust_anchors", _check_anchor, minimum=1),
        transport_order=top.texts("transport_order", fields.check_transport, minimum=1),
        transports=_read_transports(transports),
        revocation=_read_revocation(revocation),
        policy_url=top.optional_text("policy_url", fields.check_web_url),
        enrolment_url=top.optional_text("enrolment_url", fields.check_enrolment_url),
        kerberos_realm=top.optional_text("kerberos_realm", fields.check_realm),
        kerberos_service=top.optional_text("kerberos_service", fields.check_service),
        register_names=top.flag("register_names", True),
        code_url=top.optional_text("code_url", fields.check_web_url),
        reasons_port=top.integer("reasons_port", 0, 0),
        health=read_health(health),
        probes=tuple(read_probe(probe) for probe in probes),
    )
    for index, why in check_names(policy.probes):
        top.refuse(f"probes[{index}].name", why)
    if policy.reasons_port > MAX_PORT:
        top.refuse("reasons_port", f"must be a port, is {policy.reasons_port}")
    if policy.expires_at <= policy.issued_at:
        top.refuse("expires_at", "must be after issued_at")
    if policy.expires_at > MAX_TIME:
        top.refuse("expires_at", "is beyond the year 9999")
    if bool(policy.kerberos_realm) != bool(policy.kerberos_service):
        top.refuse("kerberos_service", "needs kerberos_realm, and the other way round")
    top.finish(infrastructure, intranet, transports, revocation, health, *rules, *probes)
    return policy


def _read_tunnel(table: Fields) -> TunnelPolicy:
    tunnel = TunnelPolicy(
        endpoint=table.text("endpoint", fields.check_ipv6_address),
        prefixes=table.texts("prefixes", fields.check_ipv6_prefix, minimum=1),
    )
    table.gather()
    return tunnel


def _read_transports(table: Fields) -> TransportsPolicy:
    # All of it may be missing: bundles of older gateways know nothing of it.
    default = TransportsPolicy()
    transports = TransportsPolicy(
        force_iphttps=table.flag("force_iphttps", default.force_iphttps),
        force_tunnel=table.flag("force_tunnel", default.force_tunnel),
        proxy=table.optional_text("proxy", fields.check_proxy_url),
        proxy_script=table.optional_text("proxy_script", fields.check_web_url),
        force_tunnel_proxy=table.optional_text("force_tunnel_proxy", fields.check_proxy_url),
        portal_probe=table.optional_text("portal_probe", fields.check_http_url),
        teredo_server=table.optional_text("teredo_server", fields.check_public_ipv4),
    )
    if transports.force_tunnel_proxy and not transports.force_tunnel:
        table.refuse("force_tunnel_proxy", "needs force_tunnel")
    table.gather()
    return transports


def _read_revocation(table: Fields) -> RevocationPolicy:
    default = RevocationPolicy()
    revocation = RevocationPolicy(
        iphttps=_read_strength(table, "iphttps", default.iphttps),
        ipsec=_read_strength(table, "ipsec", default.ipsec),
        location=_read_strength(table, "location", default.location),
        lists=table.texts("lists", fields.check_http_url, default=()),
    )
    table.gather()
    return revocation


def _read_strength(table: Fields, key: str, default: Revocation) -> Revocation:
    return Revocation(table.text(key, fields.check_revocation, default) or default)


def _read_fallback(top: Fields) -> Fallback:
    # A refused text is empty; nobody sees the policy then.
    return Fallback(top.text("fallback", fields.check_fallback, Fallback.NEVER) or Fallback.NEVER)


def _read_rule(table: Fields) -> NRPTRule:
    rule = NRPTRule(
        namespace=table.text("namespace", fields.check_namespace),
        servers=table.texts("servers", fields.check_address),
        proxy=table.text("proxy", fields.check_proxy, DEFAULT),
    )
    table.gather()
    return rule


def _check_anchor(value: str) -> str:
    # Its form only: charon and OpenSSL read it, and its signature was made by the gateway
    # which has parsed it. That keeps X.509 out of the daemon's memory.
    begin, end = "-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----"
    body = value.strip().removeprefix(begin).removesuffix(end)
    if len(value) > MAX_ANCHOR or begin not in value or end not in value or "-----" in body:
        raise ValueError("must be exactly one certificate in PEM form")
    try:
        base64.b64decode("".join(body.split()), validate=True)
    except ValueError:
        raise ValueError("must be exactly one certificate in PEM form") from None
    return value


def _parse_envelope(data: bytes) -> tuple[Ed25519PublicKey, bytes, bytes]:
    """Return key, payload and signature as the bundle claims them."""
    if len(data) > MAX_BUNDLE:
        raise WireError(f"not a policy bundle: larger than {MAX_BUNDLE} bytes")
    try:
        values = _parse_json(data, "it")
    except ConfigError as error:
        raise WireError(f"not a policy bundle: {error.why}") from error
    version = values.get("format")
    if type(version) is int and version > POLICY_FORMAT:
        why = f"the policy bundle has format {version}; this throughway reads {POLICY_FORMAT}"
        raise TrustError(f"{why}: update it", problem="policy-malformed")
    if type(version) is not int or version != POLICY_FORMAT:
        raise WireError(f"not a policy bundle of format {POLICY_FORMAT}")
    if values.keys() != {"format", "key", "payload", "signature"} or _canonical(values) != data:
        raise WireError("not a policy bundle: other fields or another spelling than a bundle has")
    key, payload, signature = (_decode(values, k) for k in ("key", "payload", "signature"))
    if len(key) != KEY_LENGTH or len(signature) != SIGNATURE_LENGTH:
        raise WireError("not a policy bundle: key or signature has the wrong length")
    return Ed25519PublicKey.from_public_bytes(key), payload, signature


def _decode(values: Mapping[str, object], name: str) -> bytes:
    text = values[name]
    try:
        data = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        data = b""
    # Bits beyond the last byte are ignored by decoders; they must be zero (RFC 4648, 3.5).
    if not data or _encode(data) != text:
        raise WireError(f"not a policy bundle: {name} is not base64")
    return data


def _parse_json(data: bytes, what: str) -> dict[str, object]:
    try:
        values = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(SOURCE, "", f"{what} is not JSON") from error
    if not isinstance(values, dict):
        raise ConfigError(SOURCE, "", f"{what} is not a JSON object")
    return values


def _canonical(values: Mapping[str, object]) -> bytes:
    try:
        text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    except RecursionError:
        return b""  # which equals no input
    return text.encode("ascii") + b"\n"


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _plain(text: str) -> str:
    return text.lower().removeprefix("sha256:").replace(":", "").replace(" ", "").strip()
