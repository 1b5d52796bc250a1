"""The calls of PKCS#11, against SoftHSM."""

from pathlib import Path

import pytest

from tests.smart_cards import MODULE, PIN, CardBox, Person, users_root
from throughway.net.pkcs11 import PIN_WRONG, Module, PKCS11Error

pytestmark = pytest.mark.lab


def test_what_no_module_is() -> None:
    with pytest.raises(OSError, match="no PKCS#11 module"):
        Module("libc.so.6")
    with pytest.raises(OSError, match="cannot open"):
        Module("/nonexistent.so")


def test_a_card_its_certificate_and_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = CardBox(tmp_path / "cards")
    monkeypatch.setenv("SOFTHSM2_CONF", str(box.file))
    box.insert("alice", Person(rsa=True).issue(users_root()))
    with Module(str(MODULE)) as module:
        assert module.readers() >= 1
        [token] = module.tokens()
        assert (token.label, token.manufacturer) == ("alice", "SoftHSM project")
        assert module.token(token.slot) == token
        with module.session(token.slot) as session:
            [stored] = session.certificates()
            assert (stored.id, stored.label) == (b"\xa1", "alice's certificate")
            assert not session.has_key(b"\xa1")
            with pytest.raises(PKCS11Error) as caught:
                session.login(b"0000")
            assert caught.value.code in PIN_WRONG
            session.login(PIN.encode())
            session.login(PIN.encode())
            assert session.has_key(b"\xa1")
            assert not session.has_key(b"\xa2")
        box.pull()
        assert module.token(token.slot) is None
        with pytest.raises(PKCS11Error, match="C_OpenSession"):
            module.session(9999)
