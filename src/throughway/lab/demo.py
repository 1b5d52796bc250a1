"""The demo: a computer at home reaches the intranet by itself, told step by step.

Every step observes something and says what it saw; a step that does not see what it must raises
:exc:`LabError` and the demo ends with an exit code other than zero.
"""

import json
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from throughway.lab.lab import Lab
from throughway.model.errors import LabError

CLIENT, OTHER, GATEWAY, ROUTER = "client1", "client2", "edge1", "homenat"
USER, PASSWORD_FILE = "alice", "/etc/throughway-lab/alice.password"
PAGE = "http://app1.corp.example.com/"
PAGE_BY_ADDRESS = "http://[2001:db8:c0:2::80]/"
EDGE, PUBLIC_DNS = "131.107.0.2", "131.107.0.1"
STEP_TIMEOUT = 20.0
"""Seconds for anything to become true; a hundred times what it usually takes."""
POLL = 0.05

Say = Callable[[str], None]
Status = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the demo shows."""

    title: str
    show: Callable[["Demo"], str]
    """Does it and returns what was observed."""


class Demo:
    """One run over a lab that is up."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._capture: Any = None

    # What a user could do by hand

    def status(self) -> Status:
        """Return ``throughway client status --json`` of the client."""
        answer = self.lab.run(CLIENT, ["throughway", "client", "status", "--json"], check=False)
        if answer.returncode not in (0, 1):
            return {}
        parsed: Status = json.loads(answer.stdout)
        return parsed

    def wait(self, what: str, seen: Callable[[Status], object]) -> Status:
        """Return the client's status once it shows what it must."""
        deadline = time.monotonic() + STEP_TIMEOUT
        while time.monotonic() < deadline:
            status = self.status()
            if status and seen(status):
                return status
            time.sleep(POLL)
        raise LabError(f"{what}: not seen within {STEP_TIMEOUT:.0f} s; last status: {status}")

    def page(self, host: str, url: str = PAGE, timeout: float = 5.0) -> str:
        """Return the intranet page, or "" when it cannot be had."""
        command = ["curl", "-gsS", "--max-time", str(timeout), url]
        answer = self.lab.run(host, command, check=False)
        return answer.stdout.strip() if answer.returncode == 0 else ""

    def wait_page(self) -> str:
        """Return the page once it is there."""
        deadline = time.monotonic() + STEP_TIMEOUT
        while time.monotonic() < deadline:
            if text := self.page(CLIENT, timeout=2.0):
                return title_of(text)
        raise LabError(f"{PAGE} did not come within {STEP_TIMEOUT:.0f} s")

    # The steps

    def outside(self) -> str:
        """The client finds itself outside."""
        self._capture = self.lab.capture(ROUTER, "wan", "")
        self._capture.__enter__()
        self.lab.start_client(CLIENT)
        status = self.wait("outside", lambda s: s["location"] == "outside")
        return f"{status['location']}: {status['location_detail']}"

    def link(self) -> str:
        """The link is up and the kernel has formed its address."""
        seen = self.wait("IP-HTTPS", lambda s: s["link"]["addresses"])["link"]
        return f"{seen['state']} to {seen['url']} ({seen['tls']}), address {seen['addresses'][0]}"

    def infrastructure(self) -> str:
        """The infrastructure tunnel is up and nobody is logged on."""
        status = self.wait("infrastructure tunnel", lambda s: tunnel(s, "infrastructure"))
        if status["user"]:
            raise LabError(f"{status['user']} is logged on; nobody should be")
        if tunnel(status, "intranet"):
            raise LabError("the intranet tunnel is up though nobody is logged on")
        seen = tunnel(status, "infrastructure")
        return f"up as {seen['local_identity']} and {seen['account']}; nobody is logged on"

    def domain_controller(self) -> str:
        """The domain controller is found by name."""
        name = "_ldap._tcp.dc._msdcs.corp.example.com"
        answer = self.lab.run(CLIENT, ["dig", "+short", "+time=2", "SRV", name], check=False)
        if "dc1.corp.example.com" not in answer.stdout:
            raise LabError(f"SRV {name} not found: {answer.stdout}{answer.stderr}")
        return f"SRV {name} → {answer.stdout.split()[-1].rstrip('.')}"

    def log_on(self) -> str:
        """The user's ticket opens the intranet tunnel."""
        if self.page(CLIENT, timeout=1.0):
            raise LabError("the intranet page is there before anybody has logged on")
        self.lab.run(CLIENT, ["throughway", "login", USER, "--password-file", PASSWORD_FILE])
        status = self.wait("intranet tunnel", lambda s: tunnel(s, "intranet"))
        seen = tunnel(status, "intranet")
        return f"up as {seen['local_identity']} and {seen['account']}"

    def intranet_page(self) -> str:
        """The intranet page is there."""
        return f"{PAGE} → “{self.wait_page()}”"

    def only_tls_left(self) -> str:
        """The home router saw TLS on 443 and questions to public DNS, nothing else."""
        capture, self._capture = self._capture, None
        capture.__exit__(None, None, None)
        return judge_capture(self.lab, Path(capture.path))

    def refused_without_client(self) -> str:
        """A computer in the same home, without the client, gets nothing."""
        for url in (PAGE, PAGE_BY_ADDRESS):
            if text := self.page(OTHER, url, timeout=2.0):
                raise LabError(f"{OTHER} got {url} without a client: {text[:80]}")
        return f"{OTHER}, same home, no client: neither by name nor by address"

    def into_the_office(self) -> str:
        """Inside there are no tunnels, and the page is still there."""
        began = time.monotonic()
        self.lab.move(CLIENT, "corp")
        status = self.wait(
            "inside",
            lambda s: (
                s["location"] == "inside"
                and not any(tunnel(s, name) for name in ("infrastructure", "intranet"))
            ),
        )
        title = self.wait_page()
        took = time.monotonic() - began
        return f"{status['location_detail']}; no tunnels, link {status['link']['state']}; “{title}” after {took:.1f} s"

    def home_again(self) -> str:
        """Back at home everything comes back by itself."""
        began = time.monotonic()
        self.lab.move(CLIENT, "home")
        status = self.wait("outside again", lambda s: tunnel(s, "intranet"))
        title = self.wait_page()
        took = time.monotonic() - began
        return f"{status['location']}, both tunnels up, “{title}” after {took:.1f} s"

    def statuses(self) -> str:
        """What both ends say."""
        client = self.lab.run(CLIENT, ["throughway", "client", "status"], check=False)
        gateway = self.lab.run(GATEWAY, ["throughway", "gateway", "status"], check=False)
        if client.returncode or gateway.returncode:
            raise LabError(f"a status reports problems:\n{client.stdout}\n{gateway.stdout}")
        return f"\n$ throughway client status\n{client.stdout}\n$ throughway gateway status\n{gateway.stdout}"


STEPS = (
    Step("At home: outside", Demo.outside),
    Step("IP-HTTPS and its address", Demo.link),
    Step("Infrastructure tunnel before any logon", Demo.infrastructure),
    Step("Domain controller by DNS SRV, through the NRPT", Demo.domain_controller),
    Step(f"{USER} logs on: intranet tunnel", Demo.log_on),
    Step("The intranet page", Demo.intranet_page),
    Step("What left the home: TLS on 443 only", Demo.only_tls_left),
    Step("The same page without the client: refused", Demo.refused_without_client),
    Step("Carried into the office: inside, no tunnels", Demo.into_the_office),
    Step("Carried home again", Demo.home_again),
    Step("Status of both ends", Demo.statuses),
)


def tunnel(status: Status, name: str) -> Status:
    """Return the tunnel of that name when it is up, else nothing."""
    return next((t for t in status["tunnels"] if t["name"] == name and t["state"] == "up"), {})


def title_of(page: str) -> str:
    """Return the title of an HTML page, or its first line."""
    found = re.search(r"<title>(.*?)</title>", page, re.DOTALL)
    return found[1].strip() if found else page.splitlines()[0]


def judge_capture(lab: Lab, capture: Path) -> str:
    """Return what left the home router, LabError when it is more than TLS and public DNS."""
    command = ["tcpdump", "-nn", "-r", str(capture), "ip or ip6"]
    lines = lab.run(ROUTER, command).stdout.splitlines()
    tls = [line for line in lines if f"{EDGE}.443" in line]
    dns = [line for line in lines if f"{PUBLIC_DNS}.53" in line]
    other = [line for line in lines if line not in tls and line not in dns]
    if other or not tls:
        raise LabError(f"{len(other)} other packets left the home, such as: {other[:3]}")
    payload = [
        "tcpdump",
        "-nn",
        "-r",
        str(capture),
        f"dst host {EDGE} and tcp[tcpflags] & tcp-syn != 0",
    ]
    connections = len(lab.run(ROUTER, payload).stdout.splitlines())
    names = sorted({m[1] for line in dns if (m := re.search(r" (?:A|AAAA)\? (\S+?)\.? ", line))})
    return (
        f"{len(tls)} packets of {connections} TLS connection(s) to {EDGE}:443; "
        f"questions to public DNS for {', '.join(names) or 'nothing'}; nothing else"
    )


def run(name: str, say: Say, *, keep: bool = False) -> None:
    """Bring a lab up, show every step and take the lab down; LabError when a step fails."""
    began = time.monotonic()
    lab = Lab(name)
    with tempfile.TemporaryDirectory(prefix="throughway-demo-"):
        try:
            lab.up(progress=say)
            demo = Demo(lab)
            for number, step in enumerate(STEPS, start=1):
                say(f"[{number:>2}/{len(STEPS)}] {step.title}")
                say(f"        {step.show(demo)}")
        finally:
            if not keep:
                lab.down()
    say(f"All {len(STEPS)} steps seen, {time.monotonic() - began:.0f} s, nothing left behind.")
