"""The gateway's own certificates as they lie on the disk: what they are worth, and until when."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from throughway.catalogue import find
from throughway.catalogue.iphttps_certificate import (
    NAME_MISMATCH,
    NO_CRL_DISTRIBUTION_POINT,
    NO_USABLE_CERT,
    NOT_YET_VALID,
)
from throughway.catalogue.ipsec_certificate import (
    CERT_NO_PRIVATE_KEY,
    CERT_NOT_YET_VALID,
    CERT_WRONG_CHAIN,
    NO_MACHINE_CERT,
)
from throughway.health.checking import Check, Found
from throughway.health.expiry import EXPIRED, STEPS, expiry_problem
from throughway.model.config import GatewayConfig, PublishConfig
from throughway.model.errors import TrustError
from throughway.model.findings import Component, Problem
from throughway.model.revocation import Revocation
from throughway.net.files import read_file, read_secret
from throughway.pki import judgement, pem
from throughway.pki.fields import url_host
from throughway.pki.judgement import Validity

INTERVAL = 10.0
"""Seconds between two looks: whoever puts a wrong file in place hears of it before the reload."""
IPHTTPS, IPSEC = "iphttps", "ipsec"
_DATES = tuple(
    find(f"{use}-cert-{word}")
    for use in (IPHTTPS, IPSEC)
    for word in (EXPIRED, *(word for word, _ in STEPS))
)
_WRONG = {
    IPHTTPS: (NO_USABLE_CERT, NO_USABLE_CERT),
    IPSEC: (NO_MACHINE_CERT, CERT_NO_PRIVATE_KEY),
}
"""By use, what is wrong where there is no certificate, and where its key is not there."""
_EARLY = {IPHTTPS: NOT_YET_VALID, IPSEC: CERT_NOT_YET_VALID}


@dataclass(frozen=True, slots=True)
class Own:
    """A pair of files of the configuration."""

    use: str
    certificate: Path
    key: Path | None
    first: bool = True
    """Whether it is the one of that use that is always shown."""


def checks(config: Callable[[], GatewayConfig]) -> tuple[Check, ...]:
    """Return the checks."""

    async def look() -> Iterable[Found] | str:
        now = datetime.now(UTC)
        return await asyncio.to_thread(_judge, config(), now)

    return (
        Check(
            name="gateway-certificates",
            title="Certificates of the gateway",
            component=Component.CERTIFICATES,
            problems=(
                *_DATES,
                *(NOT_YET_VALID, NAME_MISMATCH, NO_USABLE_CERT, NO_CRL_DISTRIBUTION_POINT),
                *(NO_MACHINE_CERT, CERT_NO_PRIVATE_KEY, CERT_NOT_YET_VALID, CERT_WRONG_CHAIN),
            ),
            look=look,
            interval=INTERVAL,
        ),
    )


def _pairs(config: GatewayConfig) -> Iterator[Own]:
    iphttps, ipsec = config.iphttps, config.ipsec
    if iphttps.certificate is not None:
        yield Own(IPHTTPS, iphttps.certificate, iphttps.key)
    if iphttps.rsa_certificate is not None:
        yield Own(IPHTTPS, iphttps.rsa_certificate, iphttps.rsa_key, first=False)
    yield Own(IPSEC, ipsec.certificate, ipsec.key)


def _judge(config: GatewayConfig, now: datetime) -> Iterable[Found] | str:
    found: list[Found] = []
    ends: list[datetime] = []
    for own in _pairs(config):
        try:
            text = read_file(own.certificate)
            certificate, *between = pem.parse_certificates(text, str(own.certificate))
        except (ValueError, TrustError) as error:
            found.append(_found(_WRONG[own.use][0], own, str(error)))
            continue
        key, of_key = _key(own)
        if key is not None and (why := pem.misplaced((certificate, *between), key)):
            # All that is wrong with the first one is that it is another's.
            found.append(_found(_WRONG[own.use][1], own, f"{own.certificate}: {own.key} {why}"))
            continue
        ends.append(certificate.not_valid_after_utc)
        found += _of_dates(own, certificate, now)
        if key is not None and not pem.same_key(certificate, key):
            of_key = f"{own.key} does not belong to {own.certificate}"
        if of_key:
            found.append(_found(_WRONG[own.use][1], own, of_key))
        if own.use == IPHTTPS:
            found += _of_name(own, certificate, url_host(config.iphttps.url))
            found += _of_places(own, certificate, config.publish)
        else:
            found += _of_chain(own, certificate, between, config.ipsec.ca, now)
    return found or f"valid until {min(ends):%Y-%m-%d} at least"


def _found(problem: Problem, own: Own, words: str) -> Found:
    # Without a key: the watch that renews them tells of the same, and one problem is told once.
    return Found(problem, words, "" if own.first else str(own.certificate))


def _of_dates(own: Own, certificate: x509.Certificate, now: datetime) -> Iterator[Found]:
    if judgement.validity(certificate, now) is Validity.NOT_YET_VALID:
        begins = certificate.not_valid_before_utc
        words = f"{own.certificate}: valid from {begins:%Y-%m-%d %H:%M} UTC"
        yield _found(_EARLY[own.use], own, words)
    elif code := expiry_problem(certificate, own.use, now):
        ends = certificate.not_valid_after_utc
        words = f"{own.certificate}: valid until {ends:%Y-%m-%d %H:%M} UTC"
        yield _found(find(code), own, words)


def _key(own: Own) -> tuple[pem.PrivateKey | None, str]:
    """Return the key, and why there is none: "" where none is needed."""
    if own.key is None:
        return None, ""
    try:
        return pem.parse_key(read_secret(own.key), str(own.key)), ""
    except (ValueError, TrustError) as error:
        return None, str(error)


def _of_name(own: Own, certificate: x509.Certificate, host: str) -> Iterator[Found]:
    if not judgement.covers(certificate, host):
        names = ", ".join(judgement.names(certificate)) or "no name"
        yield _found(NAME_MISMATCH, own, f"{own.certificate} is for {names}, not for {host}")


def _of_places(
    own: Own, certificate: x509.Certificate, publish: PublishConfig | None
) -> Iterator[Found]:
    """Say that clients cannot check its revocation, where the policy has them insist on that."""
    if publish is None or publish.revocation.iphttps is not Revocation.STRONG:
        return
    places = (*judgement.crl_urls(certificate), *judgement.ocsp_urls(certificate))
    if not any(place.lower().startswith("http://") for place in places):
        words = f"{own.certificate} names {', '.join(places) or 'no place'}, and clients must know"
        yield _found(NO_CRL_DISTRIBUTION_POINT, own, words)


def _of_chain(
    own: Own,
    certificate: x509.Certificate,
    between: Iterable[x509.Certificate],
    authorities: Path,
    now: datetime,
) -> Iterator[Found]:
    """Say that computers, whose authorities are ours, will not trust it."""
    if not judgement.in_force(certificate, now):
        return  # that is said already
    try:
        anchors = pem.parse_certificates(read_file(authorities), str(authorities))
    except (ValueError, TrustError) as error:
        yield _found(CERT_WRONG_CHAIN, own, str(error))
        return
    judged = judgement.chain(certificate, anchors, now, tuple(between))
    if not judged.trusted:
        yield _found(CERT_WRONG_CHAIN, own, f"{own.certificate}, {authorities}: {judged.why}")
