"""What the control socket carries: one JSON object a line, snapshots as objects of their fields.

A request is ``{"command": "status", …arguments}``; a reply is ``{"ok": true, "result": …}`` or
``{"ok": false, "error": {"code": …, "message": …}}``. Either end may be newer than the other: keys
that are not known are passed over, and keys with a default may be missing.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from throughway.model.errors import ControlError, WireError

JSON = dict[str, "JSON"] | list["JSON"] | str | int | float | bool | None
T = TypeVar("T")

MAX_REQUEST = 256 * 1024
"""Bytes of a request's line: a Kerberos credential cache in base64 and some room."""
MAX_REPLY = 16 * 1024 * 1024
"""Bytes of a reply's line: a gateway with all its sessions."""
MAX_COMMAND = 64
"""Characters of a command's name."""


class CommandRefused(ControlError):
    """The daemon was asked and said no; ``code`` is for programs, the text for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Command:
    """A request, read."""

    name: str
    arguments: Mapping[str, JSON] = field(default_factory=dict, repr=False)
    """Passwords and PINs may be among them: no log is to have them."""

    def text(self, name: str, default: str | None = None) -> str:
        """Return an argument that must be text."""
        value = self.arguments.get(name, default)
        if not isinstance(value, str):
            raise CommandRefused("bad-argument", f"{self.name}: {name} must be given, as text")
        return value


# Lines


def encode_line(value: JSON) -> bytes:
    """Return the value as one line; ASCII only, so that no line ends within it."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"


def decode_line(line: bytes) -> JSON:
    """Read a line; whatever is wrong with it is a :exc:`WireError`."""
    try:
        value: JSON = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise WireError(f"not JSON: {type(error).__name__}") from error
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise WireError(f"{name} is no number of JSON")


def encode_request(command: str, arguments: Mapping[str, JSON]) -> bytes:
    """Return the line that asks for a command."""
    return encode_line({**arguments, "command": command})


def decode_request(line: bytes) -> Command:
    """Read the line that asks for a command."""
    value = decode_line(line)
    if not isinstance(value, dict):
        raise WireError("a request is an object")
    name = value.pop("command", None)
    if not isinstance(name, str) or not 0 < len(name) <= MAX_COMMAND:
        raise WireError("a request names its command")
    return Command(name, value)


def encode_result(result: JSON) -> bytes:
    """Return the line that answers a command that was carried out."""
    return encode_line({"ok": True, "result": result})


def encode_error(code: str, message: str) -> bytes:
    """Return the line that answers a command that was not carried out."""
    return encode_line({"ok": False, "error": {"code": code, "message": message}})


def decode_reply(line: bytes) -> JSON:
    """Return the result in an answer; raise :exc:`CommandRefused` if it holds an error."""
    match decode_line(line):
        case {"ok": True, "result": result}:
            return result
        case {"ok": False, "error": {"code": str(code), "message": str(message)}}:
            raise CommandRefused(code, message)
        case _:
            raise WireError("a reply says ok or error")


# Dataclasses


def to_json(value: object) -> JSON:
    """Return a dataclass (and what it is made of) as JSON."""
    match value:
        case Enum():
            return to_json(value.value)
        case Path():
            return str(value)
        case None | bool() | str() | int() | float():
            return value
        case list() | tuple():
            return [to_json(item) for item in value]
        case dict():
            return {str(key): to_json(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in fields(value)}
    raise TypeError(f"{type(value).__name__} does not go over the control socket")


def from_json(wanted: type[T], value: JSON) -> T:
    """Return the dataclass that :func:`to_json` made; anything else is a :exc:`WireError`."""
    result: T = _read(wanted, value, wanted.__name__)
    return result


def _read(wanted: Any, value: JSON, where: str) -> Any:  # noqa: ANN401 (the type is a value here)
    """Read a value of a type that is known only when running."""
    origin = get_origin(wanted)
    if origin is tuple:
        return _read_tuple(get_args(wanted), value, where)
    if origin in (UnionType, Union):
        return _read_union(get_args(wanted), value, where)
    if is_dataclass(wanted):
        return _read_dataclass(wanted, value, where)
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return _read_enum(wanted, value, where)
    if wanted is Path and isinstance(value, str):
        return Path(value)
    if wanted is float and type(value) is int and abs(value) < 1 << 53:
        return float(value)
    if wanted is float and isinstance(value, float) and not math.isfinite(value):
        raise WireError(f"{where}: too large")
    if type(value) is not wanted:
        name = getattr(wanted, "__name__", str(wanted))
        raise WireError(f"{where}: {name} wanted, {type(value).__name__} given")
    return value


def _read_tuple(wanted: tuple[Any, ...], value: JSON, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise WireError(f"{where}: a list wanted")
    if len(wanted) == 2 and wanted[1] is Ellipsis:
        wanted = (wanted[0],) * len(value)
    if len(wanted) != len(value):
        raise WireError(f"{where}: {len(wanted)} items wanted, {len(value)} given")
    items = zip(wanted, value, strict=True)
    return tuple(_read(kind, item, f"{where}[{n}]") for n, (kind, item) in enumerate(items))


def _read_union(wanted: tuple[Any, ...], value: JSON, where: str) -> Any:  # noqa: ANN401
    """Optional values only: several alternatives could not be told apart for sure."""
    if value is None and type(None) in wanted:
        return None
    (kind,) = (kind for kind in wanted if kind is not type(None))
    return _read(kind, value, where)


def _read_enum(wanted: type[Enum], value: JSON, where: str) -> Enum:
    try:
        return wanted(value)
    except ValueError as error:
        raise WireError(f"{where}: not a {wanted.__name__}") from error


def _read_dataclass(wanted: Any, value: JSON, where: str) -> Any:  # noqa: ANN401
    if not isinstance(value, dict):
        raise WireError(f"{where}: an object wanted")
    hints = _hints(wanted)
    given = {}
    for f in fields(wanted):
        if f.name in value:
            given[f.name] = _read(hints[f.name], value[f.name], f"{where}.{f.name}")
        elif f.default is MISSING and f.default_factory is MISSING:
            raise WireError(f"{where}.{f.name} is missing")
    return wanted(**given)


@cache
def _hints(wanted: type) -> dict[str, Any]:
    return get_type_hints(wanted)
