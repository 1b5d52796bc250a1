"""Captures as evidence: what each scene shows comes first, and nothing else is said of it."""

from pathlib import Path

import pytest

from tests import captured_evidence as scenes
from tests.captured import CLIENT, SERVER, USUAL_SUITES, Talk, Wire, alert, hello, in_the_clear
from tests.captured_evidence import CONFIGURATION, SCENES, URL, Scene, captured
from tests.doctor.test_rules import consequences
from tests.packets import ip, tcp
from throughway.doctor.examination import Examination, examine
from throughway.model.findings import Confidence
from throughway.wire.ip import TCP


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


def test_of_what_was_not_captured_nothing_is_said(tmp_path: Path) -> None:
    """Short snapshots, and one direction alone, of a session that the server ends."""

    def scene(wire: Wire) -> None:
        scenes.link(wire).end("server")

    def short(wire: Wire) -> None:
        scene(wire)
        wire.frames = [(at, frame[:96]) for at, frame in wire.frames]

    def one_way(wire: Wire) -> None:
        scene(wire)
        for name in ("www.example.net", "www.example.org"):
            wire.ask(name, code=None)
        source = bytes((192, 0, 2, 1))
        wire.frames = [(at, frame) for at, frame in wire.frames if frame[26:30] == source]

    for shortened in (short, one_way):
        assert roots(seen(tmp_path, shortened, url=CONFIGURATION)) == []


def test_a_scanner_of_suites_is_no_client(tmp_path: Path) -> None:
    def scene(wire: Wire) -> None:
        talk = Talk(wire, "203.0.113.9").begin()
        talk.say("client", hello((*USUAL_SUITES, 0x003B), "scanned.example.net"))
        talk.say("server", alert(40))
        talk.end("server")

    assert roots(seen(tmp_path, scene, url=CONFIGURATION)) == []


def test_a_way_that_ends_altogether_is_no_black_hole(tmp_path: Path) -> None:
    """Large segments of the client are repeated; small ones do not arrive either."""

    def scene(wire: Wire) -> None:
        talk = scenes.link(wire)
        talk.segment("client", in_the_clear(bytes(1200)))
        for after in (1, 2, 4):
            talk.repeat("client", in_the_clear(bytes(1200)), after)

    assert roots(seen(tmp_path, scene, url=CONFIGURATION)) == []

    def answered(wire: Wire) -> None:
        scene(wire)
        acknowledged = tcp(b"", 16, ports=(443, 50000), sequence=9000, acknowledgment=1200)
        wire.send(ip(SERVER, CLIENT, TCP, acknowledged), 1, 12)

    assert roots(seen(tmp_path, answered, url=CONFIGURATION)) == ["path-mtu-black-hole"]


def test_windows_asks_for_its_domain_on_every_network(tmp_path: Path) -> None:
    def scene(wire: Wire) -> None:
        for name in ("_ldap._tcp.dc._msdcs.corp.example.com", "wpad.corp.example.com"):
            wire.ask(name, code=3)

    beside = {"state": scenes.OUTSIDE, "effectivepolicy": scenes.EFFECTIVE}
    assert roots(seen(tmp_path, scene, **beside)) == []
