"""Chains judged as a connection does it: from what is kept, or by asking a real web server."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.net.iphttps_world import wait_for
from tests.patience import PATIENCE
from tests.revocation_faults import CERTIFICATES, NONE, ROWS, STRONG, WEAK, World, serve
from tests.revocation_world import (
    CRL,
    HOST,
    ISSUING,
    NOW,
    ROOT,
    Places,
    Web,
    certify,
)
from throughway.catalogue import find
from throughway.model.errors import Stage, TransportError
from throughway.model.revocation import Fault, Revocation, Standing
from throughway.net import revocation as module
from throughway.net.exchange import Way
from throughway.net.fetch import fetch
from throughway.net.revocation import MAXIMUM_CHAIN, NO_CHECK, OFFLINE, PROBLEMS, REVOKED
from throughway.net.revocation_cache import RevocationCache
from throughway.net.tls import client_context
from throughway.pki.authority import Credential
from throughway.pki.judgement import serial_of
from throughway.pki.pem import build_certificate_pem, build_key_pem


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists that are served come, however slow the machine is."""
    monkeypatch.setattr(module, "PATIENCE", {WEAK: PATIENCE, STRONG: PATIENCE})


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as web:
        yield web


@pytest.fixture
def world(web: Web, tmp_path: Path) -> World:
    return World(web, tmp_path)


@pytest.mark.parametrize("name", ROWS)
def test_every_fault_under_every_policy(
    world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = ROWS[name]
    if Web.SILENT in row.pages.values():
        # The root's list is there already: nothing takes time but the silence.
        world.web.pages["/other.crl"] = CRL().build(world.issuing)
        assert world.judged(world.chain(world.places("/other.crl"))).refused is None
        world.web.asked.clear()
        monkeypatch.setattr(module, "PATIENCE", {WEAK: 0.3, STRONG: 0.5})
    chain = serve(world, row)
    assert world.judged(chain, NONE).verdicts == ()
    assert world.web.asked == []
    if row.fault is None:
        assert [v.standing for v in world.judged(chain).verdicts] == [Standing.GOOD] * 2
        assert world.judged(chain, WEAK).refused is None
        return
    error = world.refused(chain)
    assert (error.stage, (error.problem, error.windows_code)) == (Stage.TLS, PROBLEMS[row.fault])
    assert row.words in str(error)
    assert f"the certificate of da.example.com, serial {serial_of(chain.leaf.certificate)}:" in str(
        error
    )
    if row.weak:
        assert world.judged(chain, WEAK).refused is None
    else:
        assert world.refused(chain, WEAK).problem == error.problem


def test_what_windows_calls_it() -> None:
    assert {PROBLEMS[fault][1] for fault in Fault} == {REVOKED, OFFLINE, NO_CHECK}
    assert PROBLEMS[Fault.REVOKED][1] == REVOKED
    assert PROBLEMS[Fault.UNREACHABLE][1] == PROBLEMS[Fault.EXPIRED][1] == OFFLINE
    assert PROBLEMS[Fault.NO_POINT][1] == NO_CHECK
    assert len({find(problem).code for problem, _ in PROBLEMS.values()}) == len(Fault)


def test_the_issuing_authority_may_be_revoked_too(world: World) -> None:
    serial = world.issuing.certificate.serial_number
    world.web.pages["/root.crl"] = CRL(revoked=[(serial, None)]).build(ROOT)
    chain = serve(world, ROWS["good"])
    error = world.refused(chain, WEAK)
    assert error.problem == "iphttps-cert-revoked"
    assert "the certificate of Corp Issuing" in str(error)


def checked(world: World, chain: Sequence[bytes], policy: Revocation) -> None:
    async def scenario() -> None:
        try:
            await world.checker(policy).check_chain(chain)
        finally:
            await world.lists.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("policy", [WEAK, STRONG])
def test_a_revoked_authority_hides_behind_no_long_chain(world: World, policy: Revocation) -> None:
    """It can make as many more below itself as it likes, and lists of them that say all is well."""
    serial = world.issuing.certificate.serial_number
    world.web.pages["/root.crl"] = CRL(revoked=[(serial, None)]).build(ROOT)
    above, below = world.issuing, []
    for number in range(MAXIMUM_CHAIN):
        path = f"/{number}.crl"
        world.web.pages[path] = CRL().build(above)
        above = certify(f"Evil {number}", above, Places((world.web.url(path),)), ca=True)
        below.append(above.certificate)
    chain = [*reversed(below), world.issuing.certificate, ROOT.certificate]
    with pytest.raises(TransportError, match="at most 8") as caught:
        checked(world, [each.public_bytes(Encoding.DER) for each in chain], policy)
    assert caught.value.problem == "iphttps-cert-chain-invalid"


def test_no_chain_at_all_proves_nothing(world: World) -> None:
    with pytest.raises(TransportError, match="0 certificates"):
        checked(world, [], STRONG)


def test_what_is_kept_needs_nobody(world: World) -> None:
    chain = serve(world, ROWS["good"])
    world.judged(chain)
    asked = list(world.web.asked)
    world.web.pages.clear()
    assert world.judged(chain).refused is None
    assert world.web.asked == asked == sorted(asked, key=asked.index)
    assert sorted(asked) == ["/ca.crl", "/root.crl"]


def test_a_list_that_is_kept_refuses_when_nothing_can_be_fetched(world: World) -> None:
    """Even an expired one: so the weak policy cannot be had by cutting the client off."""
    chain = serve(world, ROWS["old list that lists"])
    world.refused(chain, WEAK)
    world.web.pages.clear()
    assert world.refused(chain, WEAK).problem == "iphttps-cert-revoked"


def test_a_delta_list_is_fetched_and_counts(world: World) -> None:
    url = world.web.url("/delta.crl")
    chain = serve(world, ROWS["good"])
    world.web.pages["/ca.crl"] = CRL(number=5, deltas=[url]).build(world.issuing)
    world.web.pages["/delta.crl"] = CRL(number=6, base=5).build(world.issuing)
    assert world.judged(chain).refused is None
    revoked = CRL(number=7, base=5, begin=NOW, revoked=[(chain.serial, None)])
    world.web.pages["/delta.crl"] = revoked.build(world.issuing)
    RevocationCache(world.folder / "revocation").remove(url)
    assert world.refused(chain).problem == "iphttps-cert-revoked"


def test_a_silent_point_holds_up_nobody_for_long_and_only_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", {WEAK: 0.2, STRONG: 0.4})
    chain = serve(world, ROWS["silent"])
    url = world.web.url("/ca.crl")

    async def scenario() -> None:
        checker = world.checker(WEAK)
        begin = time.monotonic()
        assert (await checker.check_chain(chain.ders)).refused is None
        assert time.monotonic() >= begin + 0.2
        assert not world.lists.trouble(url), "it has not waited until the fetch was over"
        world.web.over.set()
        await wait_for(lambda: world.lists.trouble(url))
        asked = list(world.web.asked)
        monkeypatch.setattr(module, "PATIENCE", {WEAK: 2 * PATIENCE})
        async with asyncio.timeout(PATIENCE):
            assert (await checker.check_chain(chain.ders)).refused is None
        assert world.web.asked == asked, "it was not asked again"
        await world.lists.stop()

    asyncio.run(scenario())


def test_who_was_let_in_is_refused_when_it_becomes_known(world: World) -> None:
    chain = serve(world, ROWS["unreachable"])

    async def scenario() -> None:
        checker = world.checker(WEAK)
        await checker.check_chain(chain.ders)
        revoked = CRL(revoked=[(chain.serial, None)])
        world.web.pages["/ca.crl"] = revoked.build(world.issuing)
        world.lists.network_changed()
        for want in world.lists.wanted:
            await world.lists.get(want)
        await wait_for(lambda: world.late)
        checker.look_again()
        await world.lists.stop()

    asyncio.run(scenario())
    assert [error.problem for error in world.late] == ["iphttps-cert-revoked"]


def test_by_what_is_kept_nobody_is_waited_for_and_all_is_wanted(world: World) -> None:
    """Also the delta list that a list names, once that is there."""
    chain = serve(world, ROWS["good"])
    delta = world.web.url("/delta.crl")
    world.web.pages["/ca.crl"] = CRL(deltas=[delta]).build(world.issuing)

    async def scenario() -> None:
        checker = world.checker(WEAK)
        judged = await checker.judge_kept(chain.ders)
        assert {v.standing for v in judged.verdicts} == {Standing.UNKNOWN}
        assert (judged.refused, world.web.asked) == (None, [])
        wanted = {want.url for want in world.lists.wanted}
        assert {world.web.url("/ca.crl"), world.web.url("/root.crl")} <= wanted
        assert delta not in wanted
        for want in world.lists.wanted:
            await world.lists.get(want)
        await checker.judge_kept(chain.ders)
        assert delta in {want.url for want in world.lists.wanted}
        await world.lists.stop()

    asyncio.run(scenario())


def test_garbage_in_the_place_of_certificates(world: World) -> None:
    async def scenario() -> None:
        with pytest.raises(TransportError, match="cannot be read"):
            await world.checker(STRONG).check_chain((b"x", b"y"))

    asyncio.run(scenario())


@pytest.mark.parametrize("policy", Revocation)
@pytest.mark.parametrize("name", CERTIFICATES)
def test_a_server_by_a_real_connection(
    world: World, tmp_path: Path, name: str, policy: Revocation
) -> None:
    shown = CERTIFICATES[name]
    issuing = world.issuing
    if not shown.authority:
        issuing = certify("Corp Issuing", ROOT, world.places("/root.crl"))
    leaf = certify(shown.subject, issuing, world.places("/ca.crl"), **shown.options)
    world.web.pages["/ca.crl"] = CRL().build(issuing)
    chain = (leaf, issuing) if shown.whole else (leaf,)
    error = connected(world, tmp_path, chain, policy, shown.trusted)
    assert (error.problem if error else "") == shown.problem
    assert error is None or error.stage is Stage.TLS


def test_the_chain_of_a_real_connection(world: World, tmp_path: Path) -> None:
    """OpenSSL verifies it, through an intermediate; the anchor stands at its end."""
    chain = serve(world, ROWS["revoked"])
    error = connected(world, tmp_path, (chain.leaf, chain.issuing), STRONG, ROOT)
    assert error is not None
    assert (error.stage, error.problem) == (Stage.TLS, "iphttps-cert-revoked")
    assert ISSUING.certificate.subject == chain.issuing.certificate.subject


def connected(
    world: World,
    folder: Path,
    chain: tuple[Credential, ...],
    policy: Revocation,
    trusted: Credential,
) -> TransportError | None:
    """Ask a server that shows this chain; return why not, None when it answered."""
    pem = b"".join(build_certificate_pem(each.certificate) for each in chain)
    (folder / "server.crt").write_bytes(pem)
    (folder / "server.key").write_bytes(build_key_pem(chain[0].key))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.crt", folder / "server.key")
    root = build_certificate_pem(trusted.certificate).decode()

    async def loopback(_host: str) -> tuple[str, ...]:
        return ("127.0.0.1",)

    async def scenario() -> TransportError | None:
        checker = world.checker(policy)

        async def verify(connection: ssl.SSLObject) -> None:
            await checker.check(connection)

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            writer.close()

        listening = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=server)
        port = listening.sockets[0].getsockname()[1]
        try:
            await fetch(
                f"https://{HOST}:{port}/",
                tls=client_context(anchors=(root,), system=False),
                resolve=loopback,
                way=Way(verify=verify),
            )
        except TransportError as error:
            return error
        finally:
            listening.close()
            await world.lists.stop()
        return None

    return asyncio.run(scenario())
