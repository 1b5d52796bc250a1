"""Which number the words of a failed negotiation stand for.

The log holds the system's message for the number, in the language of the machine, and nothing
else; words that are not known here leave the number open.
"""

import re

_NUMBER = re.compile(r"\b(13[89]\d\d)\b|\b0x0*(3[56][0-9a-f]{2})\b", re.IGNORECASE)
_FIRST, _LAST = 13800, 13909

_TEXTS: tuple[tuple[int, tuple[str, ...]], ...] = (
    (13847, ("peer failed to send valid",)),
    (13848, ("revocation check of peer",)),
    (13908, ("certificate-to-account mapping",)),
    (13906, ("sufficiently strong", "strong pkinit", "authorized because")),
    (13907, ("updated or different credentials",)),
    (13905, ("establishment is not authorized", "establishment isn't authorized")),
    (
        13801,
        (
            "authentication credentials are unacceptable",
            "ike-authentifizierungsinformationen",
            "ike-anmeldeinformationen",
            "ike-authentifizierungsanmeldeinformationen",
            "informations d'identification d'authentification ike",
            "informations d\u2019identification d\u2019authentification ike",
            "credenciales de autenticaci\u00f3n ike",
            "credenciales de autenticaci\u00f3n de ike",
            "ike \u8eab\u4efd\u9a8c\u8bc1\u51ed\u636e",
            "ike \u9a57\u8b49\u8a8d\u8b49",
        ),
    ),
    (13802, ("security attributes are unacceptable",)),
    (
        13805,
        (
            "negotiation timed out",
            "zeit\u00fcberschreitung bei der aushandlung",
            "aushandlungszeit\u00fcberschreitung",
            "d\u00e9lai de n\u00e9gociation",
            "n\u00e9gociation a expir\u00e9",
            "tiempo de espera de la negociaci\u00f3n",
            "tiempo de espera de negociaci\u00f3n",
            "\u534f\u5546\u8d85\u65f6",
            "\u4ea4\u6d89\u903e\u6642",
        ),
    ),
    (
        13806,
        (
            "find valid machine certificate",
            "find a valid machine certificate",
            "g\u00fcltiges computerzertifikat",
            "certificat ordinateur valide",
            "certificat d'ordinateur valide",
            "certificado de equipo v\u00e1lido",
            "\u6709\u6548\u7684\u8ba1\u7b97\u673a\u8bc1\u4e66",
        ),
    ),
    (13807, ("deleted by peer before",)),
    (13808, ("deleted before establishment",)),
    (13813, ("no response from peer", "\u5bf9\u7b49\u7aef\u6ca1\u6709\u54cd\u5e94")),
    (13814, ("negotiation took too long",)),
    (13817, ("certificate revocation check failed",)),
    (13818, ("invalid certificate key usage",)),
    (13819, ("invalid certificate type",)),
    (13820, ("does not have a private key", "no private key", "not have an associated private")),
    (
        13825,
        (
            "no policy configured",
            "keine richtlinie konfiguriert",
            "aucune strat\u00e9gie configur\u00e9e",
            "ninguna directiva configurada",
            "\u672a\u914d\u7f6e\u7b56\u7565",
            "\u6ca1\u6709\u914d\u7f6e\u7b56\u7565",
        ),
    ),
    (13826, ("failed to verify signature",)),
    (13827, ("failed to authenticate using kerberos",)),
    (
        13868,
        (
            "policy match error",
            "richtlinien\u00fcbereinstimmung",
            "correspondance de strat\u00e9gie",
            "coincidencia de directiva",
            "\u7b56\u7565\u5339\u914d\u9519\u8bef",
        ),
    ),
    (13883, ("negotiation disabled", "negotiation is disabled")),
    (13886, ("peer stopped responding",)),
    (13887, ("certificate chain policy mismatch", "doesn't terminate to a trusted root")),
)


def code_of(reason: str) -> int | None:
    """Return the number; None for words that are not known."""
    if match := _NUMBER.search(reason):
        number = int(match[1]) if match[1] else int(match[2], 16)
        if _FIRST < number < _LAST:
            return number
    words = " ".join(reason.lower().split())
    return next((number for number, texts in _TEXTS if any(text in words for text in texts)), None)
