"""Rules over facts: their needs, their order, their consequences."""

from throughway.catalogue import PROBLEMS
from throughway.catalogue.host import BUG
from throughway.doctor.engine import Diagnosis, diagnose
from throughway.doctor.rule import Rule
from throughway.model.evidence import Role, Source
from throughway.model.facts.base import Fact, Host
from throughway.model.facts.network import ComputerName, DisabledComponents, ServiceState
from throughway.model.findings import Component, Confidence, Finding, Problem, Severity


def problem(
    code: str,
    *roots: Problem,
    severity: Severity = Severity.CRITICAL,
    component: Component = Component.DOMAIN,
) -> Problem:
    return Problem(
        code=code,
        title=code,
        severity=severity,
        component=component,
        cause="C.",
        resolution="R.",
        depends_on=roots,
    )


ROOT = problem("the-root", component=Component.HOST)
MIDDLE = problem("the-middle", ROOT, component=Component.IPSEC)
END = problem("the-end", MIDDLE)
OTHER = problem("the-other")
CLIENT = Host(source=Source("a"), name="c1", role=Role.CLIENT)
SECOND = Host(source=Source("a"), name="c2", role=Role.CLIENT)
SERVER = Host(source=Source("a"), name="s1", role=Role.SERVER)


def bits(value: int, line: int = 1) -> DisabledComponents:
    return DisabledComponents(source=Source("reg.txt", line), bits=value)


def always(
    wanted: Problem, confidence: Confidence = Confidence.CERTAIN, role: Role | None = None
) -> Rule:
    def check(fact: DisabledComponents) -> Finding:
        return Finding(
            problem=wanted,
            summary="S.",
            confidence=confidence,
            reason="r",
            evidence=(fact.source,),
        )

    return Rule((wanted,), check, role)


def judge(*rules: Rule, hosts: tuple[Host, ...] = (CLIENT,)) -> Diagnosis:
    return diagnose([(host, [bits(1)]) for host in hosts], rules)


def shown(diagnosis: Diagnosis) -> list[tuple[str, str, list[str]]]:
    return [
        (d.host.name, d.finding.problem.code, [c.finding.problem.code for c in d.consequences])
        for d in diagnosis.findings
    ]


def test_a_consequence_goes_under_its_cause_at_any_distance() -> None:
    assert shown(judge(always(END), always(ROOT))) == [("c1", "the-root", ["the-end"])]
    every = judge(always(END), always(MIDDLE), always(ROOT))
    assert shown(every) == [("c1", "the-root", ["the-middle", "the-end"])]


def test_independent_faults_are_both_shown() -> None:
    assert shown(judge(always(OTHER), always(ROOT))) == [
        ("c1", "the-root", []),
        ("c1", "the-other", []),
    ]


def test_of_what_is_alike_comes_first_what_does_so_in_a_connection() -> None:
    """Not what happens to be asked or noticed first."""
    names, translation = PROBLEMS["nrpt-dns-server-unreachable"], PROBLEMS["dns64-broken"]
    rules = (always(translation), always(names))
    for asked in (rules, rules[::-1]):
        assert [code for _, code, _ in shown(judge(*asked))] == [names.code, translation.code]


def test_what_is_only_possible_hides_nothing_that_is_surer() -> None:
    vague = always(ROOT, Confidence.POSSIBLE)
    assert shown(judge(vague, always(END))) == [("c1", "the-end", []), ("c1", "the-root", [])]
    also_vague = always(END, Confidence.POSSIBLE)
    assert shown(judge(vague, also_vague)) == [("c1", "the-root", ["the-end"])]


def test_information_explains_nothing() -> None:
    note = problem("the-note", severity=Severity.INFO, component=Component.HOST)
    after = problem("the-fault", note)
    assert shown(judge(always(note), always(after))) == [
        ("c1", "the-fault", []),
        ("c1", "the-note", []),
    ]


def test_a_warning_with_a_critical_consequence_comes_first() -> None:
    mild = problem("mild-root", severity=Severity.WARNING, component=Component.HOST)
    grave = problem("grave-end", mild)
    found = shown(judge(always(OTHER), always(grave), always(mild)))
    assert found == [("c1", "mild-root", ["grave-end"]), ("c1", "the-other", [])]


def test_a_server_explains_its_clients_but_no_client_another() -> None:
    root, end = always(ROOT, role=Role.SERVER), always(END, role=Role.CLIENT)
    assert shown(judge(root, end, hosts=(CLIENT, SERVER))) == [("s1", "the-root", ["the-end"])]
    everywhere = judge(always(ROOT), always(END), hosts=(CLIENT, SECOND))
    assert shown(everywhere) == [("c1", "the-root", ["the-end"]), ("c2", "the-root", ["the-end"])]


def test_a_rule_for_servers_needs_a_known_server() -> None:
    unknown = Host(source=Source("a"), name="x")
    assert shown(judge(always(ROOT, role=Role.SERVER), hosts=(unknown,))) == []
    assert shown(judge(always(ROOT, role=Role.CLIENT), hosts=(unknown,))) != []


def test_a_rule_is_asked_about_each_fact_and_its_findings_are_merged() -> None:
    diagnosis = diagnose([(CLIENT, [bits(1, 3), bits(1, 7)])], [always(ROOT)])
    assert [s.line for d in diagnosis.findings for s in d.finding.evidence] == [3, 7]


def test_a_missing_fact_is_a_question_and_no_finding() -> None:
    diagnosis = diagnose([(CLIENT, [])], [always(ROOT), always(END)])
    assert diagnosis.findings == ()
    (question,) = diagnosis.unanswered
    assert question.needs == ("DisabledComponents",)
    assert question.problems == ("the-root", "the-end")
    assert question.collect == DisabledComponents.COLLECT


def test_parameters_say_what_is_needed() -> None:
    seen: list[object] = []

    def check(
        host: Host,
        one: DisabledComponents,
        name: ComputerName | None,
        every: tuple[ServiceState | DisabledComponents, ...],
    ) -> None:
        seen.append((host.name, one.bits, name, len(every)))

    facts: list[Fact] = [bits(1), bits(2), ServiceState(source=Source("sc"), name="iphlpsvc")]
    diagnosis = diagnose([(CLIENT, facts)], [Rule((ROOT,), check)])
    assert seen == [("c1", 1, None, 3), ("c1", 2, None, 3)]
    assert diagnosis.unanswered == ()


def test_a_rule_may_find_several_problems() -> None:
    def check(fact: DisabledComponents) -> tuple[Finding, ...]:
        return tuple(
            Finding(problem=p, summary="S.", reason="r", evidence=(fact.source,))
            for p in (OTHER, ROOT)
        )

    assert [code for _, code, _ in shown(judge(Rule((OTHER, ROOT), check)))] == [
        "the-root",
        "the-other",
    ]


def test_a_rule_that_fails_is_seen_and_the_others_are_asked() -> None:
    def failing(fact: DisabledComponents) -> Finding:
        raise KeyError(fact.bits)

    diagnosis = judge(Rule((END,), failing), always(ROOT))
    assert [item.finding.problem for item in diagnosis.findings] == [ROOT, BUG]
    bug = diagnosis.findings[1].finding
    assert bug.summary.startswith("The rule for the-end failed (test_engine.py, line ")
    assert bug.summary.endswith("): KeyError(1).")
    assert bug.evidence == (Source("reg.txt", 1),)


def test_a_mistake_that_says_much_is_cut() -> None:
    def failing(facts: tuple[DisabledComponents, ...]) -> Finding:
        raise ValueError("x" * 10_000)

    bug = judge(Rule((END,), failing)).findings[0].finding
    assert len(bug.summary) < 500
    assert bug.evidence == (Source("reg.txt", 1),)


def test_how_clients_come_explains_nothing_that_a_server_sees_from_its_own_place() -> None:
    faults = always(MIDDLE), always(END)
    assert shown(judge(*faults)) == [("c1", "the-middle", ["the-end"])]
    assert shown(judge(*faults, hosts=(SERVER,))) == [
        ("s1", "the-middle", []),
        ("s1", "the-end", []),
    ]
