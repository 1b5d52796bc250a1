"""Hold JSON against the part of JSON Schema that the files of docs/schema use."""

import json
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "docs" / "schema"
TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def schema(name: str) -> dict[str, Any]:
    """Return a schema of the documentation."""
    loaded: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return loaded


def check(value: Any, schema: dict[str, Any], where: str = "$") -> None:  # noqa: ANN401
    """Fail where a value is not of the schema, or has more than it says."""
    kinds = schema.get("type", [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if kinds:
        assert any(isinstance(value, TYPES[kind]) for kind in kinds), f"{where}: {value!r}"
    if "enum" in schema:
        assert value in schema["enum"], where
    if "const" in schema:
        assert value == schema["const"], where
    if "pattern" in schema:
        assert re.search(schema["pattern"], value), where
    if isinstance(value, dict):
        assert set(schema["required"]) <= set(value) <= set(schema["properties"]), where
        for name, part in value.items():
            check(part, schema["properties"][name], f"{where}.{name}")
    if isinstance(value, list):
        for number, part in enumerate(value):
            check(part, schema["items"], f"{where}[{number}]")
