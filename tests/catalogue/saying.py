"""Which problems the product's own code can say: found by walking the code, not by a list.

A mention of a problem (its name in the catalogue, its code as a text) counts where it can end in
somebody being told: not where a problem is cleared, asked for, compared, or announced by a check as
what it may find; not in a function that nobody calls; and a constant only through its uses.
"""

import ast
import importlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import throughway
from throughway.catalogue import PROBLEMS
from throughway.model.findings import Problem

SOURCE = Path(throughway.__file__).parent
SPEAKERS = (
    "authority",
    "client",
    "gateway",
    "health",
    "net",
    "pki",
    "probe",
    "proto",
    "remedies/seen.py",
)
"""What daemons are made of, and what looks on the spot and on demand."""
READERS = ("health/chain.py", "health/connection.py")
"""What only reads what others said."""
NOT_SAYING = frozenset({"clear", "holds"})
"""Calls that tell nobody of a problem."""
MAX_DEPTH = 4
"""Of containers within containers."""
Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = Function | ast.ClassDef | ast.Module


@dataclass
class Walked:
    """A module, and who is whose parent in it."""

    path: str
    tree: ast.Module
    names: dict[str, Any]
    """What its names mean, once it is imported."""
    nodes: list[ast.AST] = field(default_factory=list)
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    uses: dict[ast.AST, list[ast.Name]] = field(default_factory=dict)
    """Of each scope: where it reads names."""
    told: dict[ast.AST, bool] = field(default_factory=dict)
    """Of assignments: whether what was named is said; asked once."""

    def __post_init__(self) -> None:
        for node in ast.walk(self.tree):
            self.nodes.append(node)
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node
        for node in self.nodes:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                for above, _ in self.above(node):
                    if isinstance(above, Scope):
                        self.uses.setdefault(above, []).append(node)

    def above(self, node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
        """Yield each node on the way up with the one it came from."""
        while node in self.parents:
            node, below = self.parents[node], node
            yield node, below


def walked(path: Path, root: Path = SOURCE, module: ModuleType | None = None) -> Walked:
    """Read a module and import it."""
    name = str(path.relative_to(root))
    if module is None:
        dotted = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        module = importlib.import_module(f"throughway.{dotted}")
    return Walked(name, ast.parse(path.read_text()), vars(module))


def sayable(modules: list[Walked], used: Counter[str]) -> dict[str, set[str]]:
    """Return where each code can be said; ``used`` is how often names occur in the product."""
    words = {
        node.value
        for module in modules
        for node in module.nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    found: dict[str, set[str]] = {}
    for module in modules:
        for node in module.nodes:
            codes = _codes(node, module, words)
            if codes and _says(node, module) and _called(node, module, used):
                where = f"{module.path}:{getattr(node, 'lineno', 0)}"
                for code in codes:
                    found.setdefault(code, set()).add(where)
    return found


def names_used(trees: list[ast.Module]) -> Counter[str]:
    """Return how often each name occurs, as such or behind a dot."""
    used: Counter[str] = Counter()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                used[node.id] += 1
            elif isinstance(node, ast.Attribute):
                used[node.attr] += 1
    return used


# What a node means


def _codes(node: ast.AST, module: Walked, words: set[str]) -> set[str]:
    if isinstance(node, ast.Constant):
        return _carried(node.value)
    if isinstance(node, ast.JoinedStr):
        return _patched(node, words)
    if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
        return _carried(_meant(node, module.names))
    return set()


def _meant(node: ast.AST, names: dict[str, Any]) -> object:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        of = names.get(node.value.id)
        return getattr(of, node.attr, None) if isinstance(of, ModuleType | type) else None
    return None


def _carried(value: object, depth: int = 0) -> set[str]:
    """Return the codes within a value; texts that are no code of the catalogue are none."""
    if isinstance(value, Problem):
        return {value.code}
    if isinstance(value, str):
        return {str(value)} & PROBLEMS.keys()
    if value is PROBLEMS or depth > MAX_DEPTH:
        return set()
    if isinstance(value, dict):
        value = (*value.keys(), *value.values())
    if isinstance(value, tuple | list | set | frozenset):
        return {code for one in value for code in _carried(one, depth + 1)}
    return set()


def _patched(node: ast.JoinedStr, words: set[str]) -> set[str]:
    """Return the codes that a text with gaps can become, filled with words of the product."""
    parts = [
        re.escape(str(part.value)) if isinstance(part, ast.Constant) else "(.+)"
        for part in node.values
    ]
    if not any(isinstance(part, ast.Constant) and "-" in str(part.value) for part in node.values):
        return set()
    pattern = re.compile("".join(parts))
    matches = filter(None, map(pattern.fullmatch, PROBLEMS))
    return {match[0] for match in matches if set(match.groups()) <= words}


# Whether it ends in somebody being told


def _says(node: ast.AST, module: Walked) -> bool:
    for above, below in module.above(node):
        if isinstance(above, ast.Call) and below is not above.func:
            if isinstance(above.func, ast.Attribute) and above.func.attr in NOT_SAYING:
                return False
        elif (
            (isinstance(above, ast.keyword) and above.arg == "problems")
            or isinstance(above, ast.Compare)
            or _asks(above, below)
        ):
            return False
        elif isinstance(above, ast.Expr) and isinstance(node, ast.Constant):
            return below is not node  # a docstring
        elif isinstance(above, ast.Assign | ast.AnnAssign):
            return _used(above, module)
    return True


def _asks(above: ast.AST, below: ast.AST) -> bool:
    """Whether it is asked, not said: the head of an ``if``, a loop, or a case."""
    if isinstance(above, ast.match_case):
        return below not in above.body
    return isinstance(above, ast.If | ast.While | ast.IfExp) and below is above.test


def _used(assignment: ast.Assign | ast.AnnAssign, module: Walked) -> bool:
    """Whether what was named says something where the name is used, in the same scope."""
    if assignment not in module.told:
        module.told[assignment] = False  # of itself it says nothing
        module.told[assignment] = _is_told(assignment, module)
    return module.told[assignment]


def _is_told(assignment: ast.Assign | ast.AnnAssign, module: Walked) -> bool:
    targets = assignment.targets if isinstance(assignment, ast.Assign) else [assignment.target]
    names = {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}
    scope = next(above for above, _ in module.above(assignment) if isinstance(above, Scope))
    if not names:
        return True  # an attribute: followed no further
    if isinstance(scope, ast.Module | ast.ClassDef):
        return False  # each use counts by itself, there and in other modules
    return any(use.id in names and _says(use, module) for use in module.uses.get(scope, ()))


def _called(node: ast.AST, module: Walked, used: Counter[str]) -> bool:
    """Whether every function around it is named somewhere else than in itself."""
    for above, _ in module.above(node):
        if isinstance(above, Function) and not above.name.startswith("__"):
            own = sum(
                getattr(one, "id", getattr(one, "attr", "")) == above.name
                for one in ast.walk(above)
            )
            if used[above.name] <= own:
                return False
    return True
