"""The script that the system's Python runs."""

import ast
import sys
from pathlib import Path

import throughway.lab.domain_accounts as script


def test_it_imports_nothing_that_the_system_lacks() -> None:
    assert script.__file__
    tree = ast.parse(Path(script.__file__).read_text())
    imported = {
        name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    } | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names
