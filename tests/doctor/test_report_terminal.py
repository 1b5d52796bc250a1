"""The report for people."""

import io

from throughway.doctor.examination import Examination, examine_bundle
from throughway.doctor.report import as_data
from throughway.doctor.report_terminal import (
    MAXIMUM_QUESTION_LINES,
    _question_lines,
    as_lines,
    plain,
    show,
)
from throughway.doctor.sources.bundle import read_text

FAULT = """Role : client
URL : https://da.example.com:443/IPHTTPS
Last Error Code : 0x2af9
"""
WELL = FAULT.replace("0x2af9", "0x0")


def examined(text: str) -> Examination:
    return examine_bundle(read_text(text))


def test_the_text_says_what_the_data_say() -> None:
    lines = [line.text for line in as_lines(examined(FAULT))]
    data = as_data(examined(FAULT))
    (finding,) = data["diagnosis"]
    whole = "\n".join(lines)
    for key in ("title", "code", "summary", "cause", "resolution", "confidence", "reason"):
        assert finding[key] in whole
    for command in (*finding["fix"], *finding["verify"]):
        assert command in lines
    assert "-:3: Last Error Code : 0x2af9" in lines
    assert any(question["question"] in lines for question in data["unanswered"])


def test_the_verdict_comes_first_then_the_way() -> None:
    first, second, *_ = plain(examined(FAULT))
    assert first == "The public name of the gateway has no address."
    assert "✗ Names" in second
    assert "? Tunnels" in second


def test_well_and_unknown_are_told_apart() -> None:
    assert "Nothing wrong in what was shown" in next(as_lines(examined(WELL))).text
    unknown = [line.text for line in as_lines(examined("nothing of this is known"))]
    assert "Could not tell" in unknown[0]
    assert unknown[-1] == "Not recognised: -"


def test_open_questions_take_few_lines() -> None:
    unreadable = "PS C:\\> Get-NetIPInterface\nifIndex  Name\nx\n-------  ----\n1 2\n"
    examination = examined(FAULT + unreadable)
    lines = [line.text for line in as_lines(examination)]
    questions = as_data(examination)["unanswered"]
    open_ones = lines[lines.index("Could not judge:") + 1 :]
    open_ones = open_ones[: open_ones.index("")] if "" in open_ones else open_ones
    shown = [line for line in open_ones if line in {q["question"] for q in questions}]
    assert len(open_ones) <= MAXIMUM_QUESTION_LINES
    assert open_ones[-1].startswith(f"… and {len(questions) - len(shown)} more: --markdown")
    assert shown


def test_what_could_not_be_read_comes_before_questions() -> None:
    bundle = read_text(FAULT)
    bundle.unreadable.append(("a.zip", "is protected by a password"))
    lines = [line.text for line in as_lines(examine_bundle(bundle))]
    assert "a.zip" in lines[lines.index("Could not judge:") + 1]


def test_few_questions_are_all_said() -> None:
    few = [{"question": f"{n}?", "collect": ["a", "b"]} for n in range(2)]
    assert [line.text for line in _question_lines(few)] == ["0?", "a", "b", "1?", "a", "b"]


def test_markup_and_escapes_in_evidence_stay_text() -> None:
    evil = FAULT.replace("https://da", "https://[red]x[/red]\x1b]0;y\x07.da")
    stream = io.StringIO()
    show(examined(evil), stream)
    assert "\x1b]0" not in stream.getvalue()
    assert "\x07" not in stream.getvalue()
