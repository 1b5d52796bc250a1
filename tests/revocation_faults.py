"""What can be wrong with the revocation of an IP-HTTPS server, as data.

A web server is the distribution point and the responder; the chain is that of revocation_world.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.revocation_world import (
    CRL,
    HOST,
    HOUR,
    NOW,
    OCSP,
    OTHER,
    ROOT,
    STRANGER,
    Chain,
    Places,
    Web,
    ask,
    certify,
)
from throughway.model.errors import TransportError
from throughway.model.revocation import Fault, Revocation
from throughway.net.revocation import Checker, Judged
from throughway.net.revocation_cache import RevocationCache
from throughway.net.revocation_lists import RevocationLists
from throughway.pki.authority import Credential

NONE, WEAK, STRONG = Revocation.NONE, Revocation.WEAK, Revocation.STRONG


class World:
    """A web server, and a checker that keeps what it fetches in a folder."""

    def __init__(self, web: Web, folder: Path) -> None:
        self.web, self.folder = web, folder
        self.late: list[TransportError] = []
        web.pages["/root.crl"] = CRL().build(ROOT)
        self.issuing = certify("Corp Issuing", ROOT, self.places("/root.crl"), ca=True)

    def places(self, *lists: str, deltas: tuple[str, ...] = (), ocsp: str = "") -> Places:
        url = self.web.url
        return Places(
            [url(path) for path in lists],
            [url(path) for path in deltas],
            [url(ocsp)] if ocsp else [],
        )

    def chain(self, places: Places) -> Chain:
        return Chain(ROOT, self.issuing, certify("da.example.com", self.issuing, places))

    def checker(self, policy: Revocation) -> Checker:
        self.lists = RevocationLists(RevocationCache(self.folder / "revocation"), ask)
        checker = Checker(self.lists, policy=policy, on_late=self.late.append)
        self.lists.subscribe(lambda want, data: checker.look_again())
        return checker

    def judged(self, chain: Chain, policy: Revocation = STRONG) -> Judged:
        async def scenario() -> Judged:
            try:
                return await self.checker(policy).check_chain(chain.ders)
            finally:
                await self.lists.stop()

        return asyncio.run(scenario())

    def refused(self, chain: Chain, policy: Revocation = STRONG) -> TransportError:
        with pytest.raises(TransportError) as caught:
            self.judged(chain, policy)
        return caught.value


@dataclass(frozen=True)
class Row:
    """What is served, and what follows under the strong and the weak policy."""

    fault: Fault | None
    pages: dict[str, object]
    lists: tuple[str, ...] = ("/ca.crl",)
    responder: str = ""
    weak: bool = True
    """Whether the weak policy lets it in."""
    words: str = ""


MINE = "mine"
ROWS = {
    "good": Row(None, {"/ca.crl": CRL()}),
    "revoked": Row(Fault.REVOKED, {"/ca.crl": MINE}, weak=False, words="revoked on"),
    "old list that lists": Row(
        Fault.REVOKED, {"/ca.crl": "mine, expired"}, weak=False, words="revoked on"
    ),
    "unreachable": Row(Fault.UNREACHABLE, {"/ca.crl": 503}, words="answers 503"),
    "silent": Row(Fault.UNREACHABLE, {"/ca.crl": Web.SILENT}, words="no answer"),
    "expired": Row(Fault.EXPIRED, {"/ca.crl": CRL(end=NOW - HOUR / 2)}, words="due to be"),
    "wrong signer": Row(Fault.WRONG_SIGNER, {"/ca.crl": "other"}, words="not signed"),
    "no list": Row(Fault.UNUSABLE, {"/ca.crl": b"<html>"}, words="no usable CRL"),
    "no point": Row(Fault.NO_POINT, {}, (), words="names no CRL distribution point"),
    "delta missing": Row(Fault.DELTA_MISSING, {"/ca.crl": "delta"}, words="answers 404"),
    "second point": Row(None, {"/ca.crl": 404, "/2.crl": CRL()}, ("/ca.crl", "/2.crl")),
    "ocsp": Row(None, {"/ocsp": OCSP()}, (), "/ocsp"),
    "ocsp beside a dead list": Row(None, {"/ca.crl": 404, "/ocsp": OCSP()}, responder="/ocsp"),
    "list beside a dead responder": Row(None, {"/ca.crl": CRL()}, responder="/ocsp"),
    "ocsp revoked": Row(
        Fault.REVOKED,
        {"/ocsp": OCSP(status=ocsp.OCSPCertStatus.REVOKED)},
        (),
        "/ocsp",
        weak=False,
        words="keyCompromise",
    ),
    "ocsp unknown": Row(
        Fault.OCSP_UNKNOWN,
        {"/ocsp": OCSP(status=ocsp.OCSPCertStatus.UNKNOWN)},
        (),
        "/ocsp",
        words="does not know",
    ),
    "ocsp silent": Row(Fault.OCSP_UNREACHABLE, {}, (), "/ocsp", words="answers 405"),
    "ocsp of another": Row(
        Fault.OCSP_UNTRUSTED, {"/ocsp": "by another"}, (), "/ocsp", words="not signed by"
    ),
    "ocsp old": Row(
        Fault.OCSP_UNUSABLE, {"/ocsp": OCSP(end=NOW - HOUR / 2)}, (), "/ocsp", words="was good"
    ),
}


@dataclass(frozen=True)
class Shown:
    """What is wrong with the certificate itself, whose lists are good: no policy bears it."""

    problem: str = ""
    subject: str = HOST
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of :func:`certify`."""
    authority: bool = True
    """Whether what signed it is an authority."""
    trusted: Credential = ROOT
    """What the client has for its anchor."""
    whole: bool = True
    """Whether the issuing authority's certificate comes along."""


IMPOSTOR = certify("Corp Root", None, ca=True)
CERTIFICATES = {
    "good chain": Shown(),
    "name by a wildcard": Shown(options={"names": ["*.example.com"]}),
    # As Windows does: the common name counts where there is no alternative name, only there.
    "name in the common name alone": Shown(options={"names": []}),
    "expired": Shown("iphttps-cert-expired", options={"end": NOW - HOUR}),
    "not yet valid": Shown("iphttps-cert-not-yet-valid", options={"begin": NOW + HOUR}),
    "another name": Shown("iphttps-cert-name-mismatch", options={"names": ["other.example.com"]}),
    "no server authentication": Shown(
        "iphttps-cert-wrong-usage", options={"usages": [ExtendedKeyUsageOID.CLIENT_AUTH]}
    ),
    "untrusted root": Shown("iphttps-cert-untrusted-root", trusted=STRANGER),
    "root of the same name, with another key": Shown(
        "iphttps-cert-chain-invalid", trusted=IMPOSTOR
    ),
    "intermediate missing": Shown("iphttps-cert-untrusted-root", whole=False),
    "signed by no authority": Shown("iphttps-cert-chain-invalid", authority=False),
}


def serve(world: World, row: Row) -> Chain:
    chain = world.chain(world.places(*row.lists, ocsp=row.responder))
    mine, by = (chain.serial, None), world.issuing
    special = {
        MINE: CRL(revoked=[mine]).build(by),
        "mine, expired": CRL(revoked=[mine], end=NOW - HOUR / 2).build(by),
        "other": CRL().build(OTHER),
        "delta": CRL(deltas=[world.web.url("/delta.crl")]).build(by),
        "by another": OCSP().build(chain.leaf.certificate, OTHER),
    }
    for path, page in row.pages.items():
        match page:
            case CRL():
                page = page.build(by)
            case OCSP():
                page = page.build(chain.leaf.certificate, by)
            case str() if page in special:
                page = special[page]
            case _:
                pass
        assert isinstance(page, bytes | int | str)
        path = f"POST {path}" if row.responder == path else path
        world.web.pages[path] = page
    return chain
