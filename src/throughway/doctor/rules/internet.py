"""Rules about the network before a client: the way out, portals, proxies."""

import re

from throughway.catalogue import internet, windows
from throughway.catalogue.on_windows.internet import PROXY_STATIC_CANCELS_IPHTTPS
from throughway.doctor.rule import Rule
from throughway.model.evidence import Role
from throughway.model.facts.names import DAConnectionStatus
from throughway.model.facts.network import BrowserProxy, NameLookup, PortTest, WinHTTPProxy
from throughway.model.facts.transition import IPHTTPSInterface, IPHTTPSStatus
from throughway.model.findings import Confidence, Finding

_CONNECTING = frozenset({0x2AF9, 0x2AFA, 0x2AFB, 0x2AFC, 0x274C, 0x274D, 0x2746, 0x80090326})
"""Codes that a proxy of another network brings about."""
_REFUSED_BY_PROXY = frozenset({0x80190193, 0x80190195, 0x801901F6, 0x801901F7})
"""403, 405, 502, 503."""
_PROXY = re.compile(r"(?:https?=)?(?:https?://)?([\w.-]+)(?::([0-9]{1,5}))?/?")


def static_proxy(proxy: WinHTTPProxy, interface: IPHTTPSInterface | None) -> Finding | None:
    """WinHTTP has a proxy, whatever the network."""
    if not proxy.proxy or proxy.direct or _active(interface):
        return None
    failing = interface is not None and interface.last_error in _CONNECTING
    return Finding(
        problem=PROXY_STATIC_CANCELS_IPHTTPS,
        summary=f"WinHTTP uses the proxy {proxy.proxy} on every network.",
        confidence=Confidence.LIKELY if failing else Confidence.POSSIBLE,
        reason=(
            "the proxy is set, and IP-HTTPS fails in a way in which it does behind a wrong proxy"
            if failing
            else "the proxy is set; whether this network has it the evidence does not say"
        ),
        evidence=(proxy.source, *((interface.source,) if failing and interface else ())),
        values=(("PROXY", proxy.proxy),),
    )


def proxy_missing(
    proxy: WinHTTPProxy, browser: BrowserProxy, interface: IPHTTPSInterface | None
) -> Finding | None:
    """The browser has a proxy, WinHTTP has none."""
    if not proxy.direct or not browser.enabled or not browser.proxy or _active(interface):
        return None
    return Finding(
        problem=internet.PROXY_REQUIRED_NOT_CONFIGURED,
        summary=f"The browser uses the proxy {browser.proxy}, WinHTTP none.",
        confidence=Confidence.LIKELY,
        reason="both settings stand in the evidence; that nobody gets out directly is usual then",
        evidence=(proxy.source, browser.source),
        values=(("PROXY", browser.proxy),),
    )


def proxy_unreachable(
    proxy: WinHTTPProxy, test: PortTest | NameLookup, interface: IPHTTPSInterface | None
) -> Finding | None:
    """The proxy of WinHTTP was tried, and is not there."""
    known = proxy_host(proxy.proxy)
    if known is None or proxy.direct or _active(interface):
        return None
    host, port = known
    if isinstance(test, NameLookup):
        failed = test.name.lower().rstrip(".") == host and test.failed is True
        what = "has no address"
    else:
        failed = test.target.lower() == host and test.port == port and test.succeeded is False
        what = f"accepts no connection at port {port}"
    if not failed:
        return None
    return Finding(
        problem=internet.PROXY_UNREACHABLE,
        summary=f"WinHTTP uses the proxy {proxy.proxy}, and {host} {what}.",
        reason="setting and test stand in the evidence",
        evidence=(test.source, proxy.source),
        values=(("PROXY", f"{host}:{port}"),),
    )


def proxy_blocks(proxy: WinHTTPProxy, interface: IPHTTPSInterface) -> Finding | None:
    """IP-HTTPS goes through a proxy and is answered with a refusal of HTTP."""
    if not proxy.proxy or proxy.direct or interface.last_error not in _REFUSED_BY_PROXY:
        return None
    return Finding(
        problem=internet.PROXY_BLOCKS_IPHTTPS,
        summary=(
            f"IP-HTTPS goes through the proxy {proxy.proxy} and is answered with "
            f"{windows.describe(interface.last_error or 0)}."
        ),
        confidence=Confidence.LIKELY,
        reason="an IP-HTTPS server does not answer so; a proxy does when it lets nobody through",
        evidence=(interface.source, proxy.source),
        values=(("PROXY", proxy.proxy),),
    )


def internet_down(status: DAConnectionStatus) -> Finding | None:
    """The Network Connectivity Assistant says so."""
    if (status.substatus or "").lower() != "internetconnectivitydown":
        return None
    return Finding(
        problem=internet.INTERNET_DOWN,
        summary="The Network Connectivity Assistant says that the Internet cannot be reached.",
        reason="the substatus says exactly this",
        evidence=(status.source,),
    )


def proxy_host(text: str | None) -> tuple[str, int] | None:
    """Return host and port of a proxy as netsh prints it; of several, that for https."""
    parts = re.split(r"[;\s]+", (text or "").strip().lower())
    chosen = next((p for p in parts if p.startswith("https=")), parts[0])
    match = _PROXY.fullmatch(chosen)
    return (match[1], int(match[2] or 80)) if match else None


def _active(interface: IPHTTPSInterface | None) -> bool:
    return interface is not None and interface.status is IPHTTPSStatus.ACTIVE


RULES = (
    Rule((PROXY_STATIC_CANCELS_IPHTTPS,), static_proxy, Role.CLIENT),
    Rule((internet.PROXY_REQUIRED_NOT_CONFIGURED,), proxy_missing, Role.CLIENT),
    Rule((internet.PROXY_UNREACHABLE,), proxy_unreachable, Role.CLIENT),
    Rule((internet.PROXY_BLOCKS_IPHTTPS,), proxy_blocks, Role.CLIENT),
    Rule((internet.INTERNET_DOWN,), internet_down, Role.CLIENT),
)
