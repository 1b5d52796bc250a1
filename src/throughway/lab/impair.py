"""A bad line between a mobile host and its network: loss, delay and reordering.

In the place of the kernel's netem, which not every machine has. In the switch the host's port is
renamed and a TAP device takes its name and its place in the bridge, so that moving the host and
pulling its cable work as ever; between the two this program carries the frames, late or not at all.
"""

import contextlib
import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import count
from typing import Any

from throughway.model.errors import LabError

QUEUE_LIMIT = 10_000
"""Frames under way in one direction; more are dropped, as a router would."""
BURST = 64
"""Frames taken from one side before the other has its turn."""
MAXIMUM_FRAME = 65_536
WIRE_SUFFIX = ".wire"
_ETH_P_ALL = 0x0003
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
_SIOCETHTOOL, _SIOCGIFFLAGS, _IFF_UP = 0x8946, 0x8913, 0x0001
_OFFLOADS = (0x17, 0x1F, 0x24)
"""ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO: frames must be those of a wire."""
_RTMGRP_LINK = 1
_CARRYING = "carrying"
"""The alias of a TAP device whose shim is ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Impairment:
    """What a line does to frames, each way by itself."""

    loss: float = 0.0
    """Percent of the frames."""
    delay: float = 0.0
    """Milliseconds."""
    jitter: float = 0.0
    """Milliseconds by which the delay differs at most; order is kept."""
    reorder: float = 0.0
    """Percent of the frames that are not delayed, and so overtake others."""

    def __post_init__(self) -> None:
        for name in ("loss", "reorder"):
            if not 0 <= getattr(self, name) <= 100:
                raise LabError(f"{name} is a percentage, from 0 to 100")
        if not 0 <= self.jitter <= self.delay <= 10_000:
            raise LabError("delay is from 0 to 10000 ms, and jitter no more than delay")


class Line:
    """One direction, as a machine: frames in, frames out when they are due."""

    def __init__(self, impairment: Impairment, chance: random.Random) -> None:
        self._impairment = impairment
        self._chance = chance
        self._frames: list[tuple[float, int, bytes]] = []
        self._numbers = count()
        self._last_due = 0.0
        self.lost = 0

    def put(self, frame: bytes, now: float) -> None:
        """Take a frame from one end."""
        what, percent = self._impairment, self._chance.random() * 100
        if percent < what.loss or len(self._frames) >= QUEUE_LIMIT:
            self.lost += 1
            return
        due = now
        if self._chance.random() * 100 >= what.reorder:
            wait = what.delay + self._chance.uniform(-what.jitter, what.jitter)
            due = self._last_due = max(now + wait / 1000, self._last_due)
        heapq.heappush(self._frames, (due, next(self._numbers), frame))

    def due(self, now: float) -> list[bytes]:
        """Return the frames that have arrived at the other end."""
        arrived = []
        while self._frames and self._frames[0][0] <= now:
            arrived.append(heapq.heappop(self._frames)[2])
        return arrived

    @property
    def next_at(self) -> float | None:
        """When the next frame arrives."""
        return self._frames[0][0] if self._frames else None


class Shim:
    """Carries frames between a port of the switch and the TAP device that took its name."""

    def __init__(self, port: str, impairment: Impairment) -> None:
        self._port, self._wire = port, wire_of(port)
        chance = random.Random()
        self._out, self._in = Line(impairment, chance), Line(impairment, chance)
        self._master = _master(port)
        self._up = _is_up(port)

    def run(self) -> None:
        """Carry frames until SIGTERM; everything is put back as it was."""
        stopped, stop = os.pipe()
        signal.signal(signal.SIGTERM, lambda *_: os.write(stop, b"x"))
        _ip(f"link set {self._port} down", f"link set {self._port} nomaster name {self._wire}")
        tap = _open_tap(self._port)
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        try:
            events.bind((0, _RTMGRP_LINK))
            wire.bind((self._wire, 0))
            wire.setblocking(False)
            if self._master:
                _ip(f"link set {self._port} master {self._master}")
            if self._up:
                _ip(f"link set {self._port} up")
            self._follow_cable()
            _ip(f"link set {self._port} alias {_CARRYING}")
            self._carry(tap, wire, events, stopped)
        finally:
            master, up = _master(self._port), _is_up(self._port)
            os.close(tap)
            wire.close()
            _ip(f"link set {self._wire} down", f"link set {self._wire} name {self._port}")
            if master:
                _ip(f"link set {self._port} master {master}")
            if up:
                _ip(f"link set {self._port} up")

    def _carry(self, tap: int, wire: socket.socket, events: socket.socket, stopped: int) -> None:
        poll = select.poll()
        for descriptor in (tap, wire.fileno(), events.fileno(), stopped):
            poll.register(descriptor, select.POLLIN)
        while True:
            dues = [line.next_at for line in (self._out, self._in) if line.next_at is not None]
            wait = max(0.0, min(dues) - time.monotonic()) * 1000 if dues else None
            ready = {descriptor for descriptor, _ in poll.poll(wait)}
            if stopped in ready:
                return
            if events.fileno() in ready:
                # More events than there is room for: that something changed is known all the same.
                with contextlib.suppress(OSError):
                    events.recv(MAXIMUM_FRAME)
                self._follow_cable()
            self._take(tap, wire, ready)
            now = time.monotonic()
            # One that the other side does not take is lost, as on any wire.
            for frame in self._out.due(now):
                with contextlib.suppress(OSError):
                    os.write(tap, frame)
            for frame in self._in.due(now):
                with contextlib.suppress(OSError):
                    wire.send(frame)

    def _take(self, tap: int, wire: socket.socket, ready: set[int]) -> None:
        now = time.monotonic()
        if wire.fileno() in ready:
            for _ in range(BURST):
                try:
                    frame, sender = wire.recvfrom(MAXIMUM_FRAME)
                except OSError:
                    break
                if sender[2] != socket.PACKET_OUTGOING:  # what we have sent ourselves
                    self._out.put(frame, now)
        if tap in ready:
            for _ in range(BURST):
                try:
                    self._in.put(os.read(tap, MAXIMUM_FRAME), now)
                except OSError:
                    break

    def _follow_cable(self) -> None:
        """The host must see its cable pulled when the TAP device goes down."""
        up = _is_up(self._port)
        if up != _is_up(self._wire):
            _ip(f"link set {self._wire} {'up' if up else 'down'}")


def in_place(port: str) -> bool:
    """Say whether a shim carries frames in this port's place, in the switch where this is called.

    With the cable plugged in, the kernel takes up to a second to forward on a port that came up.
    """
    tap, wire = _link(port), _link(wire_of(port))
    if not wire or tap.get("ifalias") != _CARRYING:
        return False
    return "UP" not in tap["flags"] or (_forwards(tap) and "LOWER_UP" in wire["flags"])


def port_settled(port: str) -> bool:
    """Say whether a port of the switch passes frames if its cable is plugged in, shim or not."""
    link, wire = _link(port), _link(wire_of(port))
    up = "UP" in link["flags"]
    followed = not wire or ("UP" in wire["flags"]) == up
    return followed and (not up or _forwards(link))


def cable_seen(interface: str, *, up: bool) -> bool:
    """Say whether a host, in whose network this is called, has noticed that its cable is so.

    The kernel tells of a carrier, and begins to send, a moment after there is one.
    """
    return bool(_link(interface)["operstate"] == "UP") == up


def _forwards(link: dict[str, Any]) -> bool:
    state = link["linkinfo"].get("info_slave_data", {}).get("state", "forwarding")
    # A device that never lost its carrier is of unknown state, and works.
    works = "LOWER_UP" in link["flags"] and link["operstate"] in {"UP", "UNKNOWN"}
    return works and state == "forwarding"


def wire_of(port: str) -> str:
    """Return the name that a port bears while a shim has its own."""
    return port.rpartition(".")[0] + WIRE_SUFFIX


def plain_frames(interface: str) -> None:
    """Let a host's interface send frames as a wire has them: no super-packets, checksums whole."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for command in _OFFLOADS:
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            request = struct.pack("16sP", interface.encode(), ctypes.addressof(value))
            fcntl.ioctl(any_socket, _SIOCETHTOOL, request)


def _open_tap(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    request = struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI)
    fcntl.ioctl(descriptor, _TUNSETIFF, request)
    return descriptor


def _ip(*lines: str) -> None:
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True)


def _master(name: str) -> str:
    return str(_link(name).get("master", ""))


def _link(name: str) -> dict[str, Any]:
    """Return what ``ip`` says of a device; nothing when there is none."""
    answer = subprocess.run(
        ["ip", "-json", "-details", "link", "show", name],
        capture_output=True,
        text=True,
        check=False,
    )
    found: list[dict[str, Any]] = json.loads(answer.stdout or "[]")
    return found[0] if found else {}


def _is_up(name: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH22x", name.encode(), 0)
        try:
            answer = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request)
        except OSError:
            return False
    flags: int = struct.unpack_from("16xH", answer)[0]
    return bool(flags & _IFF_UP)


if __name__ == "__main__":
    Shim(sys.argv[1], Impairment(**json.loads(sys.argv[2]))).run()
