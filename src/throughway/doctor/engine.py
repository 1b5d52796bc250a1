"""Run rules over the facts of each host; put consequences under their causes. Decide no more.

Here is the doctor's one net below rules: what nobody foresaw becomes a finding about ourselves.
"""

import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product

from throughway.catalogue import PROBLEMS
from throughway.catalogue.host import BUG
from throughway.doctor.layers import layer_of
from throughway.doctor.rule import Need, Rule, Want
from throughway.health.tracker import roots_inside
from throughway.model.evidence import Platform, Role, Source
from throughway.model.facts.base import Fact, Host
from throughway.model.findings import Confidence, Finding, Layer, Problem, Severity

MAXIMUM_QUESTIONS = 10_000
"""How often one rule is asked on one host; more pairs of facts than that say nothing new."""
MAXIMUM_LOOKS = 1_000_000
"""Facts that one rule may look at on one host: what compares each with all is asked less often."""
MANY = 100
"""Facts of one kind from which on it is worth while to look for those that are alike."""
MAXIMUM_EVIDENCE = 20
"""Lines quoted for one finding."""
MAXIMUM_WORDS = 400
"""Characters that are said of our own mistake; an error may quote half a file."""

_ANYWHERE = Source("")

Facts = dict[type[Fact], list[Fact]]
_SURENESS = (Confidence.CERTAIN, Confidence.LIKELY, Confidence.POSSIBLE)
_PLACE = {code: place for place, code in enumerate(PROBLEMS)}
_WEIGHT = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """A root cause on a host, with what else follows from it."""

    finding: Finding
    host: Host
    layer: Layer
    consequences: tuple["Diagnosed", ...] = ()


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A question that the evidence does not answer; unknown is not healthy."""

    question: str
    host: Host
    needs: tuple[str, ...]
    """The kinds of fact that are missing."""
    collect: tuple[str, ...]
    """The commands that print them."""
    problems: tuple[str, ...]
    """The codes of what could not be judged without."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The whole answer."""

    findings: tuple[Diagnosed, ...]
    unanswered: tuple[Unanswered, ...]


def diagnose(
    hosts: Sequence[tuple[Host, Sequence[Fact]]],
    rules: Sequence[Rule],
    mistakes: Iterable[Finding] = (),
) -> Diagnosis:
    """Return root causes in the order of the way, each with its consequences.

    ``mistakes`` are our own ones of reading; they come last.
    """
    nobody = Host(source=Source(""), name="")
    found = [Diagnosed(each, nobody, layer_of(each.problem)) for each in mistakes]
    unanswered: list[Unanswered] = []
    for host, facts in hosts:
        by_kind = _by_kind(host, facts)
        missing: dict[type[Fact], list[str]] = {}
        for rule in rules:
            if rule.is_for(host):
                found += _ask(rule, host, by_kind, missing)
        unanswered += _questions(host, missing)
    return Diagnosis(tuple(_fold(_merged(found))), tuple(unanswered))


def _by_kind(host: Host, facts: Iterable[Fact]) -> Facts:
    by_kind: Facts = {Host: [host]}
    for fact in facts:
        by_kind.setdefault(type(fact), []).append(fact)
    return {kind: _distinct(of_kind) for kind, of_kind in by_kind.items()}


def _distinct(facts: list[Fact]) -> list[Fact]:
    """Leave facts out that were said in the same words many times before."""
    if len(facts) <= MANY:
        return facts
    seen: Counter[Fact] = Counter()
    kept: list[Fact] = []
    for fact in facts:
        alike = replace(fact, source=_ANYWHERE)
        seen[alike] += 1
        if seen[alike] <= MAXIMUM_EVIDENCE:
            kept.append(fact)
    return kept


def _ask(
    rule: Rule, host: Host, facts: Facts, missing: dict[type[Fact], list[str]]
) -> list[Diagnosed]:
    """Ask one rule about each combination of what it needs; note what it lacks."""
    needs = rule.needs()
    choices = []
    for need in needs:
        options = _options(need, facts)
        if not options:
            missing.setdefault(need.kinds[0], []).extend(p.code for p in rule.problems)
            return []
        choices.append(options)
    compared = [kind for need in needs if need.want is Want.ALL for kind in need.kinds]
    looks = 1 + sum(len(facts.get(kind, ())) for kind in compared)
    return [
        Diagnosed(_quoted(finding), host, layer_of(finding.problem))
        for chosen in islice(product(*choices), min(MAXIMUM_QUESTIONS, MAXIMUM_LOOKS // looks))
        for finding in _answers(rule, chosen)
    ]


def _quoted(finding: Finding) -> Finding:
    """Leave lines out that would only say the same."""
    if len(finding.evidence) <= MAXIMUM_EVIDENCE:
        return finding
    return replace(finding, evidence=finding.evidence[:MAXIMUM_EVIDENCE])


def _answers(rule: Rule, chosen: Sequence[object]) -> tuple[Finding, ...]:
    """Ask once; what goes wrong in the asking is found to be our own mistake."""
    try:
        answer = rule.check(*chosen)
    except Exception as error:  # whatever it was: the other rules are still to be asked
        codes = ", ".join(problem.code for problem in rule.problems[:3])
        what = f"The rule for {codes} failed"
        return (mistake(what, error, tuple(_sources(chosen))),)
    if answer is None:
        return ()
    return answer if isinstance(answer, tuple) else (answer,)


def mistake(what: str, error: Exception, evidence: tuple[Source, ...]) -> Finding:
    """Return the finding that we failed, and where in the program."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    module = frame.filename.replace("\\", "/").rpartition("/")[2]
    return Finding(
        problem=BUG,
        summary=f"{what} ({module}, line {frame.lineno}): {error!r}"[:MAXIMUM_WORDS] + ".",
        reason="this program failed; it says nothing of the machine",
        evidence=evidence[:MAXIMUM_EVIDENCE],
    )


def _sources(chosen: Iterable[object]) -> Iterator[Source]:
    for each in chosen:
        if isinstance(each, tuple):
            yield from _sources(each)
        elif isinstance(each, Fact):
            yield each.source


def _options(need: Need, facts: Facts) -> Sequence[object]:
    """Return what may be passed for a parameter; nothing when a required fact is missing."""
    if len(need.kinds) == 1:
        there = facts.get(need.kinds[0], [])
    else:
        there = [fact for kind in need.kinds for fact in facts.get(kind, ())]
    if need.want is Want.ALL:
        return (tuple(there),)
    if need.want is Want.FIRST:
        return (there[0] if there else None,)
    return there


def _questions(host: Host, missing: dict[type[Fact], list[str]]) -> list[Unanswered]:
    """Return one question for each kind of fact that a host of this role could give."""
    by_question: dict[str, list[type[Fact]]] = {}
    for kind in missing:
        if _could_say(host, kind):
            by_question.setdefault(kind.QUESTION, []).append(kind)
    return [
        Unanswered(
            question,
            host,
            tuple(kind.__name__ for kind in kinds),
            kinds[0].COLLECT,
            tuple(dict.fromkeys(code for kind in kinds for code in missing[kind])),
        )
        for question, kinds in by_question.items()
    ]


def _could_say(host: Host, kind: type[Fact]) -> bool:
    """Whether a machine of this role and platform prints such a fact."""
    if host.platform is Platform.LINUX and kind.PLATFORM is not Platform.LINUX:
        return False
    return kind.ROLE is None or host.role in {None, kind.ROLE}


def _merged(found: Iterable[Diagnosed]) -> list[Diagnosed]:
    """Make one of what several facts say of the same problem on the same host; sort the rest."""
    merged: dict[tuple[str, Host], Diagnosed] = {}
    for item in sorted(found, key=_sureness):
        key = (item.finding.problem.code, item.host)
        if key in merged:
            item = _joined(merged[key], item)
        merged[key] = item
    return sorted(merged.values(), key=_order)


def _joined(sure: Diagnosed, other: Diagnosed) -> Diagnosed:
    lines = dict.fromkeys((*sure.finding.evidence, *other.finding.evidence))
    evidence = tuple(islice(lines, MAXIMUM_EVIDENCE))
    return replace(sure, finding=replace(sure.finding, evidence=evidence))


def _sureness(item: Diagnosed) -> int:
    return _SURENESS.index(item.finding.confidence)


def _order(item: Diagnosed) -> tuple[bool, int, bool, int, int, bool, int]:
    """What matters (or has consequences that do) first, then what is sure, then what is lowest.

    Of what is alike in all that, what comes first as a connection comes up.
    """
    finding = item.finding
    return (
        finding.problem is BUG,
        min(_WEIGHT.index(i.finding.problem.severity) for i in (item, *item.consequences)),
        finding.confidence is Confidence.POSSIBLE,
        item.layer,
        _sureness(item),
        item.host.role is Role.CLIENT,
        _PLACE.get(finding.problem.code, len(_PLACE)),
    )


def _fold(found: list[Diagnosed]) -> list[Diagnosed]:
    """Put each consequence under the first root cause that explains it."""
    causes = {id(item): _cause(item, found) for item in found}
    below: dict[int, list[Diagnosed]] = {}
    for item in found:
        root = item
        seen = {id(item)}
        while (cause := causes[id(root)]) is not None and id(cause) not in seen:
            seen.add(id(cause))
            root = cause
        if root is not item:
            below.setdefault(id(root), []).append(item)
    followers = {id(item) for items in below.values() for item in items}
    roots = [
        replace(item, consequences=tuple(below.get(id(item), ())))
        for item in found
        if id(item) not in followers
    ]
    return sorted(roots, key=_order)


def _cause(item: Diagnosed, found: Iterable[Diagnosed]) -> Diagnosed | None:
    """Return what was found, too, and explains this."""
    problem = item.finding.problem
    ancestors = _ancestors(problem)
    # A server looks at the servers from its own place: how clients come hides nothing of that.
    own = roots_inside(problem) if item.host.role is Role.SERVER else ancestors
    for other in found:
        code = other.finding.problem.code
        if code not in (own if other.host == item.host else ancestors) or other is item:
            continue
        vague = other.finding.confidence is Confidence.POSSIBLE
        if vague and item.finding.confidence is not Confidence.POSSIBLE:
            continue
        if other.finding.problem.severity is Severity.INFO:
            continue
        if _reaches(other.host, item.host):
            return other
    return None


def _reaches(cause: Host, effect: Host) -> bool:
    """Whether a fault of one machine shows on the other: its own, or a server's on a client."""
    return cause == effect or (cause.role is Role.SERVER and effect.role is not Role.SERVER)


def _ancestors(problem: Problem) -> frozenset[str]:
    """Return the codes of everything from which a problem may follow, at whatever distance."""
    known = _ANCESTORS.get(problem.code)
    if known is None:
        codes = {root.code for root in problem.depends_on}
        for root in problem.depends_on:
            codes |= _ancestors(root)
        known = _ANCESTORS[problem.code] = frozenset(codes)
    return known


_ANCESTORS: dict[str, frozenset[str]] = {}
"""By code, filled as they are asked for: hashing a problem would walk all of its ancestors."""
