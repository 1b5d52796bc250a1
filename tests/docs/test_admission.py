"""The page of who is admitted is the table that the tests run, and the table is whole."""

import ast
from pathlib import Path

import pytest

from tests.admission import (
    ABSENT,
    CERTIFICATE_FAULTS,
    NO_POLICY,
    PAGE,
    SECTIONS,
    Section,
    render,
)
from throughway.catalogue import find
from throughway.model.audit import OUTCOMES, Outcome
from throughway.model.revocation import Revocation

TESTS = Path(__file__).parents[1]
ROWS = [row for section in SECTIONS for row in section.rows]


def test_the_page_in_the_repository_is_current() -> None:
    assert PAGE.read_text() == render(), "run python -m tests.admission"


def test_there_are_enough_rows_of_both_kinds() -> None:
    assert len([row for row in ROWS if not row.admitted]) >= 60
    assert len([row for row in ROWS if row.admitted]) >= 30


def test_every_code_is_in_the_catalogue() -> None:
    for code in {row.client for row in ROWS} | {row.gateway for row in ROWS} - {""}:
        if code:
            assert find(code).code == code


def test_what_is_recorded_agrees_with_the_outcome() -> None:
    for row in ROWS:
        if row.event is not None:
            admitted = OUTCOMES.get(row.event, Outcome.REFUSED) is Outcome.ADMITTED
            assert admitted is row.admitted, row


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.title)
def test_the_test_of_a_section_is_there(section: Section) -> None:
    file, name = section.test.split("::")
    tree = ast.parse((TESTS / file).read_text())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert name in functions
    keys = [(row.fault, row.peer, row.policy) for row in section.rows]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("peer", ["client", "gateway"])
@pytest.mark.parametrize("protocol", ["IPsec", "IP-HTTPS"])
def test_every_fault_of_each_peer_is_there_under_every_policy(protocol: str, peer: str) -> None:
    of = [section.rows for section in SECTIONS if section.title.startswith(f"{protocol}:")]
    there = {(row.fault, row.policy) for rows in of for row in rows if row.peer == peer}
    for fault in CERTIFICATE_FAULTS:
        for policy in Revocation:
            known = (protocol, peer, fault) in ABSENT or (protocol, peer, policy) in NO_POLICY
            assert ((fault, policy) in there) is not known, (protocol, peer, fault, policy)
