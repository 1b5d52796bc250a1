"""The life of a daemon, in a process of its own where signals matter."""

import asyncio
import errno
import os
import resource
import signal

import pytest

from throughway.control import lifecycle
from throughway.model.errors import ConfigError, IPsecError


class Recorder:
    """A daemon that notes what is done to it and signals itself."""

    def __init__(
        self,
        *signals: int,
        start: Exception | None = None,
        reload_error: bool = False,
        reload_bug: bool = False,
    ) -> None:
        self.seen: list[str] = []
        self._signals = signals
        self._start = start
        self._reload_error = reload_error
        self._reload_bug = reload_bug

    async def start(self) -> None:
        self.seen.append("start")
        if self._start is not None:
            raise self._start
        self._next()

    async def reload(self) -> None:
        self.seen.append("reload")
        self._next()
        if self._reload_bug:
            raise OSError("disk on fire")
        if self._reload_error:
            raise ConfigError("gateway.toml", "iphttps.url", "is missing")

    async def stop(self) -> None:
        self.seen.append("stop")

    def failed(self, what: str, error: BaseException | None) -> None:
        self.seen.append(f"failed: {what}: {error}")

    def _next(self) -> None:
        if self._signals:
            number, *rest = self._signals
            self._signals = tuple(rest)
            asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)


def run(daemon: Recorder) -> tuple[int, list[str]]:
    reports: list[str] = []
    code = lifecycle.run(lambda: daemon, lambda what, _error: reports.append(what))
    return code, reports


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(number: int) -> None:
    daemon = Recorder(number)
    assert run(daemon) == (lifecycle.EXIT_WELL, [])
    assert daemon.seen == ["start", "stop"]


def test_sighup_reloads_and_goes_on() -> None:
    daemon = Recorder(signal.SIGHUP, signal.SIGTERM)
    assert run(daemon)[0] == lifecycle.EXIT_WELL
    assert daemon.seen == ["start", "reload", "stop"]


def test_a_refused_reload_is_told_and_changes_nothing() -> None:
    daemon = Recorder(signal.SIGHUP, signal.SIGTERM, reload_error=True)
    assert run(daemon)[0] == lifecycle.EXIT_WELL
    assert "iphttps.url: is missing" in daemon.seen[2]
    assert daemon.seen[-1] == "stop"


def test_a_failed_start_is_cleaned_up_and_told() -> None:
    daemon = Recorder(start=IPsecError("charon is not installed"))
    assert run(daemon) == (lifecycle.EXIT_FAILED, ["charon is not installed"])
    assert daemon.seen == ["start", "stop"]


def test_every_error_of_a_configuration_is_told() -> None:
    errors = (ConfigError("a", "x", "1"), ConfigError("a", "y", "2"))
    daemon = Recorder(start=ConfigError("a", "", "2 errors", errors))
    assert run(daemon) == (lifecycle.EXIT_CONFIGURATION, ["a: x: 1", "a: y: 2"])


@pytest.mark.parametrize("file", ["/var/lib/x", None])
def test_a_disk_that_is_full_or_read_only_is_told_without_a_traceback(file: str | None) -> None:
    daemon = Recorder(start=OSError(errno.EROFS, "Read-only file system", file))
    words = f"{file}: Read-only file system" if file else "Read-only file system"
    assert run(daemon) == (lifecycle.EXIT_FAILED, [words])
    assert daemon.seen == ["start", "stop"]


def test_after_a_reload_that_failed_the_next_one_is_heard() -> None:
    daemon = Recorder(signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, reload_bug=True)
    assert run(daemon) == (lifecycle.EXIT_WELL, [])
    failed = "failed: the configuration could not be reloaded: disk on fire"
    assert daemon.seen == ["start", "reload", failed, "reload", failed, "stop"]


def test_a_shell_s_limit_of_descriptors_is_raised() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = min(1024, before[1] - 1)
    resource.setrlimit(resource.RLIMIT_NOFILE, (low, before[1]))
    try:
        run(Recorder(signal.SIGTERM))
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > low
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
