"""The daemon's end: who may ask, how much, and what a killed daemon leaves."""

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE
from throughway.control import server as server_module
from throughway.control.client import ask
from throughway.control.codec import JSON, MAX_REQUEST, Command, CommandRefused
from throughway.control.server import (
    MAX_CONNECTIONS_PER_USER,
    ControlServer,
    Handler,
    Peer,
    Request,
    require_owner,
    unknown_command,
)
from throughway.model.errors import ControlError, ThroughwayError


async def handler(request: Request) -> JSON:
    """Know a few commands."""
    match request.command.name:
        case "status":
            return {"pid": request.peer.pid, "uid": request.peer.uid}
        case "login":
            require_owner(request, owners=())
            return "welcome"
        case "fail":
            raise ThroughwayError("the tunnel is down")
        case "bug":
            raise ValueError("unforeseen")
        case "lost":
            raise ConnectionResetError("the daemon's own trouble, not the asker's")
        case "sleep":
            await asyncio.Event().wait()
    raise unknown_command(request)


Asker = Callable[[bytes], Awaitable[list[dict[str, Any]]]]


@asynccontextmanager
async def served(path: Path, handle: Handler = handler) -> AsyncIterator[Asker]:
    """Serve, and give a function that sends bytes and returns all replies to them."""
    server = ControlServer(path, handle)
    await server.start()

    async def send(data: bytes) -> list[dict[str, Any]]:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(data)
        writer.write_eof()
        replies = [json.loads(line) async for line in reader]
        writer.close()
        await writer.wait_closed()
        return replies

    try:
        yield send
    finally:
        await server.close()


def replies(tmp_path: Path, data: bytes) -> list[dict[str, Any]]:
    async def main() -> list[dict[str, Any]]:
        async with served(tmp_path / "client.sock") as send:
            return await send(data)

    return asyncio.run(main())


def test_the_kernel_says_who_asks(tmp_path: Path) -> None:
    (reply,) = replies(tmp_path, b'{"command": "status"}\n')
    assert reply == {"ok": True, "result": {"pid": os.getpid(), "uid": os.getuid()}}


def test_requests_of_one_connection_are_answered_in_order(tmp_path: Path) -> None:
    data = b'{"command": "status"}\n{"command": "fail"}\n{"command": "moon"}\n'
    codes = [r.get("error", {}).get("code") for r in replies(tmp_path, data)]
    assert codes == [None, "failed", "unknown-command"]


def test_an_error_is_told_in_words(tmp_path: Path) -> None:
    (reply,) = replies(tmp_path, b'{"command": "fail"}\n')
    assert reply["error"] == {"code": "failed", "message": "the tunnel is down"}


@pytest.mark.parametrize(
    "data", [b"hello\n", b"{}\n", b"\xff\n", b"[]\n", b"x" * (MAX_REQUEST + 1), b"[" * 9999 + b"\n"]
)
def test_garbage_ends_the_connection_with_an_answer(tmp_path: Path, data: bytes) -> None:
    (reply,) = replies(tmp_path, data + b'{"command": "status"}\n')
    assert reply["error"]["code"] == "bad-request"


def test_half_a_request_is_no_request(tmp_path: Path) -> None:
    assert replies(tmp_path, b'{"command": "status"}') == []


@pytest.mark.parametrize("command", ["bug", "lost"])
def test_a_bug_is_answered_and_reaches_the_daemon(tmp_path: Path, command: str) -> None:
    async def main() -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
        caught: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: caught.append(context))
        async with served(tmp_path / "client.sock") as send:
            first = await send(json.dumps({"command": command}).encode() + b"\n")
            return first, await send(b'{"command": "status"}\n'), caught

    first, second, caught = asyncio.run(main())
    assert first[0]["error"]["code"] == "unfinished"
    assert second[0]["ok"], "the server serves on"
    assert isinstance(caught[0]["exception"], ValueError | ConnectionResetError)


def test_time_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "HANDLER_TIMEOUT", 0.05)
    (reply,) = replies(tmp_path, b'{"command": "sleep"}\n')
    assert reply["error"] == {"code": "timeout", "message": "sleep took too long"}


def test_a_silent_connection_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "REQUEST_TIMEOUT", 0.05)

    async def main() -> bytes:
        async with served(tmp_path / "client.sock"):
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "client.sock"))
            writer.write(b'{"command"')
            answer = await asyncio.wait_for(reader.read(), PATIENCE)
            writer.close()
            return answer

    assert asyncio.run(main()) == b""


def test_one_user_cannot_take_all_connections(tmp_path: Path) -> None:
    async def main() -> tuple[dict[str, Any], list[dict[str, Any]]]:
        async with served(tmp_path / "client.sock") as send:
            idle = []
            for _ in range(MAX_CONNECTIONS_PER_USER):
                reader, writer = await asyncio.open_unix_connection(str(tmp_path / "client.sock"))
                writer.write(b'{"command": "status"}\n')
                await reader.readline()
                idle.append((reader, writer))
            refused = (await send(b""))[0]
            for reader, writer in idle:
                writer.write_eof()
                assert await reader.read() == b""
                writer.close()
            return refused, await send(b'{"command": "status"}\n')

    refused, served_again = asyncio.run(main())
    assert refused["error"]["code"] == "busy"
    assert served_again[0]["ok"]


def test_the_total_is_limited_but_for_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "MAX_CONNECTIONS", 0)

    async def main() -> JSON:
        async with served(tmp_path / "client.sock"):
            return await asyncio.to_thread(ask, tmp_path / "client.sock", "status")

    if os.getuid() == 0:
        assert asyncio.run(main())
    else:
        with pytest.raises(CommandRefused, match="too many are asking"):
            asyncio.run(main())


def test_an_asker_who_hangs_up_harms_nobody(tmp_path: Path) -> None:
    def ask_until_admitted() -> JSON:
        while True:
            try:
                return ask(tmp_path / "client.sock", "status")
            except CommandRefused as refusal:
                if refusal.code != "busy":
                    raise

    async def main() -> JSON:
        async with served(tmp_path / "client.sock"):
            for _ in range(20):
                with socket.socket(socket.AF_UNIX) as asker:
                    asker.setblocking(False)
                    asker.connect(str(tmp_path / "client.sock"))
                    asker.send(b'{"command": "status"}\n' * 50)
            return await asyncio.to_thread(ask_until_admitted)

    assert asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_require_owner() -> None:
    def request(uid: int) -> Request:
        return Request(Command("login"), Peer(1, uid, uid))

    require_owner(request(0))
    require_owner(request(1000), owners={1000})
    with pytest.raises(CommandRefused, match="and the user who is logged on") as refusal:
        require_owner(request(1001), owners={1000})
    assert refusal.value.code == "not-permitted"
    with pytest.raises(CommandRefused, match="login: only root may do this"):
        require_owner(request(1001))


# The socket's file


def test_everybody_may_connect(tmp_path: Path) -> None:
    path = tmp_path / "throughway" / "client.sock"

    async def main() -> tuple[int, int]:
        async with served(path):
            return path.stat().st_mode, path.parent.stat().st_mode

    umask = os.umask(0o077)
    try:
        socket_mode, directory_mode = asyncio.run(main())
    finally:
        os.umask(umask)
    assert stat.S_IMODE(socket_mode) == 0o666
    assert stat.S_IMODE(directory_mode) == 0o755
    assert not path.exists(), "the socket goes with the daemon"


def test_a_socket_of_a_killed_daemon_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "client.sock"
    leave = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1])"
    subprocess.run([sys.executable, "-c", leave, str(path)], check=True)
    assert path.is_socket()
    (reply,) = replies(tmp_path, b'{"command": "status"}\n')
    assert reply["ok"]


def test_a_living_daemon_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "client.sock"

    async def main() -> list[dict[str, Any]]:
        async with served(path) as send:
            with pytest.raises(ControlError, match="running already"):
                await ControlServer(path, handler).start()
            return await send(b'{"command": "status"}\n')

    assert asyncio.run(main())[0]["ok"]


def test_a_file_that_is_no_socket_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "client.sock"
    path.write_text("precious")
    with pytest.raises(ControlError, match="no socket"):
        asyncio.run(ControlServer(path, handler).start())
    assert path.read_text() == "precious"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(ControlError, match=r"client\.sock"):
        asyncio.run(ControlServer(tmp_path / "run" / "client.sock", handler).start())


def test_a_socket_that_another_daemon_took_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "client.sock"

    async def main() -> None:
        first = ControlServer(path, handler)
        await first.start()
        path.rename(tmp_path / "old.sock")
        second = ControlServer(path, handler)
        await second.start()
        await first.close()
        assert path.is_socket()
        assert await asyncio.to_thread(ask, path, "status")
        await second.close()
        await second.close()

    asyncio.run(main())


def test_closing_ends_commands_under_way(tmp_path: Path) -> None:
    path = tmp_path / "client.sock"

    async def main() -> bytes:
        async with served(path):
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(b'{"command": "status"}\n')
            await reader.readline()
            writer.write(b'{"command": "sleep"}\n')
            await writer.drain()
            other, other_writer = await asyncio.open_unix_connection(str(path))
            other_writer.write(b'{"command": "status"}\n')
            await other.readline()  # so the server has read both
        answer = await reader.read()
        writer.close()
        other_writer.close()
        return answer

    assert json.loads(asyncio.run(main()))["error"]["code"] == "unfinished"
