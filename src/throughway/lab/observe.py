"""What a person at a lab's computer would see: used by the demo and by the scenarios."""

import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from throughway.control.client import ask
from throughway.lab.capture import Capture
from throughway.lab.deployment import CLIENT, Daemon
from throughway.lab.lab import Lab
from throughway.lab.topology import PROBE
from throughway.model.errors import ControlError, LabError

PAGE = "http://app1.corp.example.com/"
PAGE_BY_ADDRESS = "http://[2001:db8:c0:2::80]/"
EDGE = "131.107.0.2"
PORTAL_PROBE = f"host {PROBE} and tcp port 80"
"""What a client asks where the gateway does not answer within a second."""
USER_PASSWORDS = "/etc/throughway-lab"
POLL = 0.05
"""Seconds between two looks."""
SETTLING = 0.3
"""Seconds after which a status shows what follows from what was waited for: that a tunnel is down,
say, where the client is inside."""
PATIENCE = 60.0
"""Seconds for anything to become true; many times what it takes on a busy machine."""

Status = dict[str, Any]


class Observer:
    """Looks at one client of a lab as its user does."""

    def __init__(self, lab: Lab, host: str) -> None:
        self.lab = lab
        self.host = host

    def status(self) -> Status:
        """Return ``client status --json``; nothing when the daemon does not answer."""
        return status_of(self.lab, self.host, CLIENT)

    def wait(
        self, what: str, seen: Callable[[Status], object], patience: float = PATIENCE
    ) -> Status:
        """Return the status once it shows what it must, and what follows from that."""
        deadline = time.monotonic() + patience
        status: Status = {}
        while time.monotonic() < deadline:
            status = self.status()
            if status and seen(status):
                time.sleep(SETTLING)
                later = self.status()
                return later if later and seen(later) else status
            time.sleep(POLL)
        raise LabError(f"{self.host}: {what} not seen in {patience:g} s: {summary(status)}")

    def wait_tunnel(self, name: str, patience: float = PATIENCE) -> Status:
        """Return a tunnel once it is up."""
        status = self.wait(f"{name} tunnel", lambda s: tunnel(s, name), patience)
        return tunnel(status, name)

    def log_on(self, user: str) -> None:
        """Log a user of the domain on."""
        password = f"{USER_PASSWORDS}/{user}.password"
        command = ["throughway", "login", user, "--password-file", password]
        answer = self.lab.run(self.host, command, timeout=60)
        if answer.returncode:
            raise LabError(f"{user} cannot log on: {answer.stdout}{answer.stderr}")

    def fetch(self, url: str = PAGE, patience: float = 3.0) -> str:
        """Return a page, "" when it cannot be had."""
        command = ["curl", "-gsS", "--max-time", f"{patience:g}", url]
        answer = self.lab.run(self.host, command)
        return answer.stdout if answer.returncode == 0 else ""

    def wait_page(self, url: str = PAGE, patience: float = PATIENCE) -> str:
        """Return the title of a page once it is there."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if text := self.fetch(url, 2.0):
                return title_of(text)
        raise LabError(f"{self.host}: {url} not there in {patience:g} s: {summary(self.status())}")


def status_of(lab: Lab, host: str, daemon: Daemon) -> Status:
    """Return what a daemon's ``status --json`` prints; nothing when it does not answer.

    The daemon is asked without the command, whose start costs more than all that is waited for.
    """
    root = f"/proc/{lab.namespaces(host).pid}/root"
    try:
        status: Any = ask(Path(root + daemon.control_socket), "status")
    except ControlError:
        return {}
    return dict(status)


def tunnel(status: Status, name: str) -> Status:
    """Return the tunnel of that name when it is up, else nothing."""
    return next((t for t in status["tunnels"] if t["name"] == name and t["state"] == "up"), {})


def problems(status: Status) -> set[str]:
    """Return the codes of the problems that are shown."""
    return {problem["code"] for problem in status.get("problems", ())}


def summary(status: Status) -> str:
    """Return the telling part of a status, for an error message."""
    if not status:
        return "the client daemon does not answer"
    tunnels = ", ".join(f"{t['name']} {t['state']} {t['last_error']}" for t in status["tunnels"])
    found = ", ".join(f"{p['code']} ({p['detail']})" for p in status["problems"])
    return (
        f"{status['connection']}; {status['location']} ({status['location_detail']}); "
        f"link {status['link']['state']} {status['link']['addresses']}; {tunnels}; "
        f"problems: {found}"
    )


def title_of(page: str) -> str:
    """Return the title of an HTML page, or its first line."""
    found = re.search(r"<title>(.*?)</title>", page, re.DOTALL)
    return found[1].strip() if found else page.strip().splitlines()[0]


def strangers(capture: Capture, allowed: Iterable[str]) -> list[str]:
    """Return the captured packets that none of the pcap filters ``allowed`` admits."""
    admitted = " or ".join(f"({one})" for one in allowed)
    return capture.lines(f"(ip or ip6) and not ({admitted})")
