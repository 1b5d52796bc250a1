"""Names of proxies, results of scripts, exceptions, and what is remembered of networks."""

import pytest

from throughway.proto.proxy.ways import (
    DIRECT,
    MAXIMUM_NETWORKS,
    MAXIMUM_ROUTES,
    ProxyURL,
    Ways,
    bypassed,
    parse_proxy_url,
    parse_routes,
    wpad_names,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://proxy.example.com:3128", ProxyURL("proxy.example.com", 3128)),
        ("proxy.example.com:3128/", ProxyURL("proxy.example.com", 3128)),
        ("http://Proxy", ProxyURL("proxy", 80)),
        ("http://[2001:db8::1]:8080", ProxyURL("2001:db8::1", 8080)),
        ("http://al%40ice:s%3Acret@p:1", ProxyURL("p", 1, "al@ice", "s:cret")),
    ],
)
def test_urls(text: str, expected: ProxyURL) -> None:
    assert parse_proxy_url(text) == expected


@pytest.mark.parametrize(
    "text", ["", "https://p:1", "socks5://p:1", "http://p:99999", "http://p/path", "http://[::1"]
)
def test_what_is_no_url_of_a_proxy(text: str) -> None:
    with pytest.raises(ValueError, match="prox"):
        parse_proxy_url(text)


def test_passwords_do_not_show() -> None:
    assert "s3cret" not in repr(parse_proxy_url("http://alice:s3cret@proxy:1"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PROXY a:1; PROXY b:2; DIRECT", (("a", 1), ("b", 2), None)),
        ("proxy A.example ;direct", (("a.example", 80), None)),
        ("HTTP [2001:db8::1]:3128", (("2001:db8::1", 3128),)),
        ("SOCKS s:1080; HTTPS t:443; PROXY a:1", (("a", 1),)),
        ("PROXY a:1;PROXY a:1", (("a", 1),)),
        ("PROXY a:0; PROXY a:65536; PROXY a b; ; PROXY", ()),
        ("PROXY a:1\r\nX: y", ()),
        ("", ()),
    ],
)
def test_routes(text: str, expected: tuple[tuple[str, int] | None, ...]) -> None:
    assert parse_routes(text) == expected


def test_a_script_may_not_name_any_number_of_proxies() -> None:
    text = ";".join(f"PROXY p{number}:1" for number in range(100))
    assert len(parse_routes(text)) == MAXIMUM_ROUTES


@pytest.mark.parametrize(
    ("exceptions", "expected"),
    [
        ("*", True),
        ("example.com", True),
        (".example.com", True),
        ("*.example.com", True),
        ("da.example.com.", True),
        ("a.example.com, DA.example.com", True),
        ("da.example.com:443", True),
        ("da.example.com:80", False),
        ("ample.com", False),
        ("a.example.com b.example.com", False),
        ("131.107.0.0/24", False),
        ("", False),
    ],
)
def test_exceptions_by_name(exceptions: str, expected: bool) -> None:
    assert bypassed("da.example.com", 443, exceptions) == expected


@pytest.mark.parametrize(
    ("host", "exceptions", "expected"),
    [
        ("131.107.0.2", "131.107.0.0/24", True),
        ("131.107.0.2", "131.107.0.2", True),
        ("131.107.0.2", "131.107.1.0/24", False),
        ("131.107.0.2", "107.0.2", False),
        ("2001:db8::1", "2001:db8::/32", True),
        ("2001:db8::1", "[2001:db8::1]:443", True),
        ("2001:db8::1", "[2001:db8::1]:80", False),
    ],
)
def test_exceptions_by_address(host: str, exceptions: str, expected: bool) -> None:
    assert bypassed(host, 443, exceptions) == expected


def test_what_worked_goes_first_and_what_failed_last() -> None:
    ways = Ways()
    every = ["a:1", "b:2", DIRECT]
    assert ways.order("home", every) == every
    ways.succeeded("home", DIRECT)
    assert ways.order("home", every) == [DIRECT, "a:1", "b:2"]
    ways.failed("home", "a:1")
    assert ways.order("home", every) == [DIRECT, "b:2", "a:1"]
    ways.failed("home", DIRECT)
    assert ways.order("home", every) == ["b:2", "a:1", DIRECT]
    assert ways.order("office", every) == every
    ways.succeeded("home", "a:1")
    assert ways.order("home", every) == ["a:1", "b:2", DIRECT]


def test_old_networks_are_forgotten() -> None:
    ways = Ways()
    for number in range(MAXIMUM_NETWORKS + 1):
        ways.succeeded(str(number), DIRECT)
    assert ways.order("0", ["a:1", DIRECT]) == ["a:1", DIRECT]
    assert ways.order("1", ["a:1", DIRECT]) == [DIRECT, "a:1"]


def test_scripts_are_looked_for_in_the_network_s_own_domains_only() -> None:
    search = ("office.example.", "com", "corp.example.com", "x.corp.example.com", "Office.example")
    assert wpad_names(search, ("corp.example.com",)) == ("wpad.office.example",)


def test_a_password_that_is_taken_for_a_port_is_not_said() -> None:
    with pytest.raises(ValueError, match="escaped") as caught:
        parse_proxy_url("http://me:s3cret/x@proxy.test:3128")
    assert "s3cret" not in str(caught.value)
