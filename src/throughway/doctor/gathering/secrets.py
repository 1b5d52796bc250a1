"""Keeps secrets out of what is gathered: by their form, by their key, and by what they are.

Files of secrets are never taken; this is for what may stand where it should not: a password in
an URL, a key that somebody has pasted into a comment, a token in a log.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

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
_NAMED = re.compile(
    r"(?P<before>(?<![\w-])[\"']?(?:password|passwd|passphrase|passcode|secret|token|nt_hash|pin"
    r"|ticket|private_key)[\"']?[ \t]*[=:][ \t]*)"
    r"(?P<quote>[\"']?)(?P<value>[^\s\"',;{}\[\]]+)(?P=quote)",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(r"(?P<before>Authorization:[ \t]*\w+[ \t]+)\S+", re.IGNORECASE)
_PATH = re.compile(r"[./~]{0,2}/?[\w.-]+(?:/[\w.-]+)*$")
_COMMENT = re.compile(r"^[ \t]*#.*$\n?", re.MULTILINE)


def without_comments(text: str) -> str:
    """Return a configuration without the lines in which anything may stand."""
    return _COMMENT.sub("", text)


def scrub(text: str, known: Iterable[bytes] = ()) -> str:
    """Return the text without secrets: what looks like one, and what is known to be one."""
    for secret in known:
        for form in _forms(secret):
            text = text.replace(form, REMOVED)
    text = _BLOCK.sub(REMOVED, text)
    for pattern in (_IN_URL, _PIN, _AUTHORIZATION):
        text = pattern.sub(lambda match: f"{match['before']}{REMOVED}", text)
    return _NAMED.sub(_unless_path, text)


def _unless_path(match: re.Match[str]) -> str:
    """Keep what names a file, or says that there is none: that is no secret, and tells much."""
    value, quote = match["value"], match["quote"]
    if value.startswith("/") or value.lower() in {"null", "none", "true", "false", REMOVED}:
        return match[0]
    if quote and "." in value and _PATH.match(value) and _NAMES_FILE.search(value):
        return match[0]
    if not quote and '"' in match["before"]:
        quote = '"'  # in JSON a word that stands alone would be none
    return f"{match['before']}{quote}{REMOVED}{quote}"


_NAMES_FILE = re.compile(r"\.(?:password|nthash|pin|key|keytab|secret|token|txt|pem)$")


def secrets_of(configuration: str, folder: Path) -> Iterator[bytes]:
    """Yield what stands in the files of secrets that a configuration names, as far as readable."""
    try:
        data = load_toml(configuration)
    except ValueError:
        return
    for path in _paths(data):
        yield from _content(folder / path)


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
        yield text
    yield secret.hex()
