"""Contexts, and what their errors mean, by handshakes in memory."""

import errno
import socket
import ssl
import tempfile
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.net.iphttps_world import NAME, Authority, Pair
from tests.revocation_world import ROOT, certify
from throughway.model.errors import ConfigError, Stage, TransportError
from throughway.net import tls
from throughway.net.tls import (
    client_context,
    describe,
    key_is_exposed,
    server_context,
    subject_of,
    transport_error,
)
from throughway.pki.authority import Credential
from throughway.pki.pem import build_certificate_pem, build_key_pem

CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


class End:
    """One end of a handshake."""

    def __init__(self, context: ssl.SSLContext, name: str | None) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self.incoming, self.outgoing, server_side=name is None, server_hostname=name
        )
        self.done = False
        self.error: ssl.SSLError | None = None

    def step(self) -> None:
        try:
            if not self.done:
                self.tls.do_handshake()
                self.done = True
            self.tls.read(1)  # a client learns what became of its certificate by reading
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.error = self.error or error


def shake(server: ssl.SSLContext, client: ssl.SSLContext, name: str = NAME) -> tuple[End, End]:
    near, far = End(client, name), End(server, None)
    for _ in range(5):
        near.step()
        far.incoming.write(near.outgoing.read())
        far.step()
        near.incoming.write(far.outgoing.read())
    return near, far


def trusting(authority: Authority, pair: Pair | None = None) -> ssl.SSLContext:
    certificate, key = (pair.certificate, pair.key) if pair else (None, None)
    return client_context(
        anchors=[authority.root.pem], system=False, certificate=certificate, key=key
    )


def serving(pair: Pair, client_ca: Path | None = None) -> ssl.SSLContext:
    return server_context(pair.certificate, pair.key, client_ca=client_ca)


def failure(near: End) -> TransportError:
    assert near.error is not None
    return transport_error(near.error, Stage.TLS)


def test_a_good_handshake(authority: Authority) -> None:
    near, far = shake(serving(authority.issue(NAME)), trusting(authority))
    assert near.done
    assert far.done
    assert near.error is None
    assert describe(near.tls).startswith("TLSv1.3 TLS_")
    assert subject_of(far.tls) == ""
    assert describe(None) == subject_of(None) == ""


def test_old_versions_are_refused(authority: Authority) -> None:
    old = trusting(authority)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    near, _ = shake(serving(authority.issue(NAME)), old)
    assert not near.done


@pytest.mark.parametrize(
    ("begins", "ends", "name", "windows_code", "problem"),
    [
        (-2, -1, NAME, 0x800B0101, "iphttps-cert-expired"),
        (1, 2, NAME, 0x800B0101, "iphttps-cert-not-yet-valid"),
        (-1, 1, "www.example.com", 0x800B010F, "iphttps-cert-name-mismatch"),
    ],
)
def test_bad_server_certificates(
    authority: Authority, begins: float, ends: float, name: str, windows_code: int, problem: str
) -> None:
    pair = authority.issue(name, begins=begins, ends=ends)
    error = failure(shake(serving(pair), trusting(authority))[0])
    assert (error.windows_code, error.problem) == (windows_code, problem)
    assert error.stage is Stage.TLS


def test_an_unknown_root(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", "Other Root")
    error = failure(shake(serving(other.issue(NAME)), trusting(authority))[0])
    assert (error.windows_code, error.problem) == (0x800B0109, "iphttps-cert-untrusted-root")
    own = failure(shake(serving(other.root), trusting(authority))[0])
    assert own.problem == "iphttps-cert-untrusted-root"


def test_client_certificates(authority: Authority, tmp_path: Path) -> None:
    server = serving(authority.issue(NAME), authority.root.certificate)
    client = authority.issue("client1.example.com")
    near, far = shake(server, trusting(authority, client))
    assert near.error is None
    assert subject_of(far.tls) == "commonName=client1.example.com"

    error = failure(shake(server, trusting(authority))[0])
    assert (error.windows_code, error.problem) == (0x90320, "iphttps-client-cert-required")

    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other", "Other Root").issue("client1.example.com")
    rejected = failure(shake(server, trusting(authority, stranger))[0])
    assert rejected.problem == "iphttps-client-cert-rejected"


def test_something_that_is_no_tls(authority: Authority) -> None:
    near = End(trusting(authority), NAME)
    near.step()
    near.incoming.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    near.step()
    assert (failure(near).windows_code, failure(near).problem) == (
        0x80090308,
        "iphttps-wrong-server",
    )


@pytest.mark.parametrize(
    ("error", "windows_code", "problem"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), 0x2AF9, "iphttps-name-unresolvable"),
        (socket.gaierror(socket.EAI_NODATA, "x"), 0x2AFC, "iphttps-name-unresolvable"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), 0x2AFA, "iphttps-name-unresolvable"),
        (TimeoutError(), 0x274C, "iphttps-port-blocked"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), 0x274D, "iphttps-connection-refused"),
        (ConnectionResetError(errno.ECONNRESET, "x"), 0x2746, "iphttps-connection-reset"),
        (BrokenPipeError(errno.EPIPE, "x"), 0x2746, "iphttps-connection-reset"),
        (OSError(errno.ENETUNREACH, "x"), 0x2743, "internet-down"),
        (OSError(errno.EHOSTUNREACH, "x"), 0x2751, "iphttps-port-blocked"),
        (ssl.SSLEOFError(8, "EOF"), 0x2746, "iphttps-connection-reset"),
        (OSError(errno.EPERM, "x"), 0, ""),
        (RuntimeError("x"), 0, ""),
    ],
)
def test_errors_of_the_network(error: Exception, windows_code: int, problem: str) -> None:
    told = transport_error(error, Stage.CONNECT)
    assert (told.windows_code, told.problem) == (windows_code, problem)
    assert str(told)
    assert transport_error(told, Stage.TLS) is told


def test_every_problem_is_in_the_catalogue() -> None:
    catalogue = "".join(
        path.read_text() for path in (Path(tls.__file__).parents[1] / "catalogue").glob("*.py")
    )
    problems = {row[1] for row in tls._VERIFICATION_ERRORS.values()}
    problems |= {row[1] for row in tls._TLS_ERRORS.values()}
    problems |= {row[1] for row in tls._CONNECTION_ERRORS.values()}
    for problem in problems:
        assert f'code="{problem}"' in catalogue


def test_what_cannot_be_used_is_said(authority: Authority, tmp_path: Path) -> None:
    one, two = authority.issue(NAME), authority.issue(NAME)
    with pytest.raises(ConfigError, match="key values mismatch"):
        server_context(one.certificate, two.key, file="gateway.toml")
    with pytest.raises(ConfigError, match=r"gateway\.toml: certificate: .* cannot be read"):
        server_context(tmp_path / "none", one.key, file="gateway.toml")
    with pytest.raises(ConfigError, match="client_ca"):
        server_context(one.certificate, one.key, client_ca=tmp_path / "none")
    with pytest.raises(ConfigError, match="trust anchor"):
        client_context(anchors=["no PEM"])


def test_a_key_that_others_can_read(authority: Authority) -> None:
    key = authority.issue(NAME).key
    assert not key_is_exposed(key)
    key.chmod(0o640)
    assert key_is_exposed(key)


@pytest.mark.parametrize(
    ("subject", "names", "options", "problem"),
    [
        ("da.example.com", ("da.example.com",), {}, ""),
        ("other", ("*.example.com",), {}, ""),
        # As Windows does: the common name counts where there is no alternative name, only there.
        ("da.example.com", (), {}, ""),
        ("da.example.com", ("other.example.com",), {}, "iphttps-cert-name-mismatch"),
        ("da.example.com", None, {"usages": [CLIENT_AUTH]}, "iphttps-cert-wrong-usage"),
    ],
)
def test_what_a_server_s_certificate_must_be(
    subject: str, names: tuple[str, ...] | None, options: dict[str, Any], problem: str
) -> None:
    leaf = certify(subject, ROOT, names=names, **options)
    assert shaken_hands(leaf, [], ROOT) == problem


def test_what_signs_must_be_an_authority() -> None:
    bare = certify("No Authority", ROOT)
    leaf = certify("da.example.com", bare)
    assert shaken_hands(leaf, [bare], ROOT) == "iphttps-cert-chain-invalid"
    between = certify("Between", ROOT, ca=True)
    leaf = certify("da.example.com", between)
    assert shaken_hands(leaf, [between], ROOT) == ""
    assert shaken_hands(leaf, [], ROOT) == "iphttps-cert-untrusted-root"


def shaken_hands(leaf: Credential, chain: list[Credential], root: Credential) -> str:
    """Return the problem of a client with a server in memory, "" when there is none."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "c.pem", Path(folder) / "k.pem"
        certificates = [each.certificate for each in (leaf, *chain)]
        files[0].write_bytes(b"".join(map(build_certificate_pem, certificates)))
        files[1].write_bytes(build_key_pem(leaf.key))
        of_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        of_server.load_cert_chain(*files)
    anchor = build_certificate_pem(root.certificate).decode()
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = of_server.wrap_bio(up, down, server_side=True)
    client = client_context(anchors=[anchor], system=False).wrap_bio(
        down, up, server_hostname="da.example.com"
    )
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLError as error:
            return transport_error(error, Stage.TLS).problem
    return ""
