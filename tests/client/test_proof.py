"""A user's key: given to charon once, and never twice after a failure."""

import asyncio

import pytest

from throughway.client.proof import UserKey
from throughway.model.errors import IPsecError


class FakeCharon:
    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.asked: list[tuple[str, ...]] = []

    async def load_certificate(self, certificate: bytes) -> None:
        self.asked.append(("certificate", certificate.decode()))

    async def load_key(self, key: bytes) -> str:
        self.asked.append(("key",))
        return "k1"

    async def load_token(self, handle: str, pin: str) -> str:
        self.asked.append(("token", handle))
        if self.refuses:
            raise IPsecError("load-token: loading private key from token failed")
        return "t1"

    async def unload_key(self, name: str) -> None:
        self.asked.append(("unload", name))


def card() -> UserKey:
    return UserKey(certificate=b"PEM", chain=(b"CA",), handle="a1b2", pin="4711")


def load(key: UserKey, charon: FakeCharon) -> None:
    asyncio.run(key.load(charon))  # type: ignore[arg-type]


def test_a_card_is_asked_once_until_charon_forgets() -> None:
    key, charon = card(), FakeCharon()
    load(key, charon)
    load(key, charon)
    assert charon.asked == [("certificate", "CA"), ("token", "a1b2")]
    key.forgotten()
    load(key, charon)
    asyncio.run(key.unload(charon))  # type: ignore[arg-type]
    assert charon.asked[-2:] == [("token", "a1b2"), ("unload", "t1")]


def test_a_card_that_refused_is_not_asked_again() -> None:
    key, charon = card(), FakeCharon(refuses=True)
    for _ in range(3):
        with pytest.raises(IPsecError) as caught:
            load(key, charon)
        assert caught.value.problem == "smart-card-failed"
    assert charon.asked.count(("token", "a1b2")) == 1


def test_a_card_that_charon_did_not_see_is_tried_once_more() -> None:
    key, charon = card(), FakeCharon(refuses=True)
    with pytest.raises(IPsecError):
        load(key, charon)
    assert key.unseen()
    with pytest.raises(IPsecError):
        load(key, charon)
    assert charon.asked.count(("token", "a1b2")) == 2
    assert not key.unseen()


def test_a_key_in_memory() -> None:
    key, charon = UserKey(certificate=b"PEM", key=b"SECRET"), FakeCharon()
    load(key, charon)
    assert charon.asked == [("key",)]
    assert "SECRET" not in repr(key)
    assert "4711" not in repr(card())
