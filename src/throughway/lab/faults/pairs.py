"""Pairs of faults that have nothing to do with each other: neither may hide the other one."""

from collections.abc import Collection
from dataclasses import dataclass

from throughway.lab.faults import FAULTS, Fault


@dataclass(frozen=True, slots=True)
class Pair:
    """Two faults at the same time."""

    first: str
    second: str

    @property
    def names(self) -> tuple[str, str]:
        """The faults, in the order in which they are injected."""
        return self.first, self.second

    @property
    def name(self) -> str:
        """Both, as they are written."""
        return f"{self.first} + {self.second}"

    @property
    def faults(self) -> tuple[Fault, Fault]:
        """Both faults."""
        return FAULTS[self.first], FAULTS[self.second]

    @property
    def place(self) -> str:
        """Where the client has to be for them."""
        return self.faults[0].place

    @property
    def transports(self) -> tuple[str, ...]:
        """What the client may come by for them."""
        return self.faults[0].transports

    @property
    def user(self) -> bool:
        """Whether somebody has to be logged on."""
        return all(fault.user for fault in self.faults)

    def named_in(self, codes: Collection[str]) -> bool:
        """Whether both root causes are among these."""
        return all(fault.root in codes for fault in self.faults)


PAIRS = (
    # The client's way is broken, and something else behind the gateway.
    Pair("port-443-blocked", "kdc-silent"),
    Pair("port-443-reset", "location-server-down"),
    Pair("iphttps-certificate-not-yet-valid", "directory-silent"),
    Pair("iphttps-certificate-wrong-name", "state-full"),
    Pair("iphttps-certificate-wrong-usage", "nat64-dies"),
    Pair("cable-pulled", "location-certificate-expired"),
    Pair("port-443-refused", "domain-clock-ahead"),
    Pair("tls-inspected", "domain-clock-behind"),
    # What the client has is bad, and something of the gateway's.
    Pair("computer-certificate-expired", "location-server-down"),
    Pair("computer-password-wrong", "kdc-silent"),
    Pair("policy-expired", "state-read-only"),
    Pair("ike-dropped", "location-certificate-wrong-name"),
    # Two of the gateway's.
    Pair("iphttps-certificate-revoked", "location-server-down"),
    Pair("forwarding-disabled", "kdc-silent"),
    Pair("route-unpublished", "directory-silent"),
    Pair("ike-daemon-hung", "location-server-down"),
    Pair("dns64-silent", "state-full"),
    Pair("configuration-refused", "kdc-refuses"),
    # Two of the client's own.
    Pair("stub-resolver-unreachable", "computer-certificate-ends-soon"),
    # Where the client works inside.
    Pair("location-server-down-inside", "kdc-silent"),
)
