"""What a single value of ``gateway.toml`` must be: types for :mod:`throughway.gateway.tables`."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from throughway.model.config import MAX_WORKERS
from throughway.pki import fields

MAX_SESSIONS = 65536
"""Each session is a TCP connection: there are no more ports on one address."""
AUTO = "auto"
"""As many workers as there are cores and /64."""


def _resolve(value: Path, info: ValidationInfo) -> Path:
    """A relative path begins where the configuration file is."""
    if not str(value) or value == Path():
        raise ValueError("must name a file")
    return Path(info.context or ".") / value


def _workers(value: object) -> object:
    """``"auto"`` is for the gateway to decide."""
    if isinstance(value, str):
        if value != AUTO:
            raise ValueError(f'must be a number or "{AUTO}", is {value!r}')
        return None
    return value


def checked(check: fields.Check) -> AfterValidator:
    """Let a check of the project's be one of pydantic's."""
    return AfterValidator(check)


def _network(value: str) -> str:
    """An address, or a prefix of addresses, of IPv4 or IPv6."""
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise ValueError(f"must be an address or a prefix: {error}") from None


def _header(value: str) -> str:
    """A header's name (RFC 9110, 5.6.2), as far as anybody uses it."""
    if not HEADER.fullmatch(value) or value.lower() in TAKEN_HEADERS:
        raise ValueError(f"must be the name of a header of its own, is {value!r}")
    return value


HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
TAKEN_HEADERS = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection"}
)
"""Headers that have a meaning already."""
Network = Annotated[str, AfterValidator(_network)]
Header = Annotated[str, AfterValidator(_header)]
Text = Annotated[str, checked(fields.check_text)]
Sessions = Annotated[int, Field(ge=1, le=MAX_SESSIONS)]
Workers = Annotated[
    Annotated[int, Field(ge=1, le=MAX_WORKERS, strict=True)] | None, BeforeValidator(_workers)
]
Addresses = Annotated[int, Field(ge=1, le=256)]
Interface = Annotated[str, checked(fields.check_interface)]
DNSName = Annotated[str, checked(fields.check_dns_name)]
HTTPSURL = Annotated[str, checked(fields.check_https_url)]
HTTPURL = Annotated[str, checked(fields.check_http_url)]
WebURL = Annotated[str, checked(fields.check_web_url)]
ProxyURL = Annotated[str, checked(fields.check_proxy_url)]
IPv6Address = Annotated[str, checked(fields.check_ipv6_address)]
IPv6Prefix = Annotated[str, checked(fields.check_ipv6_prefix)]
IPv4Prefix = Annotated[str, checked(fields.check_ipv4_prefix)]
Prefixes = Annotated[tuple[IPv6Prefix, ...], Field(min_length=1, max_length=fields.MAX_ITEMS)]
File = Annotated[Path, AfterValidator(_resolve)]
Groups = Annotated[
    tuple[Annotated[str, checked(fields.check_text)], ...], Field(max_length=fields.MAX_ITEMS)
]
SocketAddress = Annotated[tuple[str, int], BeforeValidator(fields.parse_socket_address)]
