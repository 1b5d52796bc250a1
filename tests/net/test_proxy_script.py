"""Scripts that name proxies, run as they are run in the field: in a process of their own."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.patience import PATIENCE
from throughway.model.errors import Stage, TransportError
from throughway.net import proxy_script as module
from throughway.net.proxy_script import find_proxy

OFFICE = """
// Such as administrators write.
var proxies = "PROXY a.office.example:8080; PROXY b.office.example:8080";
function FindProxyForURL(url, host) {
    if (isPlainHostName(host) || dnsDomainIs(host, ".office.example")) { return "DIRECT"; }
    if (url.substring(0, 6) != "https:") { return "PROXY plain:80"; }
    if (isInNet(dnsResolve("intranet.office.example"), "10.0.0.0", "255.0.0.0")) {
        return proxies + "; DIRECT";
    }
    return /^192\\.0\\.2\\./.test(myIpAddress()) ? "PROXY guests:3128" : "DIRECT";
}
"""


async def resolve(host: str) -> Sequence[str]:
    if host == "intranet.office.example":
        return ("10.1.2.3",)
    raise TransportError(Stage.RESOLVE, "no such name")


def found(script: str, host: str = "da.example.com", port: int = 443) -> str:
    return asyncio.run(find_proxy(script, host, port, resolve=resolve, addresses=("192.0.2.1",)))


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a process begins late, and takes its memory slowly."""
    monkeypatch.setattr(module, "SCRIPT_TIME", PATIENCE)


def failure(script: str) -> str:
    with pytest.raises(TransportError) as caught:
        found(script)
    assert (caught.value.stage, caught.value.problem) == (Stage.PROXY, "proxy-script-unusable")
    return str(caught.value)


def returning(expression: str) -> str:
    return f"function FindProxyForURL(url, host) {{ return {expression}; }}"


def test_an_office_s_script() -> None:
    assert found(OFFICE) == "PROXY a.office.example:8080; PROXY b.office.example:8080; DIRECT"
    assert found(OFFICE, "www.office.example") == "DIRECT"
    elsewhere = OFFICE.replace("intranet.office.example", "nowhere.example")
    assert found(elsewhere) == "PROXY guests:3128"


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("da.example.com", 443, "https://da.example.com/"),
        ("da.example.com", 8443, "https://da.example.com:8443/"),
        ("2001:db8::1", 443, "https://[2001:db8::1]/"),
    ],
)
def test_what_a_script_is_told(host: str, port: int, url: str) -> None:
    assert found(returning("url + ' ' + host"), host, port) == f"{url} {host}"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("function FindProxyForURL(", "SyntaxError"),
        ("throw new Error('boom')", "boom"),
        (returning("nonsense"), "ReferenceError"),
        (returning("7"), "does not return a text"),
        ("var x = 1", "does not return a text"),
        ("function FindProxyForURL(u, h) { return FindProxyForURL(u, h) + 1 }", "RangeError"),
        ("var a = []; for (;;) { a.push(new Array(10000)); }", "memory"),
    ],
)
def test_what_is_wrong_with_a_script_is_told(script: str, why: str) -> None:
    assert why in failure(script)


def test_a_script_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SCRIPT_TIME", 0.5)
    assert "longer than 0.5 s" in failure("for (;;) {}")


def test_a_slow_name_is_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_UP_TIME", 0.01)

    async def never(_host: str) -> Sequence[str]:
        await asyncio.sleep(3600)
        return ()

    script = returning("String(dnsResolve('slow'))")
    assert asyncio.run(find_proxy(script, "h", 443, resolve=never)) == "null"


def test_a_long_result_is_cut() -> None:
    assert len(found(returning("'PROXY '.repeat(10000)"))) == module.MAXIMUM_RESULT


@pytest.mark.parametrize("word", ["require('fs')", "std.open('/etc/passwd')", "os.exec(['id'])"])
def test_a_script_has_nothing_but_the_language(word: str) -> None:
    assert "ReferenceError" in failure(returning(word))


def test_where_nothing_can_be_started_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    assert "cannot be run: No such file" in failure(returning("'DIRECT'"))
