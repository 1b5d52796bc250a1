"""EAP-MSCHAPv2 passed on: with a server of our own that lies, and with FreeRADIUS and winbind."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pyrad.packet import AccessAccept, AccessChallenge, AccessReject, AuthPacket

from tests.directory_world import (
    BY_RADIUS,
    RADIUS_SECRET,
    RADIUS_SILENT,
    RADIUS_SILENT_AT_CLIENT,
    Proof,
    broken,
    radius_config,
    shared_radius,
)
from tests.ipsec_world import CLIENT, REALM, SERVER, Site
from tests.patience import PATIENCE
from throughway.model.audit import AuditEvent
from throughway.model.config import RADIUSConfig
from throughway.model.errors import (
    ConfigError,
    IPsecError,
    ThroughwayError,
    TransportError,
    WireError,
)
from throughway.net.radius_relay import (
    EAP_MESSAGE,
    PROXY_STATE,
    STATE,
    USER_NAME,
    VENDOR_SPECIFIC,
    Relay,
    RelayedConversation,
    vendor_attributes,
)
from throughway.wire import mschapv2
from throughway.wire.eap import EAPCode, EAPPacket, EAPType, build_eap, parse_eap
from throughway.wire.mppe import RECV_KEY, SEND_KEY, VENDOR, build_mppe_key

SECRET = b"a secret of both ends"
KEYS = {SEND_KEY: bytes(range(16)), RECV_KEY: bytes(range(16, 32))}
CHALLENGE = EAPPacket(EAPCode.REQUEST, 5, mschapv2.TYPE, b"\x01challenge")

Answer = Callable[[AuthPacket], AuthPacket | None]


def reply(request: AuthPacket, code: int, eap: EAPPacket | None = None) -> AuthPacket:
    answer = request.CreateReply()
    answer.code = code
    if eap is not None:
        answer[EAP_MESSAGE] = [build_eap(eap)]
    answer[PROXY_STATE] = request[PROXY_STATE]
    answer.add_message_authenticator()
    return answer


def challenge(request: AuthPacket) -> AuthPacket:
    answer = reply(request, AccessChallenge, CHALLENGE)
    answer[STATE] = [b"state"]
    return answer


def accept(request: AuthPacket) -> AuthPacket:
    answer = reply(request, AccessAccept, EAPPacket(EAPCode.SUCCESS, 6))
    for number, (kind, key) in enumerate(KEYS.items()):
        hidden = build_mppe_key(key, SECRET, request.authenticator, bytes((1, number)))
        answer[VENDOR, kind] = [hidden]
    return answer


SILENCE = 0.2
"""Seconds after which a server is silent that says nothing; where it speaks, none is short."""


class Server(asyncio.DatagramProtocol):
    """Answers with what the test says, the same again to the same again; None: nothing."""

    def __init__(self, *answers: Answer | None, secret: bytes = SECRET) -> None:
        self.answers = list(answers)
        self.secret = secret
        self.requests: list[AuthPacket] = []
        self.given: dict[bytes, Answer | None] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        request = AuthPacket(secret=self.secret, packet=data)
        self.requests.append(request)
        if request.authenticator not in self.given:
            self.given[request.authenticator] = self.answers.pop(0) if self.answers else None
        answer = self.given[request.authenticator]
        said = answer(request) if answer is not None else None
        if said is not None:
            self.transport.sendto(said.ReplyPacket(), address)  # type: ignore[attr-defined]


def _same(server: Server) -> Server:
    return server


@asynccontextmanager
async def serving(*servers: Server) -> AsyncIterator[tuple[tuple[str, int], ...]]:
    loop, opened = asyncio.get_running_loop(), []
    for server in servers:
        transport, _ = await loop.create_datagram_endpoint(
            functools.partial(_same, server), local_addr=("127.0.0.1", 0)
        )
        opened.append(transport)
    try:
        yield tuple(t.get_extra_info("sockname") for t in opened)
    finally:
        for transport in opened:
            transport.close()


def conversation(
    folder: Path, servers: tuple[tuple[str, int], ...], seconds: float = PATIENCE
) -> RelayedConversation:
    secret = folder / "secret"
    secret.write_bytes(SECRET + b"\n")
    secret.chmod(0o600)
    relay = Relay(RADIUSConfig(servers=servers, secret=secret, timeout=seconds))
    return relay.begin("CLIENT1$", "2001:db8::1[4500]")


def response(name: bytes = b"CLIENT1$", *, opcode: int = mschapv2.RESPONSE) -> bytes:
    data = bytes((opcode, 5)) + (54 + len(name)).to_bytes(2, "big") + b"\x31" + bytes(49) + name
    return build_eap(EAPPacket(EAPCode.RESPONSE, 5, mschapv2.TYPE, data))


def said(kind: int, data: bytes) -> bytes:
    return build_eap(EAPPacket(EAPCode.RESPONSE, 5, kind, data))


def failed(
    folder: Path,
    *servers: Server,
    steps: tuple[bytes, ...] = (response(),),
    seconds: float = PATIENCE,
) -> str:
    """Return the problem of a conversation that must fail."""

    async def scenario() -> str:
        async with serving(*servers) as addresses:
            passed = conversation(folder, addresses, seconds)
            try:
                await passed.begin(4)
                for step in steps:
                    await passed.step(step)
            except ThroughwayError as error:
                return getattr(error, "problem", "")
            return "accepted"

    return asyncio.run(scenario())


def test_the_account_of_the_certificate_is_asked_for_and_the_keys_come_back(
    tmp_path: Path,
) -> None:
    server = Server(challenge, accept)

    async def scenario() -> None:
        async with serving(server) as addresses:
            passed = conversation(tmp_path, addresses)
            first = await passed.begin(4)
            assert first.code == AccessChallenge
            assert parse_eap(first.eap) == CHALLENGE
            last = await passed.step(response(b"CORP\\client1$"))
            assert last.code == AccessAccept
            assert last.keys == KEYS

    asyncio.run(scenario())
    first, second = server.requests
    assert first[USER_NAME] == [b"CLIENT1$"]
    identity = parse_eap(first[EAP_MESSAGE][0])
    assert (identity.type, identity.data) == (EAPType.IDENTITY, b"CLIENT1$")
    assert second[STATE] == [b"state"]
    assert all(request.verify_message_authenticator() for request in server.requests)


@pytest.mark.parametrize(
    ("eap", "problem"),
    [
        (response(b"CLIENT2$"), "ipsec-account-certificate-mismatch"),
        (response(b"\xff"), "ipsec-computer-account-refused"),
        (response(opcode=mschapv2.CHANGE_PASSWORD), "ipsec-computer-account-refused"),
        (b"junk", "ipsec-computer-account-refused"),
        (build_eap(EAPPacket(EAPCode.SUCCESS, 5)), "ipsec-computer-account-refused"),
        # By methods with another identity inside anybody's password would do for the computer's.
        (said(25, b"\x20a TLS hello"), "ipsec-computer-account-refused"),
        (said(EAPType.TLS, b"\x20a TLS hello"), "ipsec-computer-account-refused"),
        (said(EAPType.GTC, b"password"), "ipsec-computer-account-refused"),
        (said(EAPType.IDENTITY, b"alice"), "ipsec-computer-account-refused"),
        (said(EAPType.NAK, b"\x19\x15"), "ipsec-computer-account-refused"),
    ],
)
def test_what_a_client_may_not_say_does_not_reach_the_server(
    tmp_path: Path, eap: bytes, problem: str
) -> None:
    server = Server(challenge, accept)
    assert failed(tmp_path, server, steps=(eap,)) == problem
    assert len(server.requests) == 1


def test_a_client_can_ask_for_no_other_method(tmp_path: Path) -> None:
    """FreeRADIUS offers its default first; the client's Nak names all that it can."""
    server = Server(challenge, challenge, accept)
    steps = (said(EAPType.NAK, bytes((25, mschapv2.TYPE, 21))), response())
    assert failed(tmp_path, server, steps=steps) == "accepted"
    asked = parse_eap(server.requests[1][EAP_MESSAGE][0])
    assert (asked.type, asked.data, asked.identifier) == (EAPType.NAK, bytes((mschapv2.TYPE,)), 5)


def failure(number: int) -> Answer:
    data = bytes((mschapv2.FAILURE, 5, 0, 20)) + f"E={number} R=0".encode()
    return lambda request: reply(
        request, AccessChallenge, EAPPacket(EAPCode.REQUEST, 6, mschapv2.TYPE, data)
    )


def reject(request: AuthPacket) -> AuthPacket:
    return reply(request, AccessReject, EAPPacket(EAPCode.FAILURE, 6))


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        (691, "ipsec-computer-account-refused"),
        (647, "access-account-disabled"),
        (999, "ipsec-computer-account-refused"),
    ],
)
def test_a_refusal_says_why(tmp_path: Path, number: int, problem: str) -> None:
    assert failed(tmp_path, Server(challenge, failure(number))) == problem


def test_a_refusal_may_be_without_words(tmp_path: Path) -> None:
    assert failed(tmp_path, Server(challenge, reject)) == "ipsec-computer-account-refused"


def without_keys(request: AuthPacket) -> AuthPacket:
    return reply(request, AccessAccept, EAPPacket(EAPCode.SUCCESS, 6))


def without_authenticator(request: AuthPacket) -> AuthPacket:
    answer = request.CreateReply(message_authenticator=False)
    answer.code = AccessAccept
    answer[EAP_MESSAGE] = [build_eap(EAPPacket(EAPCode.SUCCESS, 6))]
    return answer


@pytest.mark.parametrize(
    ("servers", "problem"),
    [
        ([Server()], "radius-server-unreachable"),
        ([Server(challenge, secret=b"another secret here")], "radius-secret-wrong"),
        ([Server(without_authenticator)], "radius-secret-wrong"),
        ([Server(challenge, without_keys)], "ipsec-computer-account-refused"),
        ([Server(accept)], "ipsec-computer-account-refused"),
        ([Server(lambda r: reply(r, 5))], "ipsec-computer-account-refused"),
        ([Server(lambda r: reply(r, AccessReject))], "ipsec-computer-account-refused"),
    ],
)
def test_what_a_server_may_not_say(tmp_path: Path, servers: list[Server], problem: str) -> None:
    silent = problem.startswith("radius-")
    assert failed(tmp_path, *servers, seconds=SILENCE if silent else PATIENCE) == problem


def test_a_silent_server_is_asked_twice_and_then_the_next_one(tmp_path: Path) -> None:
    silent, other = Server(), Server(challenge, accept)

    async def scenario() -> None:
        async with serving(silent, other) as addresses:
            passed = conversation(tmp_path, addresses, SILENCE)
            await passed.begin(4)
            assert (await passed.step(response())).code == AccessAccept

    asyncio.run(scenario())
    assert len(silent.requests) == 2, "and no more in this conversation"
    assert silent.requests[0].authenticator == silent.requests[1].authenticator


def test_a_conversation_has_an_end(tmp_path: Path) -> None:
    assert failed(tmp_path, Server(*[challenge] * 50), steps=(response(),) * 40) == (
        "ipsec-computer-account-refused"
    )


def test_no_servers_address_is_no_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        passed = conversation(tmp_path, (("2001:db8::1", 1812),), SILENCE)
        with pytest.raises(TransportError):
            await passed.begin(1)

    asyncio.run(scenario())


def test_a_secret_that_all_can_read_is_a_configuration_error(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)
    secret.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 0600"):
        Relay(RADIUSConfig(servers=(), secret=secret))


@pytest.mark.parametrize("data", [b"", b"\0\0\1", b"\0\0\1\x37\x10", b"\0\0\1\x37\x10\x01"])
def test_a_vendor_attribute_that_does_not_add_up(data: bytes) -> None:
    with pytest.raises(WireError):
        vendor_attributes([data])


def test_two_in_one_vendor_attribute() -> None:
    data = VENDOR.to_bytes(4, "big") + b"\x10\x03a\x11\x02"
    assert vendor_attributes([data]) == [(VENDOR, 16, b"a"), (VENDOR, 17, b"")]
    assert VENDOR_SPECIFIC == 26


# With charon on both ends, FreeRADIUS, winbind, and a real domain


class RADIUSSite(Site):
    """A gateway that knows no NT hash, for a client that knows its password."""

    def __init__(self, folder: Path, secret: bytes = RADIUS_SECRET) -> None:
        shared_radius()
        # Who knows another secret is not answered, however long it waits.
        timeout = 6.0 if secret == RADIUS_SECRET else 1.0
        radius = radius_config(folder, secret, timeout)
        (folder / "site").mkdir()
        super().__init__(folder / "site", radius=radius, realm=REALM)
        for number in (1, 2):
            password = f"Passw0rd.CLIENT{number}\n".encode()
            self.deployment.write(f"client{number}.password", password)
        known = self.deployment.computers(1, 2)
        computers = tuple(replace(computer, nt_hash=None) for computer in known)
        self.world.gateway.run(self.gateway.reload(computers))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[RADIUSSite]:
    site = RADIUSSite(tmp_path)
    yield site
    site.close()


@pytest.mark.lab
def test_a_computer_account_is_checked_in_the_domain(site: RADIUSSite) -> None:
    site.start_client()
    site.up()
    assert site.world.reach(SERVER) == CLIENT
    [tunnel] = site.at_gateway("infrastructure")
    assert tunnel.account == "CLIENT1$"


@pytest.mark.lab
def test_who_proves_an_account_in_the_domain(site: RADIUSSite) -> None:
    site.deployment.write("wrong.password", b"wrong\n")
    found = {name: proven(site, proof) for name, proof in BY_RADIUS.items()}
    assert found == {name: (p.at_client, p.at_gateway) for name, p in BY_RADIUS.items()}
    # Nobody passes for another by the certificate, either.
    config = site.deployment.client(certificate="client2", account="CLIENT1$", password="client1")
    assert site.refusal(config)[0] == "ipsec-account-certificate-mismatch"
    authoriser = site.gateway._authoriser
    assert authoriser is not None
    silent = radius_config(site.deployment.directory)
    authoriser._relay = Relay(replace(silent, servers=((SERVER, 9),), timeout=0.2))
    assert proven(site, BY_RADIUS["good"]) == (RADIUS_SILENT_AT_CLIENT, RADIUS_SILENT)


def proven(site: RADIUSSite, proof: Proof) -> tuple[str, str]:
    """Let a computer try; return what both ends say."""
    config = site.deployment.client(account=proof.account, password=proof.password)
    site.forget_told()
    with broken("CLIENT1$", proof.fault) if proof.fault else contextlib.nullcontext():
        site.start_client(config)
        try:
            site.try_up()
        except IPsecError as error:
            said = error.problem
        else:
            assert site.recorded(AuditEvent.MAIN_MODE_ESTABLISHED)
            site.stop_client()
            return "", ""
        event, problem = site.refused_as()
        assert event is AuditEvent.EXTENDED_MODE_FAILED
        site.stop_client()
    return said, problem


@pytest.mark.lab
def test_a_server_with_another_secret_lets_nobody_in(tmp_path: Path) -> None:
    site = RADIUSSite(tmp_path, b"not the secret of the server")
    try:
        at_gateway, _at_client = site.refusal()
        # FreeRADIUS does not answer what is not signed with its secret.
        assert at_gateway == "radius-server-unreachable"
    finally:
        site.close()
