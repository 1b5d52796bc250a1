"""Whatever a computer states of its health: refused in words, or judged; never taken for good."""

import json

from hypothesis import given
from hypothesis import strategies as st

from tests.health_faults import POLICY, statement
from throughway.control.codec import decode_line, encode_line, from_json, to_json
from throughway.model.errors import WireError
from throughway.model.statement import (
    CheckKind,
    CheckResult,
    CheckState,
    HealthPolicy,
    PolicyCheck,
    StatementOfHealth,
    SubjectKind,
)
from throughway.proto.statement import MAX_NAME, MAX_WORDS, check_form, judge, version_of

OWN = PolicyCheck(name="own", kind=SubjectKind.SYSCTL, subject="a.b", value="1")
NAMES = st.sampled_from((*CheckKind, "own", "none-of-ours"))
VALUES = st.one_of(
    st.text(max_size=MAX_WORDS + 5),
    st.sampled_from(("0", "3", "-1", "1e9", "9" * 9, "9" * 400, "0.1.0", "1..2", "٣", "nan")),
)
RESULTS = st.builds(
    CheckResult, name=NAMES, state=st.sampled_from(CheckState), value=VALUES, words=VALUES
)
STATEMENTS = st.builds(
    StatementOfHealth,
    agent=st.text(max_size=MAX_NAME + 5),
    results=st.lists(RESULTS, max_size=70).map(tuple),
    key=st.one_of(st.just(""), st.from_regex(r"0[0-9a-f]{3,140}", fullmatch=True)),
)
POLICIES = st.builds(
    HealthPolicy,
    required=st.lists(NAMES, max_size=6, unique=True).map(tuple),
    update_days=st.integers(1, 3650),
    signature_days=st.integers(1, 3650),
    agent=st.sampled_from(("", "0.1", "2")),
    checks=st.just((OWN,)),
)
LINE = encode_line(to_json(statement()))


def read(line: bytes) -> StatementOfHealth | None:
    """Read a statement as the process does that hears them; None: it was refused."""
    try:
        return check_form(from_json(StatementOfHealth, decode_line(line)))
    except WireError:
        return None


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good statement, cut somewhere, with bytes changed, doubled or put in."""
    data = bytearray(LINE)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        data[at : at + draw(st.integers(0, 30))] = draw(
            st.one_of(st.binary(max_size=6), st.just(bytes(data[at : at + 20])))
        )
    return bytes(data)


VALUES_OF_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(("agent", "results", "key", "name", "state", "value")), inner
        ),
    ),
    max_leaves=12,
)


@given(st.one_of(st.binary(max_size=80), damaged(), VALUES_OF_JSON.map(json.dumps).map(str.encode)))
def test_any_bytes_are_refused_or_judged(line: bytes) -> None:
    said = read(line)
    if said is not None:
        judge(POLICY, said)
        assert read(encode_line(to_json(said))) == said


@given(POLICIES, STATEMENTS)
def test_only_what_is_stated_as_good_is_good(policy: HealthPolicy, said: StatementOfHealth) -> None:
    failing = {each.name: each for each in judge(policy, said)}
    assert set(failing) <= set(policy.required)
    assert all(each.words for each in failing.values())
    last = {result.name: result for result in said.results}
    for name in set(policy.required) - set(failing):
        state = last[name].state
        absent = name == CheckKind.ANTIVIRUS and state is CheckState.ABSENT
        assert state is CheckState.GOOD or absent


@given(STATEMENTS)
def test_what_is_let_through_is_small_and_can_be_shown(said: StatementOfHealth) -> None:
    try:
        good = check_form(said)
    except WireError:
        return
    assert good is said
    for result in good.results:
        assert len(result.value + result.words) <= MAX_WORDS
        assert (result.value + result.words).isprintable()
    assert good.key == "" or len(bytes.fromhex(good.key)) == 65


@given(st.text(max_size=MAX_NAME), st.text(max_size=MAX_NAME))
def test_versions_can_always_be_compared(one: str, other: str) -> None:
    assert (version_of(one) >= version_of(other)) or (version_of(other) >= version_of(one))
