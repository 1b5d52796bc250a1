"""How much the packet pump carries: one TCP stream each way, as a share of plain TLS.

    python -m bench.pump [--rounds 3] [--seconds 4]

Two network namespaces and one wire. Candidates alternate within each round, the medians count.
The limit is TLS over the same wire without a tunnel, pumped as the product does it
(``ssl.SSLObject`` over ``MemoryBIO``). Needs root. Writes bench/results/pump.json.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

NAME = "da.example.com"
PREFIX = "2001:db8:da:1000::/64"
INNER = {"gateway": "2001:db8:da:1000::1", "client": "2001:db8:da:1000::c1"}
OUTER = {"gateway": "10.97.0.1", "client": "10.97.0.2"}
CONGESTION_CONTROL = "reno"
"""The same for everybody: BBR takes two thirds of plain TLS on some machines."""
CHUNK = 128 * 1024
"""Bytes a load generator sends or receives at once."""
RECORDS = 64 * 1024
"""Bytes which the plain TLS pump encrypts at once."""
WARM_UP = 1.0
"""Seconds before the count begins."""
PATIENCE = 20.0
"""Seconds for a candidate to come up."""
RESULT = Path(__file__).parent / "results" / "pump.json"
CANDIDATES = ("plain TLS", "native", "pure")


# In the namespaces, each in a process of its own


def gateway(folder: str) -> None:
    """Serve IP-HTTPS until told to end."""
    from throughway.model.config import IPHTTPSServerConfig
    from throughway.net.iphttps_server import IPHTTPSServer, tls_context
    from throughway.net.tun import configure_gateway, open_tun
    from throughway.wire.ipv6 import parse_address

    config = IPHTTPSServerConfig(
        url=f"https://{NAME}/IPHTTPS",
        listen=(("0.0.0.0", 443),),
        certificate=Path(folder, "cert.pem"),
        key=Path(folder, "key.pem"),
        prefix=PREFIX,
    )

    async def serve() -> None:
        tun = open_tun("iphttps0")
        configure_gateway(tun, (parse_address(INNER["gateway"]), parse_address("fe80::1")))
        server = IPHTTPSServer(config, tun, tls=tls_context(config))
        server.start()
        print(server.packet_pump, flush=True)
        await _told_to_end()
        print(json.dumps({"drops": sum(s.dropped for s in server.sessions())}), flush=True)
        await server.close()
        tun.close()

    asyncio.run(serve())


def client(folder: str) -> None:
    """Hold the link until told to end."""
    from throughway.model.errors import TransportError
    from throughway.net.iphttps_client import IPHTTPSClient
    from throughway.net.link import tune
    from throughway.net.tls import client_context
    from throughway.net.tun import add_address, configure_client, open_tun
    from throughway.proto.iphttps.client import State
    from throughway.wire.ipv6 import parse_address

    async def dial(_host: str, port: int) -> socket.socket:
        sock = socket.create_connection((OUTER["gateway"], port))
        tune(sock)
        return sock

    tls = client_context(anchors=[Path(folder, "cert.pem").read_text()], system=False)

    async def link() -> None:
        tun = open_tun("iphttps0")
        configure_client(tun)
        add_address("iphttps0", parse_address(INNER["client"]), 64)
        up = asyncio.Event()

        def note(state: State, _error: TransportError | None) -> None:
            if state is State.LINK_UP:
                up.set()

        ours = IPHTTPSClient(f"https://{NAME}/IPHTTPS", tun, dial=dial, tls=tls, on_state=note)
        ours.start()
        await up.wait()
        print(ours.status().pump, flush=True)
        await _told_to_end()
        await ours.close()
        tun.close()

    asyncio.run(link())


async def _told_to_end() -> None:
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    await over.wait()


def receive(address: str, seconds: str) -> None:
    """Accept one stream and print its rate in Mbit/s."""
    with _listen(address) as listener:
        sock, _ = listener.accept()
        buffer = bytearray(CHUNK)
        print(_rate(lambda: sock.recv_into(buffer), float(seconds)), flush=True)


def send(address: str) -> None:
    """Send as fast as it goes until nobody reads."""
    data = bytes(CHUNK)
    with socket.create_connection((address, 5001)) as sock, contextlib.suppress(OSError):
        while True:
            sock.sendall(data)


def receive_tls(address: str, seconds: str, folder: str) -> None:
    """Accept one TLS stream, decrypt it as the product does and print its rate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(folder, "cert.pem"), Path(folder, "key.pem"))
    with _listen(address) as listener:
        sock, _ = listener.accept()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        _shake_hands(sock, tls, incoming, outgoing)
        raw, clear = memoryview(bytearray(CHUNK)), memoryview(bytearray(2 * CHUNK))

        def once() -> int:
            incoming.write(raw[: sock.recv_into(raw)])
            got = 0
            with contextlib.suppress(ssl.SSLWantReadError):
                while True:
                    got += tls.read(2 * CHUNK - got, clear[got:])  # type: ignore[operator]
            return got

        print(_rate(once, float(seconds)), flush=True)


def send_tls(address: str, folder: str) -> None:
    """Encrypt as the product does, and send as fast as it goes."""
    context = ssl.create_default_context(cafile=str(Path(folder, "cert.pem")))
    data = bytes(RECORDS)
    with socket.create_connection((address, 5001)) as sock, contextlib.suppress(OSError):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname=NAME)
        _shake_hands(sock, tls, incoming, outgoing)
        while True:
            tls.write(data)
            sock.sendall(outgoing.read())


def _shake_hands(
    sock: socket.socket, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
) -> None:
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            sock.sendall(outgoing.read())
            incoming.write(sock.recv(CHUNK))
    sock.sendall(outgoing.read())


def _listen(address: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, 5001), family=family)
    print("ready", flush=True)
    return listener


def _rate(once: Callable[[], int], seconds: float) -> float:
    begin = time.monotonic() + WARM_UP
    while time.monotonic() < begin:
        once()
    begin, total = time.monotonic(), 0
    while (now := time.monotonic()) < begin + seconds:
        total += once()
    return total * 8 / (now - begin) / 1e6


# Outside


class Space:
    """An anonymous network namespace; it goes with its process."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "-n", "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE
        )
        assert self._holder.stdout is not None
        self._holder.stdout.readline()
        self.pid = self._holder.pid
        self.run("ip", "link", "set", "lo", "up")
        self.run("sysctl", "-qw", f"net.ipv4.tcp_congestion_control={CONGESTION_CONTROL}")

    def run(self, *words: str) -> str:
        command = ["nsenter", "-t", str(self.pid), "-n", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    @contextlib.contextmanager
    def part(self, *words: str, pure: bool = False) -> Iterator["subprocess.Popen[str]"]:
        """Run one of this module's parts there."""
        command = ["nsenter", "-t", str(self.pid), "-n", sys.executable, "-m", "bench.pump"]
        environment = os.environ | {"THROUGHWAY_PURE": "1" if pure else "0"}
        part = subprocess.Popen(
            [*command, *words], stdout=subprocess.PIPE, text=True, env=environment
        )
        try:
            yield part
        finally:
            part.terminate()
            part.communicate()

    def close(self) -> None:
        self._holder.kill()
        self._holder.communicate()


def said(part: "subprocess.Popen[str]") -> str:
    """Return the next line of a part."""
    assert part.stdout is not None
    line = part.stdout.readline().strip()
    if not line:
        raise SystemExit(f"a part ended early: {part.args!r}")
    return line


def measure(to: Space, source: Space, address: str, seconds: float, *tls: str) -> float:
    """Return the rate of one stream in Mbit/s."""
    kind = "-tls" if tls else ""
    with to.part(f"receive{kind}", address, str(seconds), *tls) as receiver:
        said(receiver)
        with source.part(f"send{kind}", address, *tls):
            return float(said(receiver))


def candidate(
    name: str, spaces: dict[str, Space], seconds: float, folder: str
) -> dict[str, object]:
    """Measure one candidate, up and down."""
    outside, inside = spaces["gateway"], spaces["client"]
    if name == "plain TLS":
        return {
            "up": measure(outside, inside, OUTER["gateway"], seconds, folder),
            "down": measure(inside, outside, OUTER["client"], seconds, folder),
        }
    pure = name == "pure"
    with (
        outside.part("gateway", folder, pure=pure) as server,
        contextlib.ExitStack() as stack,
    ):
        pump = said(server)
        link = stack.enter_context(inside.part("client", folder, pure=pure))
        if not (pump.startswith(name) and said(link).startswith(name)):
            raise SystemExit(f"the {name} pump is not to be had: {pump}")
        wait_reachable(inside)
        return {
            "up": measure(outside, inside, INNER["gateway"], seconds),
            "down": measure(inside, outside, INNER["client"], seconds),
        }


def wait_reachable(space: Space) -> None:
    """Wait until packets cross."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with contextlib.suppress(subprocess.CalledProcessError):
            space.run("ping", "-6", "-c1", "-W1", "-I", INNER["client"], INNER["gateway"])
            return
    raise SystemExit("no packet crosses the link")


@contextlib.contextmanager
def world() -> Iterator[tuple[dict[str, Space], str]]:
    """Two namespaces, a wire and a certificate."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        certificate = ("-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem", "-nodes")
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", f"/CN={NAME}")
        extension = ("-addext", f"subjectAltName=DNS:{NAME}")
        subprocess.run(
            ["openssl", "req", "-x509", *curve, *certificate, *extension],
            check=True,
            capture_output=True,
        )
        spaces = {}
        for name in ("gateway", "client"):
            spaces[name] = Space()
            stack.callback(spaces[name].close)
        ends = [("wire", "netns", str(space.pid)) for space in spaces.values()]
        words = ("ip", "link", "add", *ends[0], "type", "veth", "peer", "name", *ends[1])
        subprocess.run(words, check=True)
        for name, space in spaces.items():
            space.run("ip", "addr", "add", f"{OUTER[name]}/24", "dev", "wire")
            space.run("ip", "link", "set", "wire", "up")
        yield spaces, folder


def table(rounds: list[dict[str, dict[str, float]]]) -> str:
    """Return the medians, and their share of plain TLS."""
    lines = [f"{'Mbit/s':<12}{'up':>8}{'down':>8}{'up/limit':>10}{'down/limit':>12}"]
    medians = {
        name: [statistics.median(one[name][way] for one in rounds) for way in ("up", "down")]
        for name in rounds[0]
    }
    limit = medians.get("plain TLS", [float("nan")] * 2)
    for name, (up, down) in medians.items():
        shares = f"{up / limit[0]:>10.2f}{down / limit[1]:>12.2f}"
        lines.append(f"{name:<12}{up:>8.0f}{down:>8.0f}{shares}")
    return "\n".join(lines)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="Measure the packet pump.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--only", choices=CANDIDATES, action="append")
    asked = parser.parse_args()
    rounds = []
    with world() as (spaces, folder):
        for number in range(asked.rounds):
            rounds.append(
                {
                    name: candidate(name, spaces, asked.seconds, folder)
                    for name in asked.only or CANDIDATES
                }
            )
            print(number + 1, json.dumps(rounds[-1]), flush=True)
    print(table(rounds))  # type: ignore[arg-type]
    record = {
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "congestion control": CONGESTION_CONTROL,
        "seconds": asked.seconds,
        "load average at the end": os.getloadavg()[0],
        "rounds": rounds,
    }
    RESULT.write_text(json.dumps(record, indent=2) + "\n")


PARTS: dict[str, Callable[..., None]] = {
    "gateway": gateway,
    "client": client,
    "receive": receive,
    "send": send,
    "receive-tls": receive_tls,
    "send-tls": send_tls,
}

if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in PARTS:
        PARTS[sys.argv[1]](*sys.argv[2:])
    else:
        main()
