"""``authority.toml`` to :class:`AuthorityConfig`, checked whole: every error at once."""

import ipaddress
import os
from pathlib import Path

from throughway.model.config import AuthorityConfig, LogConfig, LogLevel
from throughway.model.errors import ConfigError
from throughway.net.files import read_toml
from throughway.pki import fields
from throughway.pki.authority import check_name
from throughway.pki.fields import Fields

DEFAULT_FILE = Path("/etc/throughway/authority.toml")
DEFAULTS = {f.name: f.default for f in AuthorityConfig.__dataclass_fields__.values()}
MAX_DAYS = 3650


def load(path: Path = DEFAULT_FILE) -> AuthorityConfig:
    """Read and check the file; raises one :exc:`ConfigError` that tells every error."""
    if not os.path.exists(path):
        raise ConfigError(str(path), "", "does not exist; docs/operate/enrolment.md shows one")
    table = Fields(read_toml(path), str(path))
    log = table.optional_table("log")
    listen = table.texts("listen", _check_socket, minimum=1)
    config = AuthorityConfig(
        file=path,
        listen=tuple(map(_socket, filter(None, listen))),
        names=table.texts("names", _check_name, minimum=1),
        directory=path.parent / table.text("directory", default=str(DEFAULTS["directory"])),
        policy=table.optional_text("policy", _check_policy),
        crl=path.parent / table.text("crl") if table.has("crl") else None,
        days=_days(table, "days"),
        crl_days=_days(table, "crl_days"),
        log=_read_log(log, path),
    )
    table.errors += log.errors
    table.finish()
    return config


def _read_log(table: Fields, path: Path) -> LogConfig:
    default = LogConfig()
    config = LogConfig(
        level=LogLevel(table.text("level", _check_level, default.level) or default.level),
        file=path.parent / table.text("file") if table.has("file") else None,
        journal=table.flag("journal", default.journal),
        keep_days=table.integer("keep_days", 1, default.keep_days),
    )
    table.gather()
    return config


def _check_level(value: str) -> str:
    if value not in list(LogLevel):
        raise ValueError(f"{value!r} is not one of {', '.join(LogLevel)}")
    return value


def _days(table: Fields, key: str) -> int:
    default = DEFAULTS[key]
    assert isinstance(default, int)
    days = table.integer(key, 1, default)
    if days > MAX_DAYS:
        table.refuse(key, f"must be at most {MAX_DAYS}, is {days}")
    return days


def _socket(value: str) -> tuple[str, int]:
    host, _, port = value.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        return str(ipaddress.IPv6Address(host[1:-1].replace("%", "/"))), int(port)
    return str(ipaddress.IPv4Address(host)), int(port)


def _check_socket(value: str) -> str:
    try:
        if 0 < _socket(value)[1] < 65536:
            return value
    except ValueError:
        pass
    wanted = '"192.0.2.1:8443" or "[2001:db8::1]:8443"'
    raise ValueError(f'must be "address:port", such as {wanted}, is {value!r}')


def _check_name(value: str) -> str:
    try:
        return check_name(value)
    except ConfigError as error:
        raise ValueError(error.why) from None


def _check_policy(value: str) -> str:
    return fields.check_http_url(value) if "://" in value else fields.check_text(value)
