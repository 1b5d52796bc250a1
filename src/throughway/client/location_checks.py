"""What speaks against where a client believes to be, found without a question of its own outside.

Names of the intranet are asked of no network around: outside, only what the probes of the location
servers have met counts, and the computer's own addresses. Inside, the domain must be there.
"""

import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import urlsplit

from throughway.catalogue.location import (
    INSIDE_DETECTED_WRONGLY,
    NLS_REACHABLE_OUTSIDE,
    NLS_UNREACHABLE_INSIDE,
    OUTSIDE_DETECTED_WRONGLY,
)
from throughway.client.registration import inside_address
from throughway.client.revocation import problem_of_location
from throughway.health.checking import CannotTell, Check, Found
from throughway.model.errors import Stage, ThroughwayError, TransportError
from throughway.model.findings import Component
from throughway.model.policy import Policy
from throughway.model.status import Location
from throughway.net.resolver import TRY_AGAIN
from throughway.wire.dns import Service

LOCATION_CHECK = "location"
INTERVAL = 6.0
"""Seconds: of what is known already."""
AGAIN_INTERVAL = 5.0
"""Seconds between two rounds of probes while something speaks against the location."""
TIMEOUT = 15.0

Resolve = Callable[[str], Awaitable[Collection[str]]]


class Services(Protocol):
    """Names as programs get them."""

    async def services(self, name: str) -> tuple[Service, ...]:
        """Return SRV records."""


class LocationChecks:
    """Makes the check; hears by :meth:`probed` and :meth:`resolved` what the probes have met.

    ``own()`` returns the addresses of the client's transports, ``resolve`` asks the local DNS,
    ``probe_again()`` begins another round of probes.
    """

    def __init__(
        self,
        where: Callable[[], Location],
        policy: Callable[[], Policy],
        names: Services,
        resolve: Resolve,
        own: Callable[[], Collection[str]],
        probe_again: Callable[[], None],
    ) -> None:
        self._where, self._policy, self._names = where, policy, names
        self._resolve, self._own, self._probe_again = resolve, own, probe_again
        self._again_at = 0.0
        self._errors: dict[str, ThroughwayError] = {}
        self._addresses: dict[str, tuple[str, ...]] = {}

    def check(self) -> Check:
        """Return it."""
        return Check(
            name=LOCATION_CHECK,
            title="Location",
            component=Component.LOCATION,
            problems=(
                *(NLS_UNREACHABLE_INSIDE, OUTSIDE_DETECTED_WRONGLY),
                *(NLS_REACHABLE_OUTSIDE, INSIDE_DETECTED_WRONGLY),
            ),
            look=self._look,
            interval=INTERVAL,
            timeout=TIMEOUT,
            wanted=lambda: "" if self._policy().nls_urls else "the policy names no location server",
        )

    def probed(self, url: str, error: ThroughwayError | None) -> None:
        """Take how a probe has ended."""
        if error is None:
            self._errors.pop(url, None)
        else:
            self._errors[url] = error

    def resolved(self, host: str, addresses: Iterable[str]) -> None:
        """Take what the local DNS has said of a location server."""
        self._addresses[host] = tuple(addresses)

    def network_changed(self) -> None:
        """Forget what was met: this is another network."""
        self._errors.clear()
        self._addresses.clear()

    async def _look(self) -> Iterable[Found] | str:
        location = self._where()
        match location:
            case Location.OUTSIDE:
                found = await self._look_outside()
            case Location.INSIDE:
                found = await self._look_inside()
            case _:
                raise CannotTell("the location is not known yet")
        if found and self._where() is not location:
            raise CannotTell("the location has changed meanwhile")
        if found:
            self._doubt()
        return (found,) if found else f"{location}: nothing speaks against it"

    def _doubt(self) -> None:
        """Have the location servers probed more often than ever: it is over when they are well."""
        now = time.monotonic()
        if now >= self._again_at:
            self._again_at = now + AGAIN_INTERVAL
            self._probe_again()

    # Believed to be outside

    async def _look_outside(self) -> Found | None:
        urls = {url: self._errors[url] for url in self._policy().nls_urls if url in self._errors}
        if any(problem_of_location(error) for error in urls.values()):
            self._doubt()  # servers that answer are near: this may be the intranet
            return None  # and of their certificates is told elsewhere
        if not urls:
            return None
        here = [address for address in inside_address(self._policy()) if address not in self._own()]
        silent = "; ".join(f"{url}: {error}" for url, error in urls.items())
        if here and not any(self._addresses.get(_host(url)) for url in urls):
            words = f"this computer has the address {here[0]} of the intranet, but {silent}"
            return Found(OUTSIDE_DETECTED_WRONGLY, words)
        if here:
            words = f"this computer has the address {here[0]} of the intranet; {silent}"
            return Found(NLS_UNREACHABLE_INSIDE, words)
        if known := await self._known_here(urls):
            words = f"the DNS of this network knows {known}, which is an address of an intranet"
            return Found(NLS_UNREACHABLE_INSIDE, f"{words}; {silent}")
        return None

    async def _known_here(self, urls: Mapping[str, ThroughwayError]) -> str:
        """Return a location server that this network's DNS has a private address for.

        A portal's DNS may lead every name to one address: the gateway's name, too.
        """
        for url in urls:
            host = _host(url)
            private = {one for one in self._addresses.get(host, ()) if ip_address(one).is_private}
            if not private:
                continue
            try:
                gateway = await self._resolve(_host(self._policy().iphttps_url))
            except TransportError:
                raise CannotTell("the gateway's name cannot be resolved here") from None
            if others := sorted(private.difference(gateway)):
                return f"{host} at {', '.join(others)}"
        return ""

    # Believed to be inside

    async def _look_inside(self) -> Found | None:
        realm = self._policy().kerberos_realm
        if not realm:
            return None
        name = f"_ldap._tcp.dc._msdcs.{realm.lower()}"
        try:
            await self._names.services(name)
        except TransportError as error:
            if error.windows_code == TRY_AGAIN or error.stage is not Stage.RESOLVE:
                raise CannotTell(f"{name}: {error}") from None
            return self._wrongly_inside(f"the DNS of this network does not know the domain: {name}")
        return None

    def _wrongly_inside(self, words: str) -> Found:
        """The location server is one of the Internet's, or something plays it here."""
        for url in self._policy().nls_urls:
            host = _host(url)
            public = [one for one in self._addresses.get(host, ()) if ip_address(one).is_global]
            if public and url not in self._errors:
                told = f"{host} answers at {', '.join(public)}, which is of the Internet; {words}"
                return Found(NLS_REACHABLE_OUTSIDE, told)
        return Found(INSIDE_DETECTED_WRONGLY, words)


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""
