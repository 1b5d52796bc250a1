"""What a number, a symbol or a problem's code means, however a person writes it."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from throughway.catalogue import PROBLEMS
from throughway.catalogue.on_windows.codes import Meaning, of_last_error
from throughway.catalogue.on_windows.event_numbers import EVENTS
from throughway.catalogue.on_windows.ipsec_codes import of_negotiation
from throughway.catalogue.windows import CODES, describe
from throughway.model.findings import Confidence

_UNSIGNED = 1 << 32
_WIN32 = 0x80070000
"""HRESULTs from here on carry a plain error number in their low word."""
_SUGGESTIONS = 4
_NEAR = 0.6
"""How alike a suggestion must be, as :mod:`difflib` counts."""
_HEXADECIMAL = re.compile(r"(?:0x)?([0-9a-f]{1,8})[lu]?", re.IGNORECASE)
_DECIMAL = re.compile(r"[+-]?[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Explanation:
    """One thing that was meant."""

    title: str
    reading: str = ""
    """How to read it further."""
    meanings: tuple[Meaning, ...] = ()


def explain(code: str) -> tuple[Explanation, ...]:
    """Return what the code can mean, the likeliest first; () when it is not known."""
    code = code.strip().strip("\"'`.,;:()")
    if problem := PROBLEMS.get(code.lower().replace("_", "-")):
        return (Explanation(problem.title, meanings=(Meaning(problem),)),)
    if (number := _by_symbol(code)) is not None:
        return tuple(_of_number(number))
    known: list[Explanation] = []
    for number in _numbers(code):
        known += [item for item in _all_of(number) if item not in known]
    return tuple(known)


def near(code: str) -> tuple[str, ...]:
    """Return known codes that look alike, the likest first."""
    code = code.strip()
    symbols = {known.symbol.upper(): known.symbol for known in CODES.values()}
    names = {**symbols, **{problem.upper(): problem for problem in PROBLEMS}}
    names |= {f"0X{number:X}": f"0x{number:X}" for number in CODES}
    names |= {str(number): str(number) for number in (*CODES, *EVENTS)}
    wanted = code.upper().replace(" ", "-" if code.islower() else "_")
    found = difflib.get_close_matches(wanted, names, _SUGGESTIONS, _NEAR)
    holding = [name for name in names if len(wanted) > 3 and wanted in name]
    return tuple(names[name] for name in dict.fromkeys((*found, *holding)))[:_SUGGESTIONS]


def _by_symbol(code: str) -> int | None:
    for number, known in CODES.items():
        if code.upper() in {known.symbol, known.symbol.removeprefix("ERROR_IPSEC_IKE_")}:
            return number
    return None


def _numbers(code: str) -> Iterator[int]:
    """Yield what may have been meant: decimal where it can be, hexadecimal where it must be."""
    if _DECIMAL.fullmatch(code):
        yield int(code) % _UNSIGNED
    hexadecimal = _HEXADECIMAL.fullmatch(code)
    if hexadecimal and (not code.isdecimal() or len(code) == 8):
        yield int(hexadecimal[1], 16)


def _all_of(number: int) -> Iterator[Explanation]:
    yield from _of_number(number)
    if event := EVENTS.get(number):
        reason = "the event allows it, and other causes as well"
        yield Explanation(
            f"Event {number} ({event.log}): {event.meaning}",
            event.reading,
            tuple(Meaning(p, Confidence.POSSIBLE, reason) for p in event.problems),
        )


def _of_number(number: int) -> Iterator[Explanation]:
    inner = number - _WIN32
    if number not in CODES and inner in CODES:
        yield Explanation(f"0x{number:X} is {describe(inner)}", meanings=_meanings(inner))
    elif describe(number) != f"0x{number:X}":
        decimal = f" (decimal {number})"
        yield Explanation(describe(number) + decimal, meanings=_meanings(number))


def _meanings(number: int) -> tuple[Meaning, ...]:
    negotiation = of_negotiation(number, second_round=False, authentication="")
    return of_last_error(number) or ((negotiation,) if negotiation else ())
