"""What OpenSSL says of a client's certificate, in real handshakes of both versions of TLS."""

import ssl
from pathlib import Path

import pytest

from tests.net.iphttps_world import (
    CLIENT_FAULTS,
    NAME,
    ONLY_WITH_LISTS,
    Authority,
    told_to_client,
)
from throughway.model.errors import Stage
from throughway.model.revocation import Revocation
from throughway.net.client_certificates import refusal_of
from throughway.net.tls import client_context, server_context, transport_error


def handshake(
    server: ssl.SSLContext, client: ssl.SSLContext
) -> tuple[ssl.SSLError | None, ssl.SSLError | None]:
    """Shake hands in memory; return what the server and the client fail with."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(down, up, server_hostname=NAME),
        server.wrap_bio(up, down, server_side=True),
    )
    errors: dict[bool, ssl.SSLError] = {}
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
                if not end.server_side:
                    end.read(1)  # it learns what became of its certificate by reading
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                errors.setdefault(end.server_side, error)
    return errors.get(True), errors.get(False)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("fault", ["", *CLIENT_FAULTS])
@pytest.mark.parametrize("policy", [Revocation.NONE, Revocation.STRONG])
def test_each_fault_has_its_code(
    fault: str, policy: Revocation, version: ssl.TLSVersion, tmp_path: Path
) -> None:
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
        shown.certificate,
        shown.key,
        client_ca=authority.root.certificate,
        # Without a list revocation is not checked; with one, hard.
        client_crls=crl if policy is Revocation.STRONG else None,
    )
    keys = {} if fault == "none" else {"certificate": pair.certificate, "key": pair.key}
    client = client_context(anchors=[authority.root.pem], system=False, **keys)
    client.maximum_version = version
    at_server, at_client = handshake(server, client)
    refusal = refusal_of(at_server)
    if not fault or (policy is Revocation.NONE and fault in ONLY_WITH_LISTS):
        assert (refusal, at_client) == (None, None)
        return
    assert at_client is not None
    told = transport_error(at_client, Stage.TLS).problem
    assert told == told_to_client(fault, version)
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
