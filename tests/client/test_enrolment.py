"""Joining: everything is checked before anything is written, and twice is as good as once."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.pki_world import COMPUTER, GATEWAY, NOW, OTHER_ROOT, ROOT, SIGNING_KEY, write_gateway
from throughway.client import enrolment
from throughway.client import settings as client_settings
from throughway.client.enrolment import Computer, Joined, Place
from throughway.client.join import load_bundle
from throughway.gateway import publish, settings
from throughway.model.errors import ConfigError, ThroughwayError, TrustError
from throughway.model.policy import Policy
from throughway.net.files import read_toml
from throughway.pki import bundle, pem
from throughway.pki.authority import Credential, Profile, issue

TIME = time.time()
PUBLIC = SIGNING_KEY.public_key()


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    folder = tmp_path_factory.mktemp("gateway")
    return publish.build_bundle(settings.load(write_gateway(folder)), TIME)[0]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "etc", tmp_path / "state")


def computer(credential: Credential = COMPUTER, **changes: object) -> Computer:
    return replace(
        Computer(
            certificate=pem.build_certificate_pem(credential.certificate),
            key=pem.build_key_pem(credential.key),
            account="",
            password="secret",
        ),
        **changes,  # type: ignore[arg-type]
    )


def join(policy: Policy, place: Place, who: Computer | None = None) -> Joined:
    data = bundle.sign(policy, SIGNING_KEY)
    return enrolment.join(data, PUBLIC, who or computer(), place, TIME)


def snapshot(place: Place) -> dict[Path, tuple[bytes, int, int]]:
    return {
        path: (path.read_bytes(), path.stat().st_mode & 0o777, path.stat().st_ino)
        for path in place.files
        if path.exists()
    }


def test_the_daemon_can_load_what_joining_has_written(policy: Policy, place: Place) -> None:
    joined = join(policy, place)
    assert joined == Joined(policy=policy, identity="client1.corp.example.com", account="CLIENT1$")
    config = client_settings.load(place.config)
    assert config.identity == "client1.corp.example.com"
    assert config.account == "CLIENT1$"
    assert config.password_file is not None
    assert config.password_file.read_text() == "secret\n"
    assert load_bundle(config, TIME) == policy
    modes = {path.name: mode for path, (_, mode, _) in snapshot(place).items()}
    assert modes["computer.key"] == modes["account.password"] == 0o600


def test_twice_is_as_good_as_once(policy: Policy, place: Place) -> None:
    join(policy, place)
    before = snapshot(place)
    join(policy, place)
    assert snapshot(place) == before


def test_what_an_administrator_has_added_stays(policy: Policy, place: Place) -> None:
    join(policy, place)
    with place.config.open("a") as file:
        file.write('interface = "da0"\nesp = "libipsec"\n')
    join(replace(policy, version=2), place, computer(account="OTHER$"))
    config = client_settings.load(place.config)
    assert (config.interface, config.esp, config.account) == ("da0", "libipsec", "OTHER$")


def test_default_paths_are_not_written_down() -> None:
    config = enrolment._config(Place(), "client1.corp.example.com", "CLIENT1$")
    text = enrolment._toml(config, Place(Path("/nonexistent"))).decode()
    assert "bundle" not in text
    assert "policy_key" not in text


SHORT_LIVED = issue(ROOT, Profile.COMPUTER, ["client1.corp.example.com"], now=NOW, days=1)


@pytest.mark.parametrize(
    ("who", "why"),
    [
        (computer(GATEWAY), "clientAuth"),
        (computer(key=pem.build_key_pem(GATEWAY.key)), "does not belong"),
        (computer(key=b"x"), "no private key"),
        (computer(certificate=b"x"), "no certificate"),
        (
            computer(issue(OTHER_ROOT, Profile.COMPUTER, ["client1.corp.example.com"], now=NOW)),
            "will not trust",
        ),
        (computer(issue(ROOT, Profile.COMPUTER, ["2001:db8::1"], now=NOW)), "no DNS name"),
        (computer(account="CLIENT1"), "not a computer account"),
        (computer(password=""), "password: is empty"),
    ],
)
def test_a_computer_that_cannot_connect_is_not_joined(
    policy: Policy, place: Place, who: Computer, why: str
) -> None:
    with pytest.raises(ThroughwayError, match=why):
        join(policy, place, who)
    assert snapshot(place) == {}


def test_an_expired_certificate_is_not_joined(policy: Policy, place: Place) -> None:
    later = TIME + 2 * 86400
    data = bundle.sign(policy, SIGNING_KEY)
    with pytest.raises(TrustError, match="is expired"):
        enrolment.join(data, PUBLIC, computer(SHORT_LIVED), place, later)


def test_a_refused_bundle_leaves_everything(policy: Policy, place: Place) -> None:
    join(replace(policy, version=5), place)
    before = snapshot(place)
    with pytest.raises(TrustError) as caught:
        join(replace(policy, version=4), place)
    assert caught.value.problem == "policy-rolled-back"
    expired = replace(policy, version=6, issued_at=0, expires_at=1)
    with pytest.raises(TrustError) as caught:
        join(expired, place)
    assert caught.value.problem == "policy-expired"
    assert snapshot(place) == before


def test_the_first_key_is_trusted_by_its_fingerprint_only(policy: Policy, place: Place) -> None:
    data = bundle.sign(policy, SIGNING_KEY)
    assert enrolment.trusted_key(data, place, "") is None
    right = bundle.fingerprint(PUBLIC)
    key = enrolment.trusted_key(data, place, right.upper())
    assert key is not None
    with pytest.raises(TrustError) as caught:
        enrolment.trusted_key(data, place, "0" * 64)
    assert caught.value.problem == "policy-signature-invalid"


def test_a_later_bundle_must_be_signed_by_the_pinned_key(policy: Policy, place: Place) -> None:
    join(policy, place)
    assert enrolment.trusted_key(bundle.sign(policy, SIGNING_KEY), place, "") is not None
    new = Ed25519PrivateKey.generate()
    data = bundle.sign(policy, new)
    with pytest.raises(TrustError, match="--trust") as caught:
        enrolment.trusted_key(data, place, "")
    assert caught.value.problem == "policy-signature-invalid"
    key = enrolment.trusted_key(data, place, bundle.fingerprint(new.public_key()))
    assert key is not None
    enrolment.join(data, key, computer(), place, TIME)
    assert load_bundle(client_settings.load(place.config), TIME) == policy


def test_leaving_removes_all_and_can_be_repeated(policy: Policy, place: Place) -> None:
    join(policy, place)
    for path in (place.pending_key, place.token):
        path.write_text("of a join by token")
    assert set(enrolment.leave(place)) == set(place.files)
    assert snapshot(place) == {}
    assert enrolment.leave(place) == ()


def test_leaving_what_was_never_joined_removes_nothing(place: Place) -> None:
    """A certificate and key that an administrator has put there are not ours."""
    place.directory.mkdir(parents=True, exist_ok=True)
    place.key.write_text("the only copy")
    assert enrolment.leave(place) == ()
    assert place.key.read_text() == "the only copy"


@pytest.mark.parametrize("done", range(6))
def test_leaving_that_was_cut_off_is_finished(policy: Policy, place: Place, done: int) -> None:
    join(policy, place)
    for path in place.files[:done]:
        path.unlink()
    enrolment.leave(place)
    assert snapshot(place) == {}


def test_a_place_that_cannot_be_written_is_told(policy: Policy, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="cannot be written"):
        join(policy, Place(tmp_path / "file" / "etc", tmp_path / "state"))


@pytest.mark.parametrize(
    ("identity", "account"),
    [
        ("client1.corp.example.com", "CLIENT1$"),
        ("a-very-long-computer-name.example", "A-VERY-LONG-COM$"),
        ("bare", "BARE$"),
    ],
)
def test_accounts_are_told_from_names(identity: str, account: str) -> None:
    assert enrolment.account_of(identity) == account


def test_toml_is_quoted(tmp_path: Path) -> None:
    values: dict[str, object] = {
        "a": 'x"\\y',
        "t": {"d": False, "e": "x"},
        "b": "tab\tdel\x7f",
        "c": "größe 🙂",
    }
    values |= {"l": ["x", 'y"\x7f'], "none": [], "n": -3, "u": {"l": [True, False]}}
    path = tmp_path / "x.toml"
    path.write_bytes(enrolment.build_toml(values))
    assert read_toml(path) == values
    with pytest.raises(ConfigError, match="must be text"):
        enrolment.build_toml({"a": object()})
