"""``throughway explain``, as a person runs it."""

import json

import pytest

from throughway.cli.main import main


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        main(["explain", *arguments])
    return caught.value.code


@pytest.mark.parametrize(
    ("code", "words", "problem"),
    [
        ("0x80090326", "SEC_E_ILLEGAL_MESSAGE", "iphttps-tls-handshake-failed"),
        ("-2146893018", "SEC_E_ILLEGAL_MESSAGE", "iphttps-tls-handshake-failed"),
        ("11001", "WSAHOST_NOT_FOUND", "iphttps-name-unresolvable"),
        ("WSAHOST_NOT_FOUND", "the name does not exist", "iphttps-name-unresolvable"),
        ("0x80190194", "HTTP status 404", "iphttps-http-refused"),
        ("iphttps-port-blocked", "No answer from the gateway's port", "iphttps-port-blocked"),
        ("13801", "ERROR_IPSEC_IKE_AUTH_FAIL", ""),
    ],
)
def test_a_code_is_explained(
    capsys: pytest.CaptureFixture[str], code: str, words: str, problem: str
) -> None:
    assert run(*(("--",) if code.startswith("-") else ()), code) in {0, None}
    shown = capsys.readouterr().out
    assert words in shown
    assert problem in shown


def test_a_negative_number_needs_no_dashes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-2146893018") in {0, None}
    assert "SEC_E_ILLEGAL_MESSAGE" in capsys.readouterr().out


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    run("0x274c", "--json")
    data = json.loads(capsys.readouterr().out)
    assert [problem["code"] for problem in data["problems"]] == ["iphttps-port-blocked"]


def test_an_unknown_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("0xdeadbeef") == 2
    assert "neither a known error number" in capsys.readouterr().err
