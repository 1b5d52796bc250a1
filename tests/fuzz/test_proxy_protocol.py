"""Any bytes where a PROXY header must be: a header, more is wanted, or WireError."""

from hypothesis import example, given
from hypothesis import strategies as st

from tests.wire.test_proxy_protocol import BAD, GOOD, IPV4, TLS, v2
from throughway.model.errors import WireError
from throughway.wire.proxy_protocol import MAX_V2, parse_proxy_header

streams = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([data for data, _ in GOOD.values()]).flatmap(
        lambda data: st.binary(max_size=20).map(lambda more: data + more)
    ),
    st.builds(v2, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=300)),
    st.builds(lambda t: v2(0x21, 0x11, IPV4 + t), st.binary(max_size=300)),
    st.builds(
        lambda at, byte: v2(0x21, 0x11, IPV4 + TLS[:at] + byte + TLS[at + 1 :]),
        st.integers(0, len(TLS) - 1),
        st.binary(min_size=1, max_size=1),
    ),
    st.builds(lambda words: b"PROXY " + words + b"\r\n", st.binary(max_size=110)),
)


@given(streams)
@example(BAD["v1 without an end"])
def test_the_answer_depends_on_the_bytes_alone(data: bytes) -> None:
    """Byte by byte, the first answer is the one that the whole stream gets."""
    whole = answer(data)
    for cut in range(len(data) + 1):
        first = answer(data[:cut])
        if first is not None:
            assert first == whole
            break
    else:
        assert whole is None
        assert len(data) < MAX_V2


def answer(data: bytes) -> object:
    try:
        return parse_proxy_header(data)
    except WireError:
        return "refused"
