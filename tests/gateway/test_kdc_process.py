"""Where the KDC proxy's process looks for KDCs; the whole runs in test_kdc.py."""

import asyncio
import time

import pytest

from throughway.gateway import kdc_process as module
from throughway.gateway.kdc_process import Finder


def test_configured_servers_are_asked_for_nothing() -> None:
    found = asyncio.run(Finder("corp.example.com", ["dc1", "dc2"]).find())
    assert found == [("dc1", 88), ("dc2", 88)]


def test_the_answer_of_the_dns_holds_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [[("dc1", 88)], [], [("dc2", 88)]]
    monkeypatch.setattr(module, "_look_up", lambda domain: answers.pop(0))
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    async def scenario() -> None:
        finder = Finder("corp.example.com", [])
        finder._until = -1.0
        assert await finder.find() == [("dc1", 88)]
        assert await finder.find() == [("dc1", 88)]
        now[0] = 61.0
        assert await finder.find() == [("dc1", 88)], "a DNS that is silent takes nothing away"
        now[0] = 122.0
        assert await finder.find() == [("dc2", 88)]

    asyncio.run(scenario())
