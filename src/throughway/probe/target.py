"""What somebody typed: a URL, a host, or a host with a port."""

import ipaddress
from dataclasses import replace
from urllib.parse import urlsplit

from throughway.model.errors import ConfigError, WireError
from throughway.model.probing import Target
from throughway.pki.fields import check_dns_name
from throughway.proto.iphttps.http import parse_url

DEFAULT_PATH = "/IPHTTPS"
"""What Windows servers use."""
MAXIMUM_TARGET = 4096
"""Characters: longer ones are a mistake of whoever pasted them."""


def parse_target(text: str) -> Target:
    """Read ``https://da.example.com:443/IPHTTPS``, ``da.example.com``, ``[2001:db8::1]:8443``."""
    if len(text) > MAXIMUM_TARGET:
        raise _refused(text[:64] + "…", "is too long")
    url = parse_whole(text if "://" in text else f"https://{_bracketed(text)}", typed=text)
    if "://" not in text or url.path == "/":
        path = url.path if url.path != "/" else DEFAULT_PATH
        url = Target(
            url=f"{'https' if url.tls else 'http'}://{_authority(url)}{path}",
            host=url.host,
            port=url.port,
            path=path,
            tls=url.tls,
        )
    return url


def with_tls(target: Target) -> str:
    """Return the URL that is meant where somebody wrote ``http://``."""
    port = 443 if target.port == 80 else target.port
    path = target.path if target.path != "/" else DEFAULT_PATH
    return f"https://{_authority(replace(target, tls=True, port=port))}{path}"


def parse_whole(text: str, *, typed: str = "") -> Target:
    """Read a URL as it stands; ``typed`` is what somebody made it of."""
    typed = typed or text
    text = _encoded(text, typed)
    try:
        url = parse_url(text)
    except WireError as error:
        raise _refused(typed, "is neither a URL nor a host") from error
    host = url.host.rstrip(".").partition("%")[0]
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if set(host) <= set("0123456789."):
            raise _refused(typed, "is neither an address nor a name") from None
        try:
            host = check_dns_name(host)
        except ValueError as error:
            raise _refused(typed, str(error).removeprefix(f"{host!r} ")) from error
    if url.port == 0:
        raise _refused(typed, "has no port that could be connected to")
    tls = url.scheme == "https"
    return Target(url=text, host=host, port=url.port, path=url.path, tls=tls)


def _encoded(text: str, typed: str) -> str:
    """Write a host name of another script as DNS and certificates have it (RFC 3490)."""
    if text.isascii():
        return text
    try:
        place = urlsplit(text).netloc
        host, colon, port = place.partition(":")
        return text.replace(place, f"{host.encode('idna').decode()}{colon}{port}", 1)
    except ValueError as error:  # of encodings too
        raise _refused(typed, "is neither a URL nor a host") from error


def _bracketed(text: str) -> str:
    """Put an IPv6 address alone into brackets, as URLs want them."""
    try:
        return f"[{ipaddress.IPv6Address(text)}]"
    except ValueError:
        return text


def _authority(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return host if target.port == (443 if target.tls else 80) else f"{host}:{target.port}"


def _refused(text: str, why: str) -> ConfigError:
    return ConfigError("probe", "", f"{text!r} {why}; such as https://da.example.com/IPHTTPS")
