"""The web proxies that the environment of a program names."""

from collections.abc import Mapping
from urllib.parse import urlsplit

VARIABLES = ("https_proxy", "all_proxy", "http_proxy")


def configured_proxies(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return ``variable=proxy`` of each that is set, without user names and passwords."""
    found = []
    for name in VARIABLES:
        for variable in (name, name.upper()):
            if value := environment.get(variable, ""):
                found.append(f"{variable}={without_user(value)}")
                break
    return tuple(found)


def without_user(value: str) -> str:
    """Return the URL of a proxy without the user name and password in it."""
    try:
        parts = urlsplit(value if "://" in value else f"//{value}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "(not a URL)"
    host = f"[{host}]" if ":" in host else host
    scheme = f"{parts.scheme}://" if parts.scheme else ""
    return f"{scheme}{host}:{port}" if port else f"{scheme}{host}"
