"""An examination whose report can be shared: the findings are the same, the names are not."""

import secrets
from dataclasses import replace

from throughway.doctor.engine import Diagnosed, Unanswered
from throughway.doctor.examination import Examination
from throughway.doctor.reading import Reading
from throughway.doctor.redaction.text import Redactor, redactor_for
from throughway.doctor.sources.bundle import Bundle
from throughway.model.evidence import Source
from throughway.model.facts.base import Host


def redacted(examination: Examination, bundle: Bundle, key: bytes | None = None) -> Examination:
    """Return it with everything replaced that a report shows of a case."""
    redactor = redactor_for(
        (evidence.text for evidence in bundle.evidence),
        (host.name for host in examination.hosts),
        key or secrets.token_bytes(16),
    )
    diagnosis = replace(
        examination.diagnosis,
        findings=tuple(_finding(item, redactor) for item in examination.diagnosis.findings),
        unanswered=tuple(_question(item, redactor) for item in examination.diagnosis.unanswered),
    )
    return replace(
        examination,
        diagnosis=diagnosis,
        hosts=tuple(_host(host, redactor) for host in examination.hosts),
        reading=_reading(examination.reading, redactor),
        unreadable=tuple(
            (redactor.text(file), redactor.text(why)) for file, why in examination.unreadable
        ),
    )


def _finding(item: Diagnosed, redactor: Redactor) -> Diagnosed:
    finding = replace(
        item.finding,
        summary=redactor.text(item.finding.summary),
        reason=redactor.text(item.finding.reason),
        evidence=tuple(_source(source, redactor) for source in item.finding.evidence),
        values=tuple((name, redactor.text(value)) for name, value in item.finding.values),
    )
    return replace(
        item,
        finding=finding,
        host=_host(item.host, redactor),
        consequences=tuple(_finding(follower, redactor) for follower in item.consequences),
    )


def _question(item: Unanswered, redactor: Redactor) -> Unanswered:
    return replace(item, host=_host(item.host, redactor))


def _host(host: Host, redactor: Redactor) -> Host:
    return replace(host, name=redactor.text(host.name), source=_source(host.source, redactor))


def _source(source: Source, redactor: Redactor) -> Source:
    return replace(source, file=redactor.text(source.file), text=redactor.text(source.text))


def _reading(reading: Reading, redactor: Redactor) -> Reading:
    return Reading(
        [
            replace(item, evidence=replace(item.evidence, file=redactor.text(item.evidence.file)))
            for item in reading.read
        ],
        [
            replace(item, file=redactor.text(item.file), why=redactor.text(item.why))
            for item in reading.unreadable
        ],
    )
