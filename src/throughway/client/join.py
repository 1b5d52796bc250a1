"""The policy bundle on the client's disk: the last good one, and how a newer one takes its place.

Lean, since the daemon imports it; what ``throughway client join`` does besides is in
:mod:`throughway.client.enrolment`. Everything that is wrong with a bundle is a
:exc:`TrustError` whose ``problem`` is the catalogue's code.
"""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from throughway.model.config import ClientConfig
from throughway.model.errors import ConfigError, TrustError
from throughway.model.policy import Policy
from throughway.net.files import read_file, write_atomically
from throughway.pki import bundle
from throughway.pki.fields import IS_ADDRESS


def load_bundle(config: ClientConfig, now: float) -> Policy:
    """Return the policy in force; raises :exc:`TrustError` when there is none that holds."""
    return _verify(_read(config), pinned_key(config.policy_key), now)


def install_bundle(data: bytes, config: ClientConfig, now: float) -> Policy:
    """Verify a bundle and put it in the place of the last good one; return its policy.

    On any error the last good one stays. The same bundle again changes nothing.
    """
    key = pinned_key(config.policy_key)
    current = _current(config, key)
    if current is not None and current[0] == data:
        return _verify(data, key, now)
    policy = _verify(data, key, now, at_least=current[1].version if current else 0)
    if current is not None and policy.version == current[1].version:
        raise TrustError(
            f"the policy bundle has version {policy.version} like the one in force, "
            "but another content",
            problem="policy-rolled-back",
        )
    config.bundle.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(config.bundle, data)
    return policy


def pinned_key(file: Path) -> Ed25519PublicKey:
    """Return the key that was pinned when this client joined."""
    try:
        return bundle.parse_public_key(read_file(file), str(file))
    except (ValueError, TrustError) as error:
        raise TrustError(f"no pinned policy key: {error}", problem="policy-missing") from error


def _read(config: ClientConfig) -> bytes:
    try:
        return read_file(config.bundle, bundle.MAX_BUNDLE)
    except ValueError as error:
        raise TrustError(f"no policy bundle: {error}", problem="policy-missing") from error


def _current(config: ClientConfig, key: Ed25519PublicKey) -> tuple[bytes, Policy] | None:
    """Return the bundle in force, even when it has expired: its version counts all the same."""
    try:
        data = _read(config)
        return data, _verify(data, key, now=0)
    except TrustError:
        return None


def _verify(data: bytes, key: Ed25519PublicKey, now: float, at_least: int = 0) -> Policy:
    try:
        return bundle.verify(data, key, now, at_least)
    except ConfigError as error:
        raise TrustError(str(error), problem=_problem_of(error)) from error


def _problem_of(error: ConfigError) -> str:
    """Return what is wrong with a policy that its administrator has signed."""
    of_url = [one for one in error.errors or (error,) if one.key == "iphttps_url"]
    if not of_url:
        return "policy-malformed"
    address = any(IS_ADDRESS in one.why for one in of_url)
    return "iphttps-url-is-ip-address" if address else "iphttps-url-invalid"
