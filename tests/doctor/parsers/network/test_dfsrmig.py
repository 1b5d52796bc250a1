"""dfsrmig: the state of the migration."""

import pytest

from tests.doctor.parsers.reading import facts
from throughway.model.facts.network import (
    DomainReplication,
)


@pytest.mark.parametrize(
    ("text", "dfsr"),
    [
        ("Current DFSR global state: 'Eliminated'\nSucceeded.\n", True),
        ("Current DFSR global state: 'Start'\nSucceeded.\n", False),
        ("DFSR migration has not yet initialized. To start migration please\n", False),
        ("\u5f53\u524d DFSR global state: \u2018\u5df2\u91cd\u5b9a\u5411\u2019\n", True),
    ],
)
def test_dfsrmig(text: str, dfsr: bool) -> None:
    assert [fact.dfsr for fact in facts(text, DomainReplication)] == [dfsr]


def test_dfsrmig_in_unknown_words() -> None:
    assert facts("Current DFSR global state: 'Wqx'\n", DomainReplication) == []
