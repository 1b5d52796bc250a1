"""Live checks of the gateway, where they are looked at without a lab: kernel and own services."""

import asyncio
import os
import socket
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.net.namespace import in_namespace, run
from throughway.gateway.operations import kernel, service
from throughway.health.checking import CannotTell, Check, Found
from throughway.model.config import GatewayConfig, IPHTTPSServerConfig, IPsecServerConfig
from throughway.model.errors import IPsecError

LINK = "2001:db8:da:1000::/64"


def config(folder: Path, *, listen: tuple[tuple[str, int], ...] = ()) -> GatewayConfig:
    iphttps = IPHTTPSServerConfig(
        url="https://da.example.com/IPHTTPS",
        listen=listen,
        certificate=folder / "gateway.crt",
        key=folder / "gateway.key",
        prefix=LINK,
    )
    ipsec = IPsecServerConfig(
        identity="da.example.com",
        certificate=folder / "gateway.crt",
        key=folder / "gateway.key",
        ca=folder / "ca.crt",
        infrastructure_endpoint="2001:db8:1::1",
        intranet_endpoint="2001:db8:1::2",
        infrastructure_prefixes=("2001:db8:c0:1::/64",),
        intranet_prefixes=("2001:db8:c0::/48",),
    )
    return GatewayConfig(
        file=folder / "gateway.toml",
        iphttps=iphttps,
        ipsec=ipsec,
        state_directory=folder,
        runtime_directory=folder,
    )


def look(checks: Iterable[Check], name: str) -> list[tuple[str, str]] | str:
    """Return what a check has found, as codes and words."""
    (check,) = (check for check in checks if check.name == name)
    answer = asyncio.run(_look(check))
    if isinstance(answer, str):
        return answer
    assert all(found.problem in check.problems for found in answer)
    return [(found.problem.code, found.detail) for found in answer]


async def _look(check: Check) -> list[Found] | str:
    answer = await check.look()
    return answer if isinstance(answer, str) else list(answer)


@pytest.mark.lab
def test_what_the_kernel_lacks(tmp_path: Path) -> None:
    gateway = config(tmp_path, listen=(("192.0.2.1", 443), ("::", 443)))
    checks = kernel.checks(lambda: gateway, lambda: ("link0",))

    def there() -> None:
        missing = [("network-adapter-down", "no adapter has the address 192.0.2.1")]
        assert look(checks, "adapters") == missing
        run("ip", "link", "add", "link0", "type", "veth", "peer", "name", "other")
        run("ip", "address", "add", "192.0.2.1/24", "dev", "link0")
        off = "link0, which has 192.0.2.1, is switched off"
        assert look(checks, "adapters") == [("network-adapter-down", off)]
        run("ip", "link", "set", "link0", "up")
        pulled = "link0, which has 192.0.2.1, has no carrier: its cable is pulled"
        assert look(checks, "adapters") == [("network-adapter-down", pulled)]
        run("ip", "link", "set", "other", "up")
        assert look(checks, "adapters") == "192.0.2.1 on adapters that are up"

        assert look(checks, "ipv6") == "IPv6 is on, on every link"
        run("sysctl", "-q", "-w", "net.ipv6.conf.link0.disable_ipv6=1")
        disabled = "net.ipv6.conf.link0.disable_ipv6 is 1"
        assert look(checks, "ipv6") == [("ipv6-disabled", disabled)]
        run("sysctl", "-q", "-w", "net.ipv6.conf.link0.disable_ipv6=0")

        run("sysctl", "-q", "-w", "net.ipv6.conf.all.forwarding=1")
        assert look(checks, "forwarding") == "IPv6 is forwarded"
        run("sysctl", "-q", "-w", "net.ipv6.conf.link0.forwarding=0")
        unforwarded = "net.ipv6.conf.link0.forwarding is 0"
        assert look(checks, "forwarding") == [("iphttps-forwarding-disabled", unforwarded)]
        run("sysctl", "-q", "-w", "net.ipv6.conf.all.forwarding=0")
        unforwarded = "net.ipv6.conf.all.forwarding is 0"
        assert look(checks, "forwarding") == [("iphttps-forwarding-disabled", unforwarded)]

        unrouted = f"no route leads to {LINK} by link0"
        assert look(checks, "route") == [("iphttps-route-unpublished", unrouted)]
        run("ip", "-6", "route", "add", LINK, "dev", "link0")
        assert look(checks, "route") == "1 prefixes lead to their links"

    in_namespace(there)


def test_a_listener_that_is_there_and_one_that_is_not(tmp_path: Path) -> None:
    async def version() -> str:
        return "5.9.8"

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        gateway = config(tmp_path, listen=(("0.0.0.0", port),))
        checks = service.checks(lambda: gateway, version)
        hangs = [("iphttps-listener-down", f"0.0.0.0 port {port}: no answer")]
        assert look(checks, "listener") == hangs, "the kernel has taken the connection"
    down = [("iphttps-listener-down", f"0.0.0.0 port {port}: Connection refused")]
    assert look(checks, "listener") == down


def test_an_ike_daemon_that_hangs_is_told_from_one_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[str | Exception | None] = ["5.9.8", None, IPsecError("charon has ended")]

    async def version() -> str:
        answer = answers.pop(0)
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    monkeypatch.setattr(service, "CONNECT_TIME", 0.01)
    checks = service.checks(lambda: config(tmp_path), version)
    monkeypatch.setattr(service, "CONNECT_TIME", 60.0)
    assert look(checks, "ike") == "charon 5.9.8"
    monkeypatch.setattr(service, "CONNECT_TIME", 0.01)
    hangs = "charon is there, but does not answer: it hangs"
    assert look(checks, "ike") == [("ipsec-daemon-down", hangs)]
    monkeypatch.setattr(service, "CONNECT_TIME", 60.0)
    with pytest.raises(CannotTell, match="charon has ended"):
        look(checks, "ike")


@pytest.mark.lab
def test_a_disk_that_is_full_or_read_only(tmp_path: Path) -> None:
    gateway = config(tmp_path)

    async def version() -> str:
        return ""

    checks = service.checks(lambda: gateway, version)

    def there() -> None:
        run("mount", "-t", "tmpfs", "-o", "size=32m", "none", str(tmp_path))
        assert look(checks, "store") == "there is room"
        with (tmp_path / "filled").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 20 << 20)
        (full,) = set(look(checks, "store"))
        assert full == ("files-not-writable", f"{tmp_path}: 12288 KiB are left")
        (tmp_path / "filled").unlink()
        run("mount", "-o", "remount,ro", str(tmp_path))
        (read_only,) = set(look(checks, "store"))
        assert read_only == ("files-not-writable", f"{tmp_path} is mounted read-only")

    in_namespace(there)


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    gateway = replace(config(tmp_path), state_directory=tmp_path / "gone")

    async def version() -> str:
        return ""

    gone = ("files-not-writable", f"{tmp_path / 'gone'}: No such file or directory")
    assert look(service.checks(lambda: gateway, version), "store") == [gone]
