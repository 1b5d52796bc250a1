"""NTLM messages: the specification's example, and what is broken."""

import pytest

from throughway.model.errors import WireError
from throughway.wire.ntlm import (
    MAXIMUM_MESSAGE,
    AuthenticateMessage,
    ChallengeMessage,
    Flag,
    Pair,
    build_authenticate,
    build_challenge,
    build_negotiate,
    build_pairs,
    parse_authenticate,
    parse_challenge,
    parse_pairs,
)

EXAMPLE = bytes.fromhex(
    "4e544c4d53535000020000000c000c0038000000338a8ae20123456789abcdef000000000000000024002400"
    "440000000600701700000000530065007200760065007200"
    "02000c0044006f006d00610069006e0001000c00530065007200760065007200"
    "00000000"
)
"""[MS-NLMP] 4.2.4.3."""
CHALLENGE = ChallengeMessage(Flag.UNICODE, b"12345678", "CORP", ((Pair.DNS_DOMAIN, b"x\0"),))
PROOF = AuthenticateMessage(
    lm_response=bytes(24),
    nt_response=b"n" * 60,
    domain="CORP",
    user="alice",
    workstation="CLIENT1",
    flags=int(Flag.UNICODE),
)


def test_the_example_of_the_specification() -> None:
    message = parse_challenge(EXAMPLE)
    assert message.challenge.hex() == "0123456789abcdef"
    assert message.target_name == "Server"
    assert message.get(Pair.NETBIOS_DOMAIN).decode("utf-16-le") == "Domain"
    assert message.get(Pair.NETBIOS_COMPUTER).decode("utf-16-le") == "Server"
    assert message.get(Pair.TIMESTAMP) == b""


@pytest.mark.parametrize("flags", [Flag.UNICODE, Flag.OEM])
def test_challenge_comes_back_whole(flags: Flag) -> None:
    message = ChallengeMessage(int(flags), b"12345678", "CORP", CHALLENGE.pairs)
    assert parse_challenge(build_challenge(message)) == message


def test_proof_comes_back_whole() -> None:
    assert parse_authenticate(build_authenticate(PROOF)) == PROOF


def test_the_first_message_has_no_names() -> None:
    message = build_negotiate(Flag.UNICODE | Flag.NTLM)
    assert message[:16].hex() == "4e544c4d535350000100000001020000"
    assert len(message) == 40


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"NTLMSSP\0\x02\0\0\0",
        b"X" * 60,
        build_challenge(CHALLENGE)[:-1],
        build_challenge(CHALLENGE).replace(b"\x02\0\0\0", b"\x03\0\0\0", 1),
        bytes(MAXIMUM_MESSAGE + 1),
    ],
)
def test_what_is_no_challenge(data: bytes) -> None:
    with pytest.raises(WireError):
        parse_challenge(data)


@pytest.mark.parametrize("data", [b"", b"x" * 100, build_authenticate(PROOF)[:-1]])
def test_what_is_no_proof(data: bytes) -> None:
    with pytest.raises(WireError):
        parse_authenticate(data)


def test_pairs_have_an_end() -> None:
    assert parse_pairs(build_pairs(CHALLENGE.pairs) + b"more") == CHALLENGE.pairs
    with pytest.raises(WireError):
        parse_pairs(build_pairs(CHALLENGE.pairs * 100))
    with pytest.raises(WireError):
        parse_pairs(b"\x01\0\xff\xff")


def test_fields_are_not_longer_than_their_lengths_can_say() -> None:
    with pytest.raises(WireError):
        build_authenticate(
            AuthenticateMessage(
                lm_response=b"",
                nt_response=bytes(0x10000),
                domain="",
                user="",
                workstation="",
                flags=0,
            )
        )
