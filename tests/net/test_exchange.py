"""One request and its answer, whatever it is; what goes wrong on the way is test_fetch.py's."""

import asyncio

import h11

from tests.net.test_fetch import serving
from throughway.net.exchange import Answered, Asked, exchange


def asked(asked: Asked, answer: bytes) -> tuple[h11.Request, bytes, Answered]:
    """Return what the server heard, and what we did."""
    heard: list[tuple[h11.Request, bytes]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = h11.Connection(h11.SERVER)
        body = b""
        request = None
        while not isinstance(event := server.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                server.receive_data(await reader.read(1024))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
        assert request is not None
        heard.append((request, body))
        writer.write(answer)

    async def run() -> Answered:
        async with serving(handle, None) as port:
            return await exchange(f"http://127.0.0.1:{port}/path", asked)

    answered = asyncio.run(run())
    return (*heard[0], answered)


def test_a_post_carries_its_body_and_headers() -> None:
    question = Asked(method="POST", headers={"Content-Type": "a/b"}, body=b"question")
    request, body, answer = asked(
        question, b"HTTP/1.1 200 Fine\r\nX-Y: z\r\nContent-Length: 6\r\n\r\nanswer"
    )
    assert (request.method, request.target, body) == (b"POST", b"/path", b"question")
    assert dict(request.headers)[b"content-type"] == b"a/b"
    assert (answer.status, answer.reason, answer.body) == (200, "Fine", b"answer")
    assert answer.headers["x-y"] == "z"


def test_a_bad_answer_is_an_answer() -> None:
    request, body, answer = asked(Asked(), b"HTTP/1.1 403 No\r\nContent-Length: 4\r\n\r\nwhy\n")
    assert (request.method, body) == (b"GET", b"")
    assert (answer.status, answer.body) == (403, b"why\n")


def test_what_is_asked_is_in_no_log() -> None:
    assert "secret" not in repr(Asked(headers={"Authorization": "secret"}))
