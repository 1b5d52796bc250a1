"""Which proxies a client may use, and who it is to them."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.client.test_uplink import config, nowhere
from tests.pki.test_bundle import POLICY
from throughway.client import proxy as module
from throughway.client.proxy import ProxySource, network_identity, own_addresses
from throughway.model.config import ProxyConfig
from throughway.model.errors import Stage, ThroughwayError, TransportError
from throughway.model.policy import Policy, TransportsPolicy
from throughway.net.proxy import ProxyServer
from throughway.net.proxy_tickets import TicketRequest

TARGET = ("da.example.com", 443)


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.proxy = ProxyConfig()
        self.policy: Policy = POLICY
        self.environment: dict[str, str] = {}

    def source(self) -> ProxySource:
        own = replace(config(self.folder), proxy=self.proxy)
        return ProxySource(
            own,
            self.policy,
            nowhere,
            environment=self.environment,
            resolv_conf=self.folder / "resolv.conf",
        )

    def named(self) -> list[ProxyServer | None]:
        return list(asyncio.run(self.source().named(*TARGET)))

    def only(self) -> ProxyServer:
        (found,) = self.named()
        assert found is not None
        return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    secret = tmp_path / "proxy.password"
    secret.touch(mode=0o600)
    secret.write_text("s3cret\n")
    return World(tmp_path)


def of_policy(url: str) -> Policy:
    return replace(POLICY, transports=TransportsPolicy(proxy=url))


def test_nobody_names_a_proxy(world: World) -> None:
    assert world.named() == []


def test_configuration_before_policy_before_environment(world: World) -> None:
    world.environment = {"HTTPS_PROXY": "http://env:1"}
    assert (str(world.only()), world.only().source) == ("env:1", "environment")
    world.policy = of_policy("http://policy:2")
    assert (str(world.only()), world.only().source) == ("policy:2", "policy")
    world.proxy = ProxyConfig(url="http://own:3")
    assert (str(world.only()), world.only().source) == ("own:3", "configuration")


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_names_in_the_environment(world: World, name: str) -> None:
    world.environment = {name: "env:1"}
    assert str(world.only()) == "env:1"


def test_the_proxy_of_plain_http_is_not_ours(world: World) -> None:
    world.environment = {"http_proxy": "http://env:1"}
    assert world.named() == []


def test_exceptions_of_the_environment(world: World) -> None:
    world.environment = {"https_proxy": "http://env:1", "NO_PROXY": ".example.com"}
    assert world.named() == [None]
    world.environment = {"https_proxy": "http://env:1", "NO_PROXY": ".example.org"}
    assert str(world.only()) == "env:1"


def test_who_we_are(world: World) -> None:
    file = world.folder / "proxy.password"
    world.proxy = ProxyConfig(url="http://p:1", user="alice", domain="CORP", password_file=file)
    who = world.only().credentials
    assert (who.user, who.domain, who.password) == ("alice", "CORP", "s3cret")
    assert who.ticket
    assert who.disclose
    assert "s3cret" not in repr(world.only())
    world.policy = replace(POLICY, kerberos_realm="", kerberos_service="")
    assert not world.only().credentials.ticket


def test_credentials_in_the_environment(world: World) -> None:
    world.environment = {"https_proxy": "http://bob:pw%21@env:1"}
    who = world.only().credentials
    assert (who.user, who.password, who.domain) == ("bob", "pw!", "")


def test_an_environment_that_says_nonsense(world: World) -> None:
    world.environment = {"https_proxy": "https://bob:pw@env:1"}
    with pytest.raises(TransportError, match="environment: a proxy is spoken to by http") as caught:
        world.named()
    assert "pw" not in str(caught.value)


def test_a_password_that_cannot_be_read_any_more(world: World) -> None:
    gone = world.folder / "gone"
    world.proxy = ProxyConfig(url="http://p:1", user="alice", password_file=gone)
    with pytest.raises(TransportError, match="password_file"):
        world.named()


def test_what_a_proxy_taught_us_stays_known(world: World) -> None:
    world.proxy = ProxyConfig(url="http://p:1")
    source = world.source()
    (first,) = asyncio.run(source.named(*TARGET))
    (second,) = asyncio.run(source.named(*TARGET))
    assert first is second


def test_a_newer_policy(world: World) -> None:
    source = world.source()
    assert asyncio.run(source.named(*TARGET)) == ()
    source.update_policy(of_policy("http://policy:2"))
    assert [str(proxy) for proxy in asyncio.run(source.named(*TARGET))] == ["policy:2"]


def test_tickets_are_asked_for_in_all_our_names(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[TicketRequest] = []

    async def make(request: TicketRequest) -> bytes:
        asked.append(request)
        return b"token"

    monkeypatch.setattr(module, "make_ticket_apart", make)
    with pytest.raises(ThroughwayError, match=r"account\.password"):
        asyncio.run(world.source().ticket("proxy"))
    account = world.folder / "account.password"
    account.touch(mode=0o600)
    account.write_text("computer's\n")
    file = world.folder / "proxy.password"
    world.proxy = ProxyConfig(url="http://p:1", user="alice", password_file=file)
    assert asyncio.run(world.source().ticket("proxy")) == b"token"
    (request,) = asked
    assert (request.host, request.realm) == ("proxy", POLICY.kerberos_realm)
    assert request.accounts == (("alice", "s3cret"), ("CLIENT1$", "computer's"))
    assert request.ccaches == (str(world.folder / "run" / "user.ccache"),)
    assert "s3cret" not in repr(request)


def test_networks_are_told_apart_by_their_routes(tmp_path: Path) -> None:
    head = "Iface\tDestination\tGateway \tFlags\n"
    table = tmp_path / "route"
    table.write_text(f"{head}eth0\t00000000\t0189A8C0\t0003\neth0\t0089A8C0\t00000000\t0001\n")
    home = network_identity(table)
    table.write_text(f"{head}eth0\t0089A8C0\t00000000\t0001\neth0\t00000000\t0189A8C0\t0003\n")
    assert network_identity(table) == home
    table.write_text(f"{head}eth0\t00000000\t018AA8C0\t0003\n")
    assert network_identity(table) not in (home, "")
    assert network_identity(tmp_path / "none") == ""


class Web:
    """Scripts by their URL, in the place of the real web."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **scripts: str) -> None:
        self.asked: list[str] = []
        self.scripts = scripts
        monkeypatch.setattr(module, "fetch", self.fetch)

    async def fetch(self, url: str, **_options: object) -> bytes:
        self.asked.append(url)
        host = url.split("/")[2].replace(".", "_")
        if host not in self.scripts:
            raise TransportError(Stage.CONNECT, "nobody there")
        return self.scripts[host].encode()


def returning(result: str) -> str:
    return f"function FindProxyForURL(url, host) {{ return {result!r}; }}"


def test_the_script_of_the_configuration(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    web = Web(monkeypatch, pac=returning("PROXY a:1; SOCKS s:2; DIRECT; PROXY b:3"))
    world.proxy = ProxyConfig(script="http://pac/x")
    source = world.source()
    first = asyncio.run(source.named(*TARGET))
    assert [str(route) for route in first] == ["a:1", "None", "b:3"]
    assert first[0] is not None
    assert first[0].source == "configuration's script"
    assert first[0].credentials.disclose
    asyncio.run(source.named(*TARGET))
    assert web.asked == ["http://pac/x"]
    monkeypatch.setattr(module, "network_identity", lambda: "another")
    asyncio.run(source.named(*TARGET))
    assert len(web.asked) == 2


def test_a_script_that_cannot_be_had_costs_time_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = Web(monkeypatch)
    world.proxy = ProxyConfig(script="http://pac/x")
    source = world.source()
    for _ in range(3):
        with pytest.raises(TransportError, match="nobody there"):
            asyncio.run(source.named(*TARGET))
    assert len(web.asked) == 1
    web.scripts["pac"] = returning("PROXY a:1")
    source.network_changed()
    assert asyncio.run(source.named(*TARGET)) != ()


def test_the_script_of_the_policy(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    Web(monkeypatch, pac=returning("PROXY a:1"))
    transports = TransportsPolicy(proxy_script="https://pac/")
    world.policy = replace(POLICY, transports=transports)
    assert (str(world.only()), world.only().source) == ("a:1", "policy's script")


@pytest.mark.parametrize("script", [None, "nonsense(", returning("x").replace("return", "")])
def test_a_script_that_is_of_no_use(
    world: World, monkeypatch: pytest.MonkeyPatch, script: str | None
) -> None:
    Web(monkeypatch, **({} if script is None else {"pac": script}))
    world.proxy = ProxyConfig(script="http://pac/x")
    with pytest.raises(TransportError, match="configuration's script http://pac/x: ") as caught:
        world.named()
    assert caught.value.problem == "proxy-script-unusable"


def test_the_network_s_own_script(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never that of the intranet's own domains, which are searched too."""
    web = Web(monkeypatch, wpad_b_example=returning("PROXY found:8080"))
    search = "search corp.example.com a.example b.example c.example d.example"
    (world.folder / "resolv.conf").write_text(search)
    found = asyncio.run(world.source().find(*TARGET))
    assert [str(route) for route in found] == ["found:8080"]
    assert found[0] is not None
    assert not found[0].credentials.disclose
    assert web.asked == ["http://wpad.a.example/wpad.dat", "http://wpad.b.example/wpad.dat"]


def test_networks_that_offer_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    web = Web(monkeypatch)
    assert asyncio.run(world.source().find(*TARGET)) == ()
    (world.folder / "resolv.conf").write_text("search a.example b.example c.example d.example")
    assert asyncio.run(world.source().find(*TARGET)) == ()
    assert len(web.asked) == 3


def test_this_computer_s_addresses_are_no_loopback() -> None:
    assert all(not address.startswith("127.") for address in own_addresses())


def test_scripts_in_old_encodings() -> None:
    assert module._decoded("\ufeffü".encode()) == "ü"
    assert module._decoded("ü".encode("latin-1")) == "ü"


def test_the_dialer_has_it_all(world: World) -> None:
    world.proxy = ProxyConfig(url="http://127.0.0.1:9")
    dialer = world.source().dialer()
    with pytest.raises(TransportError, match=r"proxy 127\.0\.0\.1:9.*directly: da\."):
        asyncio.run(dialer(*TARGET))
