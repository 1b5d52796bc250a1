"""Problems of smart cards and other certificates of users, at the client and at the gateway."""

from throughway.catalogue.host import CLOCK_SKEW
from throughway.model.findings import Component, Problem, Severity

LOOK = ("pkcs11-tool --module MODULE --list-slots",)
AGAIN = ("throughway login --smart-card",)
AT_GATEWAY = ("throughway gateway status ipsec",)


def _at_client(code: str, title: str, cause: str, resolution: str, *fix: str) -> Problem:
    return Problem(
        code=code,
        title=title,
        severity=Severity.CRITICAL,
        component=Component.IPSEC,
        cause=cause,
        resolution=resolution,
        fix=fix or AGAIN,
        verify=AGAIN,
    )


def _certificate(code: str, title: str, cause: str, resolution: str) -> Problem:
    return Problem(
        code=code,
        title=title,
        severity=Severity.CRITICAL,
        component=Component.IPSEC,
        cause=cause,
        resolution=resolution,
        fix=("openssl x509 -in CERTIFICATE -noout -text",),
        verify=(*AT_GATEWAY, *AGAIN),
        depends_on=(CLOCK_SKEW,),
    )


NOT_CONFIGURED = _at_client(
    "smart-card-not-configured",
    "This client knows no smart-card reader",
    "client.toml has no [smart_card] table, so nobody can log on with a card here.",
    "Install the card's PKCS#11 module (opensc for most), name it as [smart_card] module in "
    "client.toml, and start the client again.",
    "apt-get install opensc pcscd",
    "systemctl restart throughway-client",
)
MODULE_MISSING = _at_client(
    "smart-card-module-missing",
    "The PKCS#11 module cannot be used",
    "The library that [smart_card] module names is not there, or is no PKCS#11 module.",
    "Install it, or correct the path in client.toml.",
    "apt-get install opensc pcscd",
    "systemctl restart throughway-client",
)
READER_MISSING = _at_client(
    "smart-card-reader-missing",
    "No smart-card reader is plugged in",
    "The PKCS#11 module shows no reader: none is plugged in, or pcscd does not run.",
    "Plug the reader in; look whether pcscd runs and knows it.",
    "systemctl status pcscd.socket",
    *LOOK,
)
CARD_MISSING = _at_client(
    "smart-card-missing",
    "No smart card is in the reader",
    "There is a reader, but no card in it that the PKCS#11 module knows.",
    "Insert the card, the chip first, and log on again.",
)
CARD_FAILED = _at_client(
    "smart-card-failed",
    "The smart card does not work",
    "The card or its PKCS#11 module answered with an error. The PIN is not presented again by "
    "itself, so that the card is not locked.",
    "Pull the card, insert it again and log on again. If that does not help, try the card with "
    "the module's own tools.",
    *AGAIN,
    *LOOK,
)
NO_CERTIFICATE = _at_client(
    "smart-card-no-certificate",
    "The smart card has no certificate to log on with",
    "No certificate on the card is for client authentication and smart-card logon "
    "(1.3.6.1.4.1.311.20.2.2), names a user (UPN) and has its private key on the card.",
    "Have the card issued with a certificate for smart-card logon.",
    "pkcs11-tool --module MODULE --list-objects --type cert",
)
CERTIFICATE_EXPIRED = _at_client(
    "smart-card-certificate-expired",
    "The certificate on the smart card is not in its time",
    "The card's certificate for logon has expired, or is not valid yet; or this computer's clock "
    "is wrong.",
    "Have the card's certificate renewed.",
    "timedatectl",
)
ANOTHER_USER = _at_client(
    "smart-card-of-another-user",
    "The smart card is another user's",
    "The user who was named, or whose ticket was given, is not the one that the card's "
    "certificate names.",
    "Insert the right card, or log on as the user whose card it is.",
)
PIN_WRONG = _at_client(
    "smart-card-pin-wrong",
    "The PIN of the smart card is wrong",
    "The card refused the PIN. Each wrong PIN uses up a try; after the last the card is locked. "
    "It was presented once and is not tried again by itself.",
    "Log on again with the right PIN.",
)
LOCKED = _at_client(
    "smart-card-locked",
    "The smart card is locked",
    "Too many wrong PINs: the card takes none any more.",
    "Have the card unlocked with its PUK by whoever issues cards.",
    "pkcs11-tool --module MODULE --login --login-type so --init-pin",
)
REMOVED = _at_client(
    "smart-card-removed",
    "The smart card was pulled: the intranet tunnel is ended",
    "The card of the user who was logged on is not in its reader any more, and [smart_card] "
    'on_removal is "log-off".',
    "Insert the card and log on again.",
)

COMPUTER_TOKEN = Problem(
    code="computer-key-token-unusable",
    title="The token with the computer's key cannot be used",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause=(
        "The key of the computer certificate is on a PKCS#11 token, as client.toml says, and the "
        "module, the token or the key is not there, or the PIN is wrong."
    ),
    resolution=(
        "Look what the module shows, and compare it with key in client.toml. A wrong PIN is "
        "presented once; correct the file and restart the client."
    ),
    fix=(*LOOK, "systemctl restart throughway-client"),
    verify=("throughway client status",),
)

CERTIFICATE_OUTDATED = _certificate(
    "user-certificate-expired",
    "A user's certificate is not in its time",
    "The certificate with which a user came has expired or is not valid yet; or a clock is wrong.",
    "Have the user's certificate renewed.",
)
CERTIFICATE_UNTRUSTED = _certificate(
    "user-certificate-untrusted",
    "A user's certificate is of another authority",
    "It leads to none of the roots in [users.certificates] ca, or its chain is broken.",
    "Issue the user a certificate of the right authority, or put its root into that file.",
)
CERTIFICATE_REVOKED = _certificate(
    "user-certificate-revoked",
    "A user's certificate was revoked",
    "The authority's revocation list has the certificate: the card was lost, or the user left.",
    "The tunnel was refused. Issue a new card if the user is to come in again.",
)
CERTIFICATE_UNCHECKABLE = _certificate(
    "user-certificate-revocation-unknown",
    "It is not known whether a user's certificate was revoked",
    'With [users.certificates] revocation = "strong" a certificate comes in only with a current '
    "revocation list or answer, and none could be had.",
    "Let the gateway reach the distribution points that the certificate names; or take the weak "
    "policy.",
)
CERTIFICATE_WRONG_USAGE = _certificate(
    "user-certificate-wrong-usage",
    "A user's certificate is not for this",
    "It is not for client authentication, or it is neither for smart-card logon "
    "(1.3.6.1.4.1.311.20.2.2) nor given for a one-time code, whichever [users] require asks for.",
    "Issue the user a certificate with the usages of a smart card.",
)
CERTIFICATE_NO_PRINCIPAL = _certificate(
    "user-certificate-no-principal",
    "A user's certificate names nobody of the realm",
    "It has no user principal name (otherName 1.3.6.1.4.1.311.20.2.3), several, or one whose "
    "domain is not [users] realm.",
    "Issue the user a certificate with one UPN of the realm, such as alice@corp.example.com.",
)

FOR_THE_USER = (
    READER_MISSING,
    CARD_MISSING,
    CARD_FAILED,
    CERTIFICATE_EXPIRED,
    ANOTHER_USER,
    PIN_WRONG,
    LOCKED,
    REMOVED,
)
"""What the person at the keyboard can mend."""

REFUSED = (
    CERTIFICATE_OUTDATED,
    CERTIFICATE_UNTRUSTED,
    CERTIFICATE_REVOKED,
    CERTIFICATE_UNCHECKABLE,
    CERTIFICATE_WRONG_USAGE,
    CERTIFICATE_NO_PRINCIPAL,
)
"""Why a gateway refuses a user's certificate."""

PROBLEMS = (COMPUTER_TOKEN, NOT_CONFIGURED, MODULE_MISSING, NO_CERTIFICATE, *FOR_THE_USER, *REFUSED)
