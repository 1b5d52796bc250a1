"""Numbers of IKE and AuthIP with their names: exchanges, notifies, vendor IDs, algorithms.

IANA's registries of ISAKMP, IPsec and IKEv2; [MS-AIPS] 2.2; [MS-IKEE] 1.7 and 2.2.
"""

from enum import StrEnum


class Protocol(StrEnum):
    """Who speaks."""

    IKEV1 = "IKEv1"
    AUTHIP = "AuthIP"
    IKEV2 = "IKEv2"


AUTHIP_EXCHANGES = {
    0xF3: "main mode",
    0xF4: "quick mode",
    0xF5: "extended mode",
    0xF6: "notify",
}
EXCHANGES: dict[Protocol, dict[int, str]] = {
    Protocol.IKEV1: {
        1: "base",
        2: "main mode",
        3: "authentication only",
        4: "aggressive mode",
        5: "informational",
        6: "transaction",
        32: "quick mode",
        33: "new group mode",
    },
    Protocol.AUTHIP: AUTHIP_EXCHANGES,
    Protocol.IKEV2: {
        34: "IKE_SA_INIT",
        35: "IKE_AUTH",
        36: "CREATE_CHILD_SA",
        37: "INFORMATIONAL",
        38: "IKE_SESSION_RESUME",
        43: "IKE_INTERMEDIATE",
    },
}

STATUS_NOTIFIES = {Protocol.IKEV1: 0x9C43, Protocol.AUTHIP: 0x9C54, Protocol.IKEV2: 0x3039}
"""The notify with which Windows says its error code."""

_ISAKMP_NOTIFIES = {
    1: "INVALID-PAYLOAD-TYPE",
    2: "DOI-NOT-SUPPORTED",
    3: "SITUATION-NOT-SUPPORTED",
    4: "INVALID-COOKIE",
    5: "INVALID-MAJOR-VERSION",
    6: "INVALID-MINOR-VERSION",
    7: "INVALID-EXCHANGE-TYPE",
    8: "INVALID-FLAGS",
    9: "INVALID-MESSAGE-ID",
    10: "INVALID-PROTOCOL-ID",
    11: "INVALID-SPI",
    12: "INVALID-TRANSFORM-ID",
    13: "ATTRIBUTES-NOT-SUPPORTED",
    14: "NO-PROPOSAL-CHOSEN",
    15: "BAD-PROPOSAL-SYNTAX",
    16: "PAYLOAD-MALFORMED",
    17: "INVALID-KEY-INFORMATION",
    18: "INVALID-ID-INFORMATION",
    19: "INVALID-CERT-ENCODING",
    20: "INVALID-CERTIFICATE",
    21: "CERT-TYPE-UNSUPPORTED",
    22: "INVALID-CERT-AUTHORITY",
    23: "INVALID-HASH-INFORMATION",
    24: "AUTHENTICATION-FAILED",
    25: "INVALID-SIGNATURE",
    26: "ADDRESS-NOTIFICATION",
    27: "NOTIFY-SA-LIFETIME",
    28: "CERTIFICATE-UNAVAILABLE",
    29: "UNSUPPORTED-EXCHANGE-TYPE",
    30: "UNEQUAL-PAYLOAD-LENGTHS",
    16384: "CONNECTED",
    24576: "RESPONDER-LIFETIME",
    24577: "REPLAY-STATUS",
    24578: "INITIAL-CONTACT",
    36136: "R-U-THERE",
    36137: "R-U-THERE-ACK",
}
NOTIFIES_V1: dict[Protocol, dict[int, str]] = {
    Protocol.IKEV1: {
        **_ISAKMP_NOTIFIES,
        0x9C43: "NOTIFY_STATUS",
        0x9C44: "NOTIFY_DOS_COOKIE",
        0x9C45: "EXCHANGE_INFO",
    },
    Protocol.AUTHIP: {
        **_ISAKMP_NOTIFIES,
        0x9C45: "EXCHANGE_INFO",
        0x9C54: "NOTIFY_STATUS",
        0x9C55: "NOTIFY_DOS_COOKIE",
        0x9C56: "NOTIFY_ACK",
        0x9C57: "NOTIFY_QM_SYNCHRONIZE",
        0x9C58: "NOTIFY_ACQUIRE",
    },
}
NOTIFIES_V2 = {
    1: "UNSUPPORTED_CRITICAL_PAYLOAD",
    4: "INVALID_IKE_SPI",
    5: "INVALID_MAJOR_VERSION",
    7: "INVALID_SYNTAX",
    9: "INVALID_MESSAGE_ID",
    11: "INVALID_SPI",
    14: "NO_PROPOSAL_CHOSEN",
    17: "INVALID_KE_PAYLOAD",
    24: "AUTHENTICATION_FAILED",
    34: "SINGLE_PAIR_REQUIRED",
    35: "NO_ADDITIONAL_SAS",
    36: "INTERNAL_ADDRESS_FAILURE",
    37: "FAILED_CP_REQUIRED",
    38: "TS_UNACCEPTABLE",
    39: "INVALID_SELECTORS",
    43: "TEMPORARY_FAILURE",
    44: "CHILD_SA_NOT_FOUND",
    0x3039: "NOTIFY_STATUS",
    16384: "INITIAL_CONTACT",
    16385: "SET_WINDOW_SIZE",
    16386: "ADDITIONAL_TS_POSSIBLE",
    16387: "IPCOMP_SUPPORTED",
    16388: "NAT_DETECTION_SOURCE_IP",
    16389: "NAT_DETECTION_DESTINATION_IP",
    16390: "COOKIE",
    16391: "USE_TRANSPORT_MODE",
    16392: "HTTP_CERT_LOOKUP_SUPPORTED",
    16393: "REKEY_SA",
    16394: "ESP_TFC_PADDING_NOT_SUPPORTED",
    16396: "MOBIKE_SUPPORTED",
    16404: "MULTIPLE_AUTH_SUPPORTED",
    16405: "ANOTHER_AUTH_FOLLOWS",
    16406: "REDIRECT_SUPPORTED",
    16407: "REDIRECT",
    16418: "CHILDLESS_IKEV2_SUPPORTED",
    16430: "IKEV2_FRAGMENTATION_SUPPORTED",
    16431: "SIGNATURE_HASH_ALGORITHMS",
}

_WINDOWS = bytes.fromhex("1e2b516905991c7d7c96fcbfb587e461")
"""Four bytes of version follow."""
_WINDOWS_VERSIONS = {
    2: "Windows 2000",
    3: "Windows XP",
    4: "Windows Server 2003",
    5: "Windows Vista",
    6: "Windows Server 2008",
    7: "Windows 7",
    8: "Windows Server 2008 R2",
    9: "Windows 8 or Server 2012 or later",
}
_KEYING_MODULES = bytes.fromhex("01528bbbc00696121849ab9a1c5b2a51")
_MODULES = {0: "IKEv1", 1: "AuthIP", 2: "IKEv2"}
_AUTHIP_GROUP = bytes.fromhex("7bb93867d76c8d80df0f40fae8fc3b19")
_GROUPS = {0: "none", 1: "1", 2: "2", 3: "14", 4: "ECP 256", 5: "ECP 384", 6: "24"}
_VENDORS = {
    bytes.fromhex(digest): name
    for digest, name in (
        ("621b04bb09882ac1e15935fefa24aeee", "GSSAPI"),
        ("26244d38eddb61b3172a36e3d0cfb819", "Vid-Initial-Contact"),
        ("72872b95fcda2eb708efe322119b4971", "NLBS_PRESENT"),
        ("4048b7d56ebce88525e7de7f00d6c2d3", "FRAGMENTATION"),
        ("90cb80913ebb696e086381b5ec427b1f", "draft-ietf-ipsec-nat-t-ike-02"),
        ("4a131c81070358455c5728f20e95452f", "RFC 3947"),
        ("214ca4faffa7f32d6748e5303395ae83", "MS-MamieExists (speaks AuthIP)"),
        ("e3a5966a76379fe707228231e5ce8652", "IKE CGA version 1"),
        ("fb1de3cdf341b7ea16b7e5be0855f120", "MS-Negotiation Discovery Capable"),
        ("686a8cbdfe634b405146fb2baf33e9e8", "MSFT IPsec Security Realm Id"),
        ("afcad71368a1f1c96b8696fc77570100", "Dead Peer Detection"),
        ("09002689dfd6b712", "XAuth"),
        ("882fe56d6fd20dbc2251613b2ebe5beb", "strongSwan"),
    )
}
_DIGEST_LENGTH = 16

TRANSFORMS_V1: dict[int, dict[int, str]] = {
    1: {1: "DES", 5: "3DES", 7: "AES"},
    2: {1: "MD5", 2: "SHA1", 4: "SHA256", 5: "SHA384", 6: "SHA512"},
    4: {1: "group 1", 2: "group 2", 14: "group 14", 19: "ECP 256", 20: "ECP 384"},
    3: {1: "pre-shared key", 3: "RSA signature", 9: "ECDSA-256", 10: "ECDSA-384"},
}
"""Names of values by attribute: encryption, hash, group, authentication (RFC 2409, appendix A)."""
ESP_TRANSFORMS = {
    2: "DES",
    3: "3DES",
    11: "NULL",
    12: "AES",
    18: "AES-GCM-8",
    19: "AES-GCM-12",
    20: "AES-GCM-16",
    23: "AES-GMAC",
}
AH_TRANSFORMS = {2: "MD5", 3: "SHA1", 5: "SHA256", 11: "AES-128-GMAC", 13: "AES-256-GMAC"}
AUTHENTICATIONS = {1: "MD5", 2: "SHA1", 5: "SHA256", 6: "SHA384", 7: "SHA512"}
"""RFC 2407, section 4.5: attribute 5."""
TRANSFORMS_V2: dict[int, dict[int, str]] = {
    1: {
        2: "DES",
        3: "3DES",
        11: "NULL",
        12: "AES-CBC",
        13: "AES-CTR",
        18: "AES-GCM-8",
        19: "AES-GCM-12",
        20: "AES-GCM-16",
        21: "NULL-AES-GMAC",
        28: "CHACHA20-POLY1305",
    },
    2: {1: "PRF-MD5", 2: "PRF-SHA1", 5: "PRF-SHA256", 6: "PRF-SHA384", 7: "PRF-SHA512"},
    3: {
        0: "no integrity",
        1: "MD5-96",
        2: "SHA1-96",
        5: "AES-XCBC-96",
        12: "SHA256-128",
        13: "SHA384-192",
        14: "SHA512-256",
    },
    4: {
        2: "MODP-1024",
        5: "MODP-1536",
        14: "MODP-2048",
        15: "MODP-3072",
        16: "MODP-4096",
        19: "ECP-256",
        20: "ECP-384",
        21: "ECP-521",
        31: "Curve25519",
    },
    5: {0: "no ESN", 1: "ESN"},
}
"""Names by transform type: encryption, PRF, integrity, group, sequence numbers (RFC 7296)."""


def vendor_name(body: bytes) -> str:
    """Return what a vendor ID stands for; in hexadecimal when that is not known."""
    digest, rest = body[:_DIGEST_LENGTH], body[_DIGEST_LENGTH:]
    number = int.from_bytes(rest[:4], "big")
    if digest == _WINDOWS:
        return _WINDOWS_VERSIONS.get(number, f"Windows (IKE version {number})")
    if digest == _KEYING_MODULES:
        return f"keying module {_MODULES.get(number, number)}"
    if digest == _AUTHIP_GROUP:
        return f"AuthIP group {_GROUPS.get(number, number)}"
    return _VENDORS.get(digest) or _VENDORS.get(body) or body.hex()
