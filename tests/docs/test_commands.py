"""The documentation names only what exists: commands, options, targets of make, pages, headings."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from throughway.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
START = ROOT / "README.md"
DEMANDED = ("pki init", "policy build", "gateway check", "client join", "login", "client status")
"""Commands without whose mention the documentation would not be one."""

FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^ {4}.*\n?)+", re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PROMPT = re.compile(r"^(?:\w*[$#] |sudo )+")
REMARK = re.compile(r"\s#\s.*$|\s{4,}\S.*$| \([^)]*\)$")
"""What stands behind a command in a block: a comment, another column, or words in brackets."""
NO_COMMANDS = {"policy bundle"}
"""The text that a bundle's signature begins with."""
ELLIPSIS = {"…", "..."}
OF_THE_ROOT = {"--debug", "--version", "--help"}


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def code_blocks(text: str) -> Iterator[str]:
    """Yield the blocks of code of a page, whatever their language."""
    for fenced in FENCED.finditer(text):
        yield fenced[2]
    for indented in INDENTED.finditer(FENCED.sub("", text)):
        yield indented[0]


def lines(text: str) -> Iterator[str]:
    """Yield command lines, whole: of the blocks, and of code in sentences."""
    for block in code_blocks(text):
        for line in block.replace("\\\n", " ").splitlines():
            yield REMARK.sub("", PROMPT.sub("", line.strip()))
    yield from INLINE.findall(FENCED.sub("", text))


def commands(text: str, program: str) -> Iterator[str]:
    """Yield the arguments of every call of a program."""
    for line in lines(text):
        for part in re.split(r"&&|\|\||[|;]", line):
            if part.strip().removeprefix(f"{program} ") in NO_COMMANDS:
                continue
            if part.strip() == program or part.strip().startswith(f"{program} "):
                yield part.strip().removeprefix(program).strip()


@cache
def whole() -> Any:  # noqa: ANN401 - a class of click or of typer's own
    """Return the command line with all its commands, as typer makes it."""
    return get_command(app)


def refusal(words: list[str]) -> str:
    """Say what the command line would not take; "" when it would take it all."""
    command = whole()
    path = ["throughway"]
    context = command.make_context(path[0], [], resilient_parsing=True)
    while hasattr(command, "resolve_command"):
        while words and words[0].startswith("-"):
            if words[0] not in OF_THE_ROOT:
                return f"No such option: {words[0]}"
            words = words[1:]
        if not words or words[0] in ELLIPSIS:
            return ""
        if words[0] not in command.list_commands(context):
            return f"No such command: {words[0]}"
        found, command, words = command.resolve_command(context, words)
        path.append(found)
    unfinished = not words or bool(ELLIPSIS & set(words))
    words = [word for word in words if word not in ELLIPSIS]
    if path == ["throughway", "lab", "exec"] and words[1:3] == ["--", "throughway"]:
        return refusal(words[3:])
    try:
        command.make_context(" ".join(path), words)
    except Exception as error:  # click's or typer's own, by the version of typer
        if not hasattr(error, "format_message"):
            raise
        why = str(error.format_message())
        return "" if unfinished and why.startswith("Missing") else why
    return ""


def words_of(call: str) -> list[str]:
    """Split a call as a shell does; brackets around what may be left out are not part of it."""
    return shlex.split(re.sub(r"\[(-[^\]]*)\]", r"\1", call))


def test_every_command_exists() -> None:
    wrong = {
        (name(page), call): why
        for page in PAGES
        for call in commands(page.read_text(), "throughway")
        if (why := refusal(words_of(call)))
    }
    assert wrong == {}


def test_commands_are_found_at_all() -> None:
    calls = [c for page in PAGES for c in commands(page.read_text(), "throughway")]
    assert len(calls) > 80
    for demanded in DEMANDED:
        assert any(call.startswith(demanded) for call in calls), demanded


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ("client status --json", ""),
        ("client stauts", "No such command: stauts"),
        ("client status --jsno", "No such option: --jsno"),
        ("pki issue gateway da.example.com --output /x", ""),
        ("pki issue gatewya da.example.com", "'gatewya' is not one of"),
        ("pki crl --days many", "integer"),
        ("lab exec client1 -- ip -6 route", ""),
        ("lab exec client1 -- throughway client stat", "No such command: stat"),
        ("lab move client1", "Missing argument"),
        ("lab move …", ""),
        ("lab move", ""),
        ("client refresh now", "unexpected extra argument"),
        ("--debgu client status", "No such option: --debgu"),
        ("--debug …", ""),
    ],
)
def test_what_does_not_exist_is_refused(call: str, why: str) -> None:
    said = refusal(words_of(call))
    assert why in said
    assert bool(why) == bool(said)


def test_blocks_are_read_as_a_reader_would() -> None:
    page = (
        "Say `throughway version`.\n\n    $ throughway lab up      seven seconds\n"
        "    throughway lab down  # nothing\n\n"
        "```sh\nls | throughway policy show \\\n x.bundle\n```\n"
    )
    calls = [words_of(call) for call in commands(page, "throughway")]
    assert sorted(calls) == [
        ["lab", "down"],
        ["lab", "up"],
        ["policy", "show", "x.bundle"],
        ["version"],
    ]


def test_every_target_of_make_exists() -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    wrong = [
        (name(page), word)
        for page in PAGES
        for call in commands(page.read_text(), "make")
        for word in call.split()
        if re.fullmatch(r"[a-z-]+", word) and word not in targets
    ]
    assert wrong == []


def test_help_of_make_lists_targets_that_exist() -> None:
    text = (ROOT / "Makefile").read_text()
    shown = re.findall(r"^#   make (\w+)", text, re.MULTILINE)
    assert {"demo", "test", "measure"} <= set(shown)
    assert set(shown) <= set(re.findall(r"^([\w-]+):", text, re.MULTILINE))


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Yield file and anchor of every link of a page that stays in the repository."""
    text = INLINE.sub("", FENCED.sub("", page.read_text()))
    for target in LINK.findall(text):
        if not re.match(r"\w+:", target):
            file, _, anchor = target.partition("#")
            yield (page.parent / file).resolve() if file else page, anchor


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as the usual renderers make them."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_leads_somewhere() -> None:
    broken = [
        (name(page), f"{file.name}#{anchor}")
        for page in PAGES
        for file, anchor in links(page)
        if not file.exists() or (anchor and anchor not in anchors(file))
    ]
    assert broken == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set[Path](), [START]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            waiting += [file for file, _ in links(page) if file.is_file()]
    pages = {page for page in PAGES if ROOT / "docs" in page.parents}
    assert sorted(name(page) for page in pages - reached) == []


def test_every_dependency_is_imported() -> None:
    """What ``pyproject.toml`` asks users to install is used by the package itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    modules = {"dnspython": "dns", "pyopenssl": "OpenSSL", "quickjs-ng": "quickjs"}
    source = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    imported = set(re.findall(r"^\s*(?:import|from) (\w+)", source, re.MULTILINE))
    names = [re.split(r"[^\w-]", line)[0] for line in project["dependencies"]]
    assert [
        name for name in names if modules.get(name, name.replace("-", "_")) not in imported
    ] == []
