"""A page of HTML to the text that it shows, as assistants and browsers save outputs.

Lines keep their numbers where the page has its own line ends, as in ``<pre>``; where it has none,
the ends of blocks make them.
"""

import html
import re

_HEAD = 4096
"""Characters in which a page says that it is one."""
_UNSEEN = re.compile(r"<(?:!--|(script|style|title)\b)", re.IGNORECASE)
_COMMENT_END = "-->"
_CELL = re.compile(r"</t[dh]\s{0,8}>\s{0,200}(?=<t[dh]\b)", re.IGNORECASE)
_BLOCK = re.compile(
    r"<(?:br\s{0,8}/?|/p|/div|/tr|/li|/h[1-6]|/pre|pre|/table|hr\s{0,8}/?)"
    r"(?:\s[^<>]{0,500})?>(?P<end>[ \t]{0,80}\n)?",
    re.IGNORECASE,
)
_TAG = re.compile(r"</?[A-Za-z!?][^<>]{0,4000}>")


def is_page(text: str) -> bool:
    """Whether a text is a page of HTML."""
    head = text[:_HEAD].lstrip().lower()
    return head.startswith(("<!doctype html", "<html")) or (
        head.startswith("<") and "<html" in head and "<body" in text.lower()[: 16 * _HEAD]
    )


def shown_text(page: str) -> str:
    """Return what is to be read on the page."""
    text = _CELL.sub("  ", _seen(page))
    text = _BLOCK.sub("\n", text)
    return html.unescape(_TAG.sub(_line_ends, text)).replace("\xa0", " ")


def _seen(page: str) -> str:
    """Take comments and scripts away; what never ends is shown."""
    parts: list[str] = []
    lowered = page.lower()
    at = 0
    endless: set[str] = set()
    for match in _UNSEEN.finditer(page):
        end = _COMMENT_END if match[1] is None else f"</{match[1].lower()}"
        if match.start() < at or end in endless:
            continue
        found = lowered.find(end, match.end())
        if found < 0:
            endless.add(end)
            continue
        parts += [page[at : match.start()], "\n" * page.count("\n", match.start(), found)]
        at = found + len(end)
        if match[1] is not None:
            at = max(at, lowered.find(">", at) + 1)
    return "".join((*parts, page[at:]))


def _line_ends(match: re.Match[str]) -> str:
    """What is taken away leaves its line ends."""
    return "\n" * match[0].count("\n")
