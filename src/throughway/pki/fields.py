"""Fields of hostile or hand-written input, checked one by one without a framework.

Policy bundles and ``client.toml`` are read by this in the client daemon, whose memory is
budgeted (pydantic would be a seventh of it); ``gateway.toml`` uses the same checks inside
its models. A check takes text and returns it in its one normal form, or raises ValueError
with a reason that can stand behind "key: ".
"""

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlsplit

from throughway.model.errors import ConfigError
from throughway.model.policy import DEFAULT, DIRECT, Fallback
from throughway.model.revocation import Revocation
from throughway.model.status import TransportKind
from throughway.wire.sixtofour import is_usable

Check = Callable[[str], str]

MAX_DNS_NAME = 253
"""Characters (RFC 1035, 2.3.4)."""

MAX_URL = 256
"""Characters: what a Windows DirectAccess client takes."""

MAX_TEXT = 256
"""Characters of any other text: nothing of ours is longer."""

MAX_ITEMS = 512
"""Items of a list; a Name Resolution Policy Table of that size is past all use."""

MAX_INTEGER = 2**53
"""Beyond it JSON readers disagree (RFC 8259, section 6)."""

MAX_ERRORS = 50
"""Errors that are shown at once: more helps nobody."""

ABSENT = object()
"""What a key has that is not there; JSON's null is there, and of the wrong kind."""

TRANSPORTS = tuple(map(str, TransportKind))

LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
PRINTABLE = re.compile(r"[\x21-\x7e]+")
ACCOUNT = re.compile(r"[A-Za-z0-9._-]{1,63}\$")
INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}")  # IFNAMSIZ
REALM = re.compile(r"[A-Z0-9]([A-Z0-9.-]{0,251}[A-Z0-9])?")
SERVICE = re.compile(r"[A-Za-z0-9_-]{1,63}")


def check_text(value: str) -> str:
    """One line of text."""
    if not value.strip() or len(value) > MAX_TEXT or not value.isprintable():
        raise ValueError(f"must be one line of 1 to {MAX_TEXT} printable characters")
    return value


IS_ADDRESS = "is an address where a DNS name is needed"


def check_dns_name(value: str) -> str:
    """A host's DNS name."""
    labels = value.split(".")
    if len(value) > MAX_DNS_NAME or not all(LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{value!r} is not a DNS name, such as da.example.com")
    if labels[-1].isdigit():
        raise ValueError(f"{value!r} {IS_ADDRESS}")
    return value.lower()


def check_address(value: str) -> str:
    """An IPv4 or IPv6 address without a zone."""
    try:
        # A zone (RFC 4007) may be any text at all, and means nothing on another computer.
        return str(ipaddress.ip_address(value.replace("%", "/")))
    except ValueError:
        raise ValueError(f"{value!r} is not an IP address") from None


def check_ipv6_address(value: str) -> str:
    """A unicast IPv6 address without a zone."""
    try:
        address = ipaddress.IPv6Address(value)
    except ValueError:
        raise ValueError(f"{value!r} is not an IPv6 address, such as 2001:db8::1") from None
    if address.scope_id or address.is_multicast or address.is_unspecified or address.is_link_local:
        raise ValueError(f"{value!r} must be a routable unicast address")
    return str(address)


def check_public_ipv4(value: str) -> str:
    """An IPv4 address that can be reached from anywhere."""
    try:
        address = ipaddress.IPv4Address(value)
    except ValueError:
        raise ValueError(f"{value!r} is not an IPv4 address, such as 131.107.0.2") from None
    if not is_usable(address.packed):
        raise ValueError(f"{value!r} must be a public address")
    return str(address)


def parse_socket_address(value: object) -> tuple[str, int]:
    """``address:port``, an IPv6 address in brackets (RFC 3986, 3.2.2)."""
    wanted = 'must be "address:port", such as "192.0.2.1:443" or "[2001:db8::1]:443"'
    if not isinstance(value, str):
        raise ValueError(wanted)
    host, _, port = value.rpartition(":")
    try:
        if host.startswith("[") and host.endswith("]"):
            address: str = str(ipaddress.IPv6Address(host[1:-1].replace("%", "/")))
        else:
            address = str(ipaddress.IPv4Address(host))
    except ValueError:
        raise ValueError(f"{wanted}, is {value!r}") from None
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise ValueError(f"{port!r} is not a port from 1 to 65535")
    return address, int(port)


def check_ipv6_prefix(value: str) -> str:
    """An IPv6 prefix."""
    try:
        network = ipaddress.IPv6Network(value.replace("%", " "), strict=False)
    except ValueError:
        raise ValueError(f"{value!r} is not an IPv6 prefix, such as 2001:db8:c0::/48") from None
    if "/" not in value:
        raise ValueError(f"{value!r} has no length; one host would be {value}/128")
    if network.network_address != ipaddress.IPv6Address(value.partition("/")[0]):
        raise ValueError(f"{value!r} has bits set beyond its length; did you mean {network}?")
    return str(network)


def check_ipv4_prefix(value: str) -> str:
    """An IPv4 prefix."""
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError:
        raise ValueError(f"{value!r} is not an IPv4 prefix, such as 10.0.0.0/16") from None
    if "/" not in value:
        raise ValueError(f"{value!r} has no length; one host would be {value}/32")
    return str(network)


def check_nat64_prefix(value: str) -> str:
    """A prefix in which IPv4 hosts appear: the last 32 bits are theirs (RFC 6052)."""
    prefix = check_ipv6_prefix(value)
    if not prefix.endswith("/96"):
        raise ValueError(f"{value!r} must be a /96, such as 2001:db8:c0:7777::/96")
    return prefix


WIDEST_LINKS = 59
"""Length of a prefix with a /64 for each of 32 workers."""


def check_link_prefix(value: str) -> str:
    """The prefix of links on which hosts form their addresses, in a /64 (RFC 4862, 5.5.3) each."""
    prefix = check_ipv6_prefix(value)
    if not WIDEST_LINKS <= int(prefix.rpartition("/")[2]) <= 64:
        why = f"must be from a /{WIDEST_LINKS} to a /64: each worker's clients have a /64 of it"
        raise ValueError(f"{value!r} {why}")
    return prefix


def url_host(value: str) -> str:
    """Return the host of a URL that was checked."""
    return urlsplit(value).hostname or ""


def check_https_url(value: str) -> str:
    """An https URL whose host is a name, since a certificate must prove it."""
    _check_url(value, ("https",))
    if ":" in (host := url_host(value)):
        raise ValueError(f"{host!r} {IS_ADDRESS}")
    check_dns_name(host)
    return value


def check_enrolment_url(value: str) -> str:
    """The https URL of an enrolment service: a name or an address, and nothing behind it."""
    _check_url(value, ("https",))
    if urlsplit(value).path or urlsplit(value).query:
        raise ValueError(f"{value!r} must have no path, as https://da.example.com:8443")
    return value


def check_web_url(value: str) -> str:
    """An http or https URL."""
    _check_url(value, ("http", "https"))
    return value


def check_http_url(value: str) -> str:
    """An http URL: what is asked there must be able to be answered by somebody else."""
    _check_url(value, ("http",))
    return value


def check_proxy_url(value: str) -> str:
    """The URL of a web proxy, which is spoken to by http; without credentials."""
    _check_url(value, ("http",))
    if urlsplit(value).path not in ("", "/") or urlsplit(value).query:
        raise ValueError(f"{value!r} is not a proxy, such as http://proxy.example.com:3128")
    return value


def check_namespace(value: str) -> str:
    """A namespace of the NRPT: ``.suffix``, ``name`` or ``.``."""
    if value != ".":
        check_dns_name(value.removeprefix("."))
    return value.lower()


def check_fallback(value: str) -> str:
    """When local DNS is asked for names of the intranet."""
    if value not in list(Fallback):
        raise ValueError(f"{value!r} is not one of {', '.join(Fallback)}")
    return value


def check_revocation(value: str) -> str:
    """How hard revocation is checked."""
    try:
        return str(Revocation(value))
    except ValueError:
        raise ValueError(f"{value!r} is not one of {', '.join(Revocation)}") from None


def check_proxy(value: str) -> str:
    """A web proxy, ``host:port`` with an IPv6 address in brackets, ``direct`` or ``default``."""
    if value in (DEFAULT, DIRECT):
        return value
    host, _, port = value.rpartition(":")
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise ValueError(f"{value!r} is not host:port, {DIRECT!r} or {DEFAULT!r}")
    if host.startswith("[") and host.endswith("]"):
        return f"[{check_ipv6_address(host[1:-1])}]:{int(port)}"
    return f"{check_dns_name(host)}:{int(port)}"


def check_account(value: str) -> str:
    """A computer account, with its dollar sign."""
    if not ACCOUNT.fullmatch(value):
        raise ValueError(f"{value!r} is not a computer account, such as CLIENT1$")
    return value


def check_interface(value: str) -> str:
    """The name of a network interface."""
    if not INTERFACE.fullmatch(value) or value in {".", ".."}:
        raise ValueError(f"{value!r} is not an interface name (at most 15 of A-Z a-z 0-9 _ . -)")
    return value


def check_transport(value: str) -> str:
    """The name of a transport."""
    if value not in TRANSPORTS:
        raise ValueError(f"{value!r} is not one of {', '.join(TRANSPORTS)}")
    return value


def check_realm(value: str) -> str:
    """A Kerberos realm; upper case by convention, and in Active Directory always."""
    if not REALM.fullmatch(value):
        raise ValueError(f"{value!r} is not a realm in capital letters, such as CORP.EXAMPLE.COM")
    return value


def check_service(value: str) -> str:
    """A GSS host-based name (RFC 2743, 4.1)."""
    service, _, host = value.partition("@")
    if not SERVICE.fullmatch(service) or not host:
        raise ValueError(f"{value!r} is not service@host, such as host@da.example.com")
    return f"{service}@{check_dns_name(host)}"


def did_you_mean(key: str, known: Iterable[str]) -> str:
    """Return a hint for a misspelt key, or nothing."""
    close = difflib.get_close_matches(key, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def combined(file: str, errors: Iterable[ConfigError]) -> ConfigError:
    """Return one error that tells all of them, each on its line."""
    every = tuple(errors)
    if len(every) == 1:
        return every[0]
    lines = [f"\n  {e.key}: {e.why}" if e.key else f"\n  {e.why}" for e in every[:MAX_ERRORS]]
    if len(every) > MAX_ERRORS:
        lines.append(f"\n  and {len(every) - MAX_ERRORS} more")
    return ConfigError(file, "", f"{len(every)} things are wrong:{''.join(lines)}", every)


class Fields:
    """The fields of one table: each is asked for once, errors are gathered.

    A getter always returns something of the right type, so that reading goes on to the
    next error; nobody sees the result of a reading that :meth:`finish` refuses.
    """

    def __init__(self, values: Mapping[str, object], file: str, path: str = "") -> None:
        self._values = values
        self._file = file
        self._path = path
        self._asked: list[str] = []
        self.errors: list[ConfigError] = []

    def refuse(self, key: str, why: str) -> None:
        """Note an error of this key."""
        self.errors.append(ConfigError(self._file, f"{self._path}{key}", why))

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return key in self._values

    def refused(self, key: str) -> bool:
        """Whether an error of this key was noted."""
        return any(error.key == f"{self._path}{key}" for error in self.errors)

    def text(self, key: str, check: Check = check_text, default: str | None = None) -> str:
        """Return a text that passes the check, or the default when the key is not there."""
        value = self._take(key, required=default is None)
        return (default or "") if value is ABSENT else self._checked(key, value, check)

    def optional_text(self, key: str, check: Check) -> str:
        """Return a text which may also be empty."""
        return self.text(key, lambda value: check(value) if value else "", "")

    def integer(self, key: str, minimum: int = 0, default: int | None = None) -> int:
        """Return a whole number."""
        value = self._take(key, required=default is None)
        if value is ABSENT:
            return minimum if default is None else default
        if not isinstance(value, int) or isinstance(value, bool):
            self.refuse(key, f"must be a whole number, is {_kind(value)}")
        elif minimum <= value <= MAX_INTEGER:
            return value
        else:
            self.refuse(key, f"must be from {minimum} to {MAX_INTEGER}, is {value}")
        return minimum

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        value = self._take(key, required=False)
        if value is ABSENT:
            return default
        if not isinstance(value, bool):
            self.refuse(key, f"must be true or false, is {_kind(value)}")
        return value is True

    def texts(
        self,
        key: str,
        check: Check,
        minimum: int = 0,
        default: tuple[str, ...] | None = None,
    ) -> tuple[str, ...]:
        """Return a list of texts that each pass the check."""
        if default is not None and key not in self._values:
            self._asked.append(key)
            return default
        items = self._items(key, minimum)
        return tuple(self._checked(f"{key}[{i}]", item, check) for i, item in enumerate(items))

    def table(self, key: str) -> "Fields":
        """Return a table inside this one."""
        value = self._take(key, required=True)
        if not isinstance(value, Mapping):
            if value is not ABSENT:
                self.refuse(key, f"must be a table, is {_kind(value)}")
            return Fields({}, self._file, f"{self._path}{key}.")
        return Fields(value, self._file, f"{self._path}{key}.")

    def optional_table(self, key: str) -> "Fields":
        """Return a table inside this one, an empty one where there is none."""
        if key in self._values:
            return self.table(key)
        self._asked.append(key)
        return Fields({}, self._file, f"{self._path}{key}.")

    def tables(self, key: str, maximum: int = MAX_ITEMS) -> "list[Fields]":
        """Return a list of tables inside this one."""
        result = []
        for index, item in enumerate(self._items(key, 0, maximum)):
            if isinstance(item, Mapping):
                result.append(Fields(item, self._file, f"{self._path}{key}[{index}]."))
            else:
                self.refuse(f"{key}[{index}]", f"must be a table, is {_kind(item)}")
        return result

    def finish(self, *inner: "Fields") -> None:
        """Raise what was gathered here and in the inner tables, if anything."""
        self.gather(*inner)
        if self.errors:
            raise combined(self._file, self.errors)

    def gather(self, *inner: "Fields") -> None:
        """Take over the errors of inner tables; refuse the keys nobody asked for."""
        for key in self._values:
            if key not in self._asked:
                self.refuse(str(key)[:MAX_TEXT], f"unknown key{did_you_mean(key, self._asked)}")
        for table in inner:
            self.errors += table.errors

    def _take(self, key: str, *, required: bool) -> object:
        self._asked.append(key)
        if key in self._values:
            return self._values[key]
        if required:
            self.refuse(key, "is missing")
        return ABSENT

    def _items(self, key: str, minimum: int, maximum: int = MAX_ITEMS) -> list[object]:
        value = self._take(key, required=True)
        if value is ABSENT:
            return []
        if not isinstance(value, list):
            self.refuse(key, f"must be a list, is {_kind(value)}")
            return []
        if not minimum <= len(value) <= maximum:
            self.refuse(key, f"must have {minimum} to {maximum} items, has {len(value)}")
            return []
        return value

    def _checked(self, key: str, value: object, check: Check) -> str:
        if not isinstance(value, str):
            self.refuse(key, f"must be text, is {_kind(value)}")
            return ""
        try:
            return check(value)
        except ValueError as error:
            self.refuse(key, str(error))
            return ""


_USER = re.compile(r"//.*@", re.DOTALL)
"""User name and password of a URL."""


def _check_url(value: str, schemes: tuple[str, ...]) -> None:
    wanted = " or ".join(f"{scheme}://" for scheme in schemes)
    if len(value) > MAX_URL:
        raise ValueError(f"has {len(value)} characters; clients take at most {MAX_URL}")
    # urlsplit drops line ends and tabs silently, so they are refused before.
    # What is refused is told to people and logs: without the password that may stand in it.
    shown = repr(_USER.sub("//…@", value))
    if not PRINTABLE.fullmatch(value):
        raise ValueError(f"{shown} has characters that no URL has")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        why = "is not a URL" if "@" in value else f"is not a URL: {error}"
        raise ValueError(f"{shown} {why}") from None
    if parts.scheme not in schemes or not parts.hostname or port == 0:
        raise ValueError(f"{shown} is not a URL that begins with {wanted}")
    if parts.username is not None or parts.fragment:
        raise ValueError(f"{shown} must not carry a user name, password or fragment")


def _kind(value: object) -> str:
    """Name a value's type as JSON and TOML do."""
    names = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list"}
    if isinstance(value, Mapping):
        return "a table"
    return "nothing" if value is None else names.get(type(value), type(value).__name__)
