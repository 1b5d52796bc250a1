"""Who comes in through an ADC, as data: for each configuration of docs/operate/adc.md.

Other devices behave as one of these.
"""

from dataclasses import dataclass

from tests.net.iphttps_world import REJECTED, REQUIRED
from tests.proto.iphttps.test_adc import HEADER_FAULTS

CONFIGURATIONS = {
    "haproxy http": ("HAProxy, http", "haproxy"),
    "haproxy tcp": ("HAProxy, tcp", "haproxy"),
    "nginx stream": ("nginx, stream", "nginx"),
    "nginx http": ("nginx, http", "nginx"),
    "haproxy through": ("TLS comes through", "haproxy"),
    "nginx through": ("TLS comes through", "nginx"),
}
CLIENTS = ("", "none", "untrusted", "expired", "wrong usage", "revoked")
"""Faults of what clients show; "": nothing is wrong."""
JUDGED = {
    "none": (REQUIRED, "iphttps-client-cert-none"),
    "untrusted": (REJECTED, "iphttps-client-cert-untrusted"),
    "expired": (REJECTED, "iphttps-client-cert-expired"),
    "wrong usage": (REJECTED, "iphttps-client-cert-usage"),
    "revoked": (REJECTED, "iphttps-client-cert-revoked"),
}
WINDOWS = dict.fromkeys(JUDGED, 0x80090327) | {"none": 0x90320, "expired": 0x80090328}
"""The number that Windows shows for the same."""
ADMITTED = ("admitted", "")
CUT_OFF = ("iphttps-connection-reset", "")
"""By the device, without a word; the gateway never sees it."""
OUTCOMES = {
    "haproxy http": JUDGED,
    # Where the device alone judges, and was given no revocation list.
    "haproxy tcp": JUDGED | {"revoked": ADMITTED},
    "nginx stream": dict.fromkeys(JUDGED, CUT_OFF) | {"revoked": ADMITTED},
    # nginx says 400 to some by itself.
    "nginx http": JUDGED | dict.fromkeys(("expired", "wrong usage"), ("iphttps-http-refused", "")),
    "haproxy through": JUDGED,
    "nginx through": JUDGED,
}
"""For each configuration and each fault: what the client says, and the gateway's code."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What somebody sends who is a device, or passes for one."""

    gateway: str = ""
    """The problem; "": it is believed."""
    source: str = "127.0.0.1"
    """The device's address, or another one."""
    proxy: str = "v2"
    """Which PROXY header is before it."""
    claims: str = "good"
    """Whose certificate the headers have, "" for none."""
    verify: str = "0"
    own: bool = False
    """Whether it is said at the gateway's own port."""


SAID = {
    "PROXY header of version 1": Said(proxy="v1"),
    "PROXY header of version 2": Said(),
    "certificate as nginx writes it": Said(verify="SUCCESS"),
    "revoked, and called good by the device": Said(
        claims="revoked", gateway="iphttps-client-cert-revoked"
    ),
    "untrusted, and called good by the device": Said(
        claims="untrusted", gateway="iphttps-client-cert-untrusted"
    ),
    "wrong usage, and called good by the device": Said(
        claims="wrong usage", gateway="iphttps-client-cert-usage"
    ),
    "headers from a stranger": Said(source="127.0.0.2", gateway="iphttps-adc-stranger"),
    "PROXY header from a stranger": Said(
        source="127.0.0.2", proxy="v1", claims="", gateway="iphttps-adc-stranger"
    ),
    "no PROXY header": Said(proxy="", gateway="iphttps-adc-header-missing"),
    "PROXY header that is cut": Said(proxy="cut", gateway="iphttps-adc-header-missing"),
    "headers of a client at the gateway's own port": Said(
        own=True, proxy="", gateway="iphttps-adc-header-forged"
    ),
}


def said_by_devices() -> dict[str, str]:
    """Return every case with the gateway's code, "" where it is believed."""
    said = {name: each.gateway for name, each in SAID.items()}
    return said | {f"headers: {name}": code for name, (_, code) in HEADER_FAULTS.items()}
