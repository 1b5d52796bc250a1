"""How one tunnel is kept up."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.ipsec_world import until
from tests.patience import PATIENCE
from throughway.client import tunnel as module
from throughway.client.ipsec import INFRASTRUCTURE
from throughway.client.tunnel import Tunnel
from throughway.model.errors import IPsecError, TrustError


class Bench:
    """One tunnel whose attempts go as they are told to."""

    def __init__(self) -> None:
        self.attempts = 0
        self.results: list[Exception | None] = []
        self.gate: asyncio.Event | None = None
        self.failures: list[tuple[str, str, str]] = []
        self.tunnel = Tunnel(
            INFRASTRUCTURE,
            self._attempt,
            lambda *failure: self.failures.append(failure),
            lambda: None,
        )

    async def _attempt(self, name: str) -> None:
        self.attempts += 1
        if self.gate is not None:
            await self.gate.wait()
        result = self.results.pop(0) if self.results else None
        if result is not None:
            raise result


def on_bench(scenario: Callable[[Bench], Awaitable[None]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_BACKOFF", 0.001)

    async def run() -> None:
        bench = Bench()
        async with asyncio.timeout(PATIENCE):
            await scenario(bench)
            await bench.tunnel.release()
        assert not bench.tunnel.up.is_set()

    asyncio.run(run())


def test_a_tunnel_that_comes_up_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.tunnel.bring_up()
        assert bench.tunnel.up.is_set()
        assert bench.failures == []

    on_bench(scenario, monkeypatch)


def test_the_first_failure_is_told_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(bench: Bench) -> None:
        bench.results = [IPsecError("no", problem="ipsec-cert-expired"), TrustError("nor now")]
        with pytest.raises(IPsecError, match="no"):
            await bench.tunnel.bring_up()
        await bench.tunnel.up.wait()
        assert bench.attempts == 3
        assert bench.failures == [
            (INFRASTRUCTURE, "no", "ipsec-cert-expired"),
            (INFRASTRUCTURE, "nor now", ""),
        ]
        assert bench.tunnel.last_error == ""

    on_bench(scenario, monkeypatch)


def test_a_tunnel_that_is_lost_is_brought_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.tunnel.bring_up()
        bench.tunnel.lost()
        assert not bench.tunnel.up.is_set()
        await bench.tunnel.up.wait()
        assert bench.attempts == 2

    on_bench(scenario, monkeypatch)


def test_a_new_wish_overtakes_an_attempt_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(bench: Bench) -> None:
        bench.gate = asyncio.Event()
        first = asyncio.create_task(bench.tunnel.bring_up())
        await until(lambda: bench.attempts == 1)
        bench.gate = None
        await bench.tunnel.bring_up()
        with pytest.raises(IPsecError, match="another attempt"):
            await first
        assert bench.attempts == 2

    on_bench(scenario, monkeypatch)


def test_what_is_not_wanted_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(bench: Bench) -> None:
        bench.tunnel.retry()
        await bench.tunnel.bring_up()
        await bench.tunnel.release()
        bench.tunnel.retry()
        bench.tunnel.lost()
        await asyncio.sleep(0)
        assert bench.attempts == 1
        assert not bench.tunnel.wanted

    on_bench(scenario, monkeypatch)


def test_a_bug_is_seen_by_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(bench: Bench) -> None:
        seen: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context))
        bench.results = [ZeroDivisionError("a bug")]
        with pytest.raises(ZeroDivisionError):
            await bench.tunnel.bring_up()
        assert len(seen) == 1

    on_bench(scenario, monkeypatch)
