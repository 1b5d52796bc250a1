"""What may be typed."""

import pytest

from throughway.model.errors import ConfigError
from throughway.probe.target import parse_target, with_tls


@pytest.mark.parametrize(
    ("text", "url", "host", "port", "path"),
    [
        ("da.example.com", "https://da.example.com/IPHTTPS", "da.example.com", 443, "/IPHTTPS"),
        ("DA.example.com:8443", "https://da.example.com:8443/IPHTTPS", "", 8443, "/IPHTTPS"),
        ("https://da.example.com/", "https://da.example.com/IPHTTPS", "", 443, "/IPHTTPS"),
        ("https://da.example.com:443/IPTLS", "https://da.example.com:443/IPTLS", "", 443, "/IPTLS"),
        ("http://da.example.com/x", "http://da.example.com/x", "", 80, "/x"),
        ("2001:db8::1", "https://[2001:db8::1]/IPHTTPS", "2001:db8::1", 443, "/IPHTTPS"),
        ("[2001:db8::1]:8443", "https://[2001:db8::1]:8443/IPHTTPS", "2001:db8::1", 8443, ""),
        ("192.0.2.1", "https://192.0.2.1/IPHTTPS", "192.0.2.1", 443, "/IPHTTPS"),
        (
            "müller.example:8443",
            "https://xn--mller-kva.example:8443/IPHTTPS",
            "xn--mller-kva.example",
            8443,
            "/IPHTTPS",
        ),
        ("https://ДА.example/x", "https://xn--80ah.example/x", "xn--80ah.example", 443, "/x"),
    ],
)
def test_targets(text: str, url: str, host: str, port: int, path: str) -> None:
    target = parse_target(text)
    assert (target.url, target.port) == (url, port)
    assert host in ("", target.host)
    assert path in ("", target.path)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("http://da.example.com", "https://da.example.com/IPHTTPS"),
        ("http://da.example.com:80/x", "https://da.example.com/x"),
        ("http://[2001:db8::1]:8080/", "https://[2001:db8::1]:8080/IPHTTPS"),
    ],
)
def test_what_is_meant_by_http(text: str, meant: str) -> None:
    assert with_tls(parse_target(text)) == meant


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "ftp://da.example.com",
            "da example",
            "https://",
            "a..b",
            "h:99999",
            "h:0",
            "x" * 9999,
        ),
        *("ü" * 80 + ".example", "müller..example", "https://ü:[", "https://da.example/ü"),
        *("https://user:secret@da.example.com/", "-", "http://[::1/", "h:b", "https://\x00/"),
    ],
)
def test_what_is_no_target_is_a_mistake_of_usage(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_target(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("999.999.999.999", "'999.999.999.999' is neither an address nor a name;"),
        ("a..b", "'a..b' is not a DNS name"),
    ],
)
def test_a_mistake_is_quoted_once_as_it_was_typed(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_target(text)
    assert words.removesuffix(";") in str(caught.value)
    assert str(caught.value).count(text) == 1
