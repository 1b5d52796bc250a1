"""The page: whole, self-contained, and whatever was in the evidence is only text in it."""

import os
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from throughway.doctor.examination import examine_bundle
from throughway.doctor.report_html import as_html
from throughway.doctor.sources.bundle import Bundle, read_text

FAULT = """Role : client
URL : https://da.example.com:443/IPHTTPS
Last Error Code : 0x274c
"""
EVIL = "<script>alert('x')</script>\"><img src=//evil.example onerror=x>&"
VOID = {"meta", "br", "img", "link", "hr", "input"}


class Page(HTMLParser):
    """Checks that tags are closed in order, and notes what there is."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.classes: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.classes += [value or "" for name, value in attrs if name == "class"]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def page(text: str, file: str = "tunnel.txt") -> Page:
    return Page(as_html(examine_bundle(read_text(text, file))))


def test_the_page_shows_the_chain_with_the_broken_link() -> None:
    shown = page(FAULT)
    assert shown.stack == []
    assert shown.classes.count("broken") == 1
    assert "unknown" in shown.classes
    whole = " ".join(shown.texts)
    assert "No answer from the gateway's port." in whole
    assert "tunnel.txt:3" in whole
    assert "Last Error Code : 0x274c" in whole
    assert "Test-NetConnection da.example.com -Port 443" in whole
    assert "nothing wrong seen" in whole


@pytest.mark.parametrize("text", [FAULT, FAULT.replace("0x274c", "0x0"), "nothing", ""])
def test_nothing_is_fetched_and_nothing_runs(text: str) -> None:
    shown = page(text)
    assert shown.stack == []
    assert not shown.tags & {"script", "link", "img", "iframe", "object", "form", "base"}
    assert not {name for name in shown.attributes if name.startswith("on")}
    assert not shown.attributes & {"src", "href", "style", "action"}
    source = as_html(examine_bundle(read_text(text)))
    assert "url(" not in source
    assert "@import" not in source
    assert "default-src 'none'" in source


def test_evidence_is_only_text() -> None:
    hostile = FAULT.replace("Role", EVIL + "\nRole").replace("da.example.com", "da" + EVIL)
    shown = page(hostile + f"\nInterface Status : {EVIL}\nError : 0x274c {EVIL}", EVIL + ".txt")
    assert not shown.tags & {"script", "img"}
    assert shown.stack == []
    unknown = Page(as_html(examine_bundle(Bundle(unreadable=[(EVIL, EVIL)]))))
    assert not unknown.tags & {"script", "img"}
    assert any("evil.example" in text for text in unknown.texts)


def test_the_page_has_a_dark_side_and_prints_its_marks() -> None:
    style = as_html(examine_bundle(read_text(FAULT)))
    assert "prefers-color-scheme: dark" in style
    assert "print-color-adjust: exact" in style


@pytest.mark.lab
def test_a_browser_shows_the_page_and_runs_nothing_of_it(tmp_path: Path) -> None:
    lie = "<script>document.title='x'</script><b onclick=x>\u202eevil</b>"
    evidence = FAULT.replace("Last Error Code", f"Interface Status : {lie}\nLast Error Code")
    (tmp_path / "report.html").write_text(as_html(examine_bundle(read_text(evidence, f"a{lie}"))))
    # Root may not have the sandbox.
    command = ["chromium-headless-shell", "--no-sandbox", "--disable-gpu"]
    command += ["--disable-dev-shm-usage", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    shown = subprocess.run(
        [*command, (tmp_path / "report.html").as_uri()],
        capture_output=True,
        check=True,
        timeout=300,
        env={**os.environ, "HOME": str(tmp_path)},
    ).stdout.decode()
    page = Page(shown)
    assert "script" not in page.tags
    assert "onclick" not in page.attributes
    assert any(text.startswith("DirectAccess: No answer") for text in page.texts)
    assert "<script>document.title='x'</script>" in "".join(page.texts)
