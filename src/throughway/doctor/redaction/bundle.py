"""A bundle that can be shared: the same files with the same lines, without who and where."""

import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from throughway.doctor.examination import Examination, examine_bundle
from throughway.doctor.redaction.text import redactor_for
from throughway.doctor.sources.bundle import STDIN, Bundle, read
from throughway.doctor.sources.cutting import cut
from throughway.model.evidence import Evidence

_NO_DATE = (2000, 1, 1, 0, 0, 0)
_CERTIFICATE = "-----BEGIN "
"""What is written as text, but holds names that cannot be replaced."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """What was written, and what could not be."""

    files: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    """File and why."""
    lost: tuple[str, ...]
    """Codes of what was found in the original and is not found in what was written."""
    new: tuple[str, ...]
    """Codes of what is found only in what was written; a fault of the redaction."""


def redact(paths: Sequence[Path], stdin: BinaryIO | None, output: Path, key: bytes) -> Redacted:
    """Write what can be shared of a bundle into a zip archive."""
    bundle = read(paths, stdin, whole=True)
    texts = [item for item in bundle.evidence if not item.content]
    shown = [item for item in texts if _CERTIFICATE not in item.text]
    before = examine_bundle(_as_read(bundle.evidence))
    names = (host.name for host in before.hosts)
    redactor = redactor_for((item.text for item in shown), names, key)
    archives = tuple(f"{path.name}/" for path in paths if path.is_file())
    written = _unique(
        Evidence(redactor.text(_inside(item.file, archives)), redactor.text(item.text))
        for item in shown
    )
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        for item in written:
            entry = zipfile.ZipInfo(item.file, _NO_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, item.text)
    found, now = _codes(before), _codes(examine_bundle(_as_read(written)))
    left_out = [(i.file, "holds more than text") for i in bundle.evidence if i not in shown]
    return Redacted(
        tuple(item.file for item in written),
        (*left_out, *bundle.unreadable),
        tuple(sorted(found - now)),
        tuple(sorted(now - found)),
    )


def _as_read(evidence: Iterable[Evidence]) -> Bundle:
    return Bundle([part for item in evidence for part in (cut(item) if item.text else [item])])


def _codes(examination: Examination) -> set[str]:
    found = examination.diagnosis.findings
    return {item.finding.problem.code for item in found}


def _inside(file: str, archives: tuple[str, ...]) -> str:
    """Return the name without that of the archive, which is often the machine's."""
    for archive in archives:
        if file.startswith(archive):
            return file.removeprefix(archive)
    return "piped.txt" if file == STDIN else file


def _unique(evidence: Iterable[Evidence]) -> list[Evidence]:
    """Name each file once, within the archive."""
    known: dict[str, Evidence] = {}
    for item in evidence:
        parts = [part for part in item.file.split("/") if part not in {"", ".", ".."}]
        name = "/".join(parts) or "file.txt"
        number = 2
        while name in known:
            name = "/".join((*parts[:-1], f"{number}-{parts[-1] if parts else 'file.txt'}"))
            number += 1
        known[name] = Evidence(name, item.text)
    return list(known.values())
