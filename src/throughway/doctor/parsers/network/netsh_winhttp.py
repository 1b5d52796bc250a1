r"""``netsh winhttp show proxy``, ``show advproxy``: the proxy of the services.

Samples::

    Current WinHTTP proxy settings:

        Direct access (no proxy server).

    Current WinHTTP proxy settings:

        Proxy Server(s) :  proxy.example.com:8080
        Bypass List     :  (none)

    Current WinHTTP advanced proxy settings:

        {"Proxy": "p.example.com:8080", "ProxyBypass": "", "AutoconfigUrl": "", "AutoDetect": false}

The names in the advanced settings are those of their file, and are never translated.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.forms import labelled
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.network import WinHTTPProxy

_PROXY = re.compile(r"(?:\w+=)?(?:https?://)?\[?[\w.:-]+\]?:\d{1,5}\b", re.IGNORECASE)
_DIRECT = re.compile(
    r"\([^()]{0,40}proxy[^()]{0,40}\)|\(\u6ca1\u6709\u4ee3\u7406|\uff08\u65e0\u4ee3\u7406", re.I
)
_ADVANCED = re.compile(
    r'"?\b(Proxy|ProxyBypass|AutoconfigUrl|AutoDetect)\b"?[ \t]{0,20}:[ \t]{0,20}'
    r'(?:"([^"\n]{0,2000})"|([^\s",{}]{0,2000}))'
)
"""Settings of ``set advproxy``, in JSON or one a line."""


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the proxy, or that there is none."""
    if "AutoDetect" in evidence.text or "AutoconfigUrl" in evidence.text:
        yield from _advanced(evidence)
        return
    proxy: labelled.Line | None = None
    for line in labelled.read(evidence):
        if proxy is not None:
            bypass = line.value if line.label else None
            yield _proxy(proxy, evidence, None if bypass in {None, "(none)"} else bypass)
            return
        if line.label and _PROXY.match(line.value):
            proxy = line
        elif _DIRECT.search(line.text) and not line.label:
            yield WinHTTPProxy(source=line.source(evidence), direct=True)
            return
    if proxy is not None:
        yield _proxy(proxy, evidence, None)


def _advanced(evidence: Evidence) -> Iterator[Fact]:
    """A script or its detection may say anything: only what is fixed says something."""
    settings: dict[str, str] = {}
    places: dict[str, tuple[int, str]] = {}
    for number, text in evidence.lines():
        for name, quoted, bare in _ADVANCED.findall(text):
            settings.setdefault(name, (quoted or bare).strip())
            places.setdefault(name, (number, text))
    proxy = settings.get("Proxy", "")
    script, detect = settings.get("AutoconfigUrl"), settings.get("AutoDetect", "").lower()
    if proxy and _PROXY.match(proxy):
        bypass = settings.get("ProxyBypass") or None
        source = evidence.at(*places["Proxy"])
        yield WinHTTPProxy(source=source, direct=False, proxy=proxy, bypass=bypass)
    elif "Proxy" in settings and not proxy and script == "" and detect == "false":
        yield WinHTTPProxy(source=evidence.at(*places["Proxy"]), direct=True)


def _proxy(line: labelled.Line, evidence: Evidence, bypass: str | None) -> WinHTTPProxy:
    return WinHTTPProxy(source=line.source(evidence), direct=False, proxy=line.value, bypass=bypass)


def signature(head: str) -> int:
    """Score the head of a text."""
    if '"autoconfigurl"' in head and '"autodetect"' in head:
        return CERTAIN
    return CERTAIN if "winhttp" in head and "proxy" in head and "certutil" not in head else 0


PARSER = Parser(
    name="netsh winhttp show proxy",
    parse=parse,
    command=re.compile(r"\bwinhttp\s+(?:sh|set|imp|res)", re.IGNORECASE),
    signature=signature,
)
