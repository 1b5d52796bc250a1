"""Single values of gateway.toml: what each may be, and in which words it is refused."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from throughway.gateway import values


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        (values.SocketAddress, "192.0.2.1:443", ("192.0.2.1", 443)),
        (values.SocketAddress, "[2001:DB8:0::1]:1", ("2001:db8::1", 1)),
        (values.Workers, "auto", None),
        (values.Workers, 2, 2),
        (values.Network, "192.0.2.1", "192.0.2.1/32"),
        (values.Network, "2001:db8::/32", "2001:db8::/32"),
        (values.Header, "X-Client-Verify", "X-Client-Verify"),
        (values.File, "gateway.crt", Path("/etc/gateway.crt")),
        (values.File, "/srv/gateway.crt", Path("/srv/gateway.crt")),
    ],
)
def test_good_values(kind: object, value: object, read: object) -> None:
    adapter: TypeAdapter[object] = TypeAdapter(kind)  # type: ignore[arg-type]
    assert adapter.validate_python(value, context="/etc") == read


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (values.SocketAddress, 443, 'must be "address:port"'),
        (values.SocketAddress, "da.example.com:443", "is 'da.example.com:443'"),
        (values.SocketAddress, "192.0.2.1:65536", "'65536' is not a port"),
        (values.SocketAddress, "192.0.2.1:\u0664", "is not a port"),
        (values.Workers, "many", 'must be a number or "auto"'),
        (values.Workers, True, "integer"),
        (values.Network, "192.0.2.1/24", "must be an address or a prefix"),
        (values.Header, "Host", "of its own"),
        (values.Header, "X: y", "of its own"),
        (values.File, "", "must name a file"),
    ],
)
def test_bad_values(kind: object, value: object, words: str) -> None:
    adapter: TypeAdapter[object] = TypeAdapter(kind)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match=words):
        adapter.validate_python(value)
