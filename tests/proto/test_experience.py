"""What is remembered of networks, and what is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.status import TransportKind
from throughway.proto.experience import (
    FAILURE_TIME,
    MAX_NETWORKS,
    Experience,
    build_experience,
    parse_experience,
)

NOW, OFFSET = 1000.0, 1_800_000_000.0
TEREDO, IPHTTPS = TransportKind.TEREDO, TransportKind.IPHTTPS


def experienced() -> Experience:
    experience = Experience()
    experience.learn_success("home", IPHTTPS)
    experience.learn_failure("home", TEREDO, "UDP is blocked", NOW)
    return experience


def test_what_was_written_is_read() -> None:
    text = build_experience(experienced(), OFFSET)
    # The computer was started anew: its clock of seconds begins again.
    read = parse_experience(text, OFFSET + NOW, 0.0)
    assert read.works("home", IPHTTPS)
    failure = read.failure("home", TEREDO, 0.0)
    assert failure is not None
    assert failure.reason == "UDP is blocked"
    assert failure.until == pytest.approx(FAILURE_TIME)
    assert not read.changed


def test_a_failure_is_believed_for_a_time() -> None:
    experience = experienced()
    assert experience.failure("home", TEREDO, NOW + FAILURE_TIME - 1)
    assert experience.failure("home", TEREDO, NOW + FAILURE_TIME) is None
    text = build_experience(experience, OFFSET)
    assert parse_experience(text, OFFSET, NOW + FAILURE_TIME).failure("home", TEREDO, NOW) is None


def test_a_wrong_clock_does_not_make_it_last() -> None:
    text = build_experience(experienced(), OFFSET + 10 * FAILURE_TIME)
    assert parse_experience(text, OFFSET, NOW).failure("home", TEREDO, NOW) is None


def test_success_ends_a_failure_and_failure_a_success() -> None:
    experience = experienced()
    experience.learn_success("home", TEREDO)
    assert experience.works("home", TEREDO)
    assert experience.failure("home", TEREDO, NOW) is None
    experience.learn_failure("home", TEREDO, "again", NOW)
    assert not experience.works("home", TEREDO)


def test_only_what_is_new_is_to_be_saved() -> None:
    experience = experienced()
    experience.changed = False
    experience.learn_success("home", IPHTTPS)
    assert not experience.changed
    experience.forget("home")
    assert experience.changed
    assert experience.failure("home", TEREDO, NOW) is None


def test_of_a_network_without_a_key_nothing_is_kept() -> None:
    experience = Experience()
    experience.learn_success("", IPHTTPS)
    experience.learn_failure("", TEREDO, "no", NOW)
    assert not experience.changed
    assert build_experience(experience, OFFSET).strip() == "[]"


def test_the_network_seen_longest_ago_makes_room() -> None:
    experience = Experience()
    for number in range(MAX_NETWORKS):
        experience.learn_success(f"n{number}", IPHTTPS)
    experience.learn_success("n0", TEREDO)
    experience.learn_success("new", IPHTTPS)
    assert experience.works("n0", TEREDO)
    assert not experience.works("n1", IPHTTPS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[[]]",
        '[{"network": 3}]',
        '[{"network": "a", "works": 1, "failures": [2]}]',
        '[{"network": "a", "works": ["pigeon", []], "failures": {"teredo": [1, 2, 3]}}]',
    ],
)
def test_damage_is_left_out(text: str) -> None:
    read = parse_experience(text, OFFSET, NOW)
    assert read.failure("a", TEREDO, NOW) is None
    assert not read.works("a", TEREDO)


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    parse_experience(text, OFFSET, NOW)
