"""Revocation lists are taken when they change, and told when they end."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.gateway.test_credentials import config_of
from tests.net.iphttps_world import Authority, wait_for
from throughway.gateway import client_lists
from throughway.gateway.client_lists import look_at_lists, state_of, watch_lists
from throughway.health.tracker import Tracker
from throughway.model.config import AuthenticationMode, IPHTTPSServerConfig
from throughway.model.errors import ConfigError

NOW = datetime.now(UTC)


def told(config: IPHTTPSServerConfig, now: datetime = NOW) -> str:
    tracker = Tracker(lambda: 0.0, ())
    look_at_lists(config, tracker, now)
    return "; ".join(condition.detail for condition in tracker.current())


def test_a_list_that_has_ended_is_told(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    config = replace(config_of(authority), client_crls=(authority.list_revoked(),))
    assert told(config) == ""
    assert "ended on" in told(config, NOW + timedelta(days=2))
    assert told(replace(config, authentication=AuthenticationMode.NONE), NOW + timedelta(9)) == ""
    config.client_crls[0].write_text("nonsense")
    assert "not a CRL" in told(config)


def test_each_change_of_a_file_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "one.crl"
    states = [state_of((file,))]
    for text in ("a", "bb"):
        file.write_text(text)
        states.append(state_of((file,)))
    assert len(set(states)) == 3


def test_what_is_put_in_place_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_lists, "INTERVAL", 0.01)
    authority = Authority(tmp_path)
    config = replace(config_of(authority), client_crls=(authority.list_revoked(),))
    taken: list[bytes] = []
    tracker = Tracker(lambda: 0.0, ())

    def reload(config: IPHTTPSServerConfig) -> None:
        taken.append(data := config.client_crls[0].read_bytes())
        if not data:
            raise ConfigError("", "iphttps.client_crls", "is empty")

    async def scenario() -> None:
        watching = asyncio.create_task(watch_lists(lambda: config, reload, tracker))
        await asyncio.sleep(0)
        assert taken == []
        config.client_crls[0].write_bytes(b"")
        await wait_for(lambda: tracker.current())
        new = authority.list_revoked(authority.client()).read_bytes()
        config.client_crls[0].write_bytes(new)
        await wait_for(lambda: taken[-1] == new and not tracker.current())
        watching.cancel()

    asyncio.run(scenario())
