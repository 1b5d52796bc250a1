"""Lines and snapshots: there and back, and whatever a hostile end may send."""

import json
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughway.control.codec import (
    JSON,
    Command,
    CommandRefused,
    decode_line,
    decode_reply,
    decode_request,
    encode_error,
    encode_line,
    encode_request,
    encode_result,
    from_json,
    to_json,
)
from throughway.model.errors import WireError
from throughway.model.findings import Component
from throughway.model.status import (
    ClientSnapshot,
    ComponentState,
    ComponentStatus,
    Condition,
    GatewaySnapshot,
    LinkStatus,
    NamesStatus,
    SessionStatus,
    TunnelStatus,
)

st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(str, st.text(max_size=8))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.from_type(float) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=12,
)
SNAPSHOTS = (
    ClientSnapshot,
    GatewaySnapshot,
    ComponentStatus,
    Condition,
    LinkStatus,
    NamesStatus,
    SessionStatus,
    TunnelStatus,
)


@dataclass(frozen=True)
class Sample:
    """One field of each kind that the model has."""

    component: Component
    number: float
    pair: tuple[str, int]
    many: tuple[tuple[str, int], ...] = ()
    perhaps: str | None = None


@pytest.mark.parametrize("kind", SNAPSHOTS, ids=lambda k: k.__name__)
def test_snapshots_come_back_as_they_were(kind: type) -> None:
    @settings(max_examples=40, deadline=None)
    @given(st.from_type(kind))
    def check(value: object) -> None:
        line = encode_line(to_json(value))
        assert line.count(b"\n") == 1
        assert from_json(kind, decode_line(line)) == value

    check()


@given(st.from_type(Sample))
def test_every_kind_of_field_comes_back(value: Sample) -> None:
    assert from_json(Sample, decode_line(encode_line(to_json(value)))) == value


@settings(deadline=None)
@given(VALUES)
def test_hostile_values_raise_only_wire_error(value: JSON) -> None:
    for kind in (*SNAPSHOTS, Sample):
        with pytest.raises(WireError):
            from_json(kind, value)


@settings(deadline=None, max_examples=200)
@given(st.from_type(Sample), st.data())
def test_a_changed_field_is_read_or_refused(value: Sample, data: st.DataObject) -> None:
    encoded = to_json(value)
    assert isinstance(encoded, dict)
    encoded[data.draw(st.sampled_from(sorted(encoded)))] = data.draw(VALUES)
    try:
        again = from_json(Sample, encoded)
    except WireError:
        return
    assert to_json(again) == encoded


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"component": "moon"}, "Sample.component: not a Component"),
        ({"component": ["host"]}, "Sample.component: not a Component"),
        ({"number": "1"}, "Sample.number: float wanted, str given"),
        ({"number": True}, "Sample.number: float wanted, bool given"),
        ({"number": 1e999}, "Sample.number: too large"),
        ({"number": 10**400}, "Sample.number: float wanted, int given"),
        ({"pair": ["a"]}, "Sample.pair: 2 items wanted, 1 given"),
        ({"pair": ["a", 1.5]}, r"Sample.pair\[1\]: int wanted, float given"),
        ({"pair": {"a": 1}}, "Sample.pair: a list wanted"),
        ({"many": [["a", 1], 2]}, r"Sample.many\[1\]: a list wanted"),
        ({"perhaps": 1}, "Sample.perhaps: str wanted, int given"),
    ],
)
def test_a_refusal_says_where(change: dict[str, JSON], words: str) -> None:
    good: dict[str, JSON] = {"component": "host", "number": 1, "pair": ["a", 1]}
    assert from_json(Sample, good) == Sample(Component.HOST, 1.0, ("a", 1))
    with pytest.raises(WireError, match=words):
        from_json(Sample, good | change)


def test_keys_of_a_newer_end_are_passed_over_and_defaults_may_be_missing() -> None:
    value: JSON = {"component": "dns64", "state": "ok", "since": 0}
    with pytest.raises(WireError, match="not a Component"):
        from_json(ComponentStatus, value)
    value = {"component": "host", "state": "ok", "since": 0, "later": {"than": "we"}}
    assert from_json(ComponentStatus, value) == ComponentStatus(
        component=Component.HOST, state=ComponentState.OK, since=0.0
    )
    with pytest.raises(WireError, match=r"ComponentStatus\.since is missing"):
        from_json(ComponentStatus, {"component": "host", "state": "ok"})


def test_what_is_no_snapshot_is_our_error() -> None:
    with pytest.raises(TypeError, match="bytes"):
        to_json({"password": b"secret"})
    with pytest.raises(ValueError, match="JSON"):
        encode_line(float("nan"))


# Requests and replies


@given(st.text(min_size=1, max_size=64), st.dictionaries(st.text(), VALUES, max_size=4))
def test_requests_come_back(name: str, arguments: dict[str, JSON]) -> None:
    arguments.pop("command", None)
    assert decode_request(encode_request(name, arguments)) == Command(name, arguments)


@given(VALUES)
def test_results_come_back(result: JSON) -> None:
    assert decode_reply(encode_result(result)) == result


@given(st.text(), st.text())
def test_refusals_are_raised(code: str, message: str) -> None:
    with pytest.raises(CommandRefused) as refusal:
        decode_reply(encode_error(code, message))
    assert (refusal.value.code, str(refusal.value)) == (code, message)


@given(st.binary() | VALUES.map(lambda value: json.dumps(value).encode()))
def test_hostile_lines_raise_only_wire_error(line: bytes) -> None:
    for decode in (decode_request, decode_reply):
        try:
            decode(line)
        except WireError:
            pass
        else:
            assert b"command" in line or b"ok" in line


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[" * 100_000,
        b"9" * 10_000,
        b'{"command": NaN}',
        b'{"command": ""}',
        b'{"command": "' + b"x" * 65 + b'"}',
        b'{"command": 1}',
        b'["status"]',
        b'{"ok": 1}',
        b'{"ok": false}',
        b'{"ok": false, "error": {"code": 1, "message": 2}}',
        b"\xff\xfe",
    ],
)
def test_lines_that_are_nothing(line: bytes) -> None:
    with pytest.raises(WireError):
        decode_request(line)
    with pytest.raises(WireError):
        decode_reply(line)


def test_an_argument_must_be_text() -> None:
    command = Command("login", {"principal": "alice", "ccache": 1})
    assert command.text("principal") == "alice"
    assert command.text("realm", "CORP") == "CORP"
    for name in ("ccache", "realm"):
        with pytest.raises(CommandRefused, match=f"login: {name} must be given"):
            command.text(name)
