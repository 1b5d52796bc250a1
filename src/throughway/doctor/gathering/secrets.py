"""Keeps secrets out of what is gathered: by their form, by their key, and by what they are.

Files of secrets are never taken; this is for what may stand where it should not: a password in
an URL, a key that somebody has pasted into a comment, a token in a log.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from throughway.doctor.parsers.linux.document import load_toml
from throughway.doctor.redaction.text import REMOVED

SHORTEST = 6
"""Bytes of a secret that is looked for as it stands; shorter ones are in every text."""
LARGEST = 64 * 1024
"""Bytes of a file of secrets that is looked at."""
_FILES = re.compile(r"(?:^|_)(?:password|secret|pin|key|keytab|nt_hash|book|token)(?:_file)?$")
"""Keys of our configurations whose value is the path of a secret."""
_BLOCK = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_IN_URL = re.compile(
    r"(?P<before>\b[a-z][a-z0-9+.-]{1,20}://[^\s/@:\"']{0,100}:)[^\s/@\"']{1,200}(?=@)"
)
_PIN = re.compile(r"(?P<before>\bpin-(?:value|source)=)[^;&\s\"']{1,200}")
_WORDS = (
    r"(?:[a-z0-9]{1,20}[_-]){0,3}(?P<word>password|passwd|passphrase|passcode|secret|token|nt_hash"
    r"|pin|ticket|private_key|psk|totp|cookie)"
)
_QUOTED = r"\\\"[^\"\\\n]{0,4096}\\\"|\"(?:\\.|[^\"\\\n]){0,4096}\"|'[^'\n]{0,4096}'"
_IN_DOCUMENT = re.compile(
    rf"(?P<before>\"{_WORDS}\"[ \t]*:[ \t]*)(?P<value>{_QUOTED}|[\w.+-]+)", re.IGNORECASE
)
_NAMED = re.compile(
    rf"(?P<before>(?<![\w-])(?:--)?{_WORDS}'?[ \t]*[=:][ \t]*)"
    rf"(?P<value>{_QUOTED}|(?:\\[^\"\n]|[^\s\"'\\{{\[])(?:\\[^\"\n]|[^\s\"'\\])*)",
    re.IGNORECASE,
)
_OPTION = re.compile(
    rf"(?P<before>(?<![\w-])--{_WORDS}[ \t]+)(?P<value>{_QUOTED}|[^\s\"'\\-][^\s\"'\\]*)",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(r"(?P<before>Authorization:[ \t]*\w+[ \t]+)\S+", re.IGNORECASE)
_PATH = re.compile(r"[./~]{0,2}/?[\w.-]+(?:/[\w.-]+)*$")
_COMMENT = re.compile(r"^[ \t]*#.*$\n?", re.MULTILINE)
_TRAILING = re.compile(
    r"^(?P<kept>(?:[^\"'#\n]|\"(?:\\.|[^\"\\\n])*+\"|'[^'\n]*+')*+)#.*$", re.MULTILINE
)
_SETTING = re.compile(
    r"^[ \t]*(?P<key>\w{1,40})[ \t]*=[ \t]*[\"'](?P<path>[^\"'\n\0]{1,4096})", re.MULTILINE
)
"""A line of a configuration that is none as a whole."""


def without_comments(text: str) -> str:
    """Return a configuration without its comments, in which anything may stand."""
    return _TRAILING.sub(lambda match: match["kept"].rstrip(" \t"), _COMMENT.sub("", text))


def scrub(text: str, known: Iterable[bytes] = ()) -> str:
    """Return the text without secrets: what looks like one, and what is known to be one."""
    for secret in known:
        for form in _forms(secret):
            text = text.replace(form, REMOVED)
    text = _BLOCK.sub(REMOVED, text)
    for pattern in (_IN_URL, _PIN, _AUTHORIZATION):
        text = pattern.sub(lambda match: f"{match['before']}{REMOVED}", text)
    for pattern in (_IN_DOCUMENT, _NAMED, _OPTION):
        text = pattern.sub(_unless_path, text)
    return text


def _unless_path(match: re.Match[str]) -> str:
    """Keep what names a file, or says that there is none: that is no secret, and tells much."""
    value = match["value"]
    quote = next((mark for mark in ('\\"', '"', "'") if value.startswith(mark)), "")
    bare = value[len(quote) : len(value) - len(quote)]
    if not bare or bare.lower() in _NOTHING or bare in _PLACEHOLDERS or _SYSTEM_PATH.match(bare):
        return match[0]
    if quote and "." in bare and _PATH.match(bare) and _NAMES_FILE.search(bare):
        return match[0]
    if match["word"].lower() == "ticket" and (len(bare) < _SHORTEST_TICKET or " " in bare):
        return match[0]  # How it is with a ticket, no ticket.
    if not quote and '"' in match["before"]:
        quote = '"'  # In JSON a word that stands alone would be none.
    return f"{match['before']}{quote}{REMOVED}{quote}"


_NOTHING = frozenset({"null", "none", "true", "false", REMOVED})
_PLACEHOLDERS = frozenset({"TOKEN", "PASSWORD", "PIN", "SECRET", "FILE"})
"""What stands in commands that are recommended."""
_SHORTEST_TICKET = 16
_SYSTEM_PATH = re.compile(
    r"/(?:etc|var|run|root|home|usr|opt|srv|tmp|dev|mnt|media|proc|sys|lib\w*)/[\w.@+/-]*$"
)
"""A path, where Base64 may begin with a slash as well."""
_NAMES_FILE = re.compile(r"\.(?:password|nthash|pin|key|keytab|secret|token|txt|pem)$")


def secrets_of(configuration: str, folder: Path) -> Iterator[bytes]:
    """Yield what stands in the files of secrets that a configuration names, as far as readable."""
    try:
        data = load_toml(configuration)
    except ValueError:
        paths = _likely_paths(configuration)
    else:
        paths = _paths(data)
    for path in paths:
        yield from _content(folder / path)


def _likely_paths(configuration: str) -> Iterator[str]:
    """Yield the paths of a configuration in which something is wrong: its secrets are secret."""
    for match in _SETTING.finditer(configuration):
        if _FILES.search(match["key"]):
            yield match["path"]


def _paths(data: Mapping[str, object]) -> Iterator[str]:
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _paths(value)
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, Mapping):
                    yield from _paths(item)
        elif isinstance(value, str) and _FILES.search(key) and "\0" not in value:
            yield value


def _content(file: Path) -> Iterator[bytes]:
    try:
        if not file.is_file() or file.stat().st_size > LARGEST:
            return
        content = file.read_bytes()
    except OSError:
        return
    for line in content.split(b"\n"):
        # Of a key in PEM each line is one; its borders say nothing.
        stripped = line.strip()
        if len(stripped) >= SHORTEST and not stripped.startswith(b"-----"):
            yield stripped


def _forms(secret: bytes) -> Iterator[str]:
    text = secret.decode("utf-8", "replace")
    if "\ufffd" not in text and text.isprintable():
        yield from dict.fromkeys(
            (text, *(json.dumps(text, ensure_ascii=flag)[1:-1] for flag in (True, False)))
        )
        if quote(text) != text:
            yield quote(text, safe="")
    yield secret.hex()
