"""Digest: RFC 7616 with MD5 and SHA-256, and what is left of RFC 2069 in old proxies."""

import hashlib
from dataclasses import dataclass

from throughway.proto.proxy.challenges import Challenge, parse_challenges

# Strongest first; names in lower case.
_HASHES = {"sha-256": "sha256", "md5": "md5"}
_SESSION = "-sess"


@dataclass(slots=True)
class DigestSession:
    """A nonce and how often it has been used."""

    challenge: Challenge
    nonce: str
    count: int = 0


def usable(challenge: Challenge) -> bool:
    """Whether we can answer: algorithm and quality of protection are known."""
    algorithm = _algorithm(challenge).removesuffix(_SESSION)
    return bool(challenge.get("nonce")) and algorithm in _HASHES and _qop(challenge) is not None


def strength(challenge: Challenge) -> int:
    """Order the challenges of one proxy: the best has the lowest."""
    return list(_HASHES).index(_algorithm(challenge).removesuffix(_SESSION))


def begin(challenge: Challenge) -> DigestSession:
    """Take the nonce of a challenge."""
    return DigestSession(challenge, challenge.get("nonce"))


def take_next_nonce(session: DigestSession, authentication_info: str) -> None:
    """Obey ``nextnonce`` of a ``Proxy-Authentication-Info`` header (RFC 7616, section 3.5)."""
    for info in parse_challenges((f"info {authentication_info}",)):
        if nonce := info.get("nextnonce"):
            session.nonce, session.count = nonce, 0


def authorize(
    session: DigestSession, *, user: str, password: str, method: str, uri: str, cnonce: str
) -> str:
    """Return the value of ``Proxy-Authorization`` for one request; counts the use of the nonce."""
    session.count += 1
    challenge, count = session.challenge, f"{session.count:08x}"
    algorithm, qop, realm = _algorithm(challenge), _qop(challenge), challenge.get("realm")
    kind = _HASHES[algorithm.removesuffix(_SESSION)]

    # What the proxy has said is Latin-1, whatever it means by it, and goes back as it came.
    user, password = _encoded(challenge, user), _encoded(challenge, password)

    def digest(text: str) -> str:
        return hashlib.new(kind, text.encode("latin-1"), usedforsecurity=False).hexdigest()

    secret = digest(f"{user}:{realm}:{password}")
    if algorithm.endswith(_SESSION):
        secret = digest(f"{secret}:{session.nonce}:{cnonce}")
    request = digest(f"{method}:{uri}")
    middle = f"{session.nonce}:{count}:{cnonce}:{qop}" if qop else session.nonce
    hashed = challenge.get("userhash").lower() == "true"
    fields = {
        "username": _quoted(digest(f"{user}:{realm}") if hashed else user),
        "realm": _quoted(realm),
        "nonce": _quoted(session.nonce),
        "uri": _quoted(uri),
        "response": _quoted(digest(f"{secret}:{middle}:{request}")),
    }
    if challenge.get("algorithm"):
        fields["algorithm"] = challenge.get("algorithm")
    if challenge.get("opaque"):
        fields["opaque"] = _quoted(challenge.get("opaque"))
    if qop:
        fields |= {"qop": qop, "nc": count}
    if qop or algorithm.endswith(_SESSION):
        fields["cnonce"] = _quoted(cnonce)
    if hashed:
        fields["userhash"] = "true"
    return "Digest " + ", ".join(f"{name}={value}" for name, value in fields.items())


def _algorithm(challenge: Challenge) -> str:
    return challenge.get("algorithm").lower() or "md5"


def _qop(challenge: Challenge) -> str | None:
    """Return ``auth``, "" where the proxy knows no qop, None where it wants another one."""
    offered = challenge.get("qop")
    if not offered:
        return ""
    return "auth" if "auth" in (word.strip().lower() for word in offered.split(",")) else None


def _encoded(challenge: Challenge, text: str) -> str:
    """Return our text with a character for each octet that is sent for it.

    As UTF-8 where the proxy says so (RFC 7616, section 4), or where Latin-1 cannot hold it.
    """
    if challenge.get("charset").lower() == "utf-8" or any(ord(sign) > 0xFF for sign in text):
        return text.encode("utf-8").decode("latin-1")
    return text


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
