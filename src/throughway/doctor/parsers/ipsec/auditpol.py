r"""``auditpol /get /category:…`` and ``/subcategory:…``, also as CSV (``/r``).

Sample::

    System audit policy
    Category/Subcategory                      Setting
    Logon/Logoff
      IPsec Main Mode                         No Auditing
      IPsec Quick Mode                        No Auditing
      IPsec Extended Mode                     Success and Failure

Names and settings are translated. The three modes stand in this order; the CSV has identifiers
that are the same in every language.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.ipsec import AuditPolicy, Mode

_COLUMNS = re.compile(r"\t+| {2,}")
_IDENTIFIER = re.compile(r"\{0cce92(18|19|1a)-69ae-11d9-bed3-505054503030\}", re.IGNORECASE)
_BY_IDENTIFIER = {"18": Mode.MAIN, "19": Mode.QUICK, "1a": Mode.EXTENDED}
_MODES = (
    (
        Mode.MAIN,
        ("main", "haupt", "princip", "hoofd", "\u4e3b", "\u30e1\u30a4\u30f3", "\u043e\u0441\u043d"),
    ),
    (
        Mode.QUICK,
        (
            "quick",
            "schnell",
            "rapid",
            "r\u00e1pid",
            "snel",
            "\u5feb\u901f",
            "\u30af\u30a4\u30c3\u30af",
        ),
    ),
    (
        Mode.EXTENDED,
        (
            "extend",
            "erweit",
            "\u00e9tendu",
            "ampliad",
            "estes",
            "uitgebr",
            "\u6269\u5c55",
            "\u62e1\u5f35",
        ),
    ),
)
_NOTHING = re.compile(
    "no audit|keine|aucun|sin aud|nessun|nenhum|geen|\u65e0|\u7121|\u6ca1\u6709|\u306a\u3057", re.I
)
_SUCCESS = re.compile(
    "succ|erfolg|r\u00e9ussi|acierto|correct|esito positivo|\u00eaxito|exito|geslaagd|\u6210\u529f",
    re.I,
)
_FAILURE = re.compile(
    "fail|fehler|\u00e9chec|error|fall|falha|negativ|mislukt|\u5931\u8d25|\u5931\u6557", re.I
)


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield an :class:`AuditPolicy` for each of the three modes that is listed."""
    if _IDENTIFIER.search(evidence.text):
        yield from _table(evidence)
        return
    rows = [
        (number, columns)
        for number, line in evidence.lines()
        if "ipsec" in line.lower() and len(columns := _COLUMNS.split(line.strip())) == 2
    ]
    modes = [_mode(columns[0]) for _, columns in rows]
    if len(rows) == len(_MODES) and modes != [mode for mode, _ in _MODES] and None in modes:
        modes = [mode for mode, _ in _MODES]
    for (number, columns), mode in zip(rows, modes, strict=True):
        if mode is not None:
            yield from _policy(evidence, number, mode, columns)


def _mode(name: str) -> Mode | None:
    lower = name.lower()
    found = [mode for mode, words in _MODES if any(word in lower for word in words)]
    return found[0] if len(found) == 1 else None


def _policy(
    evidence: Evidence, number: int, mode: Mode, columns: Sequence[str]
) -> Iterator[AuditPolicy]:
    """Yield what a setting says; nothing where its words are not known."""
    setting = columns[-1]
    success, failure = bool(_SUCCESS.search(setting)), bool(_FAILURE.search(setting))
    if success or failure or _NOTHING.search(setting):
        source = evidence.at(number, "  ".join(columns))
        yield AuditPolicy(source=source, mode=mode, success=success, failure=failure)


def _table(evidence: Evidence) -> Iterator[Fact]:
    for number, line in evidence.lines():
        match = _IDENTIFIER.search(line)
        if match is None:
            continue
        try:
            row = next(csv.reader(io.StringIO(line)), [])
        except csv.Error as error:
            raise ParseError(str(error), number) from error
        identified = [i for i, cell in enumerate(row) if _IDENTIFIER.search(cell)]
        setting = row[identified[0] + 1] if identified and len(row) > identified[0] + 1 else ""
        mode = _BY_IDENTIFIER[match[1].lower()]
        yield from _policy(evidence, number, mode, (line.strip(), setting))


def signature(head: str) -> int:
    """Score the head of a text."""
    if "category/subcategory" in head or "subcategory guid" in head:
        return CERTAIN
    return LIKELY if head.count("ipsec") >= 3 and "auditing" in head else 0


PARSER = Parser(
    name="auditpol /get",
    parse=parse,
    command=re.compile(r"\bauditpol\b", re.IGNORECASE),
    signature=signature,
)
