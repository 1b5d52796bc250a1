"""NTLMv2 against [MS-NLMP] 4.2.4 and against an implementation that is not ours."""

import struct

import pytest
import spnego

from throughway.model.errors import WireError
from throughway.proto.proxy.ntlm import NTLM, filetime, prove, response_key
from throughway.wire.ntlm import (
    AuthenticateMessage,
    ChallengeMessage,
    Flag,
    Pair,
    build_challenge,
    parse_authenticate,
    parse_pairs,
)

USER, PASSWORD, DOMAIN = "User", "Password", "Domain"
CHALLENGE, NONCE = bytes.fromhex("0123456789abcdef"), b"\xaa" * 8
PAIRS = bytes.fromhex(
    "02000c0044006f006d00610069006e0001000c005300650072007600650072000000000000000000"
)[:-4]


def test_keys_and_responses_of_the_specification() -> None:
    key = response_key(USER, PASSWORD, DOMAIN)
    assert key.hex() == "0c868a403bfd7a93a3001ef22ef02e3f"
    nt_response, lm_response, keys = prove(key, CHALLENGE, NONCE, bytes(8), PAIRS)
    assert lm_response.hex() == "86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa"
    assert keys.nt_proof.hex() == "68cd0ab851e51c96aabc927bebef6a1c"
    assert keys.session_base_key.hex() == "8de40ccadbc14a82f15cb0ad0de95ca3"
    assert nt_response.startswith(keys.nt_proof)


def answered(*, pairs: tuple[tuple[int, bytes], ...]) -> AuthenticateMessage:
    """Return what a client says to a challenge with these pairs."""
    flags = Flag.UNICODE | Flag.NTLM | Flag.TARGET_INFO | Flag.EXTENDED_SESSION_SECURITY
    exchange = NTLM(USER, PASSWORD, DOMAIN, "client1")
    message = build_challenge(ChallengeMessage(flags, CHALLENGE, "Domain", pairs))
    return parse_authenticate(exchange.authenticate(message, nonce=NONCE, wall_time=0.0))


def test_old_servers_get_our_time_and_no_code() -> None:
    told = answered(pairs=parse_pairs(PAIRS))
    assert told.mic == bytes(16)
    assert told.nt_response[24:32] == filetime(0.0)
    assert told.lm_response != bytes(24)
    assert (told.user, told.domain, told.workstation) == (USER, DOMAIN, "client1")


def test_servers_that_tell_the_time_get_it_back_with_a_code() -> None:
    told = answered(pairs=(*parse_pairs(PAIRS), (Pair.TIMESTAMP, b"\x01" * 8)))
    assert told.mic != bytes(16)
    assert told.nt_response[24:32] == b"\x01" * 8
    assert told.lm_response == bytes(24)
    assert (Pair.FLAGS, struct.pack("<I", 2)) in parse_pairs(told.nt_response[44:])


def test_garbage_is_no_challenge() -> None:
    with pytest.raises(WireError):
        NTLM(USER, PASSWORD, DOMAIN, "").authenticate(b"garbage", nonce=NONCE, wall_time=0.0)


@pytest.fixture
def accounts(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the other implementation an account to check proofs by."""
    from pathlib import Path

    file = Path(str(tmp_path)) / "accounts"
    file.write_text(f"{DOMAIN}:{USER}:{PASSWORD}\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(file))


def prove_to_another(password: str) -> bool:
    """Whether pyspnego's server lets us in."""
    server = spnego.server(protocol="ntlm")
    ours = NTLM(USER, password, DOMAIN, "client1")
    challenge = server.step(ours.negotiate())
    assert challenge is not None
    server.step(ours.authenticate(challenge, nonce=NONCE, wall_time=1_800_000_000.0))
    return server.complete


@pytest.mark.usefixtures("accounts")
def test_another_implementation_accepts_our_proof() -> None:
    assert prove_to_another(PASSWORD)


@pytest.mark.usefixtures("accounts")
def test_another_implementation_refuses_a_wrong_password() -> None:
    with pytest.raises(spnego.exceptions.SpnegoError):
        prove_to_another("wrong")
