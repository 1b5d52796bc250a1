"""Security associations and events as charon tells them over vici, made into plain values."""

from collections.abc import Iterator
from dataclasses import dataclass

from throughway.net.vici import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSA:
    """One CHILD_SA: the tunnel proper."""

    name: str
    state: str
    local_ts: tuple[str, ...] = ()
    remote_ts: tuple[str, ...] = ()
    bytes_in: int = 0
    bytes_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IKESA:
    """One IKE_SA with its children, as list-sas and the events tell it."""

    name: str
    unique_id: int
    state: str
    local_address: str
    remote_address: str
    local_identity: str
    remote_identity: str
    local_eap_identity: str = ""
    remote_eap_identity: str = ""
    remote_port: int = 0
    established: float = 0.0
    """Seconds since it came up."""
    children: tuple[ChildSA, ...] = ()

    @property
    def up(self) -> bool:
        """Whether packets go through it."""
        return self.state == "ESTABLISHED" and any(c.state == "INSTALLED" for c in self.children)


@dataclass(frozen=True, slots=True)
class IKEChanged:
    """An IKE_SA came up, or went; one that never was up goes too when its peer is refused."""

    up: bool
    sa: IKESA


@dataclass(frozen=True, slots=True)
class ChildChanged:
    """A CHILD_SA came up, or went."""

    up: bool
    sa: IKESA


@dataclass(frozen=True, slots=True)
class LineLogged:
    """A line of charon's log; unique_id is 0 and name "" where it speaks of no IKE_SA."""

    group: str
    unique_id: int
    name: str
    text: str


Event = IKEChanged | ChildChanged | LineLogged


def parse_event(name: str, message: Section) -> Iterator[Event]:
    """Translate an event of vici."""
    if name == "log":
        yield LineLogged(
            _text(message, "group"),
            _number(message, "ikesa-uniqueid"),
            _text(message, "ikesa-name"),
            _text(message, "msg"),
        )
        return
    up = message.get("up") == b"yes"
    changed = IKEChanged if name == "ike-updown" else ChildChanged
    for key, value in message.items():
        if isinstance(value, dict):
            yield changed(up, parse_sa(key, value))


def parse_sa(name: str, message: Section) -> IKESA:
    """Translate an IKE_SA as list-sas and the events carry it."""
    return IKESA(
        name=name,
        unique_id=_number(message, "uniqueid"),
        state=_text(message, "state"),
        local_address=_text(message, "local-host"),
        remote_address=_text(message, "remote-host"),
        local_identity=_text(message, "local-id"),
        remote_identity=_text(message, "remote-id"),
        local_eap_identity=_text(message, "local-eap-id"),
        remote_eap_identity=_text(message, "remote-eap-id"),
        remote_port=_number(message, "remote-port"),
        established=_number(message, "established"),
        children=tuple(_parse_child(c) for c in message.get("child-sas", {}).values()),
    )


def _parse_child(message: Section) -> ChildSA:
    return ChildSA(
        name=_text(message, "name"),
        state=_text(message, "state"),
        local_ts=tuple(ts.decode() for ts in message.get("local-ts", [])),
        remote_ts=tuple(ts.decode() for ts in message.get("remote-ts", [])),
        bytes_in=_number(message, "bytes-in"),
        bytes_out=_number(message, "bytes-out"),
    )


def _text(message: Section, key: str) -> str:
    value = message.get(key, b"")
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


def _number(message: Section, key: str) -> int:
    text = _text(message, key)
    return int(text) if text.isdecimal() else 0
