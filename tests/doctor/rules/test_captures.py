"""Captures as evidence: what each scene shows comes first, and nothing else is said of it."""

from pathlib import Path

import pytest

from tests import captured_evidence as scenes
from tests.captured import USUAL_SUITES, Talk, Wire, hello
from tests.captured_evidence import CONFIGURATION, SCENES, URL, Scene, captured
from tests.doctor.test_rules import consequences
from throughway.doctor.examination import Examination, examine
from throughway.model.findings import Confidence


def seen(folder: Path, scene: Scene, **beside: str) -> Examination:
    (folder / "capture.pcap").write_bytes(captured(scene))
    for name, text in beside.items():
        (folder / f"{name}.txt").write_text(text)
    return examine([folder])


def roots(examination: Examination) -> list[str]:
    return [item.finding.problem.code for item in examination.diagnosis.findings]


def test_the_files_are_what_is_written_here() -> None:
    wrong = [
        str(path)
        for path, content in scenes.files().items()
        if not path.exists() or path.read_bytes() != content
    ]
    assert wrong == [], "run: python -m tests.captured_evidence"


@pytest.mark.parametrize("code", SCENES)
def test_the_cause_comes_first(code: str, tmp_path: Path) -> None:
    fires, _, beside = SCENES[code]
    for name, text in beside.items():
        (tmp_path / name).write_text(text)
    assert roots(seen(tmp_path, fires))[:1] == [code]


@pytest.mark.parametrize(
    ("scene", "code"),
    [
        (scenes.null_missing_reset, "iphttps-null-suites-missing"),
        (scenes.reset_windows_7, "iphttps-connection-reset"),
        (scenes.hello_unanswered, "iphttps-tls-handshake-failed"),
        (scenes.other_name, "iphttps-wrong-server"),
        (scenes.list_silent, "iphttps-crl-unreachable"),
        (scenes.prohibited, "iphttps-port-blocked"),
        (scenes.resolver_silent, "iphttps-name-unresolvable"),
        (scenes.ike_stuck, "ipsec-negotiation-timeout"),
        (scenes.fragments(whole=False), "path-mtu-black-hole"),
        (scenes.ike_error(13806), "ipsec-no-machine-cert"),
    ],
)
def test_other_forms_of_the_same(scene: Scene, code: str, tmp_path: Path) -> None:
    examination = seen(tmp_path, scene, url=CONFIGURATION)
    assert roots(examination)[:1] == [code]


@pytest.mark.parametrize(
    "scene",
    [
        scenes.healthy,
        scenes.others_fail,
        scenes.sixtofour_unused,
        scenes.proxy_asks_and_yields,
        scenes.certificate_accepted,
        scenes.large_late,
        scenes.list_names_another,
        scenes.fragments(whole=True),
        scenes.ike_works,
        scenes.no_portal,
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_nothing_is_said_of_what_is_sound(scene: Scene, known: bool, tmp_path: Path) -> None:
    beside = {"url": CONFIGURATION} if known else {}
    examination = seen(tmp_path, scene, **beside)
    assert roots(examination) == []
    assert examination.reading.unreadable == []


def test_a_guess_is_said_to_be_one(tmp_path: Path) -> None:
    """One server alone, of no usual name: is it the one that is meant?"""

    def scene(wire: Wire) -> None:
        talk = Talk(wire).begin()
        talk.say("client", hello(USUAL_SUITES, "www.example.net"))
        talk.end("server", 4)

    (found,) = seen(tmp_path, scene).diagnosis.findings
    assert found.finding.confidence is Confidence.POSSIBLE
    assert "does not say" in found.finding.reason


def test_which_of_many_servers_is_not_guessed(tmp_path: Path) -> None:
    def scene(wire: Wire) -> None:
        for number in (1, 2, 3):
            Talk(wire, f"203.0.113.{number}", own=50000 + number).silence()
        wire.ask("www.example.net", "203.0.113.1")
        wire.wait(5)

    assert roots(seen(tmp_path, scene)) == []


def test_what_the_machine_says_follows_from_what_the_capture_shows(tmp_path: Path) -> None:
    state = (
        "Interface IPHTTPSInterface (Group Policy)  Parameters\n"
        "------------------------------------------------------------\n"
        "Role                       : client\n"
        "URL                        : https://da.example.com:443/IPHTTPS\n"
        "Last Error Code            : 0x80090326\n"
        "Interface Status           : Failed to connect to the IPHTTPS server; waiting to "
        "reconnect\n"
    )
    for scene, code in (
        (scenes.null_missing, "iphttps-null-suites-missing"),
        (scenes.certificate_wanted, "iphttps-client-cert-required"),
        (scenes.inspected, "iphttps-tls-inspected"),
    ):
        found = seen(tmp_path, scene, httpstunnel=state).diagnosis.findings
        assert found[0].finding.problem.code == code
        followers = [item.finding.problem.code for item in consequences(found)]
        assert "iphttps-tls-handshake-failed" in followers


def test_what_a_server_captured_is_told_of_its_client(tmp_path: Path) -> None:
    for name in ("client", "server"):
        (tmp_path / name).mkdir()
    (tmp_path / "client" / URL).write_text(CONFIGURATION)
    (tmp_path / "client" / "hostname.txt").write_text(scenes.OUTSIDE)
    (tmp_path / "server" / "capture.pcap").write_bytes(captured(scenes.null_missing))
    found = examine([tmp_path]).diagnosis.findings
    assert [item.finding.problem.code for item in found] == ["iphttps-null-suites-missing"]
