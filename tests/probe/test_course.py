"""Whole probes of real servers on loopback: ours, OpenSSL's, hostile ones."""

import asyncio
import ssl
import time
from datetime import timedelta
from pathlib import Path

import pytest

from tests.net.iphttps_world import NAME, PREFIX
from tests.probe.probe_world import (
    RSA_KEY,
    Made,
    answering,
    codes,
    gateway,
    look,
    make,
    make_crl,
    s_server,
    speaking,
    web,
    write,
)
from throughway.model.probing import Outcome, PointState, ProbeSeen
from throughway.probe.analysis.verdict import exit_code, judge, remarks
from throughway.probe.https import lenient_context

ROOT = make("Test Root", ca=True)
MIDDLE = make("Test Middle", ROOT, ca=True)
YEAR = timedelta(days=365)
NO_POINT = "iphttps-cert-no-crl-distribution-point"


def probed(files: tuple[Path, Path], *words: str, roots: tuple[Made, ...] = (ROOT,)) -> ProbeSeen:
    """Probe OpenSSL's server."""
    # It answers no POST.
    with pytest.MonkeyPatch.context() as patch, s_server(files, *words) as port:
        patch.setattr("throughway.probe.https.ANSWER_TIME", 1.0)
        return asyncio.run(look(port, *roots))


def test_our_own_gateway_is_well(tmp_path: Path) -> None:
    async def scenario() -> ProbeSeen:
        pages: dict[str, bytes] = {"/root.crl": make_crl(ROOT)}
        async with web(pages) as base:
            files = write(tmp_path, make(NAME, ROOT, names=[NAME], crl=[f"{base}/root.crl"]))
            async with gateway(files, routes=["2001:db8:c0::/48"]) as port:
                return await look(port, ROOT)

    seen = asyncio.run(scenario())
    assert codes(seen) == []
    assert exit_code(seen, judge(seen)) == 0
    (http,) = seen.http
    assert (http.status, http.server, http.accepted) == (200, "throughway", True)
    assert http.advertisement is not None
    assert [prefix.prefix for prefix in http.advertisement.prefixes] == [PREFIX]
    assert http.advertisement.routes == ("2001:db8:c0::/48",)
    assert {v.version: v.spoken for v in seen.versions} == {
        "TLS 1.3": True,
        "TLS 1.2": True,
        "TLS 1.1": False,
        "TLS 1.0": False,
    }
    (chain,) = seen.chains
    assert (chain.trusted, chain.covers_host, chain.for_servers) == (True, True, True)
    (point,) = seen.revocation
    assert (point.kind, point.state, point.number) == ("crl", PointState.GOOD, 7)
    assert all(step.outcome in (Outcome.DONE, Outcome.FAILED) for step in seen.steps)
    assert any("no NULL suites" in remark for remark in remarks(seen))


def test_a_gateway_that_wants_certificates(tmp_path: Path) -> None:
    """Without one the probe is stopped, with one it is let in."""
    computer = make("client1", ROOT, names=["client1.corp.example.com"], client=True)
    ca = tmp_path / "ca.pem"
    ca.write_bytes(ROOT.pem)
    (tmp_path / "mine").mkdir()
    mine = write(tmp_path / "mine", computer)

    async def scenario(context: ssl.SSLContext | None) -> ProbeSeen:
        files = write(tmp_path, make(NAME, ROOT, names=[NAME]))
        async with gateway(files, client_ca=ca) as port:
            return await look(port, ROOT, tls=context)

    seen = asyncio.run(scenario(None))
    assert "iphttps-client-cert-required" in codes(seen)
    assert seen.chains[0].asks_certificate
    seen = asyncio.run(scenario(lenient_context(*mine)))
    assert seen.http[0].accepted
    assert "iphttps-client-cert-required" not in codes(seen)


def test_the_authorities_that_a_server_names(tmp_path: Path) -> None:
    files = write(tmp_path, make(NAME, ROOT, names=[NAME]))
    (tmp_path / "ca.pem").write_bytes(ROOT.pem)
    seen = probed(files, "-Verify", "1", "-CAfile", str(tmp_path / "ca.pem"), "-www")
    assert seen.chains[0].accepted_authorities == ("CN=Test Root",)
    assert "iphttps-client-cert-required" in codes(seen)
    assert any("CN=Test Root" in remark for remark in remarks(seen))


def test_null_suites_alone(tmp_path: Path) -> None:
    """As Windows' servers have them: OpenSSL of today offers none unless told."""
    files = write(tmp_path, make(NAME, ROOT, names=[NAME], key=RSA_KEY))
    seen = probed(files, "-cipher", "eNULL:@SECLEVEL=0", "-tls1_2", "-www")
    assert not any(version.spoken for version in seen.versions)
    taken = {suite.name for version in seen.null_suites for suite in version.suites}
    assert {"TLS_RSA_WITH_NULL_SHA256", "TLS_RSA_WITH_NULL_SHA"} <= taken
    assert all(suite.null for version in seen.null_suites for suite in version.suites)
    assert seen.chains[0].trusted
    assert "NULL" in seen.http[0].tls
    assert "iphttps-tls-handshake-failed" not in codes(seen)


def test_tls_10_alone(tmp_path: Path) -> None:
    files = write(tmp_path, make(NAME, ROOT, names=[NAME], key=RSA_KEY))
    seen = probed(files, "-tls1", "-cipher", "ALL:@SECLEVEL=0", "-www")
    spoken = {version.version for version in seen.versions if version.spoken}
    assert spoken == {"TLS 1.0"}
    assert "iphttps-tls-handshake-failed" in codes(seen)


def test_tls_13_alone(tmp_path: Path) -> None:
    """Its chain is seen under keys only."""
    files = write(tmp_path, make(NAME, ROOT, names=[NAME]))
    seen = probed(files, "-tls1_3", "-www")
    assert [version.version for version in seen.versions if version.spoken] == ["TLS 1.3"]
    assert [c.subject for c in seen.chains[0].certificates] == [NAME]


@pytest.mark.parametrize(
    ("leaf", "roots", "expected"),
    [
        (
            make(NAME, ROOT, names=[NAME], ends=timedelta(days=-2)),
            (ROOT,),
            "iphttps-cert-expired",
        ),
        (
            make(NAME, ROOT, names=[NAME], begins=timedelta(days=2)),
            (ROOT,),
            "iphttps-cert-not-yet-valid",
        ),
        (
            make(NAME, ROOT, names=[NAME], begins=-YEAR, ends=timedelta(days=9)),
            (ROOT,),
            "iphttps-cert-expiring",
        ),
        (make(NAME, ROOT, names=["other.test"]), (ROOT,), "iphttps-cert-name-mismatch"),
        (make(NAME, ROOT, names=[NAME]), (), "iphttps-cert-untrusted-root"),
        (make(NAME, names=[NAME]), (ROOT,), "iphttps-cert-untrusted-root"),
        (make(NAME, ROOT, names=[NAME], client=True), (ROOT,), "iphttps-no-usable-cert"),
    ],
    ids=["expired", "early", "expiring", "name", "root", "self", "usage"],
)
def test_certificates(tmp_path: Path, leaf: Made, roots: tuple[Made, ...], expected: str) -> None:
    async def scenario() -> ProbeSeen:
        async with gateway(write(tmp_path, leaf), routes=["::/0"]) as port:
            return await look(port, *roots)

    assert [code for code in codes(asyncio.run(scenario())) if code != NO_POINT] == [expected]


def test_an_intermediate_that_is_not_sent(tmp_path: Path) -> None:
    """It is found by the address in the certificate; sent, all is well."""

    async def scenario(*chain: Made) -> ProbeSeen:
        pages = {"/middle.cer": MIDDLE.pem}
        async with web(pages) as base:
            leaf = make(NAME, MIDDLE, names=[NAME], issuers=[f"{base}/middle.cer"])
            async with gateway(write(tmp_path, leaf, *chain)) as port:
                return await look(port, ROOT)

    seen = asyncio.run(scenario())
    assert seen.chains[0].mended_by == "Test Middle"
    assert "iphttps-cert-intermediate-missing" in codes(seen)
    seen = asyncio.run(scenario(MIDDLE))
    assert seen.chains[0].trusted
    assert not {"iphttps-cert-intermediate-missing", "iphttps-cert-untrusted-root"} & {*codes(seen)}


def test_revocation_that_fails_in_every_way(tmp_path: Path) -> None:
    """A list out of date, one that is away, one that is none, LDAP, and a dead responder."""

    async def scenario() -> ProbeSeen:
        pages = {
            "/old.crl": make_crl(ROOT, ends=timedelta(days=-1)),
            "/page.crl": b"<html>",
            "/delta.crl": make_crl(ROOT, ends=timedelta(hours=-1), base=7),
            "/base.crl": make_crl(ROOT),
        }
        async with web(pages) as base:
            urls = [f"{base}/{name}.crl" for name in ("old", "page", "away")]
            urls.append("ldap:///CN=Root?certificateRevocationList")
            leaf = make(
                NAME,
                ROOT,
                names=[NAME],
                crl=urls,
                delta=[f"{base}/delta.crl"],
                ocsp=[f"{base}/ocsp"],
            )
            async with gateway(write(tmp_path, leaf), routes=["::/0"]) as port:
                return await look(port, ROOT)

    seen = asyncio.run(scenario())
    states = {(p.kind, p.url.rpartition("/")[2]): p.state for p in seen.revocation}
    assert states == {
        ("crl", "old.crl"): PointState.STALE,
        ("crl", "page.crl"): PointState.USELESS,
        ("crl", "away.crl"): PointState.USELESS,
        ("crl", "CN=Root?certificateRevocationList"): PointState.NOT_TRIED,
        ("delta", "delta.crl"): PointState.STALE,
        ("ocsp", "ocsp"): PointState.USELESS,
    }
    assert set(codes(seen)) == {
        "iphttps-crl-expired",
        "iphttps-crl-unreachable",
        "iphttps-crl-unusable",
        "iphttps-cert-revocation-uncheckable",
        "iphttps-ocsp-unreachable",
    }


def test_a_revoked_certificate_and_a_delta_list_that_the_base_names(tmp_path: Path) -> None:
    async def scenario() -> ProbeSeen:
        pages: dict[str, bytes] = {}
        async with web(pages) as base:
            leaf = make(NAME, ROOT, names=[NAME], crl=[f"{base}/base.crl"])
            pages["/base.crl"] = make_crl(ROOT, delta=[f"{base}/delta.crl"])
            pages["/delta.crl"] = make_crl(ROOT, [leaf], base=7)
            async with gateway(write(tmp_path, leaf), routes=["::/0"]) as port:
                return await look(port, ROOT)

    seen = asyncio.run(scenario())
    assert [(p.kind, p.state) for p in seen.revocation] == [
        ("crl", PointState.GOOD),
        ("delta", PointState.REVOKED),
    ]
    assert codes(seen) == ["iphttps-cert-revoked"]


def test_revocation_is_not_asked_when_it_shall_not(tmp_path: Path) -> None:
    async def scenario() -> ProbeSeen:
        leaf = make(NAME, ROOT, names=[NAME], crl=["http://127.0.0.1:9/x"])
        async with gateway(write(tmp_path, leaf), routes=["::/0"]) as port:
            return await look(port, ROOT, revocation=False)

    seen = asyncio.run(scenario())
    assert seen.revocation == ()
    assert codes(seen) == []


def test_another_path_is_refused(tmp_path: Path) -> None:
    async def scenario() -> ProbeSeen:
        async with gateway(write(tmp_path, make(NAME, ROOT, names=[NAME]))) as port:
            return await look(port, ROOT, path="/elsewhere")

    seen = asyncio.run(scenario())
    assert seen.http[0].status == 404
    assert "iphttps-http-refused" in codes(seen)


PORTAL = (
    b"HTTP/1.1 302 Found\r\nLocation: http://portal.hotel.test/login\r\nContent-Length: 0\r\n\r\n"
)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (PORTAL, "captive-portal"),
        (b"HTTP/1.1 511 Network Authentication Required\r\n\r\n", "captive-portal"),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>Welcome</html>", "iphttps-wrong-server"),
        (b"HTTP/1.1 413 Too Large\r\nServer: nginx\r\n\r\n", "iphttps-wrong-server"),
        (
            b"HTTP/1.1 404 Not Found\r\nServer: Microsoft-HTTPAPI/2.0\r\n\r\n",
            "iphttps-http-refused",
        ),
        (b"220 mail.example.com ESMTP\r\n", "iphttps-wrong-server"),
        (b"", "iphttps-http-refused"),
    ],
    ids=["portal", "511", "page", "nginx", "windows", "mail", "silence"],
)
def test_plain_http(answer: bytes, expected: str) -> None:
    """Where a URL says http, as behind a device that ends TLS; or a portal that takes all."""

    async def scenario() -> ProbeSeen:
        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(4096)
            writer.write(answer)
            await writer.drain()
            if answer:
                await reader.read(4096)

        async with speaking(speak) as port:
            return await look(port, scheme="http")

    assert codes(asyncio.run(scenario())) == ["iphttps-url-invalid", expected]


def test_a_portal_that_refuses_the_length_of_the_post_is_asked_for_its_page() -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(PORTAL if head.startswith(b"GET / ") else b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async def scenario() -> ProbeSeen:
        async with speaking(speak) as port:
            return await look(port, scheme="http")

    seen = asyncio.run(scenario())
    assert (seen.http[0].status, seen.http[0].page_status) == (400, 302)
    assert codes(seen) == ["iphttps-url-invalid", "captive-portal"]
    told = judge(seen)[0].finding.summary
    assert f"port 443: https://{NAME}:{seen.target.port}/IPHTTPS" in told


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (PORTAL, "iphttps-wrong-server"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "iphttps-wrong-server"),
        (bytes.fromhex("15030100020228"), "iphttps-tls-handshake-failed"),
        (bytes.fromhex("160303ffff") + b"\xff" * 70000, "iphttps-tls-handshake-failed"),
        (bytes.fromhex("1603030004") + b"\x0b\xff\xff\xff", "iphttps-tls-handshake-failed"),
    ],
    ids=["http", "ssh", "alert", "giant record", "giant message"],
)
def test_what_is_no_server(answer: bytes, expected: str) -> None:
    async def scenario() -> ProbeSeen:
        async with speaking(answering(answer)) as port:
            return await look(port)

    seen = asyncio.run(scenario())
    assert codes(seen)[0] == expected
    assert exit_code(seen, judge(seen)) == 1


def test_a_handshake_without_end_and_a_slow_drip_end_with_the_time() -> None:
    """A byte now and then, for ever; and whole records of nothing, as fast as they are taken."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"\x16")
            await asyncio.sleep(0.05)

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(bytes.fromhex("1603030004") + b"\x63\0\0\0")
            await asyncio.sleep(0)
            await writer.drain()

    async def scenario(speak: object) -> ProbeSeen:
        async with speaking(speak) as port:  # type: ignore[arg-type]
            return await look(port, timeout=2.0)

    async def crawl(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes.fromhex("1603034000020000fc0303"))
        await drip(reader, writer)

    for speak in (drip, crawl, flood):
        begin = time.monotonic()
        seen = asyncio.run(scenario(speak))
        assert time.monotonic() - begin < 20
        assert exit_code(seen, judge(seen)) in (1, 3)
        assert not any(version.spoken for version in seen.versions)


def test_nobody_listens() -> None:
    seen = asyncio.run(look(1))
    assert codes(seen) == ["iphttps-connection-refused"]
    assert exit_code(seen, judge(seen)) == 1


def test_an_address_in_the_place_of_a_name(tmp_path: Path) -> None:
    async def scenario() -> ProbeSeen:
        files = write(tmp_path, make(NAME, ROOT, names=[NAME]))
        async with gateway(files, routes=["::/0"]) as port:
            return await look(port, ROOT, host="127.0.0.1", connect="")

    seen = asyncio.run(scenario())
    assert "iphttps-url-is-ip-address" in codes(seen)
    assert "iphttps-cert-name-mismatch" not in codes(seen)


def test_a_gateway_of_ours_with_null_suites(tmp_path: Path) -> None:
    """To who offers nothing else; whoever offers more hears nothing of them."""
    (tmp_path / "rsa").mkdir()
    null = write(tmp_path / "rsa", make(NAME, ROOT, names=[NAME], key=RSA_KEY))

    async def scenario() -> ProbeSeen:
        files = write(tmp_path, make(NAME, ROOT, names=[NAME]))
        async with gateway(files, null=null) as port:
            return await look(port, ROOT)

    seen = asyncio.run(scenario())
    taken = {suite.name for version in seen.null_suites for suite in version.suites}
    assert taken == {"TLS_RSA_WITH_NULL_SHA256", "TLS_RSA_WITH_NULL_SHA"}
    others = {suite.name for version in seen.versions for suite in version.suites}
    assert others
    assert not [name for name in others if "NULL" in name]
    assert any("It takes NULL suites" in remark for remark in remarks(seen))
