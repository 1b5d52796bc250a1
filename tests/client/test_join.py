"""The last good bundle stays until a better one has proved itself."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.pki_world import SIGNING_KEY, write, write_gateway
from throughway.client.join import install_bundle, load_bundle
from throughway.gateway import publish, settings
from throughway.model.config import ClientConfig
from throughway.model.errors import TrustError
from throughway.model.policy import Policy
from throughway.pki import bundle, pem

NOW = 1_800_000_000


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    folder = tmp_path_factory.mktemp("gateway")
    return publish.build_bundle(settings.load(write_gateway(folder)), NOW)[0]


@pytest.fixture
def config(tmp_path: Path) -> ClientConfig:
    write(tmp_path / "policy.pub", pem.build_public_key_pem(SIGNING_KEY.public_key()))
    unused = tmp_path / "unused"
    return ClientConfig(
        file=unused,
        certificate=unused,
        key=unused,
        account="CLIENT1$",
        identity="client1.corp.example.com",
        password_file=unused,
        bundle=tmp_path / "state" / "policy.bundle",
        policy_key=tmp_path / "policy.pub",
    )


def signed(policy: Policy, version: int, key: Ed25519PrivateKey = SIGNING_KEY) -> bytes:
    return bundle.sign(replace(policy, version=version), key)


def refused(data: bytes, config: ClientConfig, now: float = NOW) -> str:
    before = config.bundle.read_bytes() if config.bundle.exists() else None
    with pytest.raises(TrustError) as caught:
        install_bundle(data, config, now)
    after = config.bundle.read_bytes() if config.bundle.exists() else None
    assert after == before
    return caught.value.problem


def test_what_was_installed_is_in_force(config: ClientConfig, policy: Policy) -> None:
    assert install_bundle(signed(policy, 1), config, NOW).version == 1
    assert install_bundle(signed(policy, 5), config, NOW).version == 5
    assert load_bundle(config, NOW) == replace(policy, version=5)


def test_the_same_again_changes_nothing(config: ClientConfig, policy: Policy) -> None:
    install_bundle(signed(policy, 1), config, NOW)
    before = config.bundle.stat()
    assert install_bundle(signed(policy, 1), config, NOW).version == 1
    after = config.bundle.stat()  # but for the time of the last reading
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_nothing_worse_takes_its_place(config: ClientConfig, policy: Policy) -> None:
    install_bundle(signed(policy, 3), config, NOW)
    good = signed(policy, 4)
    assert refused(signed(policy, 2), config) == "policy-rolled-back"
    twin = signed(replace(policy, deployment="other"), 3)
    assert refused(twin, config) == "policy-rolled-back"
    other = signed(policy, 4, Ed25519PrivateKey.generate())
    assert refused(other, config) == "policy-signature-invalid"
    assert refused(good, config, now=policy.expires_at) == "policy-expired"
    assert refused(b"", config) == "policy-signature-invalid"
    assert refused(good[:-1], config) == "policy-signature-invalid"
    assert load_bundle(config, NOW).version == 3


def test_an_expired_bundle_is_no_way_back(config: ClientConfig, policy: Policy) -> None:
    """Its policy is not obeyed any more, but its version still counts."""
    install_bundle(signed(policy, 3), config, NOW)
    later = policy.expires_at + 1
    with pytest.raises(TrustError) as caught:
        load_bundle(config, later)
    assert caught.value.problem == "policy-expired"
    fresh = replace(policy, expires_at=later + 100)
    assert refused(signed(fresh, 2), config, later) == "policy-rolled-back"
    assert install_bundle(signed(fresh, 4), config, later).version == 4


def test_a_damaged_bundle_gives_way_to_a_good_one(config: ClientConfig, policy: Policy) -> None:
    install_bundle(signed(policy, 3), config, NOW)
    write(config.bundle, b"damaged")
    with pytest.raises(TrustError) as caught:
        load_bundle(config, NOW)
    assert caught.value.problem == "policy-signature-invalid"
    assert install_bundle(signed(policy, 3), config, NOW).version == 3


def test_no_bundle_and_no_key_are_a_missing_policy(config: ClientConfig, policy: Policy) -> None:
    for _ in range(2):
        with pytest.raises(TrustError) as caught:
            load_bundle(config, NOW)
        assert caught.value.problem == "policy-missing"
        config.policy_key.unlink(missing_ok=True)
    assert refused(signed(policy, 1), config) == "policy-missing"


def test_a_signed_bundle_that_cannot_be_obeyed_is_malformed(
    config: ClientConfig, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(bundle, "parse_policy", lambda payload: policy)
        data = bundle.sign(replace(policy, nls_urls=()), SIGNING_KEY)
    assert refused(data, config) == "policy-malformed"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://131.107.0.2:443/IPHTTPS", "iphttps-url-is-ip-address"),
        ("https://[2001:db8::2]/IPHTTPS", "iphttps-url-is-ip-address"),
        ("da.example.com/IPHTTPS", "iphttps-url-invalid"),
        ("https://da..example/IPHTTPS", "iphttps-url-invalid"),
    ],
)
@pytest.mark.parametrize("others", [{}, {"nls_urls": ()}], ids=["alone", "beside-others"])
def test_a_url_that_leads_nowhere_is_named(
    config: ClientConfig,
    policy: Policy,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    problem: str,
    others: dict[str, Any],
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(bundle, "parse_policy", lambda payload: policy)
        data = bundle.sign(replace(policy, iphttps_url=url, **others), SIGNING_KEY)
    assert refused(data, config) == problem


def test_a_crash_while_writing_leaves_the_last_good_one(
    config: ClientConfig, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_bundle(signed(policy, 1), config, NOW)

    def crash(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", crash)
        with pytest.raises(OSError, match="Input/output"):
            install_bundle(signed(policy, 2), config, NOW)
    assert load_bundle(config, NOW).version == 1
