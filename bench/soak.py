"""Healthy running with roaming: whatever alarms, grows or leaks meanwhile is a defect of ours.

    make soak
    python -m bench.soak --minutes 60
    python -m bench.soak --minutes 5 --json

Brings up a lab of its own. One computer is carried through every network again and again, with
every transport allowed and somebody at work; another one stays at home; the gateway serves both.
Writes ``bench/results/soak.json`` and ``docs/performance-soak.md`` unless ``--json``. Exit 1: there
was a false alarm, a leak, or something grew; 130: it was ended before its time.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from subprocess import DEVNULL

from bench import soak_page, soak_user
from bench.soak_judge import (
    ORDINARY,
    PORTAL,
    UNPLUGGED,
    Alarm,
    Result,
    Scale,
    Stay,
    broken,
    counted,
    explained,
)
from bench.soak_watch import ENDS, Watcher, attempts, captured, kept, leaks, weigh
from throughway.lab.lab import Lab
from throughway.lab.observe import PATIENCE, Observer, is_inside, tunnel
from throughway.lab.portal import CaptivePortal

ROAMING, STAYING, SERVER = "client1", "client2", "app1"
USERS = {ROAMING: "alice", STAYING: "bob"}
LOG, FOLDER = "/tmp/soak-user", "/var/www/app1.corp.example.com"
WORK = {ROAMING: ("1", "60"), STAYING: ("30", "600")}
"""Seconds between two pages, and between two files, of each user."""
SIZE = 5_000_000
"""Bytes of a file."""
PLACES = ("hotel", "office", "direct", "cgn", "corp", "native6", "home")
EVENTS = ("portal", "offline", "cable")
"""What else happens to a computer that is carried about: see the methods of these names."""
STAYS = (10.0, 40.0)
"""Seconds in a place, by chance."""
AWAY = (5.0, 20.0)
"""Seconds without network, or before somebody signs in at a portal."""
STEADY = 15.0
"""Seconds after which a place has become quiet: a transport that a better one has replaced is let
go after five."""
INTERRUPTED = 130
"""As shells say it."""


class Soak:
    """One run, in a lab that is up."""

    def __init__(self, lab: Lab, minutes: float, seed: int) -> None:
        self.lab = lab
        self.client = Observer(lab, ROAMING)
        self.begun = time.time()
        self.until = self.begun + minutes * 60
        self.chance = random.Random(seed)
        self.unsettled: list[Alarm] = []
        self.known_until = 0.0
        """Until when it is known what was done to the computer."""
        self.scales: list[Scale] = []
        self.result = Result(
            taken=f"{datetime.now(UTC):%Y-%m-%d}",
            seed=seed,
            cores=os.cpu_count() or 0,
            load=(round(os.getloadavg()[0], 1), 0.0),
        )

    def run(self) -> Result:
        """Carry the client about until the time is over or somebody ends it; judge what was."""
        self._prepare()
        with captured(self.lab) as captures, self._at_work():
            with Watcher(self.lab) as watcher, contextlib.suppress(KeyboardInterrupt):
                self._travel()
            for wish in (signal.SIGINT, signal.SIGTERM):
                signal.signal(wish, signal.SIG_IGN)  # what was seen is judged, once
        self._judge(watcher)
        self.result.leaks = leaks(captures)
        return self.result

    def _prepare(self) -> None:
        self.lab.run(SERVER, ["truncate", "-s", str(SIZE), f"{FOLDER}/soak"], check=True)
        for host, user in USERS.items():
            self.lab.allow_transports(host)
            self.lab.start_client(host)
            someone = Observer(self.lab, host)
            someone.wait_tunnel("infrastructure")
            someone.log_on(user)
            someone.wait_page()
            someone.wait_well()
            self.lab.write(host, LOG, "")

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        script = Path(soak_user.__file__).read_text()
        started = [
            self.lab.popen(
                host,
                [sys.executable, "-c", script, LOG, *words],
                stdout=DEVNULL,
                stderr=DEVNULL,
            )
            for host, words in WORK.items()
        ]
        try:
            yield
        finally:
            for process in started:
                process.terminate()
                process.wait()

    def _travel(self) -> None:
        """Go through all places in one order after the other, home at the end of each."""
        place, begun = "home", time.time()
        self._stay(place, ORDINARY, begun, begun, "home")
        self._weigh()
        while time.time() < self.until:
            stops = [*PLACES, *EVENTS]
            self.chance.shuffle(stops)
            for stop in stops:
                if time.time() >= self.until or stop == place:
                    continue
                place = getattr(self, f"_{stop}")(place) if stop in EVENTS else self._go(stop)
            if place != "home":
                place = self._go("home")
            time.sleep(STEADY)
            self._weigh()
            self.known_until = time.time()

    def _go(self, place: str) -> str:
        begun = time.time()
        self.lab.move(ROAMING, place)
        self._stay(place, ORDINARY, begun, time.time(), place)
        return place

    def _portal(self, _: str) -> str:
        """Come to a hotel whose guests must sign in; do so after a while."""
        with CaptivePortal(self.lab) as portal:
            begun = time.time()
            self.lab.move(ROAMING, "hotel")
            plugged = time.time()
            time.sleep(self.chance.uniform(*AWAY))
            portal.accept(ROAMING)
            self._stay("hotel, portal", PORTAL, begun, plugged, "hotel")
        return "hotel"

    def _offline(self, _: str) -> str:
        """Be in no network for a while, then at home."""
        begun = time.time()
        self.lab.move(ROAMING, "offline")
        time.sleep(self.chance.uniform(*AWAY))
        self.lab.move(ROAMING, "home")
        self._stay("offline, home", UNPLUGGED, begun, time.time(), "home")
        return "home"

    def _cable(self, place: str) -> str:
        """Pull the cable for a while, where the computer is."""
        begun = time.time()
        self.lab.link(ROAMING, up=False)
        time.sleep(self.chance.uniform(*AWAY))
        self.lab.link(ROAMING, up=True)
        self._stay(f"{place}, cable out", UNPLUGGED, begun, time.time(), place)
        return place

    def _stay(self, name: str, kind: str, begun: float, plugged: float, place: str) -> None:
        """Wait until all is there again, and stay for a while."""
        cured = time.time()
        settled = self._settled(place, name, cured)
        time.sleep(self.chance.uniform(*STAYS) if settled else 0.0)
        stay = Stay(
            place=name,
            kind=kind,
            begun=begun,
            plugged=plugged,
            cured=cured,
            settled=settled,
            ended=time.time(),
        )
        self.result.stays.append(stay)
        self.known_until = stay.ended
        passed = (stay.ended - self.begun) / 60
        took = f"there again after {settled - cured:.1f} s" if settled else "NOT THERE AGAIN"
        say(f"[{passed:5.1f} min] {name}: {took}")

    def _settled(self, place: str, name: str, since: float) -> float:
        """Return when the user had a page, by the way that belongs here; 0.0: never."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            status = self.client.status()
            way = status and (is_inside(status) if place == "corp" else tunnel(status, "intranet"))
            pages = [a for a in attempts(self.lab, ROAMING, LOG) if a.what == "page" and a.came]
            if way and pages and pages[-1].at > since:
                return max(pages[-1].at + pages[-1].took, time.time())
            time.sleep(0.2)
        self.unsettled.append(
            Alarm(who=ROAMING, where="user", name=f"no page in {name}", first=since, last=since)
        )
        return 0.0

    def _weigh(self) -> None:
        scale = Scale(
            at=time.time(),
            weights={end.host: weigh(self.lab, end) for end in ENDS},
            kept={end.host: kept(self.lab, end.host) for end in ENDS},
        )
        self.result.scales.append(scale)

    def _judge(self, watcher: Watcher) -> None:
        result = self.result
        result.minutes = round((time.time() - self.begun) / 60, 1)
        result.load = (result.load[0], round(os.getloadavg()[0], 1))
        result.doubts = dict(watcher.doubts)
        wanted = [a for host in USERS for a in attempts(self.lab, host, LOG)]
        for alarm in [*watcher.alarms(), *self.unsettled, *broken(wanted, result.stays, ROAMING)]:
            if alarm.first > self.known_until:
                continue  # ended in the middle of something that would explain it
            if why := explained(alarm, result.stays, ROAMING):
                result.true[why] = result.true.get(why, 0) + 1
            else:
                result.alarms.append(alarm)
        result.attempts = counted(wanted, result.stays, ROAMING)


def say(line: str) -> None:
    """Tell how far it is, where no program reads."""
    print(line, file=sys.stderr, flush=True)


def measure(minutes: float, seed: int, name: str) -> Result:
    """Run it in a lab of its own."""
    with Lab(name) as lab:
        say("bringing up the lab")
        lab.up()
        return Soak(lab, minutes, seed).run()


def main() -> int:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1, help="of the order of the places")
    parser.add_argument("--name", default=f"soak-{os.getpid()}", help="of the lab")
    parser.add_argument("--json", action="store_true", help="print all of it; write nothing")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("python -m bench.soak: needs root, for the lab's namespaces")
    for wish in (signal.SIGINT, signal.SIGTERM):
        signal.signal(wish, signal.default_int_handler)
    try:
        result = measure(arguments.minutes, arguments.seed, arguments.name)
    except KeyboardInterrupt:
        return INTERRUPTED
    whole = result.minutes >= arguments.minutes
    if arguments.json:
        print(json.dumps(asdict(result), indent=1))
    else:
        print(soak_page.text(result))
        if whole:
            soak_page.save(result)
    return INTERRUPTED if not whole else 0 if result.well() else 1


if __name__ == "__main__":
    sys.exit(main())
