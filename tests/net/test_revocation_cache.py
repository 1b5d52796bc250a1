"""What is kept on the disk: private, whole, bounded, and believed by nobody."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from throughway.net import revocation_cache as module
from throughway.net.revocation_cache import CRL, OCSP, Kept, RevocationCache

URL = "http://crl.example.com/ca.crl"


def kept(url: str = URL, at: float = 1.0, kind: str = CRL) -> Kept:
    return Kept(url=url, kind=kind, fetched_at=at, begins_at=0.0, ends_at=2.0)


def test_what_is_kept_survives_and_is_private(tmp_path: Path) -> None:
    RevocationCache(tmp_path / "revocation").put(kept(), b"a list\nof two lines")
    cache = RevocationCache(tmp_path / "revocation")
    assert cache.get(URL) == b"a list\nof two lines"
    [entry] = cache.entries()
    assert (entry.url, entry.size, entry.kind) == (URL, 19, CRL)
    assert (tmp_path / "revocation").stat().st_mode & 0o777 == 0o700
    [file] = (tmp_path / "revocation").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert cache.find(URL) == entry


def test_a_directory_that_is_open_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    RevocationCache(tmp_path).put(kept(), b"x")
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_what_is_not_there(tmp_path: Path) -> None:
    cache = RevocationCache(tmp_path / "none")
    assert cache.get(URL) is None
    assert cache.find(URL) is None
    assert cache.entries() == ()
    assert cache.flush() == 0
    assert not cache.remove(URL)


def test_remove_and_flush(tmp_path: Path) -> None:
    cache = RevocationCache(tmp_path)
    for number in range(3):
        cache.put(kept(f"{URL}{number}", at=float(number)), b"x")
    assert [entry.fetched_at for entry in cache.entries()] == [2.0, 1.0, 0.0]
    assert cache.remove(f"{URL}1")
    assert cache.flush() == 2
    assert cache.entries() == ()


def test_it_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAXIMUM_ENTRIES", 3)
    cache = RevocationCache(tmp_path)
    for number in range(5):
        cache.put(kept(f"{URL}{number}", at=float(number)), b"x")
        newest = cache._file(f"{URL}{number}")
        os.utime(newest, (number, number))
    assert {entry.fetched_at for entry in cache.entries()} <= {1.0, 2.0, 3.0, 4.0}
    assert len(cache.entries()) == 3
    monkeypatch.setattr(module, "MAXIMUM_TOTAL", 400)
    cache.put(kept(at=9.0), bytes(250))
    assert [entry.fetched_at for entry in cache.entries()] == [9.0]
    monkeypatch.setattr(module, "MAXIMUM_LIST", 10)
    cache.put(kept("http://x/"), bytes(11))
    assert cache.get("http://x/") is None


def test_a_place_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = RevocationCache(tmp_path / "file" / "revocation")
    cache.put(kept(), b"x")
    assert cache.get(URL) is None


GOOD = {"url": URL, "kind": OCSP, "fetched_at": 1, "begins_at": 1.5, "ends_at": 2}


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"no JSON",
        b"[]",
        b"[" * 5000,
        b'{"url": "' + b"x" * 9000 + b'"}',
        json.dumps(GOOD | {"url": "http://another/"}).encode(),
        json.dumps(GOOD | {"kind": "pkcs7"}).encode(),
        json.dumps(GOOD | {"ends_at": "soon"}).encode(),
        json.dumps(GOOD | {"ends_at": float("nan")}).encode(),
        json.dumps(GOOD | {"url": 1}).encode(),
        json.dumps(GOOD | {"more": 1}).encode(),
        json.dumps({"url": URL}).encode(),
    ],
)
def test_a_file_of_another_form_is_removed(tmp_path: Path, line: bytes) -> None:
    cache = RevocationCache(tmp_path)
    cache._file(URL).write_bytes(line + b"\nlist")
    assert cache.get(URL) is None
    assert not cache._file(URL).exists()


def test_a_pipe_or_directory_in_its_place_holds_nobody_up(tmp_path: Path) -> None:
    cache = RevocationCache(tmp_path)
    os.mkfifo(cache._file(URL))
    assert cache.get(URL) is None
    cache._file(URL).mkdir()
    assert cache.get(URL) is None
    assert cache.flush() == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_in_a_file(tmp_path: Path, data: bytes, headed: bool) -> None:
    cache = RevocationCache(tmp_path)
    head = json.dumps(GOOD).encode() + b"\n" if headed else b""
    cache._file(URL).write_bytes(head + data)
    assert cache.get(URL) in ((data,) if headed else (None, data.partition(b"\n")[2]))
