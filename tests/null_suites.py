"""What TLS clients offer of NULL suites, as data: openssl's words, and the suite each gets."""

from dataclasses import dataclass

NULL = "NULL-SHA256:NULL-SHA"


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One client; "" for a suite: it does not come in."""

    words: tuple[str, ...] = ()
    """Of ``openssl s_client``."""
    allowed: str
    """With ``null_suites = true``."""
    otherwise: str


def _old(suites: str) -> tuple[str, ...]:
    return "-tls1_2", "-cipher", f"{suites}:@SECLEVEL=0"


MODERN = "TLS_AES_256_GCM_SHA384"
OFFERS = {
    "NULL alone": Offer(words=_old(NULL), allowed="NULL-SHA256", otherwise=""),
    "the older NULL suite alone": Offer(words=_old("NULL-SHA"), allowed="NULL-SHA", otherwise=""),
    "NULL first, AES behind": Offer(
        words=_old(f"{NULL}:ECDHE-ECDSA-AES128-GCM-SHA256"),
        allowed="ECDHE-ECDSA-AES128-GCM-SHA256",
        otherwise="ECDHE-ECDSA-AES128-GCM-SHA256",
    ),
    "NULL first, AES of the RSA certificate behind": Offer(
        words=_old(f"{NULL}:ECDHE-RSA-AES256-GCM-SHA384"),
        allowed="ECDHE-RSA-AES256-GCM-SHA384",
        otherwise="ECDHE-RSA-AES256-GCM-SHA384",
    ),
    "NULL first, something that is not served behind": Offer(
        words=_old(f"{NULL}:AES128-GCM-SHA256"), allowed="", otherwise=""
    ),
    "TLS 1.3 beside NULL": Offer(
        words=("-cipher", f"{NULL}:@SECLEVEL=0"), allowed=MODERN, otherwise=MODERN
    ),
    "TLS 1.3": Offer(allowed=MODERN, otherwise=MODERN),
    "a suite that nobody has": Offer(words=_old("AES128-SHA"), allowed="", otherwise=""),
    "NULL without a key exchange (anonymous)": Offer(
        words=_old("AECDH-NULL-SHA"), allowed="", otherwise=""
    ),
    "TLS 1.1 and NULL": Offer(
        words=("-tls1_1", "-cipher", "NULL-SHA:@SECLEVEL=0"), allowed="", otherwise=""
    ),
}
