"""What an authority gives, to whom, and what it writes down before."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.authority_world import CLIENT, NAME, URL, create_authority, make_token, now
from throughway.authority import directory as directories
from throughway.authority import registrar as module
from throughway.authority.registrar import Registrar, read_book
from throughway.model.errors import ConfigError, TrustError
from throughway.pki import index as index_module
from throughway.pki import judgement, requests, tokens
from throughway.pki.authority import Profile, create_root, issue
from throughway.pki.requests import build_request, build_user_request, sign_proof
from throughway.pki.tokens import parse_token
from throughway.pki.user_certificate import Proof, check_usage, principal_of

LIFE = timedelta(days=365)


class Clock:
    """A clock that tests put forward."""

    def __init__(self) -> None:
        self.time = now()

    def __call__(self) -> datetime:
        return self.time


class Place:
    """An authority and somebody who asks it."""

    def __init__(self, directory: Path) -> None:
        create_authority(directory)
        self.directory = directory
        self.clock = Clock()
        self.registrar = Registrar(directory, LIFE, self.clock)
        self.key = ec.generate_private_key(ec.SECP256R1())

    def request(self, *names: str) -> bytes:
        return build_request(self.key, names or (CLIENT,))

    def secret(self, *names: str, profile: Profile = Profile.COMPUTER) -> bytes:
        return parse_token(make_token(self.directory, *names, profile=profile)).secret

    def enrolled(self) -> x509.Certificate:
        return self.registrar.enrol(self.request(), self.secret())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "pki")


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def refused(problem: str, words: str) -> "pytest.RaisesExc[TrustError]":
    return pytest.raises(TrustError, match=words, check=lambda error: error.problem == problem)


def test_a_token_gives_what_it_says_and_it_is_written_down(place: Place) -> None:
    made = place.registrar.enrol(place.request(), place.secret(CLIENT, "2001:db8::1"))
    assert judgement.names(made) == (CLIENT, "2001:db8::1"), "what it is entitled to, all of it"
    assert made.public_key() == place.key.public_key()
    assert judgement.crl_urls(made) == (URL,)
    assert abs(made.not_valid_after_utc - place.clock.time - LIFE) < timedelta(minutes=1)
    assert made.serial_number.bit_length() > 100
    assert judgement.chain(made, [place.registrar.anchor()], place.clock.time).trusted
    (entry,) = directories.read_index(place.directory).entries
    assert entry.serial == judgement.serial_of(made)
    assert directories.read_certificate(Path(entry.file)) == made
    (token,) = read_book(place.directory).tokens
    assert token.serial == entry.serial
    assert (place.directory / "tokens.json").stat().st_mode & 0o077 == 0


def test_one_use_but_the_same_computer_may_ask_again(place: Place) -> None:
    secret = place.secret()
    made = place.registrar.enrol(place.request(), secret)
    assert place.registrar.enrol(place.request(), secret) == made
    assert len(directories.read_index(place.directory).entries) == 1
    place.key = ec.generate_private_key(ec.SECP256R1())
    with refused(tokens.USED, "used before"):
        place.registrar.enrol(place.request(), secret)
    directories.revoke(place.directory, CLIENT, "key-compromise", place.clock.time)


def test_what_was_revoked_is_not_given_again(place: Place) -> None:
    secret = place.secret()
    place.registrar.enrol(place.request(), secret)
    directories.revoke(place.directory, CLIENT, "key-compromise", place.clock.time)
    with refused(tokens.USED, "used before"):
        place.registrar.enrol(place.request(), secret)


def test_tokens_that_do_not_count(place: Place) -> None:
    with refused(tokens.UNKNOWN, "does not know"):
        place.registrar.enrol(place.request(), bytes(16))
    secret = place.secret()
    with refused(requests.MISMATCH, "only client1"):
        place.registrar.enrol(place.request("client2.corp.example.com"), secret)
    place.clock.time += timedelta(days=2)
    with refused(tokens.EXPIRED, "has expired"):
        place.registrar.enrol(place.request(), secret)
    assert directories.read_index(place.directory).entries == ()


def test_a_renewal_is_for_the_same_names_and_profile(place: Place) -> None:
    old = place.enrolled()
    new_key = ec.generate_private_key(ec.SECP256R1())
    new = place.registrar.renew(build_request(new_key, (CLIENT,)), der(old))
    assert new.public_key() == new_key.public_key()
    assert judgement.names(new) == judgement.names(old)
    assert new.serial_number != old.serial_number
    for names in (("client2.corp.example.com",), (CLIENT, "client2.corp.example.com")):
        with refused(requests.MISMATCH, "only client1"):
            place.registrar.renew(build_request(new_key, names), der(old))


def test_a_gateway_renews_by_its_old_key(place: Place) -> None:
    secret = place.secret(NAME, profile=Profile.GATEWAY)
    old = place.registrar.enrol(place.request(NAME), secret)
    assert not judgement.allows(old, judgement.Usage.CLIENT)
    request = build_request(ec.generate_private_key(ec.SECP256R1()), (NAME,))
    new = place.registrar.renew(request, der(old), sign_proof(place.key, request))
    assert judgement.allows(new, judgement.Usage.SERVER)
    thief = ec.generate_private_key(ec.SECP256R1())
    with refused(requests.REFUSED, "not signed by the key of the certificate"):
        place.registrar.renew(request, der(old), sign_proof(thief, request))


def test_certificates_that_renew_nothing(place: Place) -> None:
    request = place.request()
    stranger = create_root("Root", place.clock.time)
    theirs = issue(stranger, Profile.COMPUTER, [CLIENT], now=place.clock.time).certificate
    root = directories.open_authority(place.directory)
    unknown = issue(root, Profile.COMPUTER, [CLIENT], now=place.clock.time).certificate
    for certificate in (theirs, unknown, place.registrar.anchor()):
        with refused(requests.REFUSED, "not of this authority"):
            place.registrar.renew(request, der(certificate))
    with refused(requests.REFUSED, "no certificate"):
        place.registrar.renew(request, b"garbage")
    old = place.enrolled()
    directories.revoke(place.directory, CLIENT, "privilege-withdrawn", place.clock.time)
    with refused(requests.REFUSED, "was revoked"):
        place.registrar.renew(request, der(old))
    old = place.enrolled()
    place.clock.time += LIFE
    with refused(requests.REFUSED, "expired; it needs a token"):
        place.registrar.renew(request, der(old))


def test_a_computer_that_renews_without_end_is_stopped(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_IN_FORCE", 3)
    old = der(place.enrolled())
    for _ in range(2):
        place.registrar.renew(place.request(), old)
    with refused(requests.REFUSED, "3 certificates in force"):
        place.registrar.renew(place.request(), old)
    # It is not a limit of life: what has ended does not count.
    place.clock.time += LIFE - timedelta(days=1)
    assert place.registrar.serve_as([NAME]).certificate


def test_who_may_read_the_policy(place: Place) -> None:
    secret = place.secret()
    assert place.registrar.admit(secret=secret) == CLIENT
    made = place.registrar.enrol(place.request(), secret)
    assert place.registrar.admit(secret=secret) == CLIENT, "after it was used, too"
    assert place.registrar.admit(certificate=der(made)) == CLIENT
    with refused(tokens.UNKNOWN, "does not know"):
        place.registrar.admit(secret=bytes(16))
    directories.revoke(place.directory, CLIENT, "unspecified", place.clock.time)
    with refused(requests.REFUSED, "revoked"):
        place.registrar.admit(certificate=der(made))


def test_crls_come_in_time(place: Place, tmp_path: Path) -> None:
    output = tmp_path / "web" / "root.crl"
    assert not place.registrar.publish_crl(output, 7)
    first = output.read_bytes()
    place.clock.time += timedelta(days=3)
    assert not place.registrar.publish_crl(output, 7)
    place.clock.time += timedelta(days=1)
    assert place.registrar.publish_crl(output, 7)
    crl = x509.load_der_x509_crl(output.read_bytes())
    assert crl.next_update_utc == place.clock.time + timedelta(days=7)
    assert first != output.read_bytes()
    # What a command has written is published at the next look.
    directories.renew_crl(place.directory, place.clock.time, 7)
    place.registrar.publish_crl(output, 7)
    assert output.read_bytes() == (place.directory / "ca.crl").read_bytes()
    place.clock.time += timedelta(days=30)
    assert place.registrar.publish_crl(None, 7), "one that was overdue"


def test_many_tokens_at_once(place: Place) -> None:
    names = [(f"c{n}.corp.example.com",) for n in range(500)]
    secrets = [os.urandom(16) for _ in names]
    made = module.make_tokens(
        place.directory, names, Profile.COMPUTER, secrets, now=now(), life=timedelta(days=1)
    )
    assert len({*made}) == 500
    assert place.registrar.enrol(place.request("c77.corp.example.com"), secrets[77])
    with pytest.raises(ConfigError, match="at a time"):
        module.make_tokens(
            *(place.directory, names, Profile.COMPUTER, secrets * 20),
            now=datetime.now(UTC),
            life=LIFE,
        )


def registrar_of(place: Place) -> x509.Certificate:
    return place.registrar.enrol(place.request(NAME), place.secret(NAME, profile=Profile.REGISTRAR))


ALICE = "alice@CORP.EXAMPLE.COM"


def test_a_registrar_gets_users_certificates_for_hours(place: Place) -> None:
    shown = der(registrar_of(place))
    request = build_user_request(place.key)
    made = place.registrar.certify_user(request, shown, ALICE, timedelta(hours=8))
    assert principal_of(made, "CORP.EXAMPLE.COM") == ALICE
    assert check_usage(made, [Proof.CODE]) is Proof.CODE
    assert made.not_valid_after_utc == place.clock() + timedelta(hours=8)
    # It is written down, so that it can be revoked, and never lasts more than a day.
    [entry] = directories.read_index(place.directory).find(ALICE)
    assert entry.profile == Profile.USER
    long = place.registrar.certify_user(request, shown, ALICE, timedelta(days=365))
    assert long.not_valid_after_utc == place.clock() + timedelta(hours=24)
    # Nor is it renewed: it stands for a code.
    for ask in (
        lambda: place.registrar.renew(place.request(), der(made)),
        lambda: place.registrar.admit(certificate=der(made)),
        lambda: place.registrar.certify_user(request, der(made), ALICE, timedelta(hours=1)),
    ):
        with pytest.raises(TrustError, match="is not renewed"):
            ask()


def test_logons_do_not_fill_the_index(place: Place) -> None:
    """Each has a certificate; a hundred thousand of them would be the authority's end."""
    shown, request = der(registrar_of(place)), build_user_request(place.key)
    first = place.registrar.certify_user(request, shown, ALICE, timedelta(hours=8))
    place.clock.time += module.USERS_KEPT_FOR
    place.registrar.certify_user(request, shown, ALICE, timedelta(hours=8))
    assert len(directories.read_index(place.directory).find(ALICE)) == 2
    place.clock.time += timedelta(days=1)
    third = place.registrar.certify_user(request, shown, ALICE, timedelta(hours=8))
    kept = directories.read_index(place.directory)
    serials = [entry.serial for entry in kept.find(ALICE)]
    assert judgement.serial_of(first) not in serials
    assert serials[-1] == judgement.serial_of(third)
    assert not (place.directory / "issued" / f"{judgement.serial_of(first)}.crt").exists()
    assert kept.find(NAME), "those of computers and gateways stay"


def test_a_full_index_stays_readable(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.enrolled()
    monkeypatch.setattr(index_module, "MAX_ENTRIES", 1)
    with pytest.raises(ConfigError, match="no room for another"):
        place.registrar.serve_as((NAME,))
    assert len(directories.read_index(place.directory).entries) == 1


def test_what_is_shown_may_be_anything(place: Place) -> None:
    """The header of a renewal by proof comes unjudged from strangers."""
    shown = bytearray(der(place.enrolled()))
    at = shown.index(b"\xa0\x03\x02\x01\x02") + 4
    shown[at] = 9  # a version that there is not
    for certificate in (bytes(shown), b"0", b""):
        with pytest.raises(TrustError, match="no certificate was shown"):
            place.registrar.renew(place.request(), certificate, b"proof")


def test_nobody_else_gets_users_certificates(place: Place) -> None:
    request = build_user_request(place.key)
    foreign = issue(create_root("Another", now()), Profile.REGISTRAR, [NAME], now=now())
    for shown, words in (
        (der(place.enrolled()), "is no registrar"),
        (b"", "no certificate"),
        (der(foreign.certificate), "not of this authority"),
    ):
        with pytest.raises(TrustError, match=words):
            place.registrar.certify_user(request, shown, ALICE, timedelta(hours=1))


@pytest.mark.parametrize("principal", ["", "alice", "@REALM", "alice@", "al\nice@REALM", "ålice@R"])
def test_who_is_no_user(place: Place, principal: str) -> None:
    shown = der(registrar_of(place))
    with pytest.raises(TrustError, match="user@REALM"):
        place.registrar.certify_user(
            build_user_request(place.key), shown, principal, timedelta(hours=1)
        )


def test_a_request_for_a_user_says_no_name(place: Place) -> None:
    shown = der(registrar_of(place))
    with pytest.raises(TrustError, match="says no name"):
        place.registrar.certify_user(place.request(), shown, ALICE, timedelta(hours=1))
