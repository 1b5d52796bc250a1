"""What other packet filters of this machine are sure to drop of what throughway needs."""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace

from throughway.net.firewall import MARK, NFT_TIMEOUT, FirewallError
from throughway.wire.nftables import Dropped, Packet, Ruleset, RulesetError

OWN_TABLES = ("throughway-",)
"""What the names of our tables begin with: these drop on purpose."""
IKE_PORTS = (500, 4500)


@dataclass(frozen=True, slots=True)
class Needed:
    """Packets that must pass, in words such as "IKE (UDP 500) in by iphttps0"."""

    words: str
    packet: Packet


def dropped(needed: Iterable[Needed]) -> tuple[tuple[str, Dropped], ...]:
    """Return what of it is sure to be dropped, and where; blocks for some milliseconds.

    Raises :exc:`FirewallError` when nft cannot be asked.
    """
    ruleset = _ruleset()
    ends = ((one.words, ruleset.dropped(one.packet)) for one in needed)
    return tuple((words, end) for words, end in ends if end is not None)


def _ruleset() -> Ruleset:
    try:
        answer = subprocess.run(
            # Without -t: what is in sets decides, too.
            ["nft", "-j", "list", "ruleset"],
            capture_output=True,
            timeout=NFT_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FirewallError(f"nft: {error}") from error
    if answer.returncode:
        raise FirewallError(f"nft: {answer.stderr.decode(errors='replace').strip()}")
    try:
        return Ruleset(answer.stdout, OWN_TABLES)
    except RulesetError as error:
        raise FirewallError(f"nft: {error}") from error


def ike(link: str, state: str | None = None) -> tuple[Needed, ...]:
    """Return what IKE, and ESP in UDP, need on a link; ``state`` is that of what comes in."""
    return tuple(needed for port in IKE_PORTS for needed in _ike(link, port, state))


def _ike(link: str, port: int, state: str | None) -> tuple[Needed, Needed]:
    both = Packet(hook="input", protocol="udp", sport=port, dport=port)
    return (
        Needed(f"UDP {port} of IKE, in by {link}", replace(both, iif=link, state=state)),
        Needed(
            f"UDP {port} of IKE, out by {link}", replace(both, hook="output", oif=link, mark=MARK)
        ),
    )
