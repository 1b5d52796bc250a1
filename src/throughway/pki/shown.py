"""Whose certificate was accepted before it was known that it is revoked.

Under the weak policy a peer is accepted whose list could not be had, or was an older one. When
the list comes, its tunnels are ended: they are asked for again, and then charon has the list.
"""

from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress

from throughway.pki.crl import issuer_of, listed
from throughway.pki.judgement import crl_urls, names
from throughway.pki.ocsp import revokes
from throughway.pki.pem import UNREADABLE, load_certificate, parse_certificate

MAXIMUM_NOTED = 20_000
"""Certificates; the ones that were shown longest ago are forgotten first."""


def list_urls(certificates: Iterable[bytes]) -> tuple[str, ...]:
    """Return where certificates (PEM) have their lists, as far as that is asked by http."""
    urls: dict[str, None] = {}
    for pem in certificates:
        with suppress(*UNREADABLE):
            urls |= dict.fromkeys(crl_urls(parse_certificate(pem)))
    return tuple(url for url in urls if url.startswith("http://"))


class ShownCertificates:
    """Remembers which certificates were shown, and finds those that a list has."""

    def __init__(self) -> None:
        self._names: OrderedDict[tuple[bytes, int], tuple[str, ...]] = OrderedDict()
        """By issuer and serial number."""
        self._told: set[tuple[bytes, int]] = set()

    def note(self, certificates: Iterable[bytes]) -> None:
        """Take certificates (DER) that peers have shown."""
        for data in certificates:
            try:
                certificate = load_certificate(data)
                key = (certificate.issuer.public_bytes(), certificate.serial_number)
                self._names[key] = tuple(name.lower() for name in names(certificate))
            except UNREADABLE:
                continue
            self._names.move_to_end(key)
        while len(self._names) > MAXIMUM_NOTED:
            self._told.discard(self._names.popitem(last=False)[0])

    def listed(self, data: bytes) -> frozenset[str]:
        """Return the identities whose certificates a list, or an OCSP answer, has revoked.

        Each certificate is told once: a computer that has another one by now is left alone by the
        next list, which has the old one still.
        """
        names = self._names.copy()  # others may be noted meanwhile: this can take its time
        issuer = issuer_of(data)
        if not issuer:
            revoked = {key for key in names if revokes(data, *key)}
        else:
            mine = {serial for by, serial in names if by == issuer}
            revoked = {(issuer, serial) for serial in listed(data, mine)}
        revoked -= self._told
        self._told |= revoked
        return frozenset(name for key in revoked for name in names[key])

    def tell_again(self) -> None:
        """Begin anew: charon has lost its lists, and could let any of them in."""
        self._told.clear()
