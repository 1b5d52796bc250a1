"""The client's 6to4: applies where this computer has a public IPv4 address, and proves itself.

The device is there only while there is such an address. It gets the address that Windows would
give it and no routes; the gateway's endpoints are asked over it by the machine itself.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address

from throughway.client.transport import state_of
from throughway.model.errors import Stage, TransportError
from throughway.model.policy import Policy
from throughway.model.status import TransportKind, TransportStatus
from throughway.net import sit
from throughway.net.firewall import MARK
from throughway.net.sixtofour import Pipe, only_echo_replies, open_socket, source_address
from throughway.net.tun import TUN, configure_tunnel, has_lost, open_tun
from throughway.proto.sixtofour import NONCE_LENGTH, Cause, Gate, Prover
from throughway.wire.ipv6 import format_address, parse_address
from throughway.wire.sixtofour import build_endpoint, embedded_address, is_sixtofour, is_usable

INTERFACE = sit.CLIENT_INTERFACE


@dataclass(slots=True)
class _Tunnel:
    """What there is while there is a public address."""

    local: str
    """The IPv4 address."""
    address: bytes
    pipe: Pipe
    tun: TUN | None
    device: sit.Device | None
    """The kernel's, in place of ours."""


class SixToFour:
    """6to4 to the endpoints of a policy; a :class:`throughway.client.transport.Transport`."""

    kind = TransportKind.SIXTOFOUR

    def __init__(
        self, policy: Policy, on_change: Callable[[], None], *, interface: str = INTERFACE
    ) -> None:
        self.started = False
        self._endpoints = _endpoints_of(policy)
        self._on_change = on_change
        self._name = interface
        self._tunnel: _Tunnel | None = None
        self._prover = Prover(self._endpoints, nonce=os.urandom(NONCE_LENGTH))
        self._kernel_refusal: str | None = None
        self._device_error: TransportError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0
        self._told: object = None
        self.failure: TransportError | None = None
        """Why it is not up; the same object for as long as it is the same failure."""

    @property
    def interface(self) -> str:
        """The device, "" while there is no public address."""
        return self._name if self._tunnel is not None else ""

    @property
    def broken(self) -> bool:
        """Whether somebody has deleted the device, or taken its address away."""
        tunnel = self._tunnel
        if tunnel is None:
            return False
        gone = tunnel.tun.gone if tunnel.tun is not None else not sit.exists(self._name)
        return gone or has_lost(self._name, format_address(tunnel.address))

    @property
    def up(self) -> bool:
        """Whether the gateway's endpoints answer over it."""
        return self._tunnel is not None and self._prover.proven

    @property
    def address(self) -> str:
        """The 6to4 address, "" while it is not proven."""
        return format_address(self._tunnel.address) if self._tunnel and self.up else ""

    def _judge(self) -> TransportError | None:
        """Say why it is not up."""
        if not self.started or self.up:
            return None
        if self._device_error is not None:
            return self._device_error
        if self._tunnel is None:
            return _failed("no public IPv4 address leads to the gateway", _NO_ADDRESS)
        cause = self._prover.cause
        return None if cause is None else _unproven(cause, self._tunnel.local, self._prover.refusal)

    def start(self) -> None:
        """Look for a public address, and begin the proof where there is one."""
        if self.started:
            return
        if not all(map(is_sixtofour, self._endpoints)):
            raise _failed("the gateway's endpoints are no 6to4 addresses", "sixtofour-disabled")
        self.started = True
        sit.remove_devices((self._name,))  # a killed client's
        self._look()

    async def stop(self) -> None:
        """Remove everything."""
        if not self.started:
            return
        self.started = False
        self._prover.stop()
        self._leave()
        self._step()

    def update_policy(self, policy: Policy) -> None:
        """Take a newer policy; with other endpoints everything begins anew."""
        endpoints = _endpoints_of(policy)
        if endpoints == self._endpoints:
            return
        self._endpoints = endpoints
        self._leave()
        self._prover = Prover(endpoints, nonce=os.urandom(NONCE_LENGTH))
        if self.started:
            self.started = all(map(is_sixtofour, endpoints))
            self.network_changed()
            self._step()

    def network_changed(self) -> None:
        """Look for the address again; where it is the same, ask the gateway at once."""
        if self.started:
            self._look()

    def status(self) -> TransportStatus:
        """Return it for the snapshot."""
        tunnel, failure = self._tunnel, self.failure
        received, sent = self._bytes()
        return TransportStatus(
            kind=self.kind,
            state=state_of(self),
            interface=self.interface,
            addresses=(format_address(tunnel.address),) if tunnel is not None else (),
            details=tuple(self._details()),
            last_error=str(failure or ""),
            problem=failure.problem if failure is not None else "",
            since=self._since,
            bytes_in=received,
            bytes_out=sent,
        )

    def _details(self) -> list[tuple[str, str]]:
        tunnel = self._tunnel
        if tunnel is None:
            return []
        who = "the kernel"
        if tunnel.tun is not None:
            who = f"user space ({tunnel.tun.pump.name}): the kernel has no sit"
        words = [("IPv4 address", tunnel.local), ("carried by", who)]
        if self.up:
            words.append(("round trip", f"{self._prover.round_trip * 1000:.1f} ms"))
        drops = ", ".join(f"{why} {count}" for why, count in sorted(tunnel.pipe.gate.drops.items()))
        return [*words, ("dropped", drops)] if drops else words

    def _bytes(self) -> tuple[int, int]:
        tunnel = self._tunnel
        if tunnel is None:
            return 0, 0
        if tunnel.device is not None:
            return sit.traffic(self._name)
        return tunnel.pipe.traffic.bytes_in, tunnel.pipe.traffic.bytes_out

    # Address and device

    def _look(self) -> None:
        """Take the public address that there is now."""
        local = self._public_address()
        now = asyncio.get_running_loop().time()
        if self.broken or self._tunnel is None or self._tunnel.local != local:
            self._leave()
            self._device_error = None
            if local:
                self._enter(local)
            self._prover.use(self._tunnel.address if self._tunnel is not None else None, now)
        else:
            self._prover.check(now)
        self._step()

    def _public_address(self) -> str:
        """Return the address from which packets leave for the gateway, "" unless it is public."""
        gateways = [embedded_address(endpoint) for endpoint in self._endpoints]
        local = source_address(str(IPv4Address(gateways[0])), mark=MARK)
        packed = IPv4Address(local).packed if local else b""
        return local if is_usable(packed) and packed not in gateways else ""

    def _enter(self, local: str) -> None:
        try:
            self._tunnel = self._make(local)
        except TransportError as error:
            self._device_error = error
        else:
            self._tunnel.pipe.start()

    def _make(self, local: str) -> _Tunnel:
        packed = IPv4Address(local).packed
        address = build_endpoint(packed)
        device = sit.Device(self._name, local, format_address(address))
        with contextlib.ExitStack() as stack:
            sock = stack.enter_context(open_socket(local, mark=MARK, refusals=True))
            tun: TUN | None = None
            if self._kernel_refusal is None:
                self._kernel_refusal = sit.refusal(self._name)
            if self._kernel_refusal:
                tun = open_tun(self._name)
                stack.callback(tun.close)
                configure_tunnel(tun, (address,))
            else:
                stack.callback(sit.remove, (device,))
                peers = tuple(map(format_address, self._endpoints))
                sit.make(sit.client_commands(device), sit.render_client_guard(device, peers))
                only_echo_replies(sock)
            gate = Gate({packed: address}, peers=frozenset(self._endpoints))
            pipe = Pipe(
                *(gate, {packed: sock}, tun),
                on_icmp=self._icmp_received,
                on_traffic=self._traffic_received,
                on_refusal=self._refused,
                on_device_lost=lambda _why: self._on_change(),
            )
            stack.pop_all()
        return _Tunnel(local, address, pipe, tun, None if tun is not None else device)

    def _leave(self) -> None:
        tunnel, self._tunnel = self._tunnel, None
        if tunnel is None:
            return
        tunnel.pipe.close()
        if tunnel.tun is not None:
            tunnel.tun.close()
        if tunnel.device is not None:
            sit.remove((tunnel.device,))

    # The proof

    def _icmp_received(self, packet: bytes) -> bool:
        answer = self._prover.receive_packet(packet, asyncio.get_running_loop().time())
        if answer:
            self._step()
        return answer

    def _traffic_received(self) -> None:
        self._prover.traffic_received(asyncio.get_running_loop().time())

    def _refused(self, reason: str) -> None:
        self._prover.receive_refusal(reason, asyncio.get_running_loop().time())
        self._step()

    def _timed_out(self) -> None:
        self._prover.handle_timer(asyncio.get_running_loop().time())
        self._step()

    def _step(self) -> None:
        """Send what is due, arm the timer, tell what has changed."""
        while self._tunnel is not None and (packets := self._prover.packets_to_send()):
            self._tunnel.pipe.send(packets)
        while self._prover.next_event() is not None:
            self._since = time.time()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._prover.timer_at()
        if self._tunnel is not None and due is not None:
            self._timer = asyncio.get_running_loop().call_at(due, self._timed_out)
        failure = self._judge()
        if str(failure) != str(self.failure):
            self.failure = failure
        seen = (self.started, self.interface, self.up, self.address, str(self.failure))
        if seen != self._told:
            self._told = seen
            self._on_change()


def _endpoints_of(policy: Policy) -> tuple[bytes, ...]:
    endpoints = (policy.infrastructure.endpoint, policy.intranet.endpoint)
    return tuple(map(parse_address, endpoints))


_NO_ADDRESS = "sixtofour-no-public-address"


def _failed(why: str, problem: str) -> TransportError:
    return TransportError(Stage.CONNECT, why, problem=problem)


def _unproven(cause: Cause, local: str, refusal: str) -> TransportError:
    match cause:
        case Cause.SILENCE:
            why = f"{local} looks public, but no answer of the gateway comes back to it"
            return _failed(why, "sixtofour-pseudo-public-address")
        case Cause.REFUSAL:
            why = f"the network refuses 6to4: {refusal}"
        case Cause.LOSS:
            why = "the gateway has ceased to answer over 6to4"
    return _failed(why, "sixtofour-relay-unreachable")
