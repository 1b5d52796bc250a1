"""/etc/resolv.conf, taken over for the stub resolver and given back, whatever happens between.

The original is kept in the state directory before anything is changed, so that it can be given
back by the next start or by :func:`restore` after a crash. Whoever else writes the file (a DHCP
client, an administrator) is listened to: what it wrote becomes the new original. Format:
resolv.conf(5).

systemd-resolved needs no calls of its own. It reads a resolv.conf that is not a link to its own
files, counts our stub among its servers, and asks *only* these servers for names under a domain
of the search list. So where it runs the intranet's suffixes are added to that list. (Domains on
the IP-HTTPS interface would count only once that has an address: until then names would leak.)
"""

import asyncio
import errno
import json
import os
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from throughway.model.policy import NRPTRule
from throughway.net.file_watch import FileWatch
from throughway.net.files import naming

RESOLV_CONF = Path("/etc/resolv.conf")
RESOLVED_UPLINKS = Path("/run/systemd/resolve/resolv.conf")
"""Where systemd-resolved names the servers that it asks itself."""
RESOLVED_STUBS = frozenset({"127.0.0.53", "127.0.0.54"})
KEPT = "resolv.conf.original"
MARKER = "# Written by throughway; the file as it was is given back when the client ends.\n"
POLL_INTERVAL = 1.0
"""Seconds between looks at the file where the kernel does not tell of it; a stat costs
microseconds, and works on every mount."""
HURRIES = 3
"""Times that a file which is written again and again is taken over at once: a DHCP client for each
version of IP, and one more."""
MAXIMUM_INTERVAL = 8.0
"""Seconds, when another program insists: two that fight must not keep the machine busy."""
_NO_RENAME = {errno.EBUSY, errno.EXDEV, errno.EROFS, errno.EACCES, errno.EPERM}
"""What renaming over a bind mount gives, or writing beside the file in a closed directory."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a resolv.conf says."""

    servers: tuple[str, ...]
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Original:
    """What was at the path before us."""

    kind: str
    """``file``, ``link`` or ``missing``."""
    text: str = ""
    target: str = ""
    mode: int = 0o644


def parse_resolv_conf(text: str) -> Settings:
    """Read a resolv.conf; unknown lines are passed over, as the C library does."""
    servers: list[str] = []
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    for line in text.splitlines():
        words = line.split()
        match words[:1]:
            case ["nameserver"] if len(words) > 1:
                servers.append(words[1])
            case ["search" | "domain"]:
                # The last one counts.
                search = tuple(words[1:])
            case ["options"]:
                options += tuple(words[1:])
    return Settings(tuple(dict.fromkeys(servers)), search, options)


def build_resolv_conf(stub: str, original: Settings, domains: tuple[str, ...] = ()) -> str:
    """Return the file that names the stub and keeps search list and options."""
    lines = [MARKER, f"nameserver {stub}\n"]
    if search := dict.fromkeys(original.search + domains):
        lines.append(f"search {' '.join(search)}\n")
    if original.options:
        lines.append(f"options {' '.join(original.options)}\n")
    return "".join(lines)


def intranet_domains(rules: tuple[NRPTRule, ...]) -> tuple[str, ...]:
    """Return the domains whose names resolved must leave to the stub."""
    names = (rule.namespace.strip(".").lower() for rule in rules if not rule.exemption)
    return tuple(dict.fromkeys(name for name in names if name))


class ResolvConf:
    """The machine's resolver settings while the stub serves them."""

    def __init__(self, state: Path, stub: str, path: Path = RESOLV_CONF) -> None:
        """``state``: directory for the original; ``stub``: address of the stub resolver."""
        self._kept = state / KEPT
        self._stub = stub
        self._path = path
        self._domains: tuple[str, ...] = ()
        self._seen: object = None
        self._changing = threading.RLock()
        """Held by whoever reads and writes both files: :meth:`watch` has a thread."""
        self._hurries = 0
        """How often more what is written may be taken over at once."""

    def take(self, domains: tuple[str, ...] | None = None) -> Settings:
        """Take the file over, unless it is; return what it said before us.

        ``domains``: those of :func:`intranet_domains`; None: the ones given before.
        """
        with self._changing:
            self._domains = self._domains if domains is None else domains
            settings = self._take()
            assert settings is not None
            return settings

    def _take(self, *, whole: bool = False) -> Settings | None:
        """Take it over; ``whole``: not what is gone or empty, since somebody is about to write."""
        if not (is_ours(self._path) and self._kept.exists()):
            original = _read_original(self._path)
            if whole and not original.text:
                return None
            if original.text.startswith(MARKER):
                # The state directory was lost, and with it the servers.
                rest = [line for line in original.text.splitlines(True) if self._stub not in line]
                original = _Original("file", "".join(rest).removeprefix(MARKER))
            _write(self._kept, _serialise(original), 0o600)
        settings = self.upstream()
        domains = self._domains if RESOLVED_UPLINKS.exists() else ()
        text = build_resolv_conf(self._stub, settings, domains)
        if _text(self._path) != text or self._path.is_symlink():
            _write(self._path, text, 0o644)
        self._seen = self._signature()
        return settings

    def check(self, *, whole: bool = False) -> Settings | None:
        """Take over again if somebody else has written; return what is new, else None.

        ``whole``: leave what is gone or empty, since somebody is about to write, to a later look.
        Where that cannot be (a full disk) :meth:`effective` says no, and the next look tries again.
        """
        with self._changing:
            if self._signature() == self._seen:
                return None
            try:
                return self._take(whole=whole)
            except OSError:
                return None

    def effective(self) -> bool:
        """Say whether the machine asks the stub now."""
        return is_ours(self._path)

    def upstream(self) -> Settings:
        """Return the settings for names that are not the intranet's."""
        original = _deserialise(self._kept.read_text())
        text = original.text
        if original.kind == "link":
            # Its owner goes on writing behind the link.
            text = _text(self._path.parent / original.target) or text
        settings = parse_resolv_conf(text)
        servers = settings.servers
        if RESOLVED_STUBS.issuperset(servers) and (uplinks := _text(RESOLVED_UPLINKS)):
            servers = parse_resolv_conf(uplinks).servers
        # resolved reads the file too, and then counts the stub among its servers.
        others = tuple(server for server in servers if server != self._stub)
        # Without a server the C library asks the machine itself: resolv.conf(5).
        return Settings(others or ("127.0.0.1",), settings.search, settings.options)

    def restore(self) -> None:
        """Give the file back as it was, unless somebody else has written since."""
        restore(self._kept.parent, self._path)

    async def watch(self, on_change: Callable[[Settings], None]) -> None:
        """Take over at once what is written, look again and again; call back with what it was.

        Until it is taken over, names of the intranet are asked in the network. Ends by
        cancellation.
        """
        loop = asyncio.get_running_loop()
        taken: asyncio.Queue[Settings] = asyncio.Queue()

        def written() -> None:
            if self._hurries > 0 and (settings := self.check(whole=True)):
                self._hurries -= 1
                loop.call_soon_threadsafe(taken.put_nowait, settings)

        interval, self._hurries = POLL_INTERVAL, HURRIES
        with FileWatch(self._path, written):
            while True:
                settings = None
                with suppress(TimeoutError):
                    async with asyncio.timeout(interval):
                        settings = await taken.get()
                if settings := settings or self.check():
                    interval = min(interval * 2, MAXIMUM_INTERVAL)
                    on_change(settings)
                else:
                    interval, self._hurries = POLL_INTERVAL, HURRIES

    def _signature(self) -> object:
        paths = [self._path, RESOLVED_UPLINKS]
        with suppress(OSError, ValueError):
            original = _deserialise(self._kept.read_text())
            if original.kind == "link":
                paths.append(self._path.parent / original.target)
        return [_stat(path) for path in paths]


def restore(state: Path, path: Path = RESOLV_CONF) -> bool:
    """Give back what a client that ended badly has taken; say whether there was anything."""
    kept = state / KEPT
    try:
        original = _deserialise(kept.read_text())
    except FileNotFoundError:
        return False
    if is_ours(path):
        _put_back(original, path)
    kept.unlink()
    return True


def _put_back(original: _Original, path: Path) -> None:
    if original.kind == "file":
        _write(path, original.text, original.mode)
        return
    try:
        if original.kind == "link":
            beside = path.with_name(f".{path.name}.throughway")
            beside.unlink(missing_ok=True)
            beside.symlink_to(original.target)
            beside.replace(path)
        else:
            path.unlink()
    except OSError as error:
        if error.errno not in _NO_RENAME:
            raise
        _write_in_place(path, original.text)


def _read_original(path: Path) -> _Original:
    if path.is_symlink():
        return _Original("link", _text(path) or "", str(path.readlink()))
    if (text := _text(path)) is None:
        return _Original("missing")
    return _Original("file", text, mode=stat.S_IMODE(path.stat().st_mode))


def is_ours(path: Path) -> bool:
    """Say whether the file is one that a client has written."""
    return not path.is_symlink() and (_text(path) or "").startswith(MARKER)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _write(path: Path, text: str, mode: int) -> None:
    """Replace a file at one stroke; where it is a mount point, as nearly so as can be."""
    beside = path.with_name(f".{path.name}.throughway")
    try:
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with naming(path), os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, mode)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        if error.errno not in _NO_RENAME:
            raise
        try:
            _write_in_place(path, text)
        except FileNotFoundError:
            raise error from None


def _write_in_place(path: Path, text: str) -> None:
    # Not truncated first: a reader, or a crash, in between finds the marker and our server.
    # Never through a link: the file behind it is somebody else's.
    with os.fdopen(os.open(path, os.O_RDWR | os.O_NOFOLLOW), "r+b") as file:
        file.write(text.encode())
        file.truncate()


def _serialise(original: _Original) -> str:
    fields = (original.kind, original.text, original.target, original.mode)
    return json.dumps(fields) + "\n"


def _deserialise(text: str) -> _Original:
    kind, content, target, mode = json.loads(text)
    return _Original(str(kind), str(content), str(target), int(mode))
