"""What goes over the wire, seen beside the tunnel: run in a namespace as ``python -m bench.wire``.

Counts the frames of an interface, their bytes, and those in which a text stands in the clear,
until its standard input ends.
"""

import json
import select
import socket
import sys

ALL_PROTOCOLS = 3
"""ETH_P_ALL of linux/if_ether.h, in network order on the socket."""
MAX_FRAME = 1 << 17
"""Super-packets of the kernel are one frame."""


def main(interface: str, mark: str) -> None:
    """Count and print."""
    seen = {"frames": 0, "bytes": 0, "clear": 0}
    raw, text = bytearray(MAX_FRAME), mark.encode()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS)) as wire:
        wire.bind((interface, ALL_PROTOCOLS))
        print("ready", flush=True)
        while True:
            readable, _, _ = select.select([wire, sys.stdin], [], [])
            if sys.stdin in readable:
                break
            size = wire.recv_into(raw)
            seen["frames"] += 1
            seen["bytes"] += size
            seen["clear"] += raw.find(text, 0, size) >= 0
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
