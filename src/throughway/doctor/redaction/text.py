"""Replaces in a text whatever says who or where; the same everywhere, of the same length."""

import re
from collections.abc import Iterable

from throughway.doctor.redaction.addresses import Addresses
from throughway.doctor.redaction.pseudonyms import Pseudonyms
from throughway.doctor.redaction.vocabulary import (
    FILE_ENDINGS,
    KEPT_DOMAINS,
    KEPT_IDENTIFIERS,
    KEPT_WORDS,
    TOP_LEVEL,
    TYPE_NAME,
)

_PATTERN = re.compile(
    r"(?P<guid>(?<![0-9a-f])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"(?![0-9a-f]))"
    r"|(?P<sid>S-1-5-21(?:-\d{1,10}){1,5})"
    r"|(?P<mac>(?<![0-9a-f-])[0-9a-f]{2}(?:-[0-9a-f]{2}){5}(?![0-9a-f-])"
    r"|(?<![\w:.-])[0-9a-f]{2}(?::[0-9a-f]{2}){5}(?![\w:]))"
    r"|(?P<v6>(?<![\w:.])(?:[0-9a-f]{0,4}:){2,8}"
    r"(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9a-f]{0,4})(?![\w:])(?:/\d{1,3})?)"
    r"|(?P<v4>(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)(?:/\d{1,2}(?!\d))?)"
    r"|(?P<hex>(?<![0-9a-z])(?:[0-9a-f]{2}[ :]?){15,64}[0-9a-f]{2}(?![0-9a-z])"
    r"|(?<![0-9a-z])[0-9a-f]{16,128}(?![0-9a-z]))"
    r"|(?P<mail>[\w.+'-]{1,64}@(?=[\w-]{1,63}\.))"
    r"|(?P<dns>(?<![\w-])(?:_?\w[\w-]{0,62}\.){1,20}[a-z][\w-]{1,62}(?!\w))"
    r"|(?P<name>\b(?:CN|OU|O|L|ST|S|E|DC|G|SN)[ ]?=[ ]?(?![ ]))(?P<value>[^,\n\"+/|;=<>]{1,128})"
    r"|(?P<unc>(?<!\\)\\\\)(?P<server>[A-Za-z0-9][\w-]{0,62})(?![\w.$-])"
    r"|(?P<home>\\(?:Users|Benutzer|Utilisateurs|Usuarios)\\)(?P<person>[^\\\n\"<>|:*?]{1,64})"
    r"|(?P<homes>(?<![\w.-])/home/)(?P<login>[\w.-]{1,32})"
    r"|(?P<account>(?<![\w\\-])[A-Z0-9][A-Z0-9-]{1,14}\$(?!\w))",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"(?P<before>(?<![\w-])(?:password|passwd|passphrase|passcode|secret|token|nt_hash|pin)"
    r"[\"']?[ \t]*[=:][ \t]*"
    r"|\b(?:Proxy-)?Authorization:[ \t]*\w+[ \t]+)"
    r"(?P<quote>[\"']?)(?P<secret>[^\s\"',;]+)(?P=quote)",
    re.IGNORECASE,
)
"""What should not be in a bundle at all."""
REMOVED = "(removed)"
_RUN = re.compile(r"[^\W\d_]+|\d{3,}")
_LABELLED = re.compile(r"[^\W_][\w-]*")
_SHORTEST_NAME = 4
_NETBIOS = 15
"""Characters of a computer's or domain's short name."""
_PERSONS = frozenset({"public", "default", "all users", "default user", "administrator"})
_NO_DOMAINS = frozenset(
    {"HKLM", "HKCU", "HKCR", "HKU", "HKCC", "NT", "AUTHORITY", "BUILTIN", "VORDEFINIERT", "ROOT"}
    | {"NT-AUTORIT\u00c4T", "AUTORIT\u00c4T", "AUTORIDAD", "INTEGRADO", "SYSTEM", "SYSVOL", "WMI"}
)
"""What stands before a backslash in capitals, but is no domain."""
_MAXIMUM_NAMES = 5_000
"""Names that are looked for by themselves; a bundle of one machine has some ten."""


class Redactor:
    """Replacements for one bundle, or for many under one key."""

    def __init__(self, key: bytes) -> None:
        self._pseudonyms = Pseudonyms(key)
        self._addresses = Addresses(self._pseudonyms)
        self._names: dict[str, None] = {}
        self._domains: set[str] = set()
        self._bare: re.Pattern[str] | None = None

    def learn(self, text: str) -> None:
        """Note the names in a text, to know them where they stand alone, too."""
        for match in _PATTERN.finditer(text):
            if match["dns"] and self._is_name(match["dns"]):
                self._learn_labels(match["dns"])
            elif match["server"]:
                self.learn_name(match["server"])
            elif match["account"]:
                self.learn_name(match["account"][:-1])
            elif match["person"] and match["person"].strip().lower() not in _PERSONS:
                self.learn_name(match["person"].strip(), person=True)
            elif match["login"]:
                self.learn_name(match["login"], person=True)
        for match in _ACCOUNT.finditer(text):
            domain = match["domain"]
            if domain.isupper() and domain not in _NO_DOMAINS and domain.lower() not in KEPT_WORDS:
                self._domains.add(domain.lower())

    def learn_name(self, name: str, *, person: bool = False) -> None:
        """Note a name of a computer, a domain or a person."""
        plain = name.isalpha() and not person
        short = len(name) < (3 if person else _SHORTEST_NAME)
        if short or name.lower() in KEPT_WORDS or len(self._names) >= _MAXIMUM_NAMES:
            return
        if plain:
            self._domains.add(name.lower())
        elif name.lower() not in self._names:
            self._names[name.lower()] = None
            self._bare = None

    def learn_computer(self, name: str) -> None:
        """Note a name that is surely a computer's, even where it is a plain word."""
        if len(name) >= _SHORTEST_NAME and name.lower() not in KEPT_WORDS:
            self._names.setdefault(name.lower(), None)
            self._bare = None

    def text(self, text: str) -> str:
        """Return the text with everything replaced; its lines stay lines."""
        text = _SECRET.sub(r"\g<before>\g<quote>" + REMOVED + r"\g<quote>", text)
        pieces: list[str] = []
        at = 0
        for match in _ACCOUNT.finditer(text) if self._domains else ():
            if match["domain"].lower() in self._domains:
                # Not replaced twice: "first.last" looks like a host, too.
                before = _PATTERN.sub(self._replaced, text[at : match.start()])
                pieces += (before, self._account(match))
                at = match.end()
        text = "".join((*pieces, _PATTERN.sub(self._replaced, text[at:])))
        bare = self._bare_names()
        return bare.sub(lambda match: self.label(match[0]), text) if bare else text

    def label(self, label: str) -> str:
        """Return what stands for one label of a name; generic words in it stay."""

        def run(match: re.Match[str]) -> str:
            part = match[0]
            if part.isdigit():
                return self._pseudonyms.digits(part)
            return part if part.lower() in KEPT_WORDS or len(part) < 2 else self._word(part)

        return _RUN.sub(run, label)

    def _word(self, word: str) -> str:
        return self._pseudonyms.word(word)

    def _learn_labels(self, name: str) -> None:
        labels = name.split(".")
        for label in labels[:-1]:
            if label.isalpha():
                self._domains.add(label.lower())
            elif len(label) <= _NETBIOS and not label.startswith("_"):
                self.learn_name(label)

    def _bare_names(self) -> re.Pattern[str] | None:
        if self._bare is None and self._names:
            longest = sorted(self._names, key=len, reverse=True)
            names = "|".join(map(re.escape, longest))
            self._bare = re.compile(rf"(?<![\w.-])(?:{names})(?![\w-])", re.IGNORECASE)
        return self._bare

    def _replaced(self, match: re.Match[str]) -> str:
        kind = match.lastgroup
        text = match[0]
        if kind in _PLAIN:
            return _PLAIN[kind](self, text)
        if kind == "value":
            return match["name"] + self._value(match["value"])
        if kind == "server":
            return match["unc"] + self.label(match["server"])
        if kind == "person":
            return match["home"] + self._person(match["person"])
        if kind == "login":
            return match["homes"] + self.label(match["login"])
        return text

    def _guid(self, text: str) -> str:
        return text if KEPT_IDENTIFIERS.fullmatch(text) else self._pseudonyms.hexadecimal(text)

    def _sid(self, text: str) -> str:
        parts = text.split("-")
        domain = [self._pseudonyms.digits(part) for part in parts[4:7]]
        rest = [p if int(p) < 1000 else self._pseudonyms.digits(p) for p in parts[7:]]
        return "-".join((*parts[:4], *domain, *rest))

    def _mac(self, text: str) -> str:
        if set(text.lower()) - {":", "-"} in ({"0"}, {"f"}):
            return text
        return text[:9] + self._pseudonyms.hexadecimal(text[9:])

    def _address(self, text: str) -> str:
        if "/" in text:
            return self._addresses.network(text)
        return self._addresses.v6(text)

    def _dotted(self, text: str) -> str:
        if text.startswith(("2.5.29.", "2.5.4.", "1.3.6.")):
            return text
        return self._addresses.network(text) if "/" in text else self._addresses.v4(text)

    def _hexadecimal(self, text: str) -> str:
        if text.isdecimal() and len(set(text)) < 3:
            return text
        return self._pseudonyms.hexadecimal(text)

    def _mail(self, text: str) -> str:
        return self.label(text)

    def _dns(self, text: str) -> str:
        stem, dot, ending = text.rpartition(".")
        if ending.lower() in FILE_ENDINGS and "." in stem:
            return self._dns(stem) + dot + ending
        if not self._is_name(text):
            return text
        labels = text.split(".")
        return ".".join((*map(self.label, labels[:-1]), labels[-1]))

    def _account_name(self, text: str) -> str:
        return self.label(text)

    def _value(self, text: str) -> str:
        return _LABELLED.sub(lambda match: self.label(match[0]), text)

    def _person(self, text: str) -> str:
        return text if text.strip().lower() in _PERSONS else self._value(text)

    def _account(self, match: re.Match[str]) -> str:
        return f"{self.label(match['domain'])}\\{self.label(match['user'])}"

    @staticmethod
    def _is_name(text: str) -> bool:
        """Whether dots are between labels of a host, and it is not everybody's."""
        small = text.lower().rstrip(".")
        last = small.rpartition(".")[2]
        if last in FILE_ENDINGS or any(c in last for c in "_"):
            return False
        if small.endswith(KEPT_DOMAINS):
            return False
        return not (TYPE_NAME.match(text) and last not in TOP_LEVEL)


_ACCOUNT = re.compile(
    r"(?<![\w\\.-])(?P<domain>[A-Za-z][\w-]{0,14})\\(?P<user>[\w.$-]{1,64})(?![\w.$\\-])"
)
_PLAIN = {
    "guid": Redactor._guid,
    "sid": Redactor._sid,
    "mac": Redactor._mac,
    "v6": Redactor._address,
    "v4": Redactor._dotted,
    "hex": Redactor._hexadecimal,
    "mail": Redactor._mail,
    "dns": Redactor._dns,
    "account": Redactor._account_name,
}


def redactor_for(texts: Iterable[str], computers: Iterable[str], key: bytes) -> Redactor:
    """Return a redactor that knows the names in those texts."""
    redactor = Redactor(key)
    for computer in computers:
        redactor.learn_computer(computer)
    for text in texts:
        redactor.learn(text)
    return redactor
