"""Who comes in through an ADC, as data: for each configuration of docs/operate/adc.md.

Other devices behave as one of these.
"""

from tests.net.iphttps_world import REJECTED, REQUIRED

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
