"""Pages of HTML, read as what they show."""

from pathlib import Path

from throughway.doctor.examination import examine
from throughway.doctor.sources.bundle import read
from throughway.doctor.sources.hypertext import is_page, shown_text
from throughway.model.facts.names import NCALog
from throughway.model.facts.transition import TeredoState

PAGE = """\
<!DOCTYPE html>
<html><head><title>DirectAccess</title>
<style>
td { color: red }
</style></head>
<body>
<h1>RED: Corporate connectivity is not working.</h1>
<h2>Probes List</h2>
<p>FAIL HTTP: http://app.corp.example.com/?a=1&amp;b=2</p>
<h2>DTE List</h2>
<p>PASS PING: 2002:836b:2::836b:2<br>FAIL PING: 2002:836b:3::836b:3</p>
<pre>
C:\\Windows\\system32\\LogSpace\\{1}&gt;netsh int teredo show state
Teredo Parameters
---------------------------------------------
Type                    : client
State                   : dormant
</pre></body></html>
"""


def test_what_is_a_page() -> None:
    assert is_page(PAGE)
    assert not is_page("<Event xmlns='…'></Event>")
    assert not is_page("Type : <html>")


def test_a_log_of_the_assistant_as_a_page(tmp_path: Path) -> None:
    (tmp_path / "log.html").write_text(PAGE)
    found = [fact for item in examine([tmp_path]).reading.read for fact in item.facts]
    (log,) = [fact for fact in found if isinstance(fact, NCALog)]
    assert log.failed_probes == ("http://app.corp.example.com/?a=1&b=2",)
    assert log.failed_endpoints == ("2002:836b:3::836b:3",)
    assert [fact.type for fact in found if isinstance(fact, TeredoState)] == ["client"]


def test_lines_keep_their_numbers(tmp_path: Path) -> None:
    page = PAGE.replace("<br>", "</p>\n<p>")
    lines = shown_text(page).split("\n")
    assert lines[8].startswith("FAIL HTTP")
    assert lines[16].startswith("Type  ")
    (tmp_path / "log.html").write_text(page)
    assert {item.command for item in read([tmp_path]).evidence} == {
        "",
        "netsh int teredo show state",
    }


def test_a_page_without_line_ends() -> None:
    text = shown_text("<html><body><p>a &lt;b&gt;</p><table><tr><td>c</td><td>d</td></tr></table>")
    assert [line for line in text.split("\n") if line] == ["a <b>", "c  d"]


def test_a_page_that_never_ends_a_comment() -> None:
    assert "x" in shown_text("<html><!-- " + "x" * 200_000)
