"""``python -m throughway.client --config FILE``: the daemon without the command line's weight."""

import sys
from pathlib import Path

from throughway.client.daemon import run

if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "--config":
        sys.exit("usage: python -m throughway.client --config FILE")
    sys.exit(run(Path(sys.argv[2])))
