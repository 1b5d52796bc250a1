"""Faults are data: each is whole, known to the catalogue, and goes as it came."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from throughway.catalogue import find
from throughway.lab.faults import CLIENT, FAULTS, GATEWAY, MODULES, Fault, Scene, held_by
from throughway.lab.faults.certificates import Ended
from throughway.lab.faults.fault import Step
from throughway.lab.faults.inside import CLOCK
from throughway.lab.faults.made import PAST, Made
from throughway.lab.faults.servers import STREAM, Program
from throughway.lab.faults.steps import Edit, Filter, Heard, Put, Run
from throughway.lab.lab import Lab
from throughway.lab.topology import DIRECTACCESS
from throughway.model.errors import LabError

HOSTS = {host.name for host in DIRECTACCESS.hosts} | {CLIENT, "switch"}
LEAST = 60
GONE = "nft delete table inet t; :"


def test_there_are_as_many_as_the_field_knows() -> None:
    assert len(FAULTS) >= LEAST
    assert len(FAULTS) == sum(len(module.FAULTS) for module in MODULES), "two of one name"


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_whole(fault: Fault) -> None:
    assert fault.name.replace("-", "").isalnum()
    assert fault.name == fault.name.lower()
    assert not fault.title.endswith(".")
    assert fault.steps
    assert fault.place in {place.name for place in DIRECTACCESS.places}
    for code in filter(None, (fault.client, fault.gateway)):
        assert find(code).code == code
    for step in fault.steps:
        assert getattr(step, "host", GATEWAY) in HOSTS
    assert len(Scene(None, fault.name, "client1").label) < 100  # type: ignore[arg-type]


@dataclass
class Recorded:
    """A step that remembers what was done to it."""

    done: list[str]
    name: str = "one"
    fails: bool = False
    holds: tuple[str, ...] = ()

    def do(self, scene: Scene) -> None:
        self.done.append(f"do {self.name}")
        if self.fails:
            raise LabError(self.name)

    def undo(self, scene: Scene) -> None:
        self.done.append(f"undo {self.name}")


@dataclass
class Broken(Recorded):
    """A step that cannot be undone."""

    def undo(self, scene: Scene) -> None:
        super().undo(scene)
        raise LabError(f"{self.name} stays")


SCENE = Scene(None, "some-fault", "client2")  # type: ignore[arg-type]


def fault(*steps: Step) -> Fault:
    return Fault(name="some-fault", title="something", steps=steps)


def test_steps_are_undone_in_the_other_order() -> None:
    done: list[str] = []
    made = fault(Recorded(done, "one"), Recorded(done, "two"))
    made.do(SCENE)
    made.undo(SCENE)
    assert done == ["do one", "do two", "undo two", "undo one"]


def test_what_fails_half_way_is_undone() -> None:
    done: list[str] = []
    made = fault(Recorded(done, "one"), Recorded(done, "two", fails=True), Recorded(done, "three"))
    with pytest.raises(LabError, match="two"):
        made.do(SCENE)
    assert done[:2] == ["do one", "do two"]
    assert done[-2:] == ["undo two", "undo one"]


def test_one_step_that_stays_keeps_no_other_from_being_undone() -> None:
    done: list[str] = []
    made = fault(Recorded(done, "one"), Broken(done, "two"))
    with pytest.raises(LabError, match="two stays"):
        made.undo(SCENE)
    assert done == ["undo two", "undo one"]


def test_a_daemon_hears_of_it_both_times() -> None:
    done: list[str] = []
    heard = Heard((Recorded(done),), lambda scene: done.append("told"))
    heard.do(SCENE)
    heard.undo(SCENE)
    assert done == ["do one", "told", "undo one", "told"]


def test_what_a_fault_holds() -> None:
    made = fault(Edit(GATEWAY, "/etc/x", "a", "b"), Put(CLIENT, "/etc/y", None))
    assert held_by(made) == {"edge1:/etc/x:a", "CLIENT:/etc/y"}
    assert made.root == ""


def test_the_scene_knows_whom_it_is_for() -> None:
    assert SCENE.host(CLIENT) == "client2"
    assert SCENE.host("dc1") == "dc1"
    assert SCENE.label == "fault_some_fault"


def test_programs_that_run_in_hosts_are_programs() -> None:
    compile(CLOCK.format(seconds=600, port=8888), "clock", "exec")
    for one in FAULTS.values():
        for step in one.steps:
            if isinstance(step, Program):
                compile(step.code, step.name, "exec")
    assert "{" not in STREAM.format(
        name="n", listen="1", folder="f", more="", upstream="u", onward=""
    ).replace("{ worker", "").replace("stream {", "").replace("server {", "")


# In a lab


@dataclass
class Kept:
    """What has to be as it was when a fault is cleared."""

    lab: Lab

    def of(self, host: str) -> str:
        rules = self.lab.run(host, ["nft", "list", "ruleset"], check=True).stdout
        return rules + self.lab.run(host, ["cat", "/tmp/words"]).stdout


@pytest.fixture
def words(lab: Lab) -> Iterator[Lab]:
    lab.write("app1", "/tmp/words", "good words\n")
    yield lab
    lab.run("app1", ["rm", "-f", "/tmp/words"], check=True)


@pytest.mark.lab
@pytest.mark.parametrize(
    "step",
    [
        Put("app1", "/tmp/words", lambda scene: b"bad words\n"),
        Put("app1", "/tmp/words", None),
        Edit("app1", "/tmp/words", "good", "bad"),
        Filter("app1", "  chain input { type filter hook input priority 0; udp dport 9 drop; }"),
        Run("app1", ("nft", "add", "table", "inet", "t"), ("sh", "-c", GONE)),
    ],
    ids=lambda step: type(step).__name__,
)
def test_a_step_goes_as_it_came(words: Lab, step: Step) -> None:
    scene, kept = Scene(words, "some-fault", "client1"), Kept(words)
    before = kept.of("app1")
    step.undo(scene)
    assert kept.of("app1") == before, "nothing was done yet"
    step.do(scene)
    assert kept.of("app1") != before
    step.undo(scene)
    step.undo(scene)
    assert kept.of("app1") == before


@pytest.mark.lab
def test_an_edit_needs_its_words(words: Lab) -> None:
    with pytest.raises(LabError, match="does not say 'other'"):
        Edit("app1", "/tmp/words", "other", "bad").do(Scene(words, "some-fault", "client1"))


@pytest.mark.lab
def test_faults_are_remembered_and_cleared_by_whoever_comes(lab: Lab) -> None:
    lab.inject("port-443-blocked")
    lab.inject("port-443-blocked")
    assert "fault_port_443_blocked" in lab.run("homenat", ["nft", "list", "tables"]).stdout
    other = Lab(lab.name, lab.topology)
    assert dict(other.faults) == {"port-443-blocked": "client1"}
    assert other.clear("port-443-blocked")
    assert not other.clear("port-443-blocked")
    assert "fault" not in lab.run("homenat", ["nft", "list", "tables"]).stdout
    with pytest.raises(LabError, match="throughway lab fault list"):
        lab.inject("no-such-fault")


@pytest.mark.lab
def test_two_faults_that_need_the_same_exclude_each_other(lab: Lab) -> None:
    lab.inject("public-record-missing")
    try:
        with pytest.raises(LabError, match="throughway lab fault clear public-record-missing"):
            lab.inject("public-record-old")
        assert list(lab.faults) == ["public-record-missing"]
    finally:
        assert lab.clear("public-record-missing")


@pytest.mark.lab
def test_who_stands_between_shows_a_certificate_of_its_own(lab: Lab) -> None:
    lab.inject("nat-to-another-server")
    try:
        command = "openssl s_client -connect da.example.com:443 </dev/null | "
        command += "openssl x509 -noout -subject"
        shown = lab.run("client1", ["sh", "-c", command])
        assert "www.example.com" in shown.stdout, shown.stderr
    finally:
        lab.clear("nat-to-another-server")


@pytest.mark.lab
def test_certificates_end_when_they_must(lab: Lab) -> None:
    scene = Scene(lab, "some-fault", "client1")
    issued = Made(age=PAST)(scene)
    lab.write("app1", "/tmp/old.crt", issued.certificate)
    Ended("app1", "/tmp/old.crt").do(scene)
    lab.run("app1", ["rm", "/tmp/old.crt"], check=True)
