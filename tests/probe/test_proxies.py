"""Proxies of the environment."""

from throughway.probe.proxies import configured_proxies


def test_passwords_are_not_said() -> None:
    found = configured_proxies(
        {"HTTPS_PROXY": "http://me:secret@proxy.test:3128/", "http_proxy": "proxy2.test:8080"}
    )
    assert found == ("HTTPS_PROXY=http://proxy.test:3128", "http_proxy=proxy2.test:8080")


def test_odd_values() -> None:
    assert configured_proxies({}) == ()
    assert configured_proxies({"all_proxy": "http://[::1"}) == ("all_proxy=(not a URL)",)
    assert configured_proxies({"all_proxy": "socks5://[::1]:9"}) == ("all_proxy=socks5://[::1]:9",)
