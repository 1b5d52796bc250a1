"""A location server that proves itself, and others."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.net.iphttps_world import Authority
from tests.net.test_fetch import NAME, OK, context_of, says, serving
from tests.patience import PATIENCE
from throughway.model.network import LocationSeen
from throughway.probe import location
from throughway.probe.location import ask_location


@pytest.mark.parametrize("trusted", [True, False])
def test_only_who_proves_itself_says_where_we_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    authority = Authority(tmp_path)

    async def loopback(host: str) -> Sequence[str]:
        return ("127.0.0.1",)

    async def scenario() -> LocationSeen:
        async with serving(says(OK), context_of(authority)) as port:
            anchors = (authority.root.pem,) if trusted else ()
            return await ask_location(f"https://{NAME}:{port}/", anchors, PATIENCE)

    monkeypatch.setattr(location, "resolve", loopback)
    seen = asyncio.run(scenario())
    assert seen.proven is trusted
    assert bool(seen.words) is not trusted
