"""The driver of the location judge, with probes that do as told."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.patience import PATIENCE
from throughway.client.whereabouts import Whereabouts
from throughway.model.errors import Stage, TransportError
from throughway.model.status import Location

URLS = ("https://nls1.example/", "https://nls2.example/")


async def refuse(url: str) -> None:
    raise TransportError(Stage.RESOLVE, f"{url}: no such name")


async def verify(_url: str) -> None:
    return


async def hang(_url: str) -> None:
    await asyncio.Event().wait()


async def judged(probe: Callable[[str], Awaitable[None]]) -> tuple[Location, str, list[str]]:
    """Return the first judgement and the probes that ended."""
    loop = asyncio.get_running_loop()
    first: asyncio.Future[tuple[Location, str]] = loop.create_future()
    probed: list[str] = []

    def changed(location: Location, reason: str) -> None:
        if not first.done():
            first.set_result((location, reason))

    here = Whereabouts(URLS, probe, changed, lambda url, _error: probed.append(url))
    here.start(connected=True)
    try:
        location, reason = await asyncio.wait_for(first, PATIENCE)
    finally:
        await here.close()
    return location, reason, probed


def test_all_failed_is_outside() -> None:
    location, reason, probed = asyncio.run(judged(refuse))
    assert location is Location.OUTSIDE
    assert "no such name" in reason
    assert sorted(probed) == sorted(URLS)


def test_one_verified_is_inside() -> None:
    async def one(url: str) -> None:
        await (verify(url) if url == URLS[1] else refuse(url))

    location, reason, _ = asyncio.run(judged(one))
    assert location is Location.INSIDE
    assert URLS[1] in reason


def test_silence_is_outside() -> None:
    location, reason, _ = asyncio.run(judged(hang))
    assert location is Location.OUTSIDE
    assert "no answer" in reason


def test_moving_inside_ends_running_probes_and_judges_anew() -> None:
    async def scenario() -> list[Location]:
        seen: list[Location] = []
        inside = asyncio.Event()
        probe = hang

        async def probed(url: str) -> None:
            await probe(url)

        def changed(location: Location, _reason: str) -> None:
            seen.append(location)
            if location is Location.INSIDE:
                inside.set()

        here = Whereabouts(URLS, probed, changed)
        here.start(connected=True)
        await asyncio.sleep(0)
        probe = verify
        here.network_changed(connected=True)
        await asyncio.wait_for(inside.wait(), PATIENCE)
        await here.close()
        return seen

    assert asyncio.run(scenario()) == [Location.INSIDE]
