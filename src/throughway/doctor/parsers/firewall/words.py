"""The names of the three profiles, and on and off, in the languages of Windows."""

_DOMAIN = (
    *("domain", "dom\u00e4n", "dominio", "dom\u00ednio", "domein", "domen"),
    *("\u57df", "\u30c9\u30e1\u30a4\u30f3", "\u0434\u043e\u043c\u0435\u043d"),
)
_PRIVATE = (
    *("privat", "priv\u00e9", "privad", "prywatn", "particulier", "soukrom"),
    *("\u4e13\u7528", "\u5c08\u7528", "\u79c1\u4eba", "\u30d7\u30e9\u30a4\u30d9\u30fc\u30c8"),
    "\u0447\u0430\u0441\u0442\u043d",
)
_PUBLIC = (
    *("public", "\u00f6ffentlich", "p\u00fablic", "pubblic", "openba", "offentlig", "publiczn"),
    *("ve\u0159ejn", "\u516c\u7528", "\u516c\u5171", "\u30d1\u30d6\u30ea\u30c3\u30af"),
    "\u043e\u0431\u0449",
)
PROFILES = (("domain", _DOMAIN), ("private", _PRIVATE), ("public", _PUBLIC))
"""In the order in which Windows lists them."""

ON = frozenset(
    {
        *("on", "ein", "actif", "activ\u00e9", "activar", "activado", "activada", "attivo"),
        *("attivato", "ativado", "ligado", "aan", "p\u00e5", "enable", "enabled", "true"),
        *("w\u0142\u0105czone", "w\u0142\u0105cz", "\u0432\u043a\u043b"),
        *("\u0432\u043a\u043b\u044e\u0447\u0438\u0442\u044c", "\u542f\u7528", "\u6253\u5f00"),
        *("\u5f00\u542f", "\u555f\u7528", "\u958b\u555f", "\u30aa\u30f3", "\u6709\u52b9"),
    }
)
OFF = frozenset(
    {
        *("off", "aus", "inactif", "d\u00e9sactiv\u00e9", "desactivar", "desactivado"),
        *("desactivada", "disattivo", "disattivato", "inattivo", "desativado", "desligado"),
        *("uit", "av", "disable", "disabled", "false", "wy\u0142\u0105czone"),
        *("wy\u0142\u0105cz", "\u0432\u044b\u043a\u043b", "\u5173\u95ed", "\u7981\u7528"),
        *("\u505c\u7528", "\u95dc\u9589", "\u30aa\u30d5", "\u7121\u52b9"),
        "\u043e\u0442\u043a\u043b\u044e\u0447\u0438\u0442\u044c",
    }
)
TUNNEL = frozenset(
    {"tunnel", "t\u00fanel", "\u96a7\u9053", "\u901a\u9053", "\u30c8\u30f3\u30cd\u30eb"}
)
TRANSPORT = frozenset({"transport", "transporte", "trasporto", "\u4f20\u8f93", "\u50b3\u8f38"})


def profile(text: str) -> str:
    """Return domain, private or public when the text names one of them, else ""."""
    lower = text.lower()
    found = [name for name, words in PROFILES if any(word in lower for word in words)]
    return found[0] if len(found) == 1 else ""


def profiles(text: str) -> tuple[str, ...]:
    """Return the profiles of a list; () when a part of it is none."""
    names = tuple(profile(part) for part in text.split(",") if part.strip())
    return names if names and all(names) else ()


def is_on(text: str) -> bool | None:
    """Return what a state says; None for an unknown word."""
    word = text.strip().lower().rstrip(".")
    return True if word in ON else False if word in OFF else None
