"""Any datagram on the authoriser's port: an answer or none, never an exception."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from pyrad.packet import AuthPacket

from throughway.net.radius import EAP_MESSAGE, MESSAGE_AUTHENTICATOR, UserAuthoriser


def radius(code: int, attributes: list[tuple[int, bytes]]) -> bytes:
    body = b"".join(bytes((kind, len(value) + 2)) + value for kind, value in attributes)
    return bytes((code, 1)) + (20 + len(body)).to_bytes(2, "big") + bytes(16) + body


attributes = st.tuples(
    st.sampled_from((1, 5, 24, 26, 31, EAP_MESSAGE, MESSAGE_AUTHENTICATOR)), st.binary(max_size=40)
)
datagrams = st.one_of(
    st.binary(max_size=80),
    st.builds(radius, st.integers(0, 255), st.lists(attributes, max_size=6)),
    st.builds(radius, st.just(1), st.lists(attributes, max_size=6)),
)


@given(datagrams, st.binary(max_size=40))
def test_radius(data: bytes, eap: bytes) -> None:
    async def scenario() -> None:
        authoriser = UserAuthoriser(realm="CORP", accept=lambda token: "")
        authoriser.datagram_received(data, ("127.0.0.1", 1))
        signed = AuthPacket(secret=authoriser.secret.encode())
        signed[EAP_MESSAGE] = [eap]
        signed.add_message_authenticator()
        authoriser.datagram_received(signed.RequestPacket(), ("127.0.0.1", 1))
        await authoriser.stop()

    asyncio.run(scenario())
