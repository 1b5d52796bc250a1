"""The demo: a computer at home reaches the intranet by itself, told step by step.

Every step observes something and says what it saw; one that does not see what it must raises
:exc:`LabError`, and the demo ends there.
"""

import contextlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from throughway.lab.capture import Capture
from throughway.lab.lab import Lab
from throughway.lab.observe import (
    EDGE,
    PAGE,
    PAGE_BY_ADDRESS,
    PORTAL_PROBE,
    Observer,
    strangers,
    tunnel,
)
from throughway.lab.trust import CRL_URL
from throughway.model.errors import LabError

CLIENT, OTHER, GATEWAY, ROUTER = "client1", "client2", "edge1", "homenat"
WAN = "wan"
LIST = urlsplit(CRL_URL).path
USER = "alice"
DC_RECORD = "_ldap._tcp.dc._msdcs.corp.example.com"
TLS = f"host {EDGE} and tcp port 443"
LISTS = "host 131.107.0.1 and tcp port 80"
"""Where the revocation list of the gateway's certificate is: in the clear, as everywhere, for it
is signed. Other public pages are there, too, so that it is looked at what was asked for."""
PUBLIC_DNS = "host 131.107.0.1 and udp port 53"
LINK_ONLY = "src net fe80::/10 and dst net ff02::/16"
"""The router's own kernel asks for IPv6 on the link before it; such packets go no further."""

Say = Callable[[str], None]


class Demo:
    """One run over a lab that is up, from a client at home to a client at home again."""

    def __init__(self, lab: Lab, stack: contextlib.ExitStack) -> None:
        self.lab = lab
        self.client = Observer(lab, CLIENT)
        self.capture: Capture = stack.enter_context(lab.capture(ROUTER, WAN))
        self._stop_capture = stack.pop_all().close

    def outside(self) -> str:
        """The client finds itself outside."""
        self.lab.start_client(CLIENT)
        status = self.client.wait("outside", lambda s: s["location"] == "outside")
        return f"{status['location']}: {status['location_detail']}"

    def link(self) -> str:
        """The link is up and the kernel has formed its address."""
        seen = self.client.wait("IP-HTTPS", lambda s: s["link"]["addresses"])["link"]
        return f"{seen['state']} to {seen['url']} ({seen['tls']}), address {seen['addresses'][0]}"

    def infrastructure(self) -> str:
        """The infrastructure tunnel is up and nobody is logged on."""
        seen = self.client.wait_tunnel("infrastructure")
        status = self.client.status()
        if status["user"] or tunnel(status, "intranet"):
            raise LabError(f"somebody is logged on, or has the intranet: {status['user']}")
        return f"up as {seen['local_identity']} and {seen['account']}; nobody is logged on"

    def domain_controller(self) -> str:
        """The domain controller is found by name."""
        command = ["dig", "+short", "+time=10", "SRV", DC_RECORD]
        answer = self.lab.run(CLIENT, command).stdout
        if "dc1.corp.example.com" not in answer:
            raise LabError(f"SRV {DC_RECORD} not found: {answer}")
        return f"SRV {DC_RECORD} → {answer.split()[-1].rstrip('.')}"

    def log_on(self) -> str:
        """The user's ticket opens the intranet tunnel."""
        if self.client.fetch(PAGE, 1.0):
            raise LabError("the intranet page is there before anybody has logged on")
        self.client.log_on(USER)
        seen = self.client.wait_tunnel("intranet")
        return f"up as {seen['local_identity']} and {seen['account']}"

    def intranet_page(self) -> str:
        """The intranet page is there."""
        return f"{PAGE} → “{self.client.wait_page()}”"

    def only_tls_left(self) -> str:
        """The home router saw TLS on 443, public DNS and a revocation list, nothing else."""
        self._stop_capture()
        return judge_capture(self.capture)

    def refused_without_client(self) -> str:
        """A computer in the same home, without the client, gets nothing."""
        other = Observer(self.lab, OTHER)
        for url in (PAGE, PAGE_BY_ADDRESS):
            if text := other.fetch(url, 2.0):
                raise LabError(f"{OTHER} got {url} without a client: {text[:80]}")
        return f"{OTHER}, same home, no client: neither by name nor by address"

    def into_the_office(self) -> str:
        """Inside there are no tunnels, and the page is still there."""
        began = time.monotonic()
        self.lab.move(CLIENT, "corp")
        status = self.client.wait_inside()
        title = self.client.wait_page()
        took = time.monotonic() - began
        return f"{status['location_detail']}; no tunnels; “{title}” after {took:.1f} s"

    def home_again(self) -> str:
        """Back at home everything comes back by itself."""
        began = time.monotonic()
        self.lab.move(CLIENT, "home")
        self.client.wait_tunnel("intranet")
        title = self.client.wait_page()
        took = time.monotonic() - began
        return f"both tunnels up, “{title}” after {took:.1f} s"

    def statuses(self) -> str:
        """What both ends say, once the journey is over for them too."""
        self.client.wait_well()
        answers = ""
        for host, command in ((CLIENT, "client"), (GATEWAY, "gateway")):
            answer = self.lab.run(host, ["throughway", command, "status"])
            answers += f"\n{host}$ throughway {command} status\n{answer.stdout}"
            if answer.returncode:
                raise LabError(f"a status reports problems:\n{answers}{answer.stderr}")
        return answers


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the demo shows."""

    title: str
    show: Callable[[Demo], str]
    """Does it and returns what was observed."""


STEPS = (
    Step("At home: outside", Demo.outside),
    Step("IP-HTTPS and its address", Demo.link),
    Step("Infrastructure tunnel before any logon", Demo.infrastructure),
    Step("Domain controller by DNS SRV, through the NRPT", Demo.domain_controller),
    Step(f"{USER} logs on: intranet tunnel", Demo.log_on),
    Step("The intranet page", Demo.intranet_page),
    Step(
        "What left the home: TLS on 443, and a question for the revocation list", Demo.only_tls_left
    ),
    Step("The same page without the client: refused", Demo.refused_without_client),
    Step("Carried into the office: inside, no tunnels", Demo.into_the_office),
    Step("Carried home again", Demo.home_again),
    Step("Status of both ends", Demo.statuses),
)


def judge_capture(capture: Capture) -> str:
    """Say what left the home router; LabError when it is more than TLS, public DNS, and a CRL."""
    others = strangers(capture, (TLS, PUBLIC_DNS, LISTS, LINK_ONLY, PORTAL_PROBE))
    packets = capture.count(TLS)
    if others or not packets:
        raise LabError(f"{len(others)} other packets left the home, such as: {others[:3]}")
    pages = {page for line in capture.lines(LISTS) for page in fetched(line)}
    if pages - {LIST}:
        raise LabError(f"fetched in the clear: {', '.join(sorted(pages))}")
    connections = capture.count(f"dst {TLS} and tcp[13] & 2 != 0")
    names = sorted({m.lower() for line in capture.lines(PUBLIC_DNS) for m in asked(line)})
    return (
        f"{packets} packets of {connections} connection(s) to {EDGE} port 443; "
        f"public DNS was asked for {', '.join(names) or 'nothing'}; "
        f"fetched in the clear: {', '.join(sorted(pages)) or 'nothing'}; nothing else left"
    )


def fetched(line: str) -> list[str]:
    """Return what an HTTP packet, as tcpdump writes it, asks for."""
    return re.findall(r": HTTP: [A-Z]+ (\S+)", line)


def asked(line: str) -> list[str]:
    """Return the names that a DNS packet, as tcpdump writes it, asks for."""
    return re.findall(r" (?:A|AAAA|HTTPS|SRV)\? (\S+?)\.? ", line)


def run(name: str, say: Say, *, keep: bool = False) -> None:
    """Bring a lab up, show every step, take it down; LabError when a step fails.

    With ``keep`` the lab stays, to be played with.
    """
    began = time.monotonic()
    lab = Lab(name)
    with contextlib.ExitStack() as stack:
        lab.up(replace=True, progress=say)
        if not keep:
            stack.callback(lab.down)
        # The way that every network has: what leaves the home can be told at a glance.
        lab.allow_transports(CLIENT, "iphttps")
        with contextlib.ExitStack() as capture:
            demo = Demo(lab, capture)
        for number, step in enumerate(STEPS, start=1):
            say(f"[{number:>2}/{len(STEPS)}] {step.title}")
            say(f"        {step.show(demo)}")
    left = f"the lab {name} stays up" if keep else "nothing left behind"
    say(f"All {len(STEPS)} steps seen, {time.monotonic() - began:.0f} s; {left}.")
