"""A scrape, as Prometheus makes it."""

import asyncio
from collections.abc import Iterable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.net.test_webserver import ask
from throughway.model.errors import ConfigError
from throughway.net.metrics_server import MetricsServer, of_process
from throughway.wire.exposition import Family, build_exposition


async def take() -> Iterable[Family]:
    return [Family("throughway_x", "X.").add(1, of='a "quoted"\nlabel')]


def test_a_scrape() -> None:
    async def scenario() -> None:
        server = MetricsServer(("127.0.0.1", 0), take)
        await server.start()
        try:
            answer = await ask(server.port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            assert b"text/plain; version=0.0.4" in head
            samples = {
                sample.name: sample
                for family in text_string_to_metric_families(body.decode())
                for sample in family.samples
            }
            assert samples["throughway_x"].labels == {"of": 'a "quoted"\nlabel'}
            assert samples["process_resident_memory_bytes"].value > 1e6
            other = await ask(server.port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert other.startswith(b"HTTP/1.1 404 ")
            post = await ask(server.port, b"DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            assert post.startswith(b"HTTP/1.1 405 ")
        finally:
            await server.close()

    asyncio.run(scenario())


def test_an_address_that_is_taken_is_told_by_its_key() -> None:
    async def scenario() -> None:
        one = MetricsServer(("127.0.0.1", 0), take)
        await one.start()
        try:
            with pytest.raises(ConfigError, match=r"metrics\.listen"):
                await MetricsServer(("127.0.0.1", one.port), take).start()
        finally:
            await one.close()

    asyncio.run(scenario())


def test_figures_of_the_process() -> None:
    told = build_exposition(of_process()).decode()
    names = [family.name for family in text_string_to_metric_families(told)]
    assert names == [
        *("process_resident_memory_bytes", "process_cpu_seconds"),
        *("process_open_fds", "process_start_time_seconds"),
    ]
