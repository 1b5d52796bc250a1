"""Any sequence of packets: the authoriser never accepts unless it was told to."""

from hypothesis import given
from hypothesis import strategies as st

from throughway.proto.authoriser import Authoriser, Method, State
from throughway.wire.eap import EAPCode, EAPPacket, build_eap

packets = st.builds(
    lambda code, identifier, kind, data: build_eap(EAPPacket(code, identifier, kind, data)),
    st.sampled_from((EAPCode.REQUEST, EAPCode.RESPONSE)),
    st.integers(0, 3),
    st.sampled_from((0, 1, 2, 3, 4, 5, 6, 7, 8, 13)),
    st.binary(max_size=16),
)


METHODS = (
    *((Method.TICKET,), (Method.CERTIFICATE,)),
    *((Method.TICKET, Method.CERTIFICATE), (Method.CERTIFICATE, Method.TICKET)),
)


@given(st.lists(st.one_of(st.binary(max_size=16), packets), max_size=8), st.sampled_from(METHODS))
def test_authoriser(stream: list[bytes], methods: tuple[Method, ...]) -> None:
    machine = Authoriser(realm="CORP.EXAMPLE.COM", now=0, methods=methods)
    for data in stream:
        machine.receive_data(data)
        machine.data_to_send()
    machine.handle_timer(1e9)
    assert machine.state is State.REFUSED
