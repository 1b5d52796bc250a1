"""Ask for the addresses of a name, each family by itself, with who answered and how fast.

By dnspython and not by the machine's resolver, which can neither be interrupted nor says whom it
asked; the hosts file is read as the machine's resolver does.
"""

import asyncio
import ipaddress
import time
from collections.abc import Iterator
from pathlib import Path

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver

from throughway.model.probing import NameSeen, Trouble

HOSTS = Path("/etc/hosts")
NAME_TIME = 5.0
"""Seconds for one family, all servers together."""
MAXIMUM_ADDRESSES = 16
"""Addresses of one family that are kept."""
HOSTS_FILE = "hosts file"
_MAXIMUM_HOSTS = 4 * 1024 * 1024
_FAMILIES = {"ipv4": "A", "ipv6": "AAAA"}
_UNRESOLVABLE = "iphttps-name-unresolvable"


async def look_up(host: str, seconds: float = NAME_TIME) -> tuple[NameSeen, ...]:
    """Return what is known of the name in both families."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return tuple(await asyncio.gather(*(ask(host, f, seconds) for f in _FAMILIES)))
    return (NameSeen(family=f"ipv{address.version}", addresses=(str(address),)),)


async def ask(host: str, family: str, seconds: float = NAME_TIME) -> NameSeen:
    """Return what is known of the name in one family."""
    begin = time.monotonic()
    listed = tuple(_in_hosts(host, family))
    if listed:
        return NameSeen(family=family, addresses=listed, server=HOSTS_FILE)
    try:
        return await _ask_servers(host, family, seconds, begin)
    except dns.resolver.NXDOMAIN:
        trouble = Trouble(
            words="the name does not exist", problem=_UNRESOLVABLE, windows_code=0x2AF9
        )
    except dns.exception.Timeout:
        trouble = Trouble(words="no DNS server answers", problem=_UNRESOLVABLE, windows_code=0x2AFA)
    except dns.resolver.NoNameservers as error:
        trouble = Trouble(words=_refusals(error), problem=_UNRESOLVABLE, windows_code=0x2AFB)
    except dns.resolver.NoResolverConfiguration:
        trouble = Trouble(words="this machine has no DNS server", problem=_UNRESOLVABLE)
    except (dns.exception.DNSException, OSError, ValueError) as error:
        trouble = Trouble(words=f"it cannot be asked for: {error}", problem=_UNRESOLVABLE)
    return NameSeen(family=family, seconds=time.monotonic() - begin, trouble=trouble)


async def _ask_servers(host: str, family: str, seconds: float, begin: float) -> NameSeen:
    answer = await dns.asyncresolver.Resolver().resolve(
        host, _FAMILIES[family], lifetime=seconds, raise_on_no_answer=False, search=False
    )
    aliases = [str(c.target).rstrip(".") for rr in answer.chaining_result.cnames for c in rr]
    found = [str(record.address) for record in answer.rrset or ()][:MAXIMUM_ADDRESSES]
    return NameSeen(
        family=family,
        addresses=tuple(found),
        aliases=tuple(aliases[:MAXIMUM_ADDRESSES]),
        server=str(answer.nameserver or ""),
        seconds=time.monotonic() - begin,
    )


def _refusals(error: dns.resolver.NoNameservers) -> str:
    said = {str(each[3]) for each in error.kwargs.get("errors", ()) if len(each) > 3}
    return f"the DNS servers fail: {', '.join(sorted(said))[:200]}"


def _in_hosts(host: str, family: str) -> Iterator[str]:
    try:
        with HOSTS.open(errors="replace") as file:
            text = file.read(_MAXIMUM_HOSTS)
    except OSError:
        return
    for line in text.splitlines():
        first, *names = line.partition("#")[0].split() or ("",)
        if host.lower() in (name.lower() for name in names):
            try:
                address = ipaddress.ip_address(first)
            except ValueError:
                continue
            if f"ipv{address.version}" == family:
                yield str(address)
