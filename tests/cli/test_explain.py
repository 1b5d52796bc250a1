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
        ("0X80090326", "SEC_E_ILLEGAL_MESSAGE", "iphttps-tls-handshake-failed"),
        ("80090326", "SEC_E_ILLEGAL_MESSAGE", "iphttps-tls-handshake-failed"),
        ("-2146893018", "SEC_E_ILLEGAL_MESSAGE", "iphttps-tls-handshake-failed"),
        ("2148074278", "SEC_E_ILLEGAL_MESSAGE", "iphttps-tls-handshake-failed"),
        ("SEC_E_ILLEGAL_MESSAGE", "0x80090326", "iphttps-tls-handshake-failed"),
        ("sec_e_illegal_message", "0x80090326", "iphttps-tls-handshake-failed"),
        ("11001", "WSAHOST_NOT_FOUND", "iphttps-name-unresolvable"),
        ("2af9", "WSAHOST_NOT_FOUND", "iphttps-name-unresolvable"),
        ("WSAHOST_NOT_FOUND", "the name does not exist", "iphttps-name-unresolvable"),
        ("0x80072AF9", "WSAHOST_NOT_FOUND", "iphttps-name-unresolvable"),
        ("0x80190194", "HTTP status 404", "iphttps-http-refused"),
        ("iphttps-port-blocked", "No answer from the gateway's port", "iphttps-port-blocked"),
        ("IPHTTPS-Port-Blocked", "No answer from the gateway's port", "iphttps-port-blocked"),
        ("13801", "ERROR_IPSEC_IKE_AUTH_FAIL", "ipsec-auth-failure-unspecified"),
        ("13905", "ERROR_IPSEC_IKE_AUTHORIZATION_FAILURE", "ipsec-health-certificate-missing"),
        ("0x3651", "ERROR_IPSEC_IKE_AUTHORIZATION_FAILURE", "ipsec-health-certificate-missing"),
        ("NO_CERT", "13806", "ipsec-no-machine-cert"),
        ("4653", "Event 4653 (Security): a main mode negotiation failed", "ipsec-no-machine-cert"),
        ("4984", "extended mode", "ipsec-user-refused"),
        ("5451", "Event 5451", "no problem that is known"),
    ],
)
def test_a_code_is_explained(
    capsys: pytest.CaptureFixture[str], code: str, words: str, problem: str
) -> None:
    assert run(code) in {0, None}
    shown = capsys.readouterr().out
    assert words in shown
    assert problem in shown


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    run("0x274c", "--json")
    data = json.loads(capsys.readouterr().out)
    assert [problem["code"] for problem in data["problems"]] == ["iphttps-port-blocked"]


@pytest.mark.parametrize(
    ("code", "alike"),
    [
        ("0xdeadbeef", ""),
        ("SEC_E_ILEGAL_MESAGE", "SEC_E_ILLEGAL_MESSAGE"),
        ("iphttps-port-bloked", "iphttps-port-blocked"),
        ("port-blocked", "iphttps-port-blocked"),
        ("0x80090327A", "0x80090327"),
        ("", ""),
        ("-", ""),
    ],
)
def test_an_unknown_code(capsys: pytest.CaptureFixture[str], code: str, alike: str) -> None:
    assert run("--", code) == 2
    said = capsys.readouterr().err
    assert "neither a known error number" in said
    assert alike in said


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    assert "throughway explain 4653" in capsys.readouterr().out
