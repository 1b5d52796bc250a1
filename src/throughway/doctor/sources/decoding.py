"""Bytes that a Windows console, an editor or a web page wrote, to text.

Consoles write in the OEM code page of their language without saying so. What is no UTF-8 is
judged by the bytes above 127: in East Asian code pages they stand in pairs, in Cyrillic ones in
long runs, in Western ones alone between ASCII letters.
"""

import re
from collections import Counter

from throughway.model.evidence import pieces_of

_SAMPLE = 65_536
"""Bytes which the judgement looks at; a page of text says enough."""
_MAXIMUM_CONTROLS = 0.003
"""Share of control characters from which on a content is no text."""
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_ASCII = bytes(range(128))
_NO_CONTROLS = bytes({*b"\t\n\v\f\r\b\x1a\x1b", *range(32, 127), *range(128, 256)})
_HIGH_RUNS = re.compile(rb"[\x80-\xff]+")
_EAST_ASIAN = {
    "cp936": ("状态", "类型", "错误", "服务器", "参数", "接口", "地址", "配置", "适配器", "已"),
    "cp950": ("狀態", "類型", "錯誤", "伺服器", "參數", "介面", "位址", "設定", "介面卡"),
    "cp932": ("状態", "種類", "エラー", "サーバー", "パラメーター", "アドレス", "の", "ません"),
    "cp949": ("상태", "유형", "오류", "서버", "매개", "인터페이스", "주소", "어댑터"),
}
"""By words of the commands, since the bytes of one are valid in another."""
_WESTERN = ("cp850", "cp437", "cp1252", "cp852", "cp1250")
_CYRILLIC = ("cp866", "cp1251")
_COMMON = frozenset("äöüßéèêàâçîôûùëïáíóúñÄÖÜÉØøåÅæãõìòœ«»°ąćęłńśźżčďěňřšťůž")
_CLEAN = str.maketrans({"\0": None, "\ufeff": None, "\u200b": None, "\xa0": " ", "\x0c": "\n"})
_LINE_END = re.compile(r"\r+\n?")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]{0,16}[A-Za-z]")
_MAXIMUM_PASTED = 2 * 1024 * 1024
"""Characters that somebody may have pasted into a mail or a web page; what is longer is a log."""
_QUOTED_SHARE = 0.8
_QUOTATION = 3
"""Lines with a mark one below the other that are a quotation within a text."""
_MAXIMUM_QUOTES = 5
"""Levels of quoting that are taken away, as of a mail that went to and fro."""
_MARK_AND_BLANK = re.compile(r"^[ \t]{0,3}>[ \t]?")
_MARK = re.compile(r"^[ \t]{0,3}>")
_MINIMUM_DOUBLED = 7
"""Lines of a text whose every other one can be blank by accident no more."""
_FENCE = re.compile(r"^[ \t]{0,3}(?:```|~~~)[a-zA-Z]{0,20}[ \t]{0,3}$", re.MULTILINE)
"""What Markdown puts around a listing."""


def is_text(head: bytes) -> bool:
    """Whether what begins so is a text."""
    return _encoding(head)[0] is not None


def decode(content: bytes) -> str | None:
    """Return clean text with "\\n" line ends; None when the content is no text."""
    encoding, start = _encoding(content)
    if encoding is None:
        return None
    return clean(content[start:].decode(encoding, errors="replace"))


def clean(text: str) -> str:
    """Take away what pasting, mailing and colouring added; lines keep their numbers."""
    if "\r" in text:
        text = _LINE_END.sub("\n", text)
    if not text.isascii() or "\0" in text or "\x0c" in text:
        text = text.translate(_CLEAN)
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    if " \n" in text or "\t\n" in text:
        text = "\n".join(map(_without_ends, pieces_of(text)))
    if "```" in text or "~~~" in text:
        text = _FENCE.sub("", text)
    if len(text) > _MAXIMUM_PASTED:
        return text
    for _ in range(_MAXIMUM_QUOTES):
        unquoted = _unquoted(text) if ">" in text else text
        if unquoted is text:
            break
        text = unquoted
    return _dedented(text)


def single_spaced(text: str) -> tuple[str, int, int]:
    """Take the blank line after each line away; return the first line's number and the distance."""
    if len(text) > _MAXIMUM_PASTED:
        return text, 1, 1
    lines = text.rstrip().split("\n")
    for start in (0, 1):
        doubled = len(lines) - start >= _MINIMUM_DOUBLED
        if doubled and not any(map(str.strip, lines[1 - start :: 2])):
            return "\n".join(lines[start::2]), 1 + start, 2
    return text, 1, 1


def _without_ends(text: str) -> str:
    """Take the blanks at the ends of lines away."""
    return "\n".join(line.rstrip(" \t") for line in text.split("\n"))


def _unquoted(text: str) -> str:
    """Take one level of quote marks away; a blank after each belongs to the mark."""
    lines = [line.lstrip() for line in text.split("\n") if line.strip()]
    marked = [line[1:] for line in lines if line.startswith(">")]
    if len(lines) < 2 or len(marked) < _QUOTED_SHARE * len(lines):
        return _without_quotations(text) if len(marked) >= _QUOTATION else text
    spaced = all(rest[:1] in {"", " ", "\t", ">"} for rest in marked)
    mark = _MARK_AND_BLANK if spaced else _MARK
    return "\n".join(mark.sub("", line) for line in text.split("\n"))


def _without_quotations(text: str) -> str:
    """Take the marks off quotations within a post; a lone mark may be the prompt of nslookup."""
    lines = text.split("\n")
    start = 0
    for end in range(len(lines) + 1):
        if end < len(lines) and lines[end].startswith(">"):
            continue
        if end - start >= _QUOTATION:
            lines[start:end] = [_MARK_AND_BLANK.sub("", line) for line in lines[start:end]]
        start = end + 1
    return "\n".join(lines)


def _dedented(text: str) -> str:
    """Take away what stands before every line, as where all was pasted with an indentation."""
    if text.lstrip("\n")[:1] not in {" ", "\t"}:
        return text
    lines = [line for line in text.split("\n") if line.strip()]
    blanks = min((len(line) - len(line.lstrip(" \t")) for line in lines), default=0)
    if not blanks:
        return text
    return "\n".join(line[blanks:] for line in text.split("\n"))


def _encoding(content: bytes) -> tuple[str | None, int]:
    """Return the encoding and where the text starts."""
    for bom, encoding in _BOMS:
        if content.startswith(bom):
            return encoding, len(bom)
    sample = content[:_SAMPLE]
    if b"\0" in sample and (wide := _utf16(sample)):
        return wide, 0
    if len(sample.translate(None, _NO_CONTROLS)) > _MAXIMUM_CONTROLS * len(sample):
        return None, 0
    return ("utf-8" if _is_utf8(content) else _code_page(sample)), 0


def _utf16(sample: bytes) -> str | None:
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    half = len(sample) / 2
    if odd > 0.3 * half and even < 0.05 * half:
        return "utf-16-le"
    return "utf-16-be" if even > 0.3 * half and odd < 0.05 * half else None


def _is_utf8(content: bytes) -> bool:
    if content.isascii():
        return True
    try:
        content.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(content) - 3 and error.reason == "unexpected end of data"
    return True


def _code_page(sample: bytes) -> str:
    page, hits = _east_asian(sample)
    if hits > 0:
        return page
    runs = _HIGH_RUNS.findall(sample)
    even = sum(len(run) % 2 == 0 for run in runs)
    if even >= 0.7 * len(runs) and sum(map(len, runs)) >= 3 * len(runs):
        return page
    long = sum(len(run) >= 3 for run in runs)
    return _best(sample, _CYRILLIC if long > 0.5 * len(runs) else _WESTERN)


def _east_asian(sample: bytes) -> tuple[str, int]:
    """Return the page in which words of the commands are found, and how many."""

    def hits(page: str) -> int:
        text = sample.decode(page, errors="replace")
        return sum(word in text for word in _EAST_ASIAN[page])

    found = {page: hits(page) for page in _EAST_ASIAN}
    best = max(found, key=lambda page: found[page])
    return best, found[best]


def _best(sample: bytes, pages: tuple[str, ...]) -> str:
    bytes_seen = Counter(sample.translate(None, _ASCII))

    def score(page: str) -> int:
        return sum(
            count * _weight(bytes([byte]).decode(page, errors="replace"))
            for byte, count in bytes_seen.items()
        )

    return max(pages, key=score)


def _weight(character: str) -> int:
    if character in _COMMON or "\u0430" <= character <= "\u044f":
        return 3
    return 1 if character.isalpha() else -2
