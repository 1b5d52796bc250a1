"""Whether the gateway's own certificates were revoked: it says what clients refuse it for.

The lists and responders that the certificates name are asked in the background, and judged again
whenever one of them has something new. A place that cannot be reached is no problem here: clients
may reach it all the same, and say so themselves where they cannot. With ``none`` as
``ipsec.revocation`` the gateway asks nobody about revocation, so not about its own either.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from throughway.catalogue import find
from throughway.gateway.revocation import make_own_lists
from throughway.health import log
from throughway.health.tracker import Tracker
from throughway.model.config import GatewayConfig
from throughway.model.errors import ThroughwayError
from throughway.model.revocation import Revocation, Standing
from throughway.net.files import read_file
from throughway.net.revocation import MAXIMUM_CHAIN, Checker, Judged
from throughway.net.revocation_lists import RevocationLists
from throughway.pki.judgement import find_issuer
from throughway.pki.pem import UNREADABLE, parse_certificates

INTERVAL = 600.0
"""Seconds between two looks where no list has changed: answers and lists end, too."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A file with a certificate that the gateway shows, as it was when it was taken into use."""

    file: Path
    uses: tuple[str, ...]
    chain: tuple[bytes, ...]
    """DER, the gateway's own first; as far up as its authorities are known here."""

    def __str__(self) -> str:
        return f"{self.file} ({', '.join(self.uses)})"


def read_shown(config: GatewayConfig) -> tuple[Shown, ...]:
    """Read the gateway's certificates; ThroughwayError or ValueError when one cannot be."""
    iphttps, ipsec = config.iphttps, config.ipsec
    uses: dict[Path, tuple[str, ...]] = {}
    for use, file in (
        ("IP-HTTPS", iphttps.certificate),
        ("IP-HTTPS", iphttps.rsa_certificate),
        ("IPsec", ipsec.certificate),
    ):
        if file is not None:
            uses[file] = tuple(dict.fromkeys((*uses.get(file, ()), use)))
    published = config.publish.trust_anchors if config.publish is not None else ()
    anchors = [one for file in dict.fromkeys((ipsec.ca, *published)) for one in _read(file)]
    return tuple(Shown(file, of, _chain(_read(file), anchors)) for file, of in uses.items())


def _read(file: Path) -> tuple[x509.Certificate, ...]:
    return tuple(parse_certificates(read_file(file), str(file)))


def _chain(
    certificates: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]
) -> tuple[bytes, ...]:
    path = [certificates[0]]
    known = (*anchors, *certificates[1:])
    while len(path) < MAXIMUM_CHAIN and path[-1] not in anchors:
        issuer = find_issuer(path[-1], known, below=len(path) - 1)
        if issuer is None or issuer in path:
            break
        path.append(issuer)
    return tuple(one.public_bytes(Encoding.DER) for one in path)


class OwnRevocation:
    """Looks at the certificates that are in use, and tells the tracker of those revoked."""

    def __init__(self, state_directory: Path, tracker: Tracker) -> None:
        self._state_directory = state_directory
        self._tracker = tracker
        self._problem = find("gateway-cert-revoked")
        self._log = log.logger("certificates")
        self._changed = asyncio.Event()
        self._coming: GatewayConfig | None = None
        """What is not looked at yet."""
        self._shown: tuple[Shown, ...] = ()
        self._lists: RevocationLists | None = None
        self._told: dict[str, str] = {}
        """By file, the serial number of what is revoked."""

    def configure(self, config: GatewayConfig) -> None:
        """Take what is in use from now on; what others have published is fetched at once."""
        self._coming = config
        self._changed.set()

    async def run(self) -> None:
        """Watch for ever."""
        try:
            while True:
                self._changed.clear()
                await self._look()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(INTERVAL):
                        await self._changed.wait()
        finally:
            await self._end()

    async def _look(self) -> None:
        config, self._coming = self._coming, None
        try:
            if config is not None:
                await self._begin(config)
            if self._lists is not None:
                await self._judge(self._lists)
        except (ThroughwayError, OSError, *UNREADABLE) as error:
            self._log.warning("own certificates not looked at", reason=str(error))
            # The next look reads them again; what has come meanwhile is newer.
            self._coming = self._coming or config

    async def _begin(self, config: GatewayConfig) -> None:
        """Ask about these and no others from now on."""
        await self._end()
        asked = config.ipsec.revocation is not Revocation.NONE
        self._shown = await asyncio.to_thread(read_shown, config) if asked else ()
        for file in self._told.keys() - {str(one.file) for one in self._shown}:
            self._mended(file)
        if self._shown:
            self._lists = make_own_lists(self._state_directory)
            self._lists.subscribe(lambda want, data: self._changed.set())
            self._lists.refresh()
            self._lists.start()

    async def _end(self) -> None:
        lists, self._lists = self._lists, None
        if lists is not None:
            await lists.stop()

    async def _judge(self, lists: RevocationLists) -> None:
        checker = Checker(lists, policy=Revocation.WEAK)
        for one in self._shown:
            self._tell(one, await checker.judge_kept(one.chain))
        wanted = {want.url for want in lists.wanted}
        for kept in lists.cache.entries():  # nobody would renew what earlier certificates named
            if kept.url not in wanted:
                lists.cache.remove(kept.url)

    def _tell(self, one: Shown, judged: Judged) -> None:
        file = str(one.file)
        if judged.refused is not None:
            self._told[file] = judged.refused.serial
            self._tracker.set(self._problem, f"{one}: {judged.refused}", key=file)
        elif not any(
            verdict.serial == self._told.get(file) and verdict.standing is Standing.UNKNOWN
            for verdict in judged.verdicts
        ):  # a list that was lost makes nothing good again
            self._mended(file)

    def _mended(self, file: str) -> None:
        if self._told.pop(file, None) is not None:
            self._tracker.clear(self._problem, key=file)
