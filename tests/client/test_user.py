"""The user who is logged on."""

from pathlib import Path

import pytest

from throughway.client.user import MAXIMUM_CACHE_BYTES, User, UserStore
from throughway.model.errors import TrustError

ALICE = User(principal="alice@CORP.EXAMPLE.COM", uid=1000)
BOB = User(principal="bob@CORP.EXAMPLE.COM", uid=1001)


def test_a_user_survives_a_restart_of_the_daemon(tmp_path: Path) -> None:
    UserStore(tmp_path).save(ALICE, b"cache")
    store = UserStore(tmp_path)
    assert store.load() == ALICE
    assert store.ccache.read_bytes() == b"cache"


def test_files_are_private(tmp_path: Path) -> None:
    UserStore(tmp_path).save(ALICE, b"cache")
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_the_next_user_inherits_nothing(tmp_path: Path) -> None:
    store = UserStore(tmp_path)
    store.save(ALICE, b"alice's")
    store.save(BOB, b"bob's")
    assert store.load() == BOB
    assert store.ccache.read_bytes() == b"bob's"


def test_log_off_leaves_nothing(tmp_path: Path) -> None:
    store = UserStore(tmp_path)
    store.save(ALICE, b"cache")
    store.forget()
    assert store.load() is None
    assert list(tmp_path.iterdir()) == []


def test_whose_cache_is_gone_has_not_logged_off(tmp_path: Path) -> None:
    store = UserStore(tmp_path)
    store.save(ALICE, b"cache")
    store.ccache.unlink()
    assert store.load() == ALICE


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"principal": "x"}', "garbage", "1"])
def test_a_broken_record_is_nobody(tmp_path: Path, record: str) -> None:
    (tmp_path / "user.json").write_text(record)
    (tmp_path / "user.ccache").write_bytes(b"cache")
    assert UserStore(tmp_path).load() is None


@pytest.mark.parametrize("cache", [b"", bytes(MAXIMUM_CACHE_BYTES + 1)])
def test_an_impossible_cache_is_refused(tmp_path: Path, cache: bytes) -> None:
    store = UserStore(tmp_path)
    with pytest.raises(TrustError):
        store.save(ALICE, cache)
    assert store.load() is None
