"""What a client sends in the clear that belongs into its tunnels, while somebody is at work on it.

Where the client's daemon was not there, nothing could be kept back: what was sent then proves
nothing, and is left out. What is sent before and after it counts.
"""

import contextlib
import re
import subprocess
from collections.abc import Iterable, Iterator

from throughway.lab.deployment import CLIENT
from throughway.lab.lab import Absence, Lab
from throughway.lab.topology import MOBILE_INTERFACE, NLS_NAME

INSIDE_ONLY = "net 10.0.0.0/16 or net 2001:db8:c0::/48"
NAMES = "udp port 53"
BROWSE = """
while :; do
  curl -gs -o /dev/null --max-time 1 http://app1.corp.example.com/
  curl -gs -o /dev/null --max-time 1 'http://[2001:db8:c0:2::80]/'
  sleep 0.5
done
"""
"""What a person does meanwhile: nothing of it may leave the tunnel."""
LINGERS = 3.0
"""Seconds for which a program goes on with what it began while the daemon was not there: one
second of curl, and its name server, that it had been told before."""
WITHOUT_POLICY = {
    *("policy-expired", "policy-missing", "policy-signature-invalid"),
    *("iphttps-url-invalid", "iphttps-url-is-ip-address"),
}
"""What a client says that obeys no policy: it cannot know what belongs inside."""
NAMES_ASKED_OF_OTHERS = {"stub-resolver-down", "nrpt-not-effective"}
"""What a client says whose programs ask others for names: their questions go past it, and to stop
them it would have to take all names away, also those of the Internet. Data stays inside."""
LED_INSIDE = "iphttps-name-leads-inside"
"""What a client says that was told to find the gateway there: only by trying does it learn that
nobody is. It is its own attempt that is seen, not what belongs into a tunnel."""
MAX_LEAKS = 5
_DNS = re.compile(r"\.53( >|:) ")
_GATEWAY = re.compile(r" > [0-9.]+\.(443|3544): ")
_QUESTION = re.compile(r" > \S+\.53: ")


@contextlib.contextmanager
def at_work(lab: Lab, host: str) -> Iterator[None]:
    """Let somebody look at pages of the intranet all the while."""
    null = subprocess.DEVNULL
    person = lab.popen(host, ["sh", "-c", BROWSE], stdout=null, stderr=null)
    try:
        yield
    finally:
        person.kill()
        person.wait()


@contextlib.contextmanager
def watched(lab: Lab, host: str) -> Iterator[list[str]]:
    """Fill the list with what leaked, as the block is left."""
    leaked: list[str] = []
    filter_ = f"({INSIDE_ONLY}) or {NAMES}"
    with lab.capture(host, MOBILE_INTERFACE, filter_) as capture:
        yield leaked
    away = [one for one in lab.absences if (one.host, one.daemon) == (host, CLIENT.name)]
    leaked += leaks(line for at, line in capture.timed() if not absent(at, away))
    capture.path.unlink(missing_ok=True)


def counted(leaked: Iterable[str], code: str) -> tuple[str, ...]:
    """Return what counts of that, when the client says this: what it cannot stop it may name."""
    if code in WITHOUT_POLICY:
        return ()
    lines = list(leaked)
    if code in NAMES_ASKED_OF_OTHERS:
        lines = [line for line in lines if not _QUESTION.search(line)]
    if code == LED_INSIDE:
        lines = [line for line in lines if not _GATEWAY.search(line)]
    return tuple(lines[:MAX_LEAKS])


def absent(at: float, absences: Iterable[Absence]) -> bool:
    """Whether what was sent then may be because of an absence."""
    return any(one.begun <= at <= one.ended + LINGERS for one in absences)


def leaks(lines: Iterable[str]) -> list[str]:
    """Return what should have gone through the tunnel; the location server is asked for outside."""
    outside = f" {NLS_NAME}."
    sent = list(lines)
    asked = [line for line in sent if _QUESTION.search(line)]
    names = [line for line in asked if ".corp.example.com." in line and outside not in line]
    return [*names, *(line for line in sent if not _DNS.search(line))]
