"""What the tunnels stand on: the daemon's connections, tickets, and revocation lists."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import partial

from throughway.catalogue.authoriser import KEYTAB_UNUSABLE
from throughway.catalogue.iphttps_clients import CRL_UNUSABLE
from throughway.catalogue.ipsec import CONNECTIONS_WRONG, ENDPOINT_MISSING
from throughway.catalogue.ipsec_certificate import CRL_EXPIRED, CRL_NOT_RENEWED
from throughway.gateway.client_lists import list_fault
from throughway.gateway.operations.parts import Parts
from throughway.health.checking import CannotTell, Check, Found
from throughway.model.config import AuthenticationMode, GatewayConfig
from throughway.model.errors import IPsecError, ThroughwayError
from throughway.model.findings import Component
from throughway.model.revocation import Revocation
from throughway.net.kerberos import check_keytab
from throughway.net.revocation_cache import CRL
from throughway.net.revocation_lists import RevocationLists

LISTED = 3
"""Connections that are named in words."""
SETTLE = 1.0
"""Seconds after which connections that differ are compared again: a reload brings them one by
one."""
LIST_INTERVAL = 15.0
"""Seconds between two looks at files that live for days."""


def checks(parts: Parts) -> tuple[Check, ...]:
    """Return the checks."""
    return (
        Check(
            name="connections",
            title="Connections of the IKE daemon",
            component=Component.IPSEC,
            problems=(CONNECTIONS_WRONG,),
            look=partial(_look_at_connections, parts),
        ),
        Check(
            name="endpoints",
            title="Endpoints of the tunnels",
            component=Component.IPSEC,
            problems=(ENDPOINT_MISSING,),
            look=partial(_look_at_endpoints, parts),
        ),
        Check(
            name="user-tickets",
            title="Authoriser of users",
            component=Component.AUTHORISER,
            problems=(KEYTAB_UNUSABLE,),
            look=partial(_look_at_keytab, parts),
            wanted=lambda: "" if parts.config().users else "no [users] are configured",
        ),
        Check(
            name="revocation-lists",
            title="Revocation lists of computers' certificates",
            component=Component.CERTIFICATES,
            problems=(CRL_EXPIRED, CRL_NOT_RENEWED),
            look=partial(_look_at_lists, parts),
            interval=LIST_INTERVAL,
            wanted=lambda: _unchecked(parts.config()),
        ),
        Check(
            name="client-lists",
            title="Revocation lists of IP-HTTPS",
            component=Component.IPHTTPS,
            problems=(CRL_UNUSABLE,),
            look=partial(_look_at_client_lists, parts),
            interval=LIST_INTERVAL,
            wanted=lambda: _unasked(parts.config()),
        ),
    )


async def _look_at_connections(parts: Parts) -> Iterable[Found] | str:
    missing, stray, count = await _differences(parts)
    if missing or stray:
        await asyncio.sleep(SETTLE)
        missing_still, stray_still, _ = await _differences(parts)
        missing, stray = missing & missing_still, stray & stray_still
    found = [
        Found(CONNECTIONS_WRONG, f"{what}: {_some(names)}", what)
        for what, names in (
            ("charon lacks", missing),
            ("charon has, though nobody is admitted by it", stray),
        )
        if names
    ]
    return found or f"{count} loaded, those of all admitted computers"


async def _look_at_endpoints(parts: Parts) -> Iterable[Found] | str:
    """Tell of addresses that were missing, until the next look: they are put back at once."""
    try:
        missing = parts.endpoints()
    except OSError as error:
        return [Found(ENDPOINT_MISSING, f"cannot be put back: {error.strerror}")]
    words = "was missing and has been put back"
    return [Found(ENDPOINT_MISSING, f"{each} {words}", each) for each in missing] or "they are here"


async def _look_at_keytab(parts: Parts) -> Iterable[Found] | str:
    users = parts.config().users
    assert users is not None
    try:
        await asyncio.to_thread(check_keytab, users.keytab, users.service, users.realm)
    except (ThroughwayError, ValueError) as error:
        return [Found(KEYTAB_UNUSABLE, str(error))]
    return f"{users.keytab} has a key for {users.service}"


async def _look_at_lists(parts: Parts) -> Iterable[Found] | str:
    lists = parts.lists()
    policy = parts.config().ipsec.revocation
    if lists is None:
        raise CannotTell("the IKE daemon was not started")
    kept = await asyncio.to_thread(_ends, lists)
    return list(_ended(kept, policy, time.time())) or _freshest(kept)


async def _look_at_client_lists(parts: Parts) -> Iterable[Found] | str:
    files, now = parts.config().iphttps.client_crls, datetime.now(UTC)
    wrong = [words for file in files if (words := list_fault(file, now))]
    return [Found(CRL_UNUSABLE, "; ".join(wrong))] if wrong else f"{len(files)} in force"


async def _differences(parts: Parts) -> tuple[frozenset[str], frozenset[str], int]:
    """Return the connections that the daemon lacks, those it should not have, and how many are."""
    try:
        there, wanted = await parts.ike.loaded_connections()
    except IPsecError as error:
        raise CannotTell(str(error)) from None  # of the daemon another check tells
    return wanted - there, there - wanted, len(there)


def _some(names: frozenset[str]) -> str:
    first = sorted(names)[:LISTED]
    more = len(names) - len(first)
    return ", ".join(first) + (f" and {more} more" if more else "")


def _unchecked(config: GatewayConfig) -> str:
    asked = config.ipsec.revocation is not Revocation.NONE
    return "" if asked else 'ipsec.revocation is "none"'


def _unasked(config: GatewayConfig) -> str:
    if config.iphttps.authentication is not AuthenticationMode.CERTIFICATES:
        return "IP-HTTPS asks for no certificates"
    return "" if config.iphttps.client_crls else "no client_crls are configured"


def _ends(lists: RevocationLists) -> dict[str, float]:
    """Return until when each list is good that is wanted and has ever been had."""
    kept = {want.url: lists.cache.find(want.url) for want in lists.wanted if want.kind == CRL}
    return {url: one.ends_at for url, one in kept.items() if one is not None}


def _ended(kept: dict[str, float], policy: Revocation, now: float) -> Iterator[Found]:
    problem = CRL_EXPIRED if policy is Revocation.STRONG else CRL_NOT_RENEWED
    for url, end in kept.items():
        if end <= now:
            when = datetime.fromtimestamp(end, UTC)
            yield Found(problem, f"{url}: what is kept ended on {when:%Y-%m-%d %H:%M} UTC", url)


def _freshest(kept: dict[str, float]) -> str:
    if not kept:
        raise CannotTell("no list has been fetched")
    when = datetime.fromtimestamp(min(kept.values()), UTC)
    return f"{len(kept)} kept, good until {when:%Y-%m-%d %H:%M} UTC at least"
