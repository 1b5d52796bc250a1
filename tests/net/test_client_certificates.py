"""What OpenSSL says of a client's certificate, in real handshakes of both versions of TLS."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from tests.iphttps_audit import OPENED, Book, Event, refused_as
from tests.net.iphttps_world import (
    CLIENT_FAULTS,
    NAME,
    ONLY_WITH_LISTS,
    PREFIX,
    RESUMED,
    Authority,
    FakeTUN,
    Pair,
    told_to_client,
    wait_for,
)
from tests.patience import PATIENCE
from tests.ports import free_port
from throughway.gateway.credentials import read_credentials
from throughway.model.config import AuthenticationMode, IPHTTPSServerConfig
from throughway.model.errors import Stage, TransportError
from throughway.model.revocation import Revocation
from throughway.net import iphttps_session
from throughway.net.client_certificates import lapsed, refusal_of
from throughway.net.dial import Dialer
from throughway.net.iphttps_client import IPHTTPSClient
from throughway.net.iphttps_server import IPHTTPSServer
from throughway.net.tls import client_context, context_of, server_context, transport_error
from throughway.proto.iphttps.client import State
from throughway.proto.iphttps.http import build_request, parse_url


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


@dataclass
class Gate:
    """A server that asks for certificates, its audit, and clients that come to it."""

    authority: Authority
    policy: Revocation
    crl: Path
    book: Book = field(default_factory=Book)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        shown = self.authority.issue(NAME)
        self.port = free_port("127.0.0.1")
        config = IPHTTPSServerConfig(
            url=f"https://{NAME}/IPHTTPS",
            listen=(("127.0.0.1", self.port),),
            certificate=shown.certificate,
            key=shown.key,
            prefix=PREFIX,
            authentication=AuthenticationMode.CERTIFICATES,
            client_ca=self.authority.root.certificate,
            client_crls=(self.crl,) if self.policy is Revocation.STRONG else (),
        )
        tun = FakeTUN("gateway")
        server = IPHTTPSServer(
            config,
            tun,
            tls=context_of(read_credentials(config, "gateway.toml")),
            on_opened=self.book.audit.session_opened,
            on_refused=self.book.refused,
        )
        server.start()
        try:
            yield
        finally:
            await server.close()
            tun.close()

    async def connect(self, pair: Pair | None, version: ssl.TLSVersion) -> str:
        """Let a client try once; return what it says, "" when it is in."""
        keys = {"certificate": pair.certificate, "key": pair.key} if pair else {}
        tls = client_context(anchors=[self.authority.root.pem], system=False, **keys)
        tls.maximum_version = version
        errors: list[TransportError] = []

        async def dial(_host: str, _port: int) -> socket.socket:
            async def resolve(_: str) -> tuple[str, ...]:
                return ("127.0.0.1",)

            return await Dialer(resolve)(NAME, self.port)

        tun = FakeTUN()
        client = IPHTTPSClient(
            f"https://{NAME}/IPHTTPS",
            tun,
            dial=dial,
            tls=tls,
            on_state=lambda _, error: errors.append(error) if error is not None else None,
        )
        client.start()
        try:
            await wait_for(lambda: client.state is State.LINK_UP or errors)
            return errors[0].problem if errors else ""
        finally:
            await client.close()
            tun.close()


PLACES = [
    (Revocation.NONE, ""),
    *((Revocation.STRONG, crl) for crl in ("", "old list", "no list")),
]


@pytest.mark.parametrize(("policy", "crl"), PLACES)
def test_who_comes_in_is_recorded(policy: Revocation, crl: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own = ("untrusted", "expired", "not yet valid", "wrong usage")
    pairs = {"": authority.client(), "none": None, "revoked": authority.client()}
    pairs |= {fault: authority.client(fault) for fault in own}
    revoked = pairs["revoked"]
    assert revoked is not None
    file = authority.list_revoked(revoked, ends=-1 if crl == "old list" else 1)
    if crl == "no list":
        (other := tmp_path / "third").mkdir()
        file = Authority(other, "Third Root").list_revoked()
    if crl:
        pairs = {crl: pairs[""]}
    elif policy is Revocation.NONE:
        pairs |= dict.fromkeys(("old list", "no list"), pairs[""])
    gate = Gate(authority, policy, file)

    async def scenario() -> None:
        async with gate.serving():
            for fault, pair in pairs.items():
                for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                    said = await gate.connect(pair, version)
                    if not fault or (policy is Revocation.NONE and fault in ONLY_WITH_LISTS):
                        assert (said, gate.book.take()) == ("", OPENED), fault
                        continue
                    assert said == told_to_client(fault, version), fault
                    assert gate.book.take() == refused_as(CLIENT_FAULTS[fault])

    asyncio.run(scenario())


def test_who_resumes_a_session_still_needs_a_certificate_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL looks at it once, and lets a session of TLS 1.2 be resumed for two hours."""
    authority = Authority(tmp_path)
    pair = authority.client()
    gate = Gate(authority, Revocation.NONE, tmp_path)
    tls = client_context(
        anchors=[authority.root.pem], system=False, certificate=pair.certificate, key=pair.key
    )
    tls.maximum_version = ssl.TLSVersion.TLSv1_2

    def ask(session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool, bytes]:
        with (
            socket.create_connection(("127.0.0.1", gate.port), PATIENCE) as plain,
            tls.wrap_socket(plain, server_hostname=NAME, session=session) as secured,
        ):
            secured.sendall(build_request(parse_url(f"https://{NAME}/IPHTTPS")))
            return secured.session, bool(secured.session_reused), secured.recv(12)

    def in_a_week(connection: ssl.SSLObject | None, now: float) -> bool:
        return lapsed(connection, now + 7 * 86400)

    async def scenario() -> None:
        async with gate.serving():
            session, reused, said = await asyncio.to_thread(ask, None)
            assert (reused, said) == (False, b"HTTP/1.1 200")
            _, reused, said = await asyncio.to_thread(ask, session)
            assert (reused, said) == (True, b"HTTP/1.1 200"), "it is in force still"
            gate.book.take()
            monkeypatch.setattr(iphttps_session, "lapsed", in_a_week)
            _, reused, said = await asyncio.to_thread(ask, session)
            assert (reused, said) == (True, b"")
            found: list[Event] = []
            await wait_for(partial(written_to, found, gate.book))
            assert found == refused_as(RESUMED["resumed, but expired since"])

    asyncio.run(scenario())


def written_to(found: list[Event], book: Book) -> bool:
    found += book.take()
    return bool(found)


def test_other_failures_are_not_for_the_certificate() -> None:
    assert refusal_of(None) is None
    assert refusal_of(OSError("gone")) is None
    with pytest.raises(ssl.SSLError) as caught:
        ssl.create_default_context(cadata="nonsense")
    assert refusal_of(caught.value) is None
