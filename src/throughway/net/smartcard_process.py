"""The process that calls a PKCS#11 module: a vendor's code, kept apart from the daemon.

Driven by :mod:`throughway.net.smartcard`: the module's path is the argument, one question comes
as a line of JSON on standard input (a PIN never stands in arguments or environment), answers go
as lines of JSON to standard output.
"""

import json
import sys
from typing import Any

from throughway.net import pkcs11
from throughway.net.pkcs11 import Module, PKCS11Error, StoredCertificate, Token

JSON = dict[str, Any]


def main() -> None:
    """Answer one question."""
    question = json.loads(sys.stdin.readline())
    try:
        with Module(sys.argv[1]) as module:
            _tell(_ANSWERS[question["do"]](module, question))
    except OSError as error:
        _tell({"error": "module", "reason": str(error)})
    except PKCS11Error as error:
        _tell({"error": "card", "reason": str(error), "code": error.code})


def _list(module: Module, _question: JSON) -> JSON:
    cards = []
    for token in module.tokens():
        with module.session(token.slot) as session:
            certificates = [
                fact for c in session.certificates() if (fact := _certificate(c)) is not None
            ]
        cards.append(_card(token) | {"certificates": certificates})
    return {"readers": module.readers(), "cards": cards}


def _check(module: Module, question: JSON) -> JSON:
    """Present the PIN once, and look whether the key is there."""
    token = _same_token(module, question)
    if token is None:
        return {"error": "gone"}
    if token.flags & pkcs11.PIN_LOCKED:
        return {"error": "locked"}
    with module.session(token.slot) as session:
        try:
            pin = question["pin"]
            session.login(None if pin is None else pin.encode())
        except PKCS11Error as error:
            if error.code == pkcs11.LOCKED:
                return {"error": "locked"}
            if error.code in pkcs11.PIN_WRONG:
                after = module.token(token.slot)
                return {"error": "pin", "flags": after.flags if after is not None else 0}
            raise
        return {"ok": session.has_key(bytes.fromhex(question["id"]))}


def _there(module: Module, question: JSON) -> JSON:
    return {"there": _same_token(module, question) is not None}


def _same_token(module: Module, question: JSON) -> Token | None:
    token = module.token(question["slot"])
    same = token is not None and token.serial == question["serial"]
    return token if same else None


def _certificate(stored: StoredCertificate) -> JSON | None:
    """Read a certificate here, so that the daemon needs no X.509; None for what is none."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    from throughway.pki import user_certificate
    from throughway.pki.judgement import name_of
    from throughway.pki.pem import build_certificate_pem

    try:
        certificate = x509.load_der_x509_certificate(stored.der)
        key = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return {
        "id": stored.id.hex(),
        "label": stored.label,
        "pem": build_certificate_pem(certificate).decode(),
        "key": key.digest.hex(),
        "subject": name_of(certificate.subject),
        "names": user_certificate.principal_names(certificate),
        "logon": user_certificate.is_for_smart_cards(certificate),
        "begin": certificate.not_valid_before_utc.timestamp(),
        "end": certificate.not_valid_after_utc.timestamp(),
    }


def _card(token: Token) -> JSON:
    return {
        "slot": token.slot,
        "label": token.label,
        "maker": f"{token.manufacturer} {token.model}".strip(),
        "serial": token.serial,
        "flags": token.flags,
    }


def _tell(answer: JSON) -> None:
    print(json.dumps(answer), flush=True)


_ANSWERS = {"list": _list, "check": _check, "there": _there}


if __name__ == "__main__":
    main()
