"""What the snapshots of both daemons have in common: their problems."""

from collections.abc import Iterator
from typing import Any

from throughway.doctor.parsers.linux.document import Lines, objects, text, texts
from throughway.model.facts.base import Fact
from throughway.model.facts.linux import ReportedProblem


def problems(data: dict[str, Any], by: str, lines: Lines) -> Iterator[Fact]:
    """Yield the conditions of a snapshot, and what the detail of a row says of others."""
    seen: set[str] = set()
    conditions = list(objects(data.get("problems")))
    conditions += [c for row in objects(data.get("components")) for c in _conditions(row)]
    for condition in conditions:
        code = text(condition, "code")
        key = f"{code}\0{text(condition, 'detail')}"
        if not code or key in seen:
            continue
        seen.add(key)
        source = lines.of("code", code)
        detail = lines.below(source, "detail")
        yield ReportedProblem(
            source=source,
            by=by,
            code=code,
            detail=text(condition, "detail"),
            fix=texts(condition, "fix"),
            verify=texts(condition, "verify"),
            also=(detail,) if detail else (),
        )


def _conditions(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from objects(row.get("conditions"))


def failed_checks(data: dict[str, Any], by: str, lines: Lines) -> Iterator[Fact]:
    """Yield what live checks have found, also where a status shows only what it follows from."""
    shown = {text(condition, "code") for condition in objects(data.get("problems"))}
    for check in objects(data.get("checks")):
        for code in texts(check, "problems"):
            if code in shown:
                continue
            source = lines.of("name", text(check, "name"))
            detail = lines.below(source, "detail")
            yield ReportedProblem(
                source=source,
                by=by,
                code=code,
                detail=text(check, "detail"),
                also=(detail,) if detail else (),
            )


def number(data: dict[str, Any], key: str) -> float:
    """Return a number, 0 where there is none."""
    value = data.get(key)
    return float(value) if isinstance(value, int | float) else 0.0
