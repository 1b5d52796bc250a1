"""What OpenSSL says of a client's certificate, in real handshakes of both versions of TLS."""

import ssl
from pathlib import Path

import pytest

from tests.net.iphttps_world import CLIENT_FAULTS, NAME, Authority
from throughway.net.client_certificates import refusal_of
from throughway.net.tls import client_context, server_context


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> ssl.SSLError | None:
    """Shake hands in memory; return what the server fails with."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(down, up, server_hostname=NAME),
        server.wrap_bio(up, down, server_side=True),
    )
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                if end.server_side:
                    return error
    return None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("fault", ["", *CLIENT_FAULTS])
def test_each_fault_has_its_code(fault: str, version: ssl.TLSVersion, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own = fault if fault in ("untrusted", "expired", "not yet valid", "wrong usage") else ""
    pair = authority.client(own)
    crl = authority.list_revoked(
        *((pair,) if fault == "revoked" else ()), ends=-1 if fault == "old list" else 1
    )
    if fault == "no list":
        (other := tmp_path / "third").mkdir()
        crl = Authority(other, "Third Root").list_revoked()
    shown = authority.issue(NAME)
    server = server_context(
        shown.certificate, shown.key, client_ca=authority.root.certificate, client_crls=crl
    )
    keys = {} if fault == "none" else {"certificate": pair.certificate, "key": pair.key}
    client = client_context(anchors=[authority.root.pem], system=False, **keys)
    client.maximum_version = version
    refusal = refusal_of(handshake(server, client))
    if not fault:
        assert refusal is None
        return
    assert refusal is not None
    code, words = refusal
    assert code == CLIENT_FAULTS[fault]
    assert words


def test_other_failures_are_not_for_the_certificate() -> None:
    assert refusal_of(None) is None
    assert refusal_of(OSError("gone")) is None
    with pytest.raises(ssl.SSLError) as caught:
        ssl.create_default_context(cadata="nonsense")
    assert refusal_of(caught.value) is None
