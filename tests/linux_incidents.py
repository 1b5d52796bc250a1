"""Evidence that ``throughway collect`` took in a lab, by what was broken there."""

import json
from functools import cache
from pathlib import Path

from throughway.catalogue import PROBLEMS
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


@cache
def lines_of(host: str) -> str:
    """Return the status of a daemon that is well."""
    name = "client" if host == "client1" else "gateway"
    return files("well", host)[f"{name}-status.json"]


def status_with(code: str, host: str) -> dict[str, str]:
    """Return the status of a daemon that tells one problem."""
    status = json.loads(lines_of(host))
    problem = PROBLEMS[code]
    status["problems"] = [
        {
            "code": code,
            "title": problem.title,
            "severity": problem.severity,
            "detail": "So it is.",
            "cause": problem.cause,
            "resolution": problem.resolution,
            "fix": problem.fix,
            "verify": problem.verify,
        }
    ]
    status["connection" if host == "client1" else "state"] = "error"
    name = "client" if host == "client1" else "gateway"
    return {f"{name}-status.json": json.dumps(status, indent=2)}
