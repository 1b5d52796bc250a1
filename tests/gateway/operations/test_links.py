"""Links, workers, 6to4 and Teredo: what their keepers say, and what the kernel says of them."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.net.namespace import in_namespace, run
from tests.operations_world import config, look, parts_of
from throughway.gateway.operations import links
from throughway.gateway.operations.links import Advertisement
from throughway.health.checking import CannotTell, Found
from throughway.model.config import SixToFourServerConfig, TeredoServerConfig
from throughway.model.status import SixToFourServerStatus, TeredoServerStatus, WorkerStatus

WELL = WorkerStatus(number=0, state="serving", interface="link0", prefix="2001:db8::/64")
SIXTOFOUR = SixToFourServerStatus(
    state="serving", carrier="user space", interfaces=("six0",), addresses=("192.0.2.1",)
)
TEREDO = TeredoServerStatus(state="serving", interface="ter0", addresses=("192.0.2.1", "192.0.2.2"))


def workers(tmp_path: Path, *status: WorkerStatus) -> list[tuple[str, str]] | str:
    return look(links.checks(parts_of(config(tmp_path), workers=status)), "workers")


def test_a_worker_is_told_of_while_it_is_down_and_for_a_while_after(tmp_path: Path) -> None:
    now = time.time()
    assert workers(tmp_path, WELL) == "1 serve"
    down = replace(WELL, state="down", last_end="killed by SIGKILL", restarts=1)
    told = [("worker-restarting", "worker 0: killed by SIGKILL; restarts: 1")]
    assert workers(tmp_path, down) == told
    assert workers(tmp_path, replace(down, state="serving", since=now)) == told
    long_ago = replace(down, state="serving", since=now - 3600)
    assert workers(tmp_path, long_ago, WELL) == "2 serve"


def test_who_comes_in_and_is_told_nothing_is_noticed() -> None:
    counted = [WELL]
    advertisement = Advertisement(lambda: tuple(counted))

    def seen(**changes: Any) -> list[str] | str:  # noqa: ANN401
        counted[0] = replace(counted[0], **changes)
        answer = asyncio.run(_asked(advertisement))
        return answer if isinstance(answer, str) else [found.detail for found in answer]

    assert seen() == "nobody has come in yet; who does gets one at once"
    well = "went to clients: to each at once, and every ten minutes"
    assert seen(opened=2, sessions=2, advertised=2) == f"2 {well}"
    silent = ["worker 0 has sent none to 1 new links"]
    assert seen(opened=3, sessions=3) == silent
    assert seen(sessions=3) == silent, "and it stays so"
    assert seen(sessions=0) == f"2 {well}", "who is gone again may have gone before it came"
    assert seen(opened=5, sessions=1) == ["worker 0 has sent none to 2 new links"]
    assert seen(advertised=3) == f"3 {well}"


async def _asked(advertisement: Advertisement) -> Iterable[Found] | str:
    return await advertisement.look()


def test_without_a_worker_nobody_knows_what_is_advertised() -> None:
    down = replace(WELL, state="down")
    with pytest.raises(CannotTell, match="no worker serves"):
        asyncio.run(_asked(Advertisement(lambda: (down,))))


@pytest.mark.lab
def test_devices_and_routes_of_what_carries_clients(tmp_path: Path) -> None:
    gateway = replace(
        config(tmp_path),
        sixtofour=SixToFourServerConfig(interface="six0"),
        teredo=TeredoServerConfig(address="192.0.2.1", interface="ter0"),
    )
    checks = links.checks(parts_of(gateway, sixtofour=SIXTOFOUR, teredo=TEREDO))

    def there() -> None:
        assert look(checks, "links") == [("network-adapter-down", "link0 is gone")]
        for name in ("link0", "six0", "ter0"):
            run("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}-end")
            run("ip", "link", "set", f"{name}-end", "up")
        assert look(checks, "links") == [("network-adapter-down", "link0 is switched off")]
        run("ip", "link", "set", "link0", "up")
        assert look(checks, "links") == "link0 are up"

        for name, device, code, prefix in (
            ("6to4-server", "six0", "sixtofour-interface-down", "2002::/16"),
            ("teredo-server", "ter0", "teredo-server-stopped", "2001::/32"),
        ):
            assert look(checks, name) == [(code, f"{device} is switched off")]
            run("ip", "link", "set", device, "up")
            assert look(checks, name) == [(code, f"no route leads to {prefix} by {device}")]
            run("ip", "-6", "route", "add", prefix, "dev", device)
            assert str(look(checks, name)).startswith("at 192.0.2.1")
            run("ip", "link", "delete", device)
            assert look(checks, name) == [(code, f"{device} is gone")]

    in_namespace(there)


def test_what_their_keepers_say_of_6to4_and_teredo(tmp_path: Path) -> None:
    gateway = replace(
        config(tmp_path),
        sixtofour=SixToFourServerConfig(),
        teredo=TeredoServerConfig(address="192.0.2.1"),
    )
    six = replace(SIXTOFOUR, state="down", last_end="killed by SIGKILL")
    second = replace(TEREDO, state="down", last_end="192.0.2.2 is no address of this machine")
    checks = links.checks(parts_of(gateway, sixtofour=six, teredo=second))
    assert look(checks, "6to4-server") == [("sixtofour-interface-down", "killed by SIGKILL")]
    assert look(checks, "teredo-server") == [("teredo-second-address-missing", second.last_end)]
    first = replace(second, last_end="192.0.2.1 is no address of this machine")
    checks = links.checks(parts_of(gateway, teredo=first))
    assert look(checks, "teredo-server") == [("teredo-server-stopped", first.last_end)]
    with pytest.raises(CannotTell, match="restart the gateway"):
        look(checks, "6to4-server")
    starting = replace(TEREDO, state="starting")
    with pytest.raises(CannotTell, match="being started"):
        look(links.checks(parts_of(gateway, teredo=starting)), "teredo-server")


def test_what_is_not_configured_is_not_looked_at(tmp_path: Path) -> None:
    wanted = {check.name: check.wanted() for check in links.checks(parts_of(config(tmp_path)))}
    assert wanted["6to4-server"] == "no [sixtofour] is configured"
    assert wanted["teredo-server"] == "no [teredo] is configured"
    assert not wanted["links"]
    assert not wanted["workers"]
