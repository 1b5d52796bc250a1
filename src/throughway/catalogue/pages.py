"""The catalogue as pages for people: one a problem, and an index. Texts in, text out."""

from throughway.catalogue import MODULES
from throughway.catalogue.on_windows.advice import ADVICE
from throughway.model.findings import Advice, Problem

INDEX = "index"
_WARNING = "<!-- Written by `python -m throughway.catalogue`; change src/throughway/catalogue. -->"


def pages() -> dict[str, str]:
    """Return every page's text by its name without ``.md``."""
    problems = [problem for module in MODULES for problem in module.PROBLEMS]
    return {problem.code: render(problem) for problem in problems} | {INDEX: render_index()}


def render(problem: Problem) -> str:
    """Return the page of one problem."""
    parts = [
        _WARNING,
        f"# {problem.title}",
        f"`{problem.code}` · {problem.severity} · {problem.component}",
        f"**Cause.** {problem.cause}",
        f"**Resolution.** {problem.resolution}",
    ]
    if problem.fix:
        parts.append(_commands("What mends it, or shows what to mend:", problem.fix))
    if problem.verify:
        parts.append(_commands("What proves it mended:", problem.verify))
    if said := ADVICE.get(problem.code):
        parts += _on_windows(said)
    if problem.depends_on:
        links = ", ".join(f"[{root.code}]({root.code}.md)" for root in problem.depends_on)
        parts.append(f"Not shown while one of these holds, from which it follows: {links}.")
    if problem.visible_after:
        parts.append(f"Shown when it has lasted {problem.visible_after:g} seconds.")
    return "\n\n".join(parts) + "\n"


def render_index() -> str:
    """Return the page that lists all problems, by component."""
    parts = [
        _WARNING,
        "# Problems",
        "Every problem that throughway can name, in the order in which a connection comes up.\n"
        "Words in capitals in commands stand for values of the deployment: `throughway client\n"
        "status` and `throughway gateway status` print the values where they know them.",
    ]
    for module in (module for module in MODULES if module.PROBLEMS):
        title = (module.__doc__ or "").partition("\n")[0].rstrip(".")
        rows = "\n".join(
            f"| [{p.code}]({p.code}.md) | {p.severity} | {p.title} |" for p in module.PROBLEMS
        )
        parts.append(f"## {title}\n\n| code | severity | what |\n|---|---|---|\n{rows}")
    return "\n\n".join(parts) + "\n"


def _on_windows(said: Advice) -> list[str]:
    parts = ["## On Windows", f"**Cause.** {said.cause}", f"**Resolution.** {said.resolution}"]
    if said.fix:
        parts.append(_commands("What mends it, or shows what to mend:", said.fix))
    if said.verify:
        parts.append(_commands("What proves it mended:", said.verify))
    return parts


def _commands(title: str, commands: tuple[str, ...]) -> str:
    return "\n".join([title, "", *(f"    {command}" for command in commands)])
