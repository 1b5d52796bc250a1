"""A distance between home and gateway: a relay for TCP that holds every byte back; runs in a host.

    python delay.py LISTEN-PORT TARGET-ADDRESS TARGET-PORT ROUND-TRIP-SECONDS

The kernels that the lab must run on may lack netem, so it is made in user space. Half of the
round trip is added each way; the first bytes wait for one more, which is that of TCP's own
handshake.
"""

import asyncio
import contextlib
import sys

CHUNK = 65536


async def relay(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, late: float, first: float
) -> None:
    """Pass on what comes, each piece by so much later; keep the order."""
    clock = asyncio.get_running_loop().time
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def read() -> None:
        data, not_before = b"-", clock() + first
        while data:
            try:
                data = await source.read(CHUNK)
            except OSError:
                data = b""
            queue.put_nowait((max(clock() + late, not_before + late), data))

    reading = asyncio.create_task(read())
    try:
        while True:
            due, data = await queue.get()
            await asyncio.sleep(due - clock())
            if not data:
                break
            target.write(data)
            await target.drain()
    except OSError:
        pass
    finally:
        reading.cancel()
        target.close()


async def serve(port: int, address: str, target_port: int, round_trip: float) -> None:
    """Relay every connection until the end."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(address, target_port)
        except OSError:
            writer.transport.abort()
            return
        half = round_trip / 2
        await asyncio.gather(
            relay(reader, far_writer, half, round_trip), relay(far_reader, writer, half, 0.0)
        )

    server = await asyncio.start_server(accept, "0.0.0.0", port)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
