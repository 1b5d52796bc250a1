"""The challenges of a 407: RFC 9110, section 11.6.1, read as proxies really write them.

A header may hold several challenges, and there may be several headers. Whatever cannot be read
is passed over: what is left decides whether we can answer.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

MAXIMUM_CHALLENGES = 16
"""Of one answer; real proxies send up to five."""

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_SEPARATORS = re.compile(r"[\s,]*")
_SCHEME = re.compile(rf"({_TOKEN})(?=[ \t,]|\Z)[ \t]*")
_PARAMETER = re.compile(rf'({_TOKEN})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))', re.DOTALL)
_TOKEN68 = re.compile(r"([A-Za-z0-9\-._~+/]+=*)[ \t]*(?=,|\Z)")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way in that the proxy offers."""

    scheme: str
    """In lower case."""
    token: str = ""
    """What NTLM and Negotiate send instead of parameters, in base64."""
    parameters: tuple[tuple[str, str], ...] = ()
    """Names in lower case."""

    def get(self, name: str) -> str:
        """Return a parameter, "" when it is not there."""
        return next((value for key, value in self.parameters if key == name), "")


def parse_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """Read the values of all ``Proxy-Authenticate`` headers, in order."""
    found: list[Challenge] = []
    for header in headers:
        position = _SEPARATORS.match(header).end()  # type: ignore[union-attr]
        while position < len(header) and len(found) < MAXIMUM_CHALLENGES:
            challenge, position = _parse_one(header, position)
            if challenge is not None:
                found.append(challenge)
            position = _SEPARATORS.match(header, position).end()  # type: ignore[union-attr]
    return tuple(found)


def _parse_one(text: str, position: int) -> tuple[Challenge | None, int]:
    """Return a challenge, or None for what is none, and where it ends."""
    match = _SCHEME.match(text, position)
    if match is None:
        comma = text.find(",", position)
        return None, len(text) if comma < 0 else comma + 1
    scheme, position = match[1].lower(), match.end()
    token = _TOKEN68.match(text, position)
    if token is not None:
        return Challenge(scheme, token=token[1]), token.end()
    parameters, position = _parse_parameters(text, position)
    return Challenge(scheme, parameters=parameters), position


def _parse_parameters(text: str, position: int) -> tuple[tuple[tuple[str, str], ...], int]:
    parameters: list[tuple[str, str]] = []
    while (match := _PARAMETER.match(text, position)) is not None:
        quoted, plain = match[2], match[3]
        value = plain if quoted is None else _ESCAPED.sub(r"\1", quoted)
        parameters.append((match[1].lower(), value))
        position = _SEPARATORS.match(text, match.end()).end()  # type: ignore[union-attr]
    return tuple(parameters), position
