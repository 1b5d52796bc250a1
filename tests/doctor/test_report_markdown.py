"""The report for tickets."""

import pytest

from throughway.doctor.examination import examine_bundle
from throughway.doctor.report_markdown import as_markdown, escaped, fenced
from throughway.doctor.sources.bundle import read_text

FAULT = """Role : client
URL : https://da.example.com:443/IPHTTPS
Last Error Code : 0x2af9
"""


def test_it_has_everything() -> None:
    text = as_markdown(examine_bundle(read_text(FAULT)))
    assert text.startswith(
        "# DirectAccess: diagnosis\n\n**The public name of the gateway has no address.**"
    )
    assert "**Names: broken**" in text
    assert "```\n-:3: Last Error Code : 0x2af9\n```" in text
    assert "nslookup da.example.com 9.9.9.9" in text
    assert "## Could not judge" in text
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_nothing_known() -> None:
    text = as_markdown(examine_bundle(read_text("nothing of this is known")))
    assert "Could not tell" in text
    assert "## Not recognised\n\n- -" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a*b_c", r"a\*b\_c"),
        ("[x](javascript:1)", r"\[x\](javascript:1)"),
        ("<img src=x>", r"\<img src=x\>"),
        ("a\n# b", "a\ufffd\\# b"),
    ],
)
def test_texts_are_escaped(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_a_block_cannot_be_ended_by_what_is_in_it() -> None:
    assert list(fenced(["a", "````", "b"])) == ["`````", "a", "````", "b", "`````"]
    assert list(fenced(["a\n```"])) == ["````", "a\ufffd```", "````"]
