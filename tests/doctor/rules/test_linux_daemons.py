"""What daemons say of themselves, and that they say nothing."""

import json

import pytest

from tests.linux_incidents import EVIDENCE, files, found, roots, status_with
from throughway.catalogue import PROBLEMS
from throughway.doctor.examination import examine
from throughway.doctor.report import as_data, exit_code
from throughway.doctor.rules.linux_daemons import seen_from_here
from throughway.doctor.way import State, way
from throughway.model.evidence import Platform, Role, Source
from throughway.model.facts.linux import DaemonReport, ReportedProblem, SeenProblem
from throughway.model.findings import Component, Confidence, Severity


@pytest.mark.parametrize(
    ("incident", "host", "codes"),
    [
        ("forwarding-disabled", "edge1", ["iphttps-forwarding-disabled"]),
        ("port-443-blocked", "client1", ["iphttps-port-blocked"]),
        ("gateway-stopped", "edge1", ["gateway-not-running"]),
        ("gateway-stopped", "client1", ["iphttps-connection-refused"]),
        ("well", "edge1", []),
        ("well", "client1", []),
    ],
)
def test_the_cause_is_found(incident: str, host: str, codes: list[str]) -> None:
    examination = found(files(incident, host))
    assert roots(examination) == codes
    assert exit_code(examination) == (1 if codes else 0)
    (machine,) = examination.hosts
    assert (machine.name, machine.platform) == (host, Platform.LINUX)
    assert machine.role is (Role.SERVER if host == "edge1" else Role.CLIENT)


def test_both_ends_of_one_incident_are_one_diagnosis() -> None:
    examination = examine([EVIDENCE / "gateway-stopped"])
    assert [host.name for host in examination.hosts] == ["client1", "edge1"]
    (root,) = examination.diagnosis.findings
    assert (root.finding.problem.code, root.host.name) == ("gateway-not-running", "edge1")
    followers = {(f.finding.problem.code, f.host.name) for f in root.consequences}
    assert ("iphttps-connection-refused", "client1") in followers


def test_both_ends_are_told_apart_by_what_they_say_even_under_one_name() -> None:
    both = {
        f"{folder}/{name}": text.replace('"computer": "edge1"', '"computer": "box"').replace(
            '"computer": "client1"', '"computer": "box"'
        )
        for folder, host in (("a", "edge1"), ("b", "client1"))
        for name, text in files("gateway-stopped", host).items()
    }
    examination = found(both)
    assert {host.role for host in examination.hosts} == {Role.SERVER, Role.CLIENT}
    assert roots(examination) == ["gateway-not-running"]


def test_a_finding_stands_on_the_lines_of_the_status() -> None:
    examination = found(files("port-443-blocked", "client1"))
    (finding,) = as_data(examination)["diagnosis"]
    quoted = [line["text"] for line in finding["evidence"]]
    assert '"code": "iphttps-port-blocked",' in quoted
    assert any(text.startswith('"detail": ') for text in quoted)
    # The commands are those of Linux, with the values of this case.
    assert not any("HOST" in command for command in finding["fix"] + finding["verify"])
    assert "throughway client status" in finding["verify"]


def test_what_a_check_found_counts_where_the_status_shows_only_its_cause() -> None:
    bundle = files("forwarding-disabled", "edge1")
    status = json.loads(bundle["gateway-status.json"])
    status["problems"] = []
    for row in status["components"]:
        row["conditions"] = []
    bundle = {"gateway-status.json": json.dumps(status, indent=2)}
    examination = found(bundle)
    assert roots(examination) == ["iphttps-forwarding-disabled"]
    (item,) = examination.diagnosis.findings
    assert item.finding.summary == "net.ipv6.conf.all.forwarding is 0"


def test_a_code_that_is_not_known_yet_is_no_mistake() -> None:
    text = files("port-443-blocked", "client1")["client-status.json"]
    newer = text.replace("iphttps-port-blocked", "iphttps-of-tomorrow")
    assert roots(found({"client-status.json": newer})) == []


def test_who_may_not_ask_does_not_say_that_it_is_down() -> None:
    bundle = files("gateway-stopped", "edge1")
    daemons = json.loads(bundle["daemons.json"])
    for daemon in daemons["daemons"]:
        daemon["answers"] = None
    bundle["daemons.json"] = json.dumps(daemons, indent=1)
    examination = found(bundle)
    assert "gateway-not-running" not in roots(examination)
    questions = [each.question for each in examination.diagnosis.unanswered]
    assert "What does the daemon say of itself?" in questions


def test_the_way_is_well_where_the_daemon_says_so() -> None:
    links = way(found(files("well", "client1")))
    assert {link.state for link in links} == {State.WELL}
    broken = {link.title: link.state for link in way(found(files("port-443-blocked", "client1")))}
    assert broken["TCP"] is State.BROKEN
    assert broken["Tunnels"] is State.UNKNOWN


@pytest.mark.parametrize(
    ("told", "sure"),
    [((), Confidence.POSSIBLE), (("iphttps-crl-unreachable",), Confidence.CERTAIN)],
)
def test_a_list_that_the_client_need_not_have_is_not_what_is_wrong(
    told: tuple[str, ...], sure: Confidence
) -> None:
    line = Source(file="x", line=1)
    report = DaemonReport(
        source=line, daemon=Role.CLIENT, version="1", taken_at=0.0, state="connected-remotely"
    )
    seen = tuple(
        SeenProblem(source=line, by="a look", code=code)
        for code in ("iphttps-crl-unreachable", "iphttps-cert-expired")
    )
    said = tuple(ReportedProblem(source=line, by="the client", code=code) for code in told)
    list_, certificate = seen_from_here(seen, said, (report,))
    assert (list_.confidence, certificate.confidence) == (sure, Confidence.CERTAIN)
    assert seen_from_here(seen, (), ())[0].confidence is Confidence.CERTAIN, "nobody else can tell"


WITHHELD = sorted(
    code
    for code, problem in PROBLEMS.items()
    if problem.component is Component.AUTHORISER and problem.severity is Severity.INFO
)


@pytest.mark.parametrize("code", WITHHELD)
def test_who_is_kept_out_is_not_well(code: str) -> None:
    """Of one of many it is only to be known at the gateway."""
    assert exit_code(found(status_with(code, "client1"))) == 1
    assert exit_code(found(status_with(code, "edge1"))) == 0


@pytest.mark.parametrize(
    ("seen", "sure", "told", "first"),
    [
        ("internet-down", True, "proxy-unreachable", "proxy-unreachable"),
        ("internet-down", True, "proxy-script-unusable", "proxy-script-unusable"),
        ("internet-down", True, "iphttps-port-blocked", "iphttps-port-blocked"),
        ("internet-down", True, "internet-down", "internet-down"),
        ("iphttps-wrong-server", False, "iphttps-http-refused", "iphttps-http-refused"),
        ("iphttps-wrong-server", False, "iphttps-cert-name-mismatch", "iphttps-cert-name-mismatch"),
        ("captive-portal", True, "iphttps-http-refused", "captive-portal"),
    ],
)
def test_a_look_is_the_cause_of_what_the_client_tells_where_it_is_sure(
    seen: str, sure: bool, told: str, first: str
) -> None:
    look = {
        "ways": {},
        "verdict": "So.",
        "diagnosis": [
            {
                "code": seen,
                "severity": "critical",
                "confidence": "certain" if sure else "likely",
                "summary": "So it is.",
            }
        ],
    }
    bundle = status_with(told, "client1")
    assert roots(found({**bundle, "netcheck.json": json.dumps(look, indent=2)}))[0] == first
