"""How far clients get: the rules as text, and in a kernel with packets."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.ipsec_world import Host
from throughway.net import access_wall, firewall
from throughway.net.access_wall import TABLE, AccessWall, Grants, render, render_grants

WALL = AccessWall(open_prefixes=("2001:db8:c0:1::/64",), tunnel_interface="tun0")
ONE, OTHER = "2001:db8:f1::2", "2001:db8:f1::3"


def test_kernel_esp_is_told_by_its_policies() -> None:
    text = render(AccessWall(open_prefixes=("::/0",), kernel_esp=True))
    assert "meta ipsec exists jump arriving" in text
    assert "ipsec0" not in text


def test_prefixes_that_overlap_are_one() -> None:
    text = render_grants({ONE: ("2001:db8:c0::/48", "2001:db8:c0:2::/64")})
    assert f"{{ {ONE} . 2001:db8:c0::/48 }}" in text
    assert "add element" not in render_grants({})


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    yield host
    host.close()


@pytest.mark.lab
def test_what_was_granted_stands_in_the_kernel_and_can_be_taken_back(host: Host) -> None:
    grants = Grants()

    def listed() -> str:
        return host.command("nft", "list", "set", "inet", TABLE, "granted")

    host.run(grants.raise_again(WALL))
    assert host.call(access_wall.standing)
    host.run(grants.grant(ONE, ("2001:db8:c0:2::/64", "2001:db8:c0:3::80/128")))
    host.run(grants.grant(OTHER, ("2001:db8:c0::/48",)))
    assert f"{ONE} . 2001:db8:c0:3::80" in listed()
    host.run(grants.keep([OTHER]))
    assert ONE not in listed()
    assert f"{OTHER} . 2001:db8:c0::/48" in listed()
    # Somebody wipes everything: it is made again, with what was granted.
    host.command("nft", "flush", "ruleset")
    assert not host.call(access_wall.standing)
    host.run(grants.raise_again(WALL))
    assert f"{OTHER} . 2001:db8:c0::/48" in listed()
    host.run(grants.remove())
    assert not host.call(access_wall.standing)
    assert grants.granted == {}


def test_nothing_new_is_no_work() -> None:
    async def scenario() -> None:
        grants = Grants()
        await grants.change(dict)
        await grants.keep([])

    asyncio.run(scenario())


def test_two_who_come_in_the_same_moment_do_not_undo_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    applied: list[str] = []
    monkeypatch.setattr(firewall, "apply", applied.append)

    async def scenario() -> None:
        grants = Grants()
        prefixes = ("2001:db8:c0::/48",)
        await asyncio.gather(grants.grant(ONE, prefixes), grants.grant(OTHER, prefixes))
        assert grants.granted == {ONE: prefixes, OTHER: prefixes}
        await asyncio.gather(grants.keep([ONE]), grants.grant("2001:db8:f1::4", prefixes))
        assert set(grants.granted) == {ONE, "2001:db8:f1::4"}, "what was taken back stays so"

    asyncio.run(scenario())
    assert ONE in applied[-1]
    assert OTHER not in applied[-1]
