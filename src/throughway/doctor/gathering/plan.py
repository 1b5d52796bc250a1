"""Gather everything, one piece after the other; what cannot be had is told, and stops nothing."""

import json
import os
import platform
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from throughway import __version__
from throughway.control.client import ask
from throughway.control.codec import JSON
from throughway.doctor.gathering import machine
from throughway.doctor.gathering.certificates import certificates
from throughway.doctor.gathering.machine import NotGathered
from throughway.doctor.gathering.secrets import scrub, secrets_of, without_comments
from throughway.doctor.parsers.linux.kept import HEADING
from throughway.model.errors import ControlError

COLLECTION = "throughway collect"
STATUS_DEADLINE = 10.0
LOOK_DEADLINE = 30.0
"""Seconds in which a daemon must answer, and have looked at everything anew."""
NETWORK_TIMEOUT = 45.0
"""Seconds of a look at the network."""
LOG_LINES, LOG_BYTES = 1000, 256 * 1024
EVENT_LINES = 300
JOURNAL_BYTES = 16 * 1024 * 1024
"""Of a journal before its end is taken."""
CLIENT, GATEWAY = "client", "gateway"
_IN_JSON = (
    ("ip-address.json", "ip -j -p address show"),
    ("ip-route-6.json", "ip -j -p -6 route show table all"),
    ("ip-route-4.json", "ip -j -p -4 route show table all"),
)
_AS_TEXT = (
    ("ip-rule.txt", "ip rule show"),
    ("ip-rule-6.txt", "ip -6 rule show"),
    ("processes.txt", "ps -eo pid,uid,etimes,rss,stat,comm"),
    ("clock.txt", "timedatectl show"),
)
_CONNECTED = ("connected-remotely", "connected-locally")

Told = Callable[[str], None]


def _nobody(name: str) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where things are on this machine."""

    client_config: Path = Path("/etc/throughway/client.toml")
    gateway_config: Path = Path("/etc/throughway/gateway.toml")
    client_socket: Path = Path("/run/throughway/client.sock")
    gateway_socket: Path = Path("/run/throughway/gateway.sock")
    logs: Path = Path("/var/log/throughway")
    resolv_conf: Path = Path("/etc/resolv.conf")

    def config(self, daemon: str) -> Path:
        """Return a daemon's configuration."""
        return self.client_config if daemon == CLIENT else self.gateway_config

    def socket(self, daemon: str) -> Path:
        """Return a daemon's control socket."""
        return self.client_socket if daemon == CLIENT else self.gateway_socket

    def configured(self, daemon: str) -> bool:
        """Whether this machine should run the daemon."""
        return os.path.exists(self.config(daemon)) or os.path.exists(self.socket(daemon))

    def daemons(self) -> tuple[str, ...]:
        """Return those that should run here."""
        return tuple(daemon for daemon in (CLIENT, GATEWAY) if self.configured(daemon))


@dataclass(slots=True)
class Gathered:
    """What was gathered, and what could not be."""

    files: dict[str, str] = field(default_factory=dict)
    commands: dict[str, str] = field(default_factory=dict)
    """What each file is, in words or as a command."""
    missing: dict[str, str] = field(default_factory=dict)
    """What could not be had, and why."""


@dataclass(slots=True)
class _Gatherer:
    places: Places
    network: bool
    told: Told
    now: datetime
    done: Gathered = field(default_factory=Gathered)
    status: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, file: str, command: str, get: Callable[[], str]) -> None:
        """Gather one piece."""
        self.told(command)
        try:
            text = get()
        except NotGathered as error:
            self.done.missing[command] = str(error)
            return
        self.done.files[file] = text
        self.done.commands[file] = command

    def run(self) -> Gathered:
        """Gather everything."""
        for daemon in self.places.daemons():
            self._ask(daemon)
        self._daemons()
        self._kernel()
        for daemon in self.places.daemons():
            self._configuration(daemon)
        self.add("certificates.json", "the certificates that are configured", self._certificates)
        for daemon in self.places.daemons():
            self._logs(daemon)
        self._rest()
        if self.network and self._looks_at_network():
            self._look_at_network()
        return self.done

    # Our daemons

    def _ask(self, daemon: str) -> None:
        path = self.places.socket(daemon)
        command = f"throughway {daemon} status --json"
        self.told(command)
        try:
            if daemon == GATEWAY and os.geteuid() == 0:
                self._let_look(path)
            status = ask(path, "status", deadline=STATUS_DEADLINE)
        except ControlError as error:
            self.done.missing[command] = f"{error}{machine.for_root(str(error))}"
            return
        if isinstance(status, dict):
            self.status[daemon] = dict(status)
            self.done.files[f"{daemon}-status.json"] = json.dumps(status, indent=2) + "\n"
            self.done.commands[f"{daemon}-status.json"] = command

    @staticmethod
    def _let_look(path: Path) -> None:
        """Let the gateway look at everything now.

        An older one has no such command, and one that looks for long still says what it knows.
        """
        with suppress(ControlError):
            ask(path, "look", deadline=LOOK_DEADLINE)

    def _daemons(self) -> None:
        rows: list[JSON] = [self._daemon(daemon) for daemon in (CLIENT, GATEWAY)]
        self.done.files["daemons.json"] = json.dumps({"daemons": rows}, indent=1) + "\n"
        self.done.commands["daemons.json"] = "the daemons' control sockets"

    def _daemon(self, daemon: str) -> dict[str, JSON]:
        why = self.done.missing.get(f"throughway {daemon} status --json", "")
        refused = "ermission denied" in why
        answers: bool | None = daemon in self.status
        return {
            "daemon": daemon,
            "configured": self.places.configured(daemon),
            "socket": str(self.places.socket(daemon)),
            "answers": None if refused else answers,
            "why": why,
        }

    # The machine

    def _kernel(self) -> None:
        for file, command in _IN_JSON:
            self.add(file, command, partial(machine.run_json, command.split()))
        for file, command in _AS_TEXT:
            self.add(file, command, partial(_printed, command))
        self.add("ss-tulnp.txt", "ss -tulnp", lambda: machine.run(("ss", "-tulnp")))
        self.add("nft-list-ruleset.txt", "nft list ruleset", _filter)
        self.add("sysctl.txt", machine.KERNEL_SETTINGS, machine.kernel_settings)

    def _configuration(self, daemon: str) -> None:
        file = self.places.config(daemon)
        self.add(
            f"{daemon}.toml",
            f"cat {file}",
            lambda: _headed(str(file), without_comments(machine.read(file))),
        )

    def _certificates(self) -> str:
        rows: list[dict[str, Any]] = []
        for daemon in self.places.daemons():
            file = self.places.config(daemon)
            text = self.done.files.get(f"{daemon}.toml", "")
            rows += certificates(text, file.parent, daemon, self.now)
        if not rows:
            unread = [d for d in self.places.daemons() if f"{d}.toml" not in self.done.files]
            raise NotGathered(
                f"{' and '.join(unread)}.toml cannot be read"
                if unread
                else "no configuration names any"
            )
        return json.dumps({"certificates": rows}, indent=1) + "\n"

    def _logs(self, daemon: str) -> None:
        self.add(f"{daemon}-log.txt", f"log of the {daemon}", lambda: self._log(daemon))
        file = self.places.logs / f"{daemon}-events.jsonl"
        self.add(
            f"{daemon}-events.txt",
            str(file),
            lambda: _headed(str(file), machine.tail(file, EVENT_LINES, LOG_BYTES)),
        )

    def _log(self, daemon: str) -> str:
        file = self.places.logs / f"{daemon}.log"
        if file.exists():
            return _headed(str(file), machine.tail(file, LOG_LINES, LOG_BYTES))
        command = f"journalctl -u throughway-{daemon} -n {LOG_LINES} --no-pager -o short-iso"
        printed = machine.run(command.split(), limit=JOURNAL_BYTES)
        return _headed(command, machine.ending(printed, LOG_BYTES))

    def _rest(self) -> None:
        file = self.places.resolv_conf
        self.add("resolv.conf.txt", str(file), lambda: _headed(str(file), machine.read(file)))

    # The network

    def _looks_at_network(self) -> bool:
        """A client that is connected, or inside, needs no look, which would only disturb."""
        if not self.places.configured(CLIENT):
            return False
        return self.status.get(CLIENT, {}).get("connection") not in _CONNECTED

    def _look_at_network(self) -> None:
        config = ("--config", str(self.places.client_config))
        netcheck = (sys.executable, "-m", "throughway.cli.main", "netcheck", "--json", *config)
        self.add("netcheck.json", "throughway netcheck --json", lambda: _seen(netcheck))
        link = self.status.get(CLIENT, {}).get("link")
        url = link.get("url") if isinstance(link, dict) else ""
        if isinstance(url, str) and url.startswith("https://"):
            probe = (sys.executable, "-m", "throughway.cli.main", "probe", "--json", url)
            self.add("probe.json", f"throughway probe --json {url}", lambda: _seen(probe))


def _printed(command: str) -> str:
    return _headed(command, machine.run(command.split()))


def _seen(argv: tuple[str, ...]) -> str:
    return machine.run(argv, NETWORK_TIMEOUT)


def _filter() -> str:
    text = machine.run(("nft", "list", "ruleset"))
    return text if text.strip() else _headed("nft list ruleset", "")


def _headed(what: str, text: str) -> str:
    """Return a text with the line by which it is known again."""
    return f"{HEADING}{what}\n{text}"


def gather(
    places: Places, *, network: bool = True, told: Told = _nobody, now: datetime | None = None
) -> Gathered:
    """Gather all that this machine says; no secret is in it."""
    now = now or datetime.now(UTC)
    done = _Gatherer(places, network, told, now).run()
    secrets = list(_secrets(places))
    done.files = {name: scrub(text, secrets) for name, text in done.files.items()}
    done.missing = {what: scrub(why, secrets) for what, why in done.missing.items()}
    done.files = {"manifest.json": _manifest(done, places, now), **done.files}
    return done


def _secrets(places: Places) -> Iterator[bytes]:
    """Yield all secrets of this machine that we may read, the longest first."""
    found: set[bytes] = set()
    for daemon in places.daemons():
        file = places.config(daemon)
        try:
            found |= set(secrets_of(machine.read(file), file.parent))
        except NotGathered:
            continue
    yield from sorted(found, key=len, reverse=True)


def _manifest(done: Gathered, places: Places, now: datetime) -> str:
    data = {
        "collection": COLLECTION,
        "version": 1,
        "throughway": __version__,
        "computer": socket.gethostname(),
        "system": f"{platform.system()} {platform.release()}",
        "roles": list(places.daemons()),
        "started": now.isoformat(timespec="seconds"),
        "elevated": os.geteuid() == 0,
        "commands": [{"file": file, "command": command} for file, command in done.commands.items()],
        "missing": [{"what": what, "why": why} for what, why in done.missing.items()],
    }
    return json.dumps(data, indent=1) + "\n"
