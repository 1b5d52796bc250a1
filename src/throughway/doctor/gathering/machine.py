"""What the machine itself says: commands that only read, settings of the kernel, files."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from throughway.doctor.parsers.linux.kept import HEADING

COMMAND_TIMEOUT = 10.0
"""Seconds of one command; they ask the kernel, not the network."""
MAXIMUM_OUTPUT = 1024 * 1024
"""Bytes of one output."""
MAXIMUM_ENTRIES = 2000
"""Entries of a JSON list; a machine with more routes says nothing new."""
SETTINGS = ("disable_ipv6", "forwarding", "accept_ra", "accept_ra_rt_info_max_plen", "autoconf")
"""Of each device, for IPv6."""
KERNEL_SETTINGS = "sysctl -a -r '^net.ipv[46].conf.*(forwarding|disable_ipv6|accept_ra)$'"
"""What prints by hand what matters of them."""
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class NotGathered(Exception):
    """Why something could not be gathered, in words for a person."""


def run(argv: Sequence[str], timeout: float = COMMAND_TIMEOUT) -> str:
    """Return what a command prints; :exc:`NotGathered` when it fails without a word of that."""
    environment = {"PATH": os.environ.get("PATH") or SYSTEM_PATH, "LC_ALL": "C.UTF-8"}
    environment["PATH"] += f":{SYSTEM_PATH}"
    try:
        answer = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            env=environment,
            check=False,
        )
    except FileNotFoundError:
        raise NotGathered(f"{argv[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise NotGathered(f"{argv[0]} took longer than {timeout:g} s") from None
    except OSError as error:
        raise NotGathered(f"{argv[0]}: {error.strerror}") from None
    output = answer.stdout.decode("utf-8", "replace")
    if answer.returncode and not output.strip():
        why = answer.stderr.decode("utf-8", "replace").strip().partition("\n")[0][:200]
        raise NotGathered(f"{why or f'{argv[0]} failed'}{for_root(why)}")
    return bounded(output)


def run_json(argv: Sequence[str]) -> str:
    """Return what a command prints as JSON, a value a line, not more than is worth while."""
    output = run(argv)
    try:
        data = json.loads(output or "[]")
    except ValueError:
        return output
    if isinstance(data, list):
        # iproute2 prints an empty object for what an older kernel does not tell.
        data = [item for item in data if item][:MAXIMUM_ENTRIES]
        if not data:
            return f"{HEADING}{' '.join(argv)}\n[]\n"
    return json.dumps(data, indent=1) + "\n"


def bounded(text: str, limit: int = MAXIMUM_OUTPUT) -> str:
    """Return the text, cut off at a line where it is too long."""
    if len(text) <= limit:
        return text
    return text[: text.rfind("\n", 0, limit) + 1]


def for_root(why: str) -> str:
    """Return what to add where the system lets root do it only."""
    refused = any(word in why.lower() for word in ("not permitted", "permission denied"))
    return "; run as root" if refused and os.geteuid() != 0 else ""


def read(file: Path, limit: int = MAXIMUM_OUTPUT) -> str:
    """Return the text of a file."""
    try:
        with file.open("rb") as stream:
            return stream.read(limit).decode("utf-8", "replace")
    except FileNotFoundError:
        raise NotGathered(f"{file} is not there") from None
    except OSError as error:
        raise NotGathered(f"{file}: {error.strerror}{for_root(error.strerror or '')}") from None


def tail(file: Path, lines: int, limit: int) -> str:
    """Return the last lines of a file, not more than so many bytes."""
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - limit))
            content = stream.read(limit).decode("utf-8", "replace")
    except FileNotFoundError:
        raise NotGathered(f"{file} is not there") from None
    except OSError as error:
        raise NotGathered(f"{file}: {error.strerror}{for_root(error.strerror or '')}") from None
    last = content.splitlines()[1 if size > limit else 0 :][-lines:]
    return "".join(f"{line}\n" for line in last)


def kernel_settings(root: Path = Path("/proc/sys/net")) -> str:
    """Return the settings that our ways depend on, as sysctl prints them."""
    found = []
    devices = root / "ipv6" / "conf"
    names = sorted(os.listdir(devices)) if devices.is_dir() else []
    paths = [devices / name / setting for name in names for setting in SETTINGS]
    paths += [root / "ipv4" / "ip_forward", root / "ipv6" / "bindv6only"]
    for path in paths:
        try:
            value = path.read_text().strip()
        except OSError:
            continue
        # As sysctl does: a dot in the name of a device is a slash.
        parts = [part.replace(".", "/") for part in path.relative_to(root).parts]
        found.append(f"net.{'.'.join(parts)} = {value}\n")
    if not found:
        raise NotGathered(f"{root} cannot be read")
    return "".join(found)
