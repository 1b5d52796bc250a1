"""The asker's end: an answer, or why there is none and what to do."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from throughway.control import client as client_module
from throughway.control.client import ask
from throughway.control.codec import JSON, CommandRefused
from throughway.control.server import ControlServer, Request
from throughway.model.errors import ControlError


@contextmanager
def answering(path: Path, *pieces: bytes) -> Iterator[None]:
    """Listen once, send the pieces, hang up."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1 << 16)
                for piece in pieces:
                    connection.sendall(piece)

        thread = threading.Thread(target=answer)
        thread.start()
        yield
        thread.join()


def test_question_and_answer_with_the_real_server(tmp_path: Path) -> None:
    async def echo(request: Request) -> JSON:
        if request.command.name == "refuse":
            raise CommandRefused("not-permitted", "no")
        return dict(request.command.arguments)

    async def main() -> None:
        server = ControlServer(tmp_path / "client.sock", echo)
        await server.start()
        path = tmp_path / "client.sock"
        big = "x" * 200_000
        assert await asyncio.to_thread(ask, path, "echo", a=[1, big]) == {"a": [1, big]}
        with pytest.raises(CommandRefused, match="no"):
            await asyncio.to_thread(ask, path, "refuse")
        await server.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("client.sock", "the client daemon is not running .* throughway client run"),
        ("gateway.sock", "the gateway daemon is not running .* throughway gateway run"),
        ("other.sock", r"the other daemon is not running \(nobody listens on [^)]*\)$"),
    ],
)
@pytest.mark.parametrize("stale", [False, True])
def test_a_daemon_that_does_not_run(tmp_path: Path, name: str, words: str, stale: bool) -> None:
    if stale:
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(tmp_path / name))
    with pytest.raises(ControlError, match=words):
        ask(tmp_path / name, "status")


def test_an_answer_may_come_in_pieces(tmp_path: Path) -> None:
    with answering(tmp_path / "client.sock", b'{"ok": true, ', b'"result"', b": 7}\n"):
        assert ask(tmp_path / "client.sock", "status") == 7


@pytest.mark.parametrize(
    "answer", [b"", b'{"ok": true', b"HTTP/1.1 200 OK\n", b"[]\n", b'{"ok": true}\n']
)
def test_what_is_no_answer(tmp_path: Path, answer: bytes) -> None:
    with (
        answering(tmp_path / "client.sock", answer),
        pytest.raises(ControlError, match="cannot be understood"),
    ):
        ask(tmp_path / "client.sock", "status")


def test_an_endless_answer_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MAX_REPLY", 1000)
    with (
        answering(tmp_path / "client.sock", b"x" * 5000),
        pytest.raises(ControlError, match="too long"),
    ):
        ask(tmp_path / "client.sock", "status")


def test_a_daemon_that_hangs(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "client.sock"))
        listener.listen()
        with pytest.raises(ControlError, match="the client daemon does not answer"):
            ask(tmp_path / "client.sock", "status", deadline=0.05)


def test_a_path_that_cannot_be_connected_to(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="too long"):
        ask(tmp_path / ("x" * 200), "status")
