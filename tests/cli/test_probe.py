"""``throughway probe``, as a person runs it."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.net.iphttps_world import NAME
from tests.patience import PATIENCE
from tests.probe.probe_world import HOME, gateway, make, write
from tests.schemas import check, schema
from throughway.cli.main import main

ROOT = make("Test Root", ca=True)


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        main(["probe", *arguments])
    return caught.value.code


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Run the product's own server beside; give its name and port."""
    files = write(tmp_path, make(NAME, ROOT, names=[NAME]))
    (tmp_path / "root.pem").write_bytes(ROOT.pem)
    ready, port = threading.Event(), 0
    loop = asyncio.new_event_loop()
    end = asyncio.Event()

    async def serve() -> None:
        nonlocal port
        async with gateway(files, routes=["::/0"]) as port:
            ready.set()
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(PATIENCE)
    yield f"{NAME}:{port}"
    loop.call_soon_threadsafe(end.set)
    thread.join()
    loop.close()


def test_json_and_lines(server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = (server, "--connect", HOME, "--no-transitions", "--ca", str(tmp_path / "root.pem"))
    assert run(*given, "--json") == 1
    out = capsys.readouterr()
    data = json.loads(out.out)
    check(data, schema("probe-1"))
    assert out.err == ""
    codes = [each["code"] for each in data["diagnosis"]]
    assert codes == ["iphttps-cert-no-crl-distribution-point"]
    assert data["seen"]["http"][0]["accepted"] is True
    assert run(*given) == 1
    out = capsys.readouterr()
    assert "POST         127.0.0.1: 200 OK, Server: throughway" in out.out
    assert "tcp 127.0.0.1: done" in out.err
    assert "Traceback" not in out.out + out.err


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("a b",),
        ("da.example.com", "--ca", "/no/such/file"),
        ("da.example.com", "--connect", "nowhere"),
        ("da.example.com", "--key", "/no/such/file"),
        ("da.example.com", "--certificate", "/no/such/file"),
        ("da.example.com", "--timeout", "0"),
        ("da.example.com", "--timeout", "soon"),
    ],
)
def test_usage(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_nobody_listens(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("da.example.com:1", "--connect", HOME, "--no-transitions") == 1
    assert "iphttps-connection-refused" in capsys.readouterr().out


def test_a_network_without_a_way_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then nothing is known of the server, and that is said."""

    async def unreachable(*_: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr("throughway.probe.connecting.connect", unreachable)
    assert run("da.example.com", "--connect", "203.0.113.9", "--no-transitions") == 3
    assert "Could not tell" in capsys.readouterr().out


def test_what_is_wrong_with_a_certificate_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = tmp_path / "alone.pem"
    alone.write_bytes(make("client1").pem)
    for words, told in (
        (("--certificate", str(alone)), "--key FILE"),
        (("--certificate", str(alone), "--key", str(tmp_path / "none")), "none: there is no such"),
        (("--certificate", "/no/such/file"), "/no/such/file: there is no such"),
    ):
        assert run("da.example.com", *words) == 2
        assert told in capsys.readouterr().err
