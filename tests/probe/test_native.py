"""Echo requests to an endpoint of the gateway."""

import asyncio

import pytest

from tests.patience import PATIENCE
from throughway.model.network import AddressSeen, NativeSeen, Reach
from throughway.probe import native

HERE = AddressSeen(interface="lo", address="::1", reach=Reach.PUBLIC)


def ask(endpoint: str, own: AddressSeen = HERE, wait: float = 0.2) -> NativeSeen:
    return asyncio.run(native.try_native(endpoint, own, wait=wait))


@pytest.mark.lab
def test_an_answer_and_none() -> None:
    assert ask("::1", wait=PATIENCE).answered is True
    lost = ask("::1", AddressSeen(interface="nowhere0", address="::1", reach=Reach.PUBLIC))
    assert (lost.tried, lost.answered) == (True, False)
    assert lost.words
    silent = ask("2001:db8::1")
    assert (silent.tried, silent.answered, bool(silent.words)) == (True, False, True)


def test_without_rights_nothing_is_said_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise PermissionError

    monkeypatch.setattr(native, "_socket", refuse)
    seen = ask("::1")
    assert (seen.tried, seen.answered) == (False, None)
    assert "rights" in seen.words
