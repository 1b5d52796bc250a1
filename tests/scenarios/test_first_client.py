"""docs/operate/first-client.md, executed as it stands there, on machines that know nothing yet,
and docs/operate/enrolment.md after it.

The page's own words say what happens where: "On **edge1**:" before a block runs it there, "the
file **PATH**" writes it, "Carry from **a** to **b**: `x` as `y`" copies, "until it says `…`"
repeats. Blocks run on a terminal: what asks, asks.
"""

import fcntl
import json
import os
import re
import select
import shlex
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from tests.scenarios.actions import shown, stays_well
from throughway.authority import directory as directories
from throughway.authority.files import locked
from throughway.lab.domain import ADMINISTRATOR_PASSWORD, USERS
from throughway.lab.lab import Lab
from throughway.lab.observe import Observer, is_inside, problems
from throughway.pki import judgement, pem
from throughway.pki.authority import BACKDATE, KeyType, Profile, certify, generate_key

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operate" / "first-client.md"
LAB = PAGE.with_name("lab.md")
ENROLMENT = PAGE.with_name("enrolment.md")
REPOSITORY = "/root/throughway-repository"
"""Stands for "the directory of this repository" on each machine."""
TOOLS = "/root/tools"
MACHINES = ("edge1", "client1", "client2", "dc1", "nls", "inet1")
PATIENCE = 240.0
"""Seconds for a block; the slowest of them creates accounts in the domain."""

SYSTEMCTL = ROOT / "packaging" / "lab" / "systemctl"
"""What systemd would do with our units, as far as a host without systemd can."""

MARK = re.compile(r"^On \*\*(\w+)\*\*([^\n]*?):\n\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CARRY = re.compile(r"^Carry from \*\*(\w+)\*\* to \*\*(\w+)\*\*([^.]*?:)(.*?)\.$", re.M | re.S)
COPY = re.compile(r"`(/[^`]+)`\s+as\s+`(/[^`]+)`")
LAPTOP = "laptop7.corp.example.com"
RENEWED = {"client2": "/etc/throughway/computer.crt", "edge1": "/etc/throughway/gateway.crt"}

FENCE = re.compile(r"^```(\w+)$", re.MULTILINE)
TOKEN = re.compile(r"^Token: +(\S+)", re.MULTILINE)
FINGERPRINT = re.compile(r"(?:[0-9a-f]{4} ){7,}[0-9a-f]{4}")


@dataclass(frozen=True)
class Step:
    """One thing that the page has its reader do."""

    line: int
    machine: str
    command: str = ""
    until: str = ""
    file: str = ""
    content: str = ""
    carried: tuple[tuple[str, str], ...] = ()
    to: str = ""


def by_hand() -> list[str]:
    """Return the blocks of commands by which a reader comes where the page begins."""
    section = LAB.read_text().split("## From nothing, by hand\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def host_and_command(line: str) -> tuple[str, list[str]]:
    """Return what a call of ``throughway lab exec`` runs, and where."""
    program, lab, execute, host, separator, *command = shlex.split(line)
    assert (program, lab, execute, separator) == ("throughway", "lab", "exec", "--")
    return host, command


def parse_steps(page: str) -> list[Step]:
    """Return the page's steps in their order."""
    steps = []
    for found in MARK.finditer(page):
        machine, remark, language, body = found.groups()
        line = page.count("\n", 0, found.start()) + 1
        if file := re.search(r"the file \*\*(\S+)\*\*", remark):
            steps.append(Step(line, machine, file=file[1], content=body))
        else:
            assert language == "sh", f"line {line}: a block of {language} cannot be run"
            until = re.search(r"until it says `(.+)`", remark)
            steps.append(Step(line, machine, command=body, until=until[1] if until else ""))
    for found in CARRY.finditer(page):
        source, target, _, files = found.groups()
        line = page.count("\n", 0, found.start()) + 1
        carried = tuple((a, b) for a, b in COPY.findall(files))
        steps.append(Step(line, source, carried=carried, to=target))
    return sorted(steps, key=lambda step: step.line)


@dataclass
class Reader:
    """Does what the page says, and answers what is asked."""

    lab: Lab
    said: dict[int, str] = field(default_factory=dict)
    """What was seen on the terminal, by the line of the page."""

    def follow(self, step: Step) -> None:
        if step.file:
            self.lab.write(step.machine, step.file, step.content)
        elif step.carried:
            for source, target in step.carried:
                self._carry(step.machine, source, step.to, target)
        elif step.until:
            self._look(step)
        else:
            code, said = self._type(step.machine, self._with_token(step.command))
            self.said[step.line] = said
            assert code == 0, f"{PAGE.name} line {step.line}, on {step.machine}:\n{said}"

    def _carry(self, source: str, path: str, target: str, new: str) -> None:
        """Carry it as the lab's page says."""
        mode = self.lab.run(source, ["stat", "-c", "%a", path], check=True).stdout.strip()
        give, take = (host_and_command(each)[1] for each in by_hand()[2].split("|"))
        assert give == ["cat", "a"]
        assert take[-1] == "b"
        put = [mode if word == "644" else word for word in take[:-1]]
        self.lab.run(target, [*put, new], stdin=self._bytes(source, path), check=True)

    def _bytes(self, host: str, path: str) -> bytes:
        root = Path(f"/proc/{self.lab.namespaces(host).pid}/root")
        return (root / path.lstrip("/")).read_bytes()

    def _with_token(self, command: str) -> str:
        """Put the token that was shown last in the place of TOKEN."""
        shown = [found[1] for text in self.said.values() for found in TOKEN.finditer(text)]
        return command.replace("TOKEN", shown[-1]) if shown else command

    def _look(self, step: Step) -> None:
        deadline = time.monotonic() + PATIENCE
        said = ""
        while step.until not in said:
            if time.monotonic() > deadline:
                command = ["sh", "-c", "tail /var/log/throughway/*"]
                log = self.lab.run(step.machine, command).stdout
                pytest.fail(f"{step.machine} never said {step.until!r}, but:\n{said}\n{log}")
            said = self._type(step.machine, step.command)[1]

    def _type(self, machine: str, command: str) -> tuple[int, str]:
        """Run a block on a terminal of its own; return exit code and what was seen."""
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 50, 200, 0, 0))
        script = f"cd {REPOSITORY}; PATH={TOOLS}:$PATH; set -eu -o pipefail\n{command}"
        shell = ["setsid", "--ctty", "--wait", "bash", "-c", script]
        process = self.lab.popen(machine, shell, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        try:
            said = self._converse(ours)
            return process.wait(PATIENCE), said
        finally:
            os.close(ours)
            if process.poll() is None:
                subprocess.Popen.kill(process)
                process.wait()

    def _converse(self, terminal: int) -> str:
        said, answered = "", 0
        while True:
            readable, _, _ = select.select([terminal], [], [], PATIENCE)
            assert readable, f"waits for something:\n{said}"
            try:
                chunk = os.read(terminal, 65536)
            except OSError:  # the last one who had it open has closed it
                return said
            said += chunk.decode(errors="replace").replace("\r\n", "\n")
            if answer := self._answer(said[answered:]):
                answered = len(said)
                os.write(terminal, f"{answer}\n".encode())

    def _answer(self, said: str) -> str:
        prompt = said.rstrip(" ")
        if re.search(r"Password for \[CORP\\Administrator\]:$", prompt):
            return ADMINISTRATOR_PASSWORD
        if re.search(r"Password of alice\S*:$", prompt):
            return USERS["alice"]
        if prompt.endswith("[y/N]:"):
            return "y" if self._noted(said) else "n"
        return ""

    def _noted(self, said: str) -> bool:
        """Whether the fingerprint that is shown is the one that `policy key` has shown."""
        shown = FINGERPRINT.search(said)
        noted = [FINGERPRINT.search(text) for text in self.said.values()]
        return shown is not None and shown[0] in {found[0] for found in noted if found}


@pytest.fixture(scope="module")
def fresh_world() -> Iterator[Lab]:
    """Return a lab in which nobody has heard of throughway yet."""
    with Lab(f"first-client-{os.getpid()}") as lab:
        begin, *forget = by_hand()[0].splitlines()
        assert begin == "throughway lab up --replace --no-gateway --no-join"
        lab.up(gateway=False, join=False)
        for line in forget:
            lab.run(*host_and_command(line), check=True)
        for machine in MACHINES:
            lab.write(machine, f"{TOOLS}/systemctl", SYSTEMCTL.read_bytes(), 0o755)
            for unit in (ROOT / "packaging" / "systemd").iterdir():
                path = f"{REPOSITORY}/packaging/systemd/{unit.name}"
                lab.write(machine, path, unit.read_bytes())
        yield lab


def test_the_page_leads_to_a_connected_client(fresh_world: Lab) -> None:
    lab, reader = fresh_world, Reader(fresh_world)
    for step in parse_steps(PAGE.read_text()):
        reader.follow(step)
    last = reader.said[max(reader.said)]
    assert "Connected remotely: infrastructure and intranet, alice@CORP.EXAMPLE.COM" in last
    assert "<title>app1.corp.example.com</title>" in last
    stays_well(Observer(lab, "client1"))
    assert "Problems: none" in shown(lab, "client1").text
    lab.move("client1", "corp")
    Observer(lab, "client1").wait(
        "inside, by the page's location server", lambda s: is_inside(s) and not s["problems"]
    )
    lab.move("client1", "home")
    Observer(lab, "client1").wait_page()


def test_the_next_one_joins_by_token_and_its_certificate_renews_itself(fresh_world: Lab) -> None:
    lab, reader = fresh_world, Reader(fresh_world)
    steps = parse_steps(ENROLMENT.read_text())
    assert {step.machine for step in steps} == {"edge1", "client2"}
    for step in steps:
        reader.follow(step)
    client = Observer(lab, "client2")
    seen = client.wait_tunnel("infrastructure")
    assert (seen["local_identity"], seen["account"]) == ("laptop7.corp.example.com", "LAPTOP7$")
    wait_no_other_problem(client)

    # Two thirds of the certificates' lives are over, of the client's and of the gateway's.
    computer, gateway = "/etc/throughway/computer", "/etc/throughway/gateway"
    before = {
        "client2": grow_old(lab, "client2", computer, Profile.COMPUTER, LAPTOP),
        "edge1": grow_old(lab, "edge1", gateway, Profile.GATEWAY, "da.example.com"),
    }
    lab.run("edge1", ["throughway", "gateway", "reload"], check=True)
    lab.run("client2", ["throughway", "client", "refresh"], check=True)
    for host, old in before.items():
        new = wait_renewed(lab, host, old)
        assert judgement.names(new) == judgement.names(old)
        assert new.public_key() != old.public_key()
    again = client.wait_tunnel("infrastructure")
    assert abs(again["since"] - seen["since"]) < 1, "the tunnel has stayed up"
    wait_no_other_problem(client)
    # The next tunnel is opened with the new certificates of both ends.
    renew_tunnel(lab, client, seen["since"])
    listed = json.loads(lab.run("edge1", ["throughway", "pki", "list", "--json"]).stdout)
    serials = {entry["serial"] for entry in listed["entries"]}
    assert {judgement.serial_of(certificate_of(lab, host)) for host in RENEWED} <= serials


def wait_no_other_problem(client: Observer) -> None:
    """Wait until nothing is wrong but that the domain has no such computer."""
    client.wait("no other problem", lambda s: problems(s) <= {"client-name-not-registered"})


def certificate_of(lab: Lab, host: str) -> x509.Certificate:
    return pem.parse_certificate(lab.read(host, RENEWED[host]).encode())


def grow_old(lab: Lab, host: str, stem: str, profile: Profile, name: str) -> x509.Certificate:
    """Put a certificate in place of whose life of some minutes two thirds are over; return it."""
    folder = Path(f"/proc/{lab.namespaces('edge1').pid}/root/etc/throughway/pki")
    key = generate_key(KeyType.P256)
    with locked(folder):
        root, index = directories.open_authority(folder), directories.read_index(folder)
        made = certify(
            *(root, profile, [name], key.public_key()),
            now=datetime.now(UTC),
            life=BACKDATE / 3,
            crl_url=index.crl_url,
        )
        directories.save_index(folder, index.added(made, profile, f"{stem}.crt"))
    lab.write(host, f"{stem}.key", pem.build_key_pem(key), 0o600)
    lab.write(host, f"{stem}.crt", pem.build_certificate_pem(made))
    return made


def wait_renewed(lab: Lab, host: str, old: x509.Certificate) -> x509.Certificate:
    deadline = time.monotonic() + PATIENCE
    while (new := certificate_of(lab, host)) == old:
        if time.monotonic() > deadline:
            log = lab.run(host, ["sh", "-c", "tail -n 30 /var/log/throughway/*"]).stdout
            pytest.fail(f"{host} has not renewed its certificate:\n{log}")
        time.sleep(0.1)
    return new


def renew_tunnel(lab: Lab, client: Observer, since: float) -> None:
    """Carry the client somewhere else and back: its tunnels are opened anew."""
    lab.move("client2", "corp")
    client.wait("inside", lambda s: s["connection"] == "connected-locally")
    lab.move("client2", "home")
    client.wait("a tunnel", lambda s: any(t["since"] > since + 1 for t in s["tunnels"]))
    client.wait_tunnel("infrastructure")


def test_only_what_changes_this_machine_is_left_out() -> None:
    """Every block of commands is a step, but for installing and for Windows."""
    page = PAGE.read_text()
    executed = [s.command for s in parse_steps(page) if s.command]
    left_out = [
        block
        for block in re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        if block not in executed
    ]
    assert len(left_out) == 1
    assert shlex.split(left_out[0])[:2] == ["make", "install"]
    assert set(FENCE.findall(page)) == {"sh", "toml", "powershell"}


def test_every_block_of_joining_by_token_is_a_step() -> None:
    page = ENROLMENT.read_text()
    steps = parse_steps(page)
    blocks = re.findall(r"^```\w+\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert [step.command or step.content for step in steps] == blocks


def test_every_carriage_is_a_step() -> None:
    page = PAGE.read_text()
    steps = [s for s in parse_steps(page) if s.to]
    assert len(steps) == len(re.findall(r"^Carry ", page, re.MULTILINE))
    assert all(step.carried for step in steps)
    assert sum(len(step.carried) for step in steps) == len(re.findall(r"`\s+as\s+`/", page))
