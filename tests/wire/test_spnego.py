"""NegTokenInit, against an implementation that is not ours."""

import pytest
from spnego._spnego import NegTokenInit, unpack_token

from throughway.wire.spnego import build_init


@pytest.mark.parametrize("size", [1, 100, 127, 128, 255, 256, 5000, 70000])
def test_another_implementation_reads_it(size: int) -> None:
    token = unpack_token(build_init(b"x" * size))
    assert isinstance(token, NegTokenInit)
    assert token.mech_token == b"x" * size
    assert token.mech_types == ["1.2.840.113554.1.2.2"]
