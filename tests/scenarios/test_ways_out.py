"""Networks that let nobody out as they are: a hotel's portal, a proxy left behind."""

import pytest

from tests.scenarios.actions import kept
from throughway.lab.lab import Lab
from throughway.lab.observe import Observer, problems, tunnel
from throughway.lab.portal import LOGIN, CaptivePortal

CONFIG = "/etc/throughway/client.toml"


@pytest.fixture
def guest(fresh: Lab) -> Observer:
    return Observer(fresh, "client1")


def test_a_hotel_s_portal_is_said_waited_for_and_left_at_once(guest: Observer) -> None:
    lab = guest.lab
    lab.move("client1", "hotel")
    with CaptivePortal(lab) as portal:
        lab.start_client("client1")
        status = guest.wait("the portal", lambda s: "captive-portal" in problems(s))
        assert status["connection"] == "action-required"
        assert status["link"]["way"].endswith(f"sign in at {LOGIN}")
        (told,) = status["problems"]
        assert LOGIN in told["detail"]
        assert not tunnel(status, "infrastructure")
        portal.accept("client1")
        guest.wait_tunnel("infrastructure")
        free = guest.wait("no problem", lambda s: not problems(s))
        assert free["link"]["way"] == "direct"


def test_a_proxy_of_another_network_does_not_keep_a_client_from_home(guest: Observer) -> None:
    lab = guest.lab
    with kept(lab, "client1", CONFIG):
        text = lab.read("client1", CONFIG)
        lab.write("client1", CONFIG, f'{text}\n[proxy]\nurl = "http://192.168.139.1:3128"\n')
        lab.start_client("client1")
        guest.wait_tunnel("infrastructure")
        way = guest.status()["link"]["way"]
        assert way.startswith("direct")
        lab.move("client1", "office")
        proxied = guest.wait("the proxy", lambda s: s["link"]["way"].startswith("proxy "))
        assert "192.168.139.1:3128 (no authentication; configuration)" in proxied["link"]["way"]
        lab.move("client1", "home")
        guest.wait("the direct way", lambda s: s["link"]["way"].startswith("direct"))
        lab.stop_client("client1")
