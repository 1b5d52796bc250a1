"""The gateway's own services, there and not there."""

import asyncio
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from tests.net.namespace import in_namespace, run
from tests.operations_world import config, look
from throughway.gateway.operations import service
from throughway.health.checking import CannotTell
from throughway.model.errors import IPsecError


def test_a_listener_that_is_there_and_one_that_is_not(tmp_path: Path) -> None:
    async def version() -> str:
        return "5.9.8"

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        gateway = config(tmp_path, listen=(("0.0.0.0", port),))
        checks = service.checks(lambda: gateway, version)
        hangs = [("iphttps-listener-down", f"0.0.0.0 port {port}: no answer")]
        assert look(checks, "listener") == hangs, "the kernel has taken the connection"
    down = [("iphttps-listener-down", f"0.0.0.0 port {port}: Connection refused")]
    assert look(checks, "listener") == down


def test_an_ike_daemon_that_hangs_is_told_from_one_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[str | Exception | None] = ["5.9.8", None, IPsecError("charon has ended")]

    async def version() -> str:
        answer = answers.pop(0)
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    monkeypatch.setattr(service, "CONNECT_TIME", 0.01)
    checks = service.checks(lambda: config(tmp_path), version)
    monkeypatch.setattr(service, "CONNECT_TIME", 60.0)
    assert look(checks, "ike") == "charon 5.9.8"
    monkeypatch.setattr(service, "CONNECT_TIME", 0.01)
    hangs = "charon is there, but does not answer: it hangs"
    assert look(checks, "ike") == [("ipsec-daemon-down", hangs)]
    monkeypatch.setattr(service, "CONNECT_TIME", 60.0)
    with pytest.raises(CannotTell, match="charon has ended"):
        look(checks, "ike")


@pytest.mark.lab
def test_a_disk_that_is_full_or_read_only(tmp_path: Path) -> None:
    gateway = config(tmp_path)

    async def version() -> str:
        return ""

    checks = service.checks(lambda: gateway, version)

    def there() -> None:
        run("mount", "-t", "tmpfs", "-o", "size=32m", "none", str(tmp_path))
        assert look(checks, "store") == "there is room"
        with (tmp_path / "filled").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 20 << 20)
        (full,) = set(look(checks, "store"))
        assert full == ("files-not-writable", f"{tmp_path}: 12288 KiB are left")
        (tmp_path / "filled").unlink()
        run("mount", "-o", "remount,ro", str(tmp_path))
        (read_only,) = set(look(checks, "store"))
        assert read_only == ("files-not-writable", f"{tmp_path} is mounted read-only")

    in_namespace(there)


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    gateway = replace(config(tmp_path), state_directory=tmp_path / "gone")

    async def version() -> str:
        return ""

    gone = ("files-not-writable", f"{tmp_path / 'gone'}: No such file or directory")
    assert look(service.checks(lambda: gateway, version), "store") == [gone]
