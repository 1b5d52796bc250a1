"""What a person at a lab's computer would see: used by the demo and by the scenarios."""

import re
import time
from collections.abc import Callable, Iterable
from typing import Any

from throughway.lab import deployment
from throughway.lab.capture import Capture
from throughway.lab.deployment import CLIENT, Daemon
from throughway.lab.lab import Lab
from throughway.lab.topology import PROBE
from throughway.model.errors import LabError
from throughway.model.findings import Component
from throughway.model.status import ComponentState, Connection

PAGE = "http://app1.corp.example.com/"
PAGE_BY_ADDRESS = "http://[2001:db8:c0:2::80]/"
EDGE = "131.107.0.2"
PORTAL_PROBE = f"host {PROBE} and tcp port 80"
"""What a client asks where the gateway does not answer within a second."""
USER_PASSWORDS = "/etc/throughway-lab"
POLL = 0.05
"""Seconds between two looks."""
PATIENCE = 180.0
"""Seconds for anything to become true; many times what it takes on a busy machine, and longer than
any pause that a client makes: one that has failed for a minute tries again after another one."""
PAGE_PATIENCE = 60.0
"""Seconds for a page from a server that is there."""

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
        """Return the first status that shows what it must.

        What follows from that may take a moment more: who needs it waits for it, too.
        """
        deadline = time.monotonic() + patience
        status: Status = {}
        while time.monotonic() < deadline:
            status = self.status()
            if status and seen(status):
                return status
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
        command += ["--wait", f"{PATIENCE:g}"]
        answer = self.lab.run(self.host, command, timeout=2 * PATIENCE)
        if answer.returncode:
            raise LabError(f"{user} cannot log on: {answer.stdout}{answer.stderr}")

    def fetch(self, url: str = PAGE, patience: float = PAGE_PATIENCE) -> str:
        """Return a page, "" when it cannot be had; who expects that need not wait for long."""
        command = ["curl", "-gsS", "--max-time", f"{patience:g}", url]
        answer = self.lab.run(self.host, command, timeout=patience + PAGE_PATIENCE)
        return answer.stdout if answer.returncode == 0 else ""

    def wait_well(self) -> Status:
        """Return the status once it tells of no problem."""
        return self.wait("no problem", lambda s: not problems(s))

    def wait_inside(self) -> Status:
        """Return the status once nothing is left here of what is needed only outside."""
        return self.wait("inside, nothing held back", is_inside)

    def wait_page(self, url: str = PAGE, patience: float = PATIENCE) -> str:
        """Return the title of a page once it is there."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if text := self.fetch(url, 2.0):
                return title_of(text)
        raise LabError(f"{self.host}: {url} not there in {patience:g} s: {summary(self.status())}")


def status_of(lab: Lab, host: str, daemon: Daemon) -> Status:
    """Return what a daemon's ``status --json`` prints; nothing when it does not answer."""
    return deployment.status_of(lab.namespaces(host), daemon)


def tunnel(status: Status, name: str) -> Status:
    """Return the tunnel of that name when it is up, else nothing."""
    return next((t for t in status["tunnels"] if t["name"] == name and t["state"] == "up"), {})


def is_inside(status: Status) -> bool:
    """Say whether the client is inside, without tunnels, name rules or anything held back."""
    rows = {row["component"]: row["state"] for row in status["components"]}
    return (
        status["connection"] == Connection.CONNECTED_LOCALLY
        and not any(t["state"] == "up" for t in status["tunnels"])
        and not status["names"]["effective"]
        and rows[Component.FIREWALL] == ComponentState.DISABLED
    )


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
