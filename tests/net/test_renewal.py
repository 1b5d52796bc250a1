"""Two files that are replaced as one; the asking itself runs against the real service."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from tests.authority_world import CLIENT, NAME, Authority, now, serving
from throughway.authority import directory as directories
from throughway.model.errors import ConfigError, ThroughwayError, TransportError, TrustError
from throughway.net.est import ESTClient
from throughway.net.renewal import Pair, judge_new, renew
from throughway.pki import judgement, pem
from throughway.pki.authority import Credential, KeyType, Profile, create_root, issue

ROOT = create_root("Root", now())


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    with serving() as running:
        yield running


def installed(folder: Path, credential: Credential) -> Pair:
    pair = Pair(folder / "computer.crt", folder / "computer.key")
    pair.certificate.write_bytes(pem.build_certificate_pem(credential.certificate))
    pair.key.write_bytes(pem.build_key_pem(credential.key))
    pair.key.chmod(0o400)
    return pair


def issued(
    authority: Authority,
    folder: Path,
    name: str = CLIENT,
    profile: Profile = Profile.COMPUTER,
    key_type: KeyType = KeyType.P256,
) -> Pair:
    written = directories.issue(
        authority.directory,
        profile,
        [name],
        now(),
        days=30,
        key_type=key_type,
        crl_url=None,
        output=folder / "computer",
        force=False,
    )
    return Pair(written.certificate, written.key)


async def here(_: str) -> Sequence[str]:
    return ("127.0.0.1",)


def renewed(authority: Authority, pair: Pair, *, by_proof: bool = False) -> x509.Certificate:
    anchors = ((authority.directory / "ca.crt").read_text(),)
    return asyncio.run(
        renew(pair, authority.url, anchors, datetime.now(UTC), by_proof=by_proof, resolve=here)
    )


def whole(pair: Pair) -> bool:
    chain, key = pair.read()
    return pem.same_key(chain[0], key)


@pytest.mark.parametrize("key_type", [KeyType.P256, KeyType.RSA2048])
@pytest.mark.parametrize("by_proof", [False, True])
def test_another_certificate_with_another_key_takes_the_place(
    authority: Authority, tmp_path: Path, key_type: KeyType, by_proof: bool
) -> None:
    profile, name = (Profile.GATEWAY, NAME) if by_proof else (Profile.COMPUTER, CLIENT)
    pair = issued(authority, tmp_path, name, profile, key_type)
    pair.key.chmod(0o400)
    (old, *_), old_key = pair.read()
    made = renewed(authority, pair, by_proof=by_proof)
    (new, *_), new_key = pair.read()
    assert made == new
    assert whole(pair)
    assert new.public_key() != old.public_key()
    assert type(new_key) is type(old_key)
    assert judgement.names(new) == (name,)
    assert pair.key.stat().st_mode & 0o777 == 0o400
    assert {path.name for path in tmp_path.iterdir()} == {
        *("computer.crt", "computer.key", "computer.crt.old", "computer.key.old")
    }
    pair.forget_old()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_server_certificate_is_not_taken_from_a_client(
    authority: Authority, tmp_path: Path
) -> None:
    pair = issued(authority, tmp_path, NAME, Profile.GATEWAY)
    before = pair.certificate.read_bytes()
    with pytest.raises(ThroughwayError):
        renewed(authority, pair)
    assert pair.certificate.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_what_fails_changes_nothing(authority: Authority, tmp_path: Path) -> None:
    pair = issued(authority, tmp_path)
    before = pair.certificate.read_bytes(), pair.key.read_bytes()
    serial = judgement.serial_of(pair.read()[0][0])
    away = Authority(authority.folder, 1, authority.process)
    with pytest.raises(TransportError):
        renewed(away, pair)
    directories.revoke(authority.directory, serial, "unspecified", now())
    with pytest.raises(TrustError, match="was revoked"):
        renewed(authority, pair)
    assert (pair.certificate.read_bytes(), pair.key.read_bytes()) == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_new_one_that_opens_no_connection_is_not_taken(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = issued(authority, tmp_path)
    before = pair.certificate.read_bytes(), pair.key.read_bytes()

    async def refused(_: object) -> None:
        raise TrustError("not accepted")

    monkeypatch.setattr(ESTClient, "authorities", refused)
    with pytest.raises(TrustError, match="not accepted"):
        renewed(authority, pair)
    assert (pair.certificate.read_bytes(), pair.key.read_bytes()) == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_power_cut_leaves_one_whole_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each of the steps the power fails; after it there is the old pair or the new one."""

    class PowerError(Exception):
        pass

    names = ("replace", "unlink", "link")
    for fatal in range(20):
        folder = tmp_path / str(fatal)
        folder.mkdir()
        pair = installed(folder, issue(ROOT, Profile.COMPUTER, [CLIENT], now=now()))
        other = issue(ROOT, Profile.COMPUTER, [CLIENT], now=now())
        steps = iter(range(100))

        def step(original: object, steps: Iterator[int] = steps, fatal: int = fatal) -> object:
            def call(*arguments: object, **options: object) -> object:
                if next(steps) >= fatal:
                    raise PowerError
                return original(*arguments, **options)  # type: ignore[operator]

            return call

        finished = False
        with monkeypatch.context() as patched:
            for name in names:
                patched.setattr(os, name, step(getattr(os, name)))
            try:
                pair.stage((other.certificate,), other.key)
                pair.commit()
                finished = True
            except PowerError:
                pass
        pair.recover()
        assert whole(pair), fatal
        assert not list(folder.glob("*.new"))
        if finished:
            assert pair.read()[0][0] == other.certificate
            return
    raise AssertionError("never finished")


def test_falling_back_to_the_old_pair(tmp_path: Path) -> None:
    first, second = (issue(ROOT, Profile.COMPUTER, [CLIENT], now=now()) for _ in range(2))
    pair = installed(tmp_path, first)
    assert not pair.fall_back(now())
    pair.stage((second.certificate,), second.key)
    pair.commit()
    assert not pair.fall_back(now() + timedelta(days=3000)), "the old one has ended"
    assert pair.fall_back(now())
    assert pair.read()[0][0] == first.certificate
    assert whole(pair)
    assert not pair.fall_back(now())


def test_symbolic_links_stay(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    real = installed(tmp_path / "real", issue(ROOT, Profile.COMPUTER, [CLIENT], now=now()))
    pair = Pair(tmp_path / "c", tmp_path / "k")
    pair.certificate.symlink_to(real.certificate)
    pair.key.symlink_to(real.key)
    other = issue(ROOT, Profile.COMPUTER, [CLIENT], now=now())
    pair.stage((other.certificate,), other.key)
    pair.commit()
    assert whole(pair)
    assert pair.key.is_symlink()
    assert real.read()[0][0] == other.certificate


def test_certificates_that_would_be_worse() -> None:
    old = issue(ROOT, Profile.COMPUTER, [CLIENT], now=now(), days=30).certificate
    better = issue(ROOT, Profile.COMPUTER, [CLIENT], now=now(), days=60).certificate
    judge_new(old, better, [ROOT.certificate], [], now())
    stranger = create_root("Root", now())
    worse = (
        (issue(ROOT, Profile.COMPUTER, ["b.example"], now=now()).certificate, "other names"),
        (issue(stranger, Profile.COMPUTER, [CLIENT], now=now()).certificate, "not trusted"),
        (issue(ROOT, Profile.COMPUTER, [CLIENT], now=now(), days=20).certificate, "no later"),
    )
    for new, words in worse:
        with pytest.raises(TrustError, match=words):
            judge_new(old, new, [ROOT.certificate], [], now())


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        Pair(tmp_path / "a", tmp_path / "b").read()
