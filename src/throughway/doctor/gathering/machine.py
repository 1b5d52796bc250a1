"""What the machine itself says: commands that only read, settings of the kernel, files."""

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from throughway.doctor.parsers.linux.kept import HEADING

COMMAND_TIMEOUT = 10.0
"""Seconds of one command; they ask the kernel, not the network."""
MAXIMUM_OUTPUT = 1024 * 1024
"""Bytes of one output."""
MAXIMUM_JSON = 16 * 1024 * 1024
"""Bytes of a list before it is cut by its entries: a list that breaks off says nothing."""
MAXIMUM_ENTRIES = 2000
"""Entries of a JSON list; a machine with more routes says nothing new."""
_PIECE = 65_536
_LAST_WAIT = 2.0
"""Seconds for a killed command to go; who is stuck in the kernel goes later."""
SETTINGS = ("disable_ipv6", "forwarding", "accept_ra", "accept_ra_rt_info_max_plen", "autoconf")
"""Of each device, for IPv6."""
KERNEL_SETTINGS = "sysctl -a -r '^net.ipv[46].conf.*(forwarding|disable_ipv6|accept_ra)$'"
"""What prints by hand what matters of them."""
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class NotGathered(Exception):
    """Why something could not be gathered, in words for a person."""


def run(argv: Sequence[str], timeout: float = COMMAND_TIMEOUT, limit: int = MAXIMUM_OUTPUT) -> str:
    """Return what a command prints; :exc:`NotGathered` when it fails without a word of that."""
    environment = {"PATH": os.environ.get("PATH") or SYSTEM_PATH, "LC_ALL": "C.UTF-8"}
    environment["PATH"] += f":{SYSTEM_PATH}"
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise NotGathered(f"{argv[0]} is not installed") from None
    except OSError as error:
        raise NotGathered(f"{argv[0]}: {error.strerror}") from None
    try:
        heard = _heard(process, time.monotonic() + timeout, limit)
        status = process.returncode
    finally:
        _end(process)
    if heard is None:
        raise NotGathered(f"{argv[0]} took longer than {timeout:g} s")
    output, complaint = (part.decode("utf-8", "replace") for part in heard)
    if status and not output.strip():
        why = complaint.strip().partition("\n")[0][:200]
        raise NotGathered(f"{why or f'{argv[0]} failed'}{for_root(why)}")
    return bounded(output, limit)


def _heard(
    process: subprocess.Popen[bytes], deadline: float, limit: int
) -> tuple[bytes, bytes] | None:
    """Return what was printed, of a flood the beginning; None when it did not end in time."""
    assert process.stdout is not None
    assert process.stderr is not None
    heard = {process.stdout: bytearray(), process.stderr: bytearray()}
    with selectors.DefaultSelector() as selector:
        for stream in heard:
            selector.register(stream, selectors.EVENT_READ, heard[stream])
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                return None
            for key, _ in ready:
                piece = os.read(key.fd, _PIECE)
                if not piece:
                    selector.unregister(key.fileobj)
                key.data.extend(piece[: max(0, limit + 1 - len(key.data))])
            if len(heard[process.stdout]) > limit:
                break
            if time.monotonic() > deadline:
                return None
        else:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                return None
    return bytes(heard[process.stdout]), bytes(heard[process.stderr])


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let nothing of it go on, nor wait for what holds its output open."""
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LAST_WAIT)
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def run_json(argv: Sequence[str]) -> str:
    """Return what a command prints as JSON, a value a line, not more than is worth while."""
    output = run(argv, limit=MAXIMUM_JSON)
    try:
        data = json.loads(output or "[]")
    except ValueError:
        return bounded(output)
    if isinstance(data, list):
        # iproute2 prints an empty object for what an older kernel does not tell.
        data = [item for item in data if item]
        if len(data) > MAXIMUM_ENTRIES:
            # Of routes the wide ones: those that lead to all clients, not to one of them.
            data = sorted(data, key=_length)[:MAXIMUM_ENTRIES]
        if not data:
            return f"{HEADING}{' '.join(argv)}\n[]\n"
    return json.dumps(data, indent=1) + "\n"


def _length(item: object) -> int:
    """Return how long the prefix of a route is; 0 of what is none."""
    prefix = item.get("dst") if isinstance(item, dict) else None
    if not isinstance(prefix, str) or prefix == "default":
        return 0
    length = prefix.partition("/")[2]
    return int(length) if length.isdecimal() else 128


def bounded(text: str, limit: int = MAXIMUM_OUTPUT) -> str:
    """Return the text, cut off at a line where it is too long."""
    if len(text) <= limit:
        return text
    return text[: text.rfind("\n", 0, limit) + 1]


def ending(text: str, limit: int) -> str:
    """Return the end of a text, cut off at a line where it is too long: of a log the newest."""
    return text if len(text) <= limit else text[-limit:].partition("\n")[2]


def _at_once(path: str, flags: int) -> int:
    """Open without waiting: a FIFO would wait for somebody who writes."""
    return os.open(path, flags | os.O_NONBLOCK)


def for_root(why: str) -> str:
    """Return what to add where the system lets root do it only."""
    refused = any(word in why.lower() for word in ("not permitted", "permission denied"))
    return "; run as root" if refused and os.geteuid() != 0 else ""


def read(file: Path, limit: int = MAXIMUM_OUTPUT) -> str:
    """Return the text of a file."""
    try:
        with open(file, "rb", opener=_at_once) as stream:
            return stream.read(limit).decode("utf-8", "replace")
    except FileNotFoundError:
        raise NotGathered(f"{file} is not there") from None
    except OSError as error:
        raise NotGathered(f"{file}: {error.strerror}{for_root(error.strerror or '')}") from None


def tail(file: Path, lines: int, limit: int) -> str:
    """Return the last lines of a file, not more than so many bytes."""
    try:
        with open(file, "rb", opener=_at_once) as stream:
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
