"""The report for people."""

import io

from throughway.doctor.examination import Examination, examine_bundle
from throughway.doctor.report import as_data
from throughway.doctor.report_terminal import as_lines, plain, show
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
    assert all(question["question"] in lines for question in data["unanswered"])


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


def test_markup_and_escapes_in_evidence_stay_text() -> None:
    evil = FAULT.replace("https://da", "https://[red]x[/red]\x1b]0;y\x07.da")
    stream = io.StringIO()
    show(examined(evil), stream)
    assert "\x1b]0" not in stream.getvalue()
    assert "\x07" not in stream.getvalue()
