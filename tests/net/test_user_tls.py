"""The TLS of EAP-TLS against OpenSSL: who comes through, and what is said of the others."""

import contextlib
from datetime import UTC, datetime

import pytest
from cryptography import x509
from OpenSSL import SSL

from tests.smart_cards import Person, users_root
from throughway.model.errors import TrustError
from throughway.net.user_tls import UserTLS, UserTLSSettings, make_context
from throughway.pki.authority import Credential, Profile, create_root, issue
from throughway.pki.pem import build_key_pem

NOW = datetime.now(UTC)
ROOT, USERS = create_root("Root", NOW), users_root()
GATEWAY = issue(ROOT, Profile.GATEWAY, ["da.example.com"], now=NOW)
CONTEXT = make_context(
    UserTLSSettings(
        certificate=GATEWAY.certificate,
        chain=(),
        key=build_key_pem(GATEWAY.key),
        authorities=(USERS.certificate,),
    )
)


def client(credential: Credential | None, version: int = SSL.TLS1_2_VERSION) -> SSL.Connection:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(version)
    if credential is not None:
        context.use_certificate(credential.certificate)
        context.use_privatekey(credential.key)
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    return connection


def flight(connection: SSL.Connection, received: bytes = b"") -> bytes:
    if received:
        connection.bio_write(received)
    with contextlib.suppress(SSL.WantReadError):
        connection.do_handshake()
    try:
        return connection.bio_read(65536)
    except SSL.WantReadError:
        return b""


def shake(server: UserTLS, peer: SSL.Connection) -> None:
    data = flight(peer)
    while data:
        data = flight(peer, server.receive(data))


def well(certificate: x509.Certificate) -> None:
    pass


def test_both_ends_have_one_key() -> None:
    alice = Person().issue(USERS)
    server, peer = UserTLS(CONTEXT, well), client(alice)
    shake(server, peer)
    assert server.finished
    assert server.receive(b"") == b""
    assert server.chain() == (alice.certificate, USERS.certificate)
    key = peer.export_keying_material(b"client EAP encryption", 64)
    assert server.session_key() == key


@pytest.mark.parametrize(
    ("credential", "problem", "words"),
    [
        (None, "ipsec-user-refused", "did not return a certificate"),
        (Person(age_days=40).issue(USERS), "user-certificate-expired", "has expired"),
        (Person(age_days=-1).issue(USERS), "user-certificate-expired", "not valid yet"),
        (Person().issue(users_root("Other")), "user-certificate-untrusted", "none of the"),
        (Person().issue(users_root()), "user-certificate-untrusted", "signature"),
        (GATEWAY, "user-certificate-untrusted", "none of the authorities"),
    ],
)
def test_who_is_refused_hears_an_alert(
    credential: Credential | None, problem: str, words: str
) -> None:
    server, peer = UserTLS(CONTEXT, well), client(credential)
    with pytest.raises(TrustError, match=words) as caught:
        shake(server, peer)
    assert caught.value.problem == problem
    alert = server.pending()
    assert alert[0] == 21
    assert not server.finished
    with pytest.raises(SSL.Error):
        flight(peer, alert)


def test_what_the_certificate_must_say_besides_is_asked() -> None:
    def refuse(certificate: x509.Certificate) -> None:
        raise TrustError("not for smart-card logon", problem="user-certificate-wrong-usage")

    with pytest.raises(TrustError, match="not for smart-card logon"):
        shake(UserTLS(CONTEXT, refuse), client(Person().issue(USERS)))


@pytest.mark.parametrize("data", [b"garbage that is no TLS at all", b"\x17\x03\x01\x00\x02ab"])
def test_garbage(data: bytes) -> None:
    server = UserTLS(CONTEXT, well)
    with pytest.raises(TrustError, match="handshake failed") as caught:
        server.receive(data)
    assert caught.value.problem == "ipsec-user-refused"
    assert not server.finished
