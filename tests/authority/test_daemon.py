"""The service as it runs, asked by curl and openssl after the examples of RFC 7030, appendix A."""

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.authority_world import CLIENT, EST, OWNER, Authority, openssl, serving
from tests.patience import PATIENCE
from throughway.authority import directory as directories
from throughway.model.audit import AUTHORITY_EVENTS

TEMPLATE = (
    f"[req]\ndistinguished_name=dn\nreq_extensions=v3\n[dn]\n[v3]\nsubjectAltName=DNS:{CLIENT}\n"
)


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    with serving(policy="policy.bundle", crl="pki/published.crl") as running:
        (running.folder / "policy.bundle").write_bytes(b"the bundle")
        yield running


def events(authority: Authority) -> list[dict[str, Any]]:
    lines = (authority.directory / AUTHORITY_EVENTS).read_text().splitlines()
    return [json.loads(line) for line in lines]


def make_request(folder: Path, name: str) -> str:
    """Let openssl make a key and a request; return the request's file in base64 for curl."""
    (folder / "template").write_text(TEMPLATE)
    openssl(
        folder,
        *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-subj", f"/CN={CLIENT}", "-config", "template", "-keyout", f"{name}.key"),
        *("-outform", "DER", "-out", f"{name}.p10"),
    )
    openssl(folder, "base64", "-in", f"{name}.p10", "-out", f"{name}.b64")
    return f"@{folder / name}.b64"


def unpack(folder: Path, answer: bytes, name: str) -> x509.Certificate:
    """Let openssl read the certs-only message."""
    (folder / f"{name}.p7b64").write_bytes(answer)
    openssl(folder, "base64", "-d", "-in", f"{name}.p7b64", "-out", f"{name}.p7")
    openssl(
        folder,
        *("pkcs7", "-inform", "DER", "-in", f"{name}.p7", "-print_certs", "-out", f"{name}.crt"),
    )
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


POST = ("--header", "Content-Type: application/pkcs10", "--data-binary")


def test_enrol_and_renew_by_hand(authority: Authority, tmp_path: Path) -> None:
    root = unpack(tmp_path, authority.curl(f"{EST}/cacerts", "--insecure"), "root")
    assert root == directories.read_certificate(authority.directory / "ca.crt")
    assert b"MCEwFQYHKoZIzj0CATEKBggqhkjOPQMBBwYIKoZIzj0EAwI=" in authority.curl(f"{EST}/csrattrs")

    request = make_request(tmp_path, "first")
    user = ("--user", f"{CLIENT}:{authority.token()}")
    first = unpack(tmp_path, authority.curl(f"{EST}/simpleenroll", *user, *POST, request), "first")
    assert first.issuer == root.subject
    # The answer was lost on its way: the same computer asks again.
    again = unpack(tmp_path, authority.curl(f"{EST}/simpleenroll", *user, *POST, request), "again")
    assert again == first

    mutual = ("--cert", f"{tmp_path}/first.crt", "--key", f"{tmp_path}/first.key")
    request = make_request(tmp_path, "second")
    answer = authority.curl(f"{EST}/simplereenroll", *mutual, *POST, request)
    second = unpack(tmp_path, answer, "second")
    assert second.public_key() != first.public_key()
    assert second.subject == first.subject
    assert authority.curl("/.well-known/throughway/policy", *mutual) == b"the bundle"

    index = directories.read_index(authority.directory)
    serials = {entry.serial for entry in index.find(CLIENT)}
    assert {
        f"{c.serial_number:X}".zfill(len(e)) for c in (first, second) for e in serials
    } & serials
    assert len(serials) == 2
    told = [r for r in events(authority) if r["event"].startswith("certificate-")]
    assert [(r["event"], r["windows"], r["computer"], r["outer_address"]) for r in told] == [
        ("certificate-issued", 4887, CLIENT, "127.0.0.1"),
        ("certificate-issued", 4887, CLIENT, "127.0.0.1"),
        ("certificate-renewed", 4887, CLIENT, "127.0.0.1"),
    ]
    assert {r["certificate"]["serial"] for r in told} == serials
    assert told[0]["certificate"]["serial"] in told[2]["detail"]
    chain = ("verify", "-x509_strict", "-CAfile", str(authority.directory / "ca.crt"))
    assert openssl(tmp_path, *chain, "second.crt") == "second.crt: OK\n"


def test_who_is_not_entitled_gets_a_reason(authority: Authority, tmp_path: Path) -> None:
    request = make_request(tmp_path, "r")
    enrol = (f"{EST}/simpleenroll", "--include", *POST, request)
    assert b"401 Unauthorized" in (answer := authority.curl(*enrol))
    assert b'www-authenticate: Basic realm="throughway"' in answer
    other = authority.token("other.example.com")
    answer = authority.curl(*enrol, "--user", f":{other}")
    assert b" 403 " in answer
    assert b"throughway-problem: enrolment-name-mismatch" in answer
    answer = authority.curl(f"{EST}/simplereenroll", "--include", *POST, request)
    assert b"show the certificate that is to be renewed" in answer
    long = "@" + str(tmp_path / "long")
    (tmp_path / "long").write_bytes(b"A" * 40_000)
    answer = authority.curl(f"{EST}/simpleenroll", "--include", *POST, long, check=False)
    assert b"413" in answer
    # A token that is of no form, and one that was used for another key.
    authority.curl(*enrol, "--user", ":no-token")
    token = authority.token()
    for name in ("one", "two"):
        body = make_request(tmp_path, name)
        authority.curl(f"{EST}/simpleenroll", "--user", f":{token}", *POST, body)
    told = [
        (r["problem"], r["outer_address"]) for r in events(authority) if r["outcome"] == "refused"
    ]
    for problem in (
        "enrolment-name-mismatch",
        "enrolment-request-refused",
        "enrolment-token-unknown",
        "enrolment-token-used",
    ):
        assert (problem, "127.0.0.1") in told
    written = (authority.directory / AUTHORITY_EVENTS).read_text()
    log = (authority.folder / "log").read_text()
    for secret in (token, other):
        assert secret not in written
        assert secret not in log


def test_whoever_is_spoken_to_has_neither_the_key_nor_root(authority: Authority) -> None:
    if os.geteuid() != 0:
        pytest.skip("users are changed by root")

    def ids(pid: int) -> tuple[int, str]:
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if ":\t" in line
        )
        return int(status["Uid"].split()[0]), status["CapEff"]

    (front,) = (
        Path(f"/proc/{authority.process.pid}/task/{authority.process.pid}/children")
        .read_text()
        .split()
    )
    assert ids(authority.process.pid) == (OWNER, "0" * 16)
    for pid in (authority.process.pid, int(front)):
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits)
    uid, powers = ids(int(front))
    assert uid not in {0, OWNER}
    assert powers == "0" * 16
    assert (authority.directory / "ca.key").stat().st_uid == OWNER
    assert (authority.directory / "ca.key").stat().st_mode & 0o077 == 0


def test_the_crl_is_where_it_is_served(authority: Authority) -> None:
    assert (authority.directory / "published.crl").read_bytes() == (
        authority.directory / "ca.crl"
    ).read_bytes()


def test_a_new_configuration_and_a_new_certificate_while_it_runs(authority: Authority) -> None:
    config = authority.folder / "authority.toml"
    before = len(directories.read_index(authority.directory).entries)
    config.write_text(f"{config.read_text()}days = 3\n")
    authority.process.send_signal(signal.SIGHUP)
    log = authority.folder / "log"
    deadline = time.monotonic() + PATIENCE
    while "configuration reloaded" not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    assert len(directories.read_index(authority.directory).entries) == before + 1
    authority.curl(f"{EST}/cacerts")


def test_without_its_front_there_is_no_service() -> None:
    with serving() as authority:
        (front,) = (
            Path(f"/proc/{authority.process.pid}/task/{authority.process.pid}/children")
            .read_text()
            .split()
        )
        os.kill(int(front), signal.SIGKILL)
        assert authority.process.wait(PATIENCE) == 1
