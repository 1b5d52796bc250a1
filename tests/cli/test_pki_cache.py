"""`throughway pki cache`: what is kept, shown and forgotten."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.revocation_world import (
    CRL,
    CRL_URL,
    DELTA_URL,
    HOUR,
    ISSUING,
    NOW,
    OCSP,
    OCSP_URL,
    chain,
)
from throughway.cli import pki_cache as module
from throughway.cli.main import app
from throughway.control.codec import CommandRefused
from throughway.gateway.revocation import DIRECTORY, OWN_DIRECTORY
from throughway.net.revocation_cache import Kept, RevocationCache
from throughway.pki.judgement import hex_of
from throughway.pki.ocsp import get_url
from throughway.pki.revocation import questions

CHAIN = chain()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A client that keeps a fresh list, and a gateway with an old one and an answer."""
    listed = CRL(revoked=[(CHAIN.serial, None)], number=7, deltas=[DELTA_URL]).build(ISSUING)
    answer = OCSP().build(CHAIN.leaf.certificate, ISSUING)
    for daemon, url, kind, data, ends in (
        ("client", CRL_URL, "crl", listed, NOW + HOUR),
        ("gateway", CRL_URL, "crl", CRL(number=8, base=7).build(ISSUING), NOW - HOUR),
        ("gateway", OCSP_URL, "ocsp", answer, NOW + HOUR),
    ):
        cache = RevocationCache(tmp_path / daemon / "revocation")
        now = NOW.timestamp()
        until = ends.timestamp()
        kept = Kept(url=url, kind=kind, fetched_at=now, begins_at=now, ends_at=until)
        cache.put(kept, data)
    return tmp_path


def run(state: Path, *arguments: str) -> tuple[int, str]:
    answer = CliRunner().invoke(app, ["pki", "cache", *arguments, "--state", str(state)])
    return answer.exit_code, answer.output


def test_list(state: Path) -> None:
    code, text = run(state, "list")
    assert code == 1
    lines = [line.split() for line in text.splitlines()]
    assert lines[0][0] == "DAEMON"
    assert {(line[0], line[1], line[-1]) for line in lines[1:]} == {
        ("client", "crl", CRL_URL),
        ("gateway", "crl", CRL_URL),
        ("gateway", "ocsp", OCSP_URL),
    }
    assert text.count("out of date") == 1
    assert text.count("Corp Issuing") == 2
    code, text = run(state, "list", "--json")
    assert [row["fresh"] for row in json.loads(text)].count(False) == 1


def test_nothing_is_kept(tmp_path: Path) -> None:
    assert run(tmp_path, "list") == (0, "Nothing is kept.\n")
    assert run(tmp_path, "flush") == (0, "Nothing is kept.\n")
    assert run(tmp_path, "show", "x")[0] == 2


def test_show(state: Path) -> None:
    code, text = run(state, "show", "issuing.crl")
    assert code == 0
    for words in ("Corp Issuing", hex_of(CHAIN.serial), "a delta list to number 7", DELTA_URL):
        assert words in text
    code, text = run(state, "show", "ocsp.example.com", "--json")
    [found] = json.loads(text)
    assert found["says"]["serials"] == [hex_of(CHAIN.serial)]
    assert hex_of(CHAIN.serial) in run(state, "show", "ocsp.example.com")[1]
    [first, second] = json.loads(run(state, "show", CRL_URL, "--json")[1])
    assert {first["says"]["number"], second["says"]["number"]} == {7, 8}


def test_what_a_gateway_keeps_about_its_own_certificates(state: Path) -> None:
    (state / "gateway" / "revocation").rename(state / "gateway" / OWN_DIRECTORY)
    assert [row["daemon"] for row in json.loads(run(state, "list", "--json")[1])] == [
        *("client", "gateway", "gateway")
    ]
    shutil.copytree(state / "gateway" / OWN_DIRECTORY, state / "gateway" / DIRECTORY)
    assert run(state, "flush") == (0, "client: 1 removed\ngateway: 4 removed\n")


def test_flush(state: Path) -> None:
    code, text = run(state, "flush")
    assert (code, text) == (0, "client: 1 removed\ngateway: 2 removed\n")
    assert run(state, "list") == (0, "Nothing is kept.\n")
    assert json.loads(run(state, "flush", "--json")[1]) == {
        "removed": {"client": 0, "gateway": 0},
        "told": [],
        "failed": {},
    }


@pytest.fixture
def everywhere(state: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state is where daemons keep it."""
    monkeypatch.setattr(module, "STATE", state)
    monkeypatch.setattr(module, "CLIENT_SOCKET", state / "client.sock")
    monkeypatch.setattr(module, "GATEWAY_SOCKET", state / "gateway.sock")
    return state


def test_daemons_that_do_not_run_have_nothing_to_forget(everywhere: Path) -> None:
    code, text = run(everywhere, "flush", "--json")
    assert (code, json.loads(text)["told"], json.loads(text)["failed"]) == (0, [], {})


def test_a_daemon_that_cannot_forget_is_named(
    everywhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(socket: Path, command: str) -> None:
        if command == "reload":
            raise CommandRefused("bad-configuration", "gateway.toml: no such key")

    monkeypatch.setattr(module, "ask", answer)
    code, text = run(everywhere, "flush")
    assert code == 1
    assert "The client and its charon have forgotten theirs" in text
    assert "The gateway still has its own (gateway.toml: no such key)" in text
    assert "systemctl restart throughway-gateway" in text


def test_an_answer_is_of_a_certificate_and_from_its_responder(tmp_path: Path) -> None:
    (question,) = questions(CHAIN.certificates[:2])
    url = get_url(OCSP_URL, question.request())
    cache = RevocationCache(tmp_path / "client" / "revocation")
    answer = OCSP().build(CHAIN.leaf.certificate, ISSUING)
    cache.put(Kept(url=url, kind="ocsp", fetched_at=1.0, begins_at=1.0, ends_at=2.0), answer)
    line = run(tmp_path, "list")[1].splitlines()[1]
    assert line.endswith(f"serial {hex_of(CHAIN.serial)}  {OCSP_URL}")
    [row] = json.loads(run(tmp_path, "list", "--json")[1])
    assert (row["url"], row["about"]) == (url, f"serial {hex_of(CHAIN.serial)}")


def test_a_file_that_is_damaged_is_not_shown(state: Path) -> None:
    [file] = (state / "client" / "revocation").iterdir()
    file.write_bytes(b"damaged")
    assert "client" not in run(state, "list")[1]


def test_only_what_is_out_of_date_is_forgotten(state: Path) -> None:
    code, text = run(state, "flush", "--out-of-date")
    assert code == 0
    assert text.splitlines()[:2] == ["client: 0 removed", "gateway: 1 removed"]
    code, text = run(state, "list", "--json")
    assert code == 0
    assert {row["url"] for row in json.loads(text)} == {CRL_URL, OCSP_URL}
