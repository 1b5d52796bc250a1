"""One GET, against servers that are right, wrong, slow and strange; nginx among them."""

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.clock import pass_time
from tests.net.iphttps_world import Authority, end_server, wait_for
from tests.patience import PATIENCE
from tests.ports import free_port
from throughway.model.errors import Stage, TransportError
from throughway.net.fetch import fetch
from throughway.net.tls import client_context

NAME = "nls.corp.example.com"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ninside\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def context_of(
    authority: Authority, name: str = NAME, begins: float = -1, ends: float = 1
) -> ssl.SSLContext:
    pair = authority.issue(name, begins=begins, ends=ends)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


def trusting(authority: Authority) -> ssl.SSLContext:
    return client_context(anchors=(authority.root.pem,), system=False)


async def loopback(host: str) -> Sequence[str]:
    return ("127.0.0.1",)


def says(answer: bytes, *, then: bool = True) -> Handler:
    """Answer with these bytes; ``then`` close the connection, else let the time be over."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        if not then:
            pass_time()
            await reader.read()

    return handle


@asynccontextmanager
async def serving(handle: Handler, tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    async def tended(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(tended, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await end_server(server)


def fetched(
    handle: Handler,
    *,
    server: ssl.SSLContext | None = None,
    client: ssl.SSLContext | None = None,
    name: str = NAME,
    limit: int = 1000,
    seconds: float = PATIENCE,
) -> bytes:
    async def scenario() -> bytes:
        async with serving(handle, server) as port:
            url = f"http{'s' if server else ''}://{name}:{port}/path"
            return await fetch(url, tls=client, resolve=loopback, limit=limit, seconds=seconds)

    return asyncio.run(scenario())


def failure(handle: Handler, **options: object) -> TransportError:
    with pytest.raises(TransportError) as caught:
        fetched(handle, **options)  # type: ignore[arg-type]
    return caught.value


def test_the_body_of_a_verified_server(authority: Authority) -> None:
    found = fetched(says(OK), server=context_of(authority), client=trusting(authority))
    assert found == b"inside\n"


def test_what_is_asked(authority: Authority) -> None:
    asked: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)

    fetched(listen)
    (head,) = asked
    assert head.startswith(b"GET /path HTTP/1.1\r\n")
    assert b"host: nls.corp.example.com:" in head.lower()


@pytest.mark.parametrize(
    ("name", "dates", "code", "problem"),
    [
        ("other.example.com", {}, 0x800B010F, "iphttps-cert-name-mismatch"),
        (NAME, {"begins": -3.0, "ends": -1.0}, 0x800B0101, "iphttps-cert-expired"),
        (NAME, {"begins": 1.0, "ends": 3.0}, 0x800B0101, "iphttps-cert-not-yet-valid"),
    ],
)
def test_a_certificate_that_proves_nothing(
    authority: Authority, name: str, dates: dict[str, float], code: int, problem: str
) -> None:
    server = context_of(authority, name, **dates)
    error = failure(says(OK), server=server, client=trusting(authority))
    assert (error.stage, error.windows_code, error.problem) == (Stage.TLS, code, problem)


def test_an_authority_that_nobody_trusts(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "Somebody Else")
    error = failure(says(OK), server=context_of(stranger), client=trusting(authority))
    assert (error.stage, error.windows_code) == (Stage.TLS, 0x800B0109)


def test_without_a_context_the_systems_roots_count(authority: Authority) -> None:
    assert failure(says(OK), server=context_of(authority)).stage is Stage.TLS


def test_no_tls_where_tls_is_due(authority: Authority) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def scenario() -> None:
        async with serving(plain, None) as port:
            await fetch(f"https://{NAME}:{port}/", tls=trusting(authority), resolve=loopback)

    with pytest.raises(TransportError) as caught:
        asyncio.run(scenario())
    assert (caught.value.stage, caught.value.windows_code) == (Stage.TLS, 0x80090308)


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    pass_time()
    await reader.read()


def test_a_server_that_hangs_in_tls_is_given_up(authority: Authority) -> None:
    async def scenario() -> None:
        # Plain behind the port: it takes the ClientHello and never answers.
        async with serving(hang, None) as port:
            await fetch(
                f"https://{NAME}:{port}/",
                tls=trusting(authority),
                resolve=loopback,
                seconds=PATIENCE,
            )

    with pytest.raises(TransportError) as caught:
        asyncio.run(scenario())
    assert (caught.value.stage, caught.value.windows_code) == (Stage.TLS, 0x274C)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n", OK[:-3]])
def test_a_server_that_hangs_in_http_is_given_up(authority: Authority, answer: bytes) -> None:
    error = failure(
        says(answer, then=False),
        server=context_of(authority),
        client=trusting(authority),
    )
    assert (error.stage, error.windows_code) == (Stage.HTTP, 0x274C)


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-x\r\n", OK[:-3], b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 40000]
)
def test_what_is_not_http_is_refused(answer: bytes) -> None:
    assert failure(says(answer)).stage is Stage.HTTP


@pytest.mark.parametrize("status", ["302 Found\r\nLocation: http://127.0.0.1/", "404 Not Found"])
def test_only_200_counts(status: str) -> None:
    error = failure(says(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()))
    assert error.stage is Stage.HTTP
    assert error.windows_code == 0x80190000 + int(status[:3])


@pytest.mark.parametrize("head", ["Content-Length: 2000", "X: end by closing"])
def test_too_long_a_body_is_cut_off(head: str) -> None:
    error = failure(says(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode() + bytes(2000)))
    assert "longer than 1000" in str(error)


def test_a_body_may_come_in_chunks_or_end_by_closing() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    assert fetched(says(chunked)) == b"abc"
    assert fetched(says(b"HTTP/1.0 200 OK\r\n\r\nabc")) == b"abc"


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(TransportError) as caught:
            asyncio.run(fetch(f"http://{NAME}:{port}/", resolve=loopback))
    assert (caught.value.stage, caught.value.windows_code) == (Stage.CONNECT, 0x274D)


def test_a_name_that_does_not_resolve() -> None:
    async def nowhere(host: str) -> Sequence[str]:
        raise TransportError(Stage.RESOLVE, f"{host} does not exist", windows_code=0x2AF9)

    with pytest.raises(TransportError, match="does not exist") as caught:
        asyncio.run(fetch(f"http://{NAME}/", resolve=nowhere))
    assert (caught.value.stage, caught.value.windows_code) == (Stage.RESOLVE, 0x2AF9)


def test_the_machines_resolver_is_the_default() -> None:
    async def scenario() -> bytes:
        async with serving(says(OK), None) as port:
            return await fetch(f"http://localhost:{port}/")

    assert asyncio.run(scenario()) == b"inside\n"


@pytest.mark.parametrize("url", ["ftp://a/", "nls", "https:///x", "http://a:b/", "http://[::1/"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(TransportError):
        asyncio.run(fetch(url))


def test_nobody_waits_for_one_who_has_given_up(authority: Authority) -> None:
    """Cancelled in the middle, as a probe of a round that has ended: no socket is left."""

    async def scenario() -> None:
        connected = asyncio.Event()

        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connected.set()
            await reader.read()

        for scheme in ("http", "https"):
            connected.clear()
            async with serving(hold, None) as port:
                url = f"{scheme}://{NAME}:{port}/"
                task = asyncio.create_task(fetch(url, tls=trusting(authority), resolve=loopback))
                await connected.wait()
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                assert task.cancelled()

    asyncio.run(scenario())


NGINX = """
daemon off; pid {folder}/pid; error_log stderr; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {certificate}; ssl_certificate_key {key};
    location / {{ return 200 "inside\\n"; }}
    location /away {{ return 302 https://{name}/; }}
  }}
}}
"""


@pytest.mark.lab
def test_with_nginx(authority: Authority, tmp_path: Path) -> None:
    port = free_port()
    pair = authority.issue(NAME)
    settings = tmp_path / "nginx.conf"
    settings.write_text(
        NGINX.format(
            folder=tmp_path, port=port, certificate=pair.certificate, key=pair.key, name=NAME
        )
    )
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    process = subprocess.Popen([nginx, "-c", str(settings), "-e", "stderr"])

    def listening() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    async def scenario() -> None:
        await wait_for(listening)
        tls = trusting(authority)
        url = f"https://{NAME}:{port}/"
        assert await fetch(url, tls=tls, resolve=loopback) == b"inside\n"
        with pytest.raises(TransportError, match="302"):
            await fetch(f"{url}away", tls=tls, resolve=loopback)
        with pytest.raises(TransportError) as caught:
            await fetch(f"https://other.example.com:{port}/", tls=tls, resolve=loopback)
        assert caught.value.problem == "iphttps-cert-name-mismatch"

    try:
        asyncio.run(scenario())
    finally:
        process.terminate()
        process.wait()


def test_a_server_that_only_says_continue_is_given_up() -> None:
    async def goes_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 2000)
        await reader.read()

    assert "longer than" in str(failure(goes_on))
