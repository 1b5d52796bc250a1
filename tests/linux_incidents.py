"""Evidence that ``throughway collect`` took in a lab, by what was broken there."""

from pathlib import Path

from throughway.doctor.examination import Examination, examine_bundle
from throughway.doctor.gathering.bundle import as_bundle

EVIDENCE = Path(__file__).parent / "linux_evidence"


def files(incident: str, host: str) -> dict[str, str]:
    """Return the files of one bundle."""
    return {file.name: file.read_text() for file in sorted((EVIDENCE / incident / host).iterdir())}


def roots(examination: Examination) -> list[str]:
    """Return the codes of all root causes."""
    return [item.finding.problem.code for item in examination.diagnosis.findings]


def found(bundle: dict[str, str]) -> Examination:
    """Examine a bundle; all of it must have been readable and of known kinds."""
    examination = examine_bundle(as_bundle(bundle))
    assert examination.reading.unreadable == []
    assert examination.reading.unrecognised == []
    assert examination.reading.mistakes == []
    return examination
