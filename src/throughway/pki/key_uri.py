"""Where a private key is that stays on a token: URIs of PKCS#11 (RFC 7512)."""

from pathlib import Path
from urllib.parse import unquote_to_bytes

from throughway.model.config import TokenKey

SCHEME = "pkcs11:"
EXAMPLE = (
    'such as "pkcs11:token=computer;id=%01?module-path=/usr/lib/x86_64-linux-gnu/'
    'libtpm2_pkcs11.so.1&pin-source=file:/etc/throughway/token.pin"'
)
_PATH = {"token", "id", "object", "type", "serial", "model", "manufacturer"}
_QUERY = {"module-path", "pin-source"}


def parse_key_uri(text: str) -> TokenKey:
    """Return what a URI names; ValueError with a reason for people."""
    path, _, query = text.removeprefix(SCHEME).partition("?")
    wanted = _attributes(path, ";", _PATH)
    how = _attributes(query, "&", _QUERY)
    for name, place in (("token", wanted), ("id", wanted), ("module-path", how)):
        if name not in place:
            raise ValueError(f"the URI does not say {name}; {EXAMPLE}")
    if wanted.get("type", b"private") != b"private":
        raise ValueError("the URI must be of a private key: type=private")
    pin = how.get("pin-source", b"").decode(errors="replace").removeprefix("file:")
    for name, file in (("module-path", _text(how["module-path"])), ("pin-source", pin)):
        if file and not file.startswith("/"):
            raise ValueError(f"{name} must be the absolute path of a file")
    return TokenKey(
        module=Path(_text(how["module-path"])),
        token=_text(wanted["token"]),
        id=wanted["id"].hex(),
        pin_file=Path(pin) if pin else None,
    )


def _attributes(text: str, separator: str, known: set[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in filter(None, text.split(separator)):
        name, equals, value = part.partition("=")
        if name == "pin-value":
            raise ValueError("a PIN does not belong into the URI; put it into a file: pin-source")
        if not equals or name not in known or name in found:
            raise ValueError(f"{name!r} is not known here, or stands twice; {EXAMPLE}")
        found[name] = unquote_to_bytes(value)
    return found


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
