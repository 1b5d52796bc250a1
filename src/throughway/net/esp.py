"""What the kernel must do for ESP: whether it can encrypt, and what a gateway needs around it.

What goes through ``ip`` is done once at start, never on the packet path.
"""

import contextlib
import ipaddress
import secrets
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from throughway.model.config import ESPMode
from throughway.model.errors import IPsecError
from throughway.net import netlink
from throughway.net.firewall import MARK

OUTER_ADDRESS_PREFERENCE = 219
"""Of the rules of :func:`keep_outer_addresses`: just before charon's own table, which has 220."""
CHARON_TABLE = 220
"""Where charon puts the routes into its tunnels, and the preference of its rule."""
_CHARON_RULE = netlink.Rule(table=CHARON_TABLE, priority=CHARON_TABLE, mark=MARK, invert=True)

_COMMAND_TIMEOUT = 10.0
"""Seconds; ip and nft answer within milliseconds or not at all."""
_KEY = "0x" + "00" * 20
_PROBE = ("src", "fe80::1", "dst", "fe80::2", "proto", "esp")


@dataclass(frozen=True, slots=True)
class ESPSupport:
    """Who encrypts, and why it is not the other one."""

    mode: ESPMode
    reason: str


def describe_esp(support: ESPSupport | None) -> str:
    """Say who encrypts; "" while that is unknown."""
    if support is None:
        return ""
    who = "kernel" if support.mode is ESPMode.KERNEL else "kernel-libipsec (user space)"
    return f"{who}: {support.reason}"


def detect_esp(wanted: ESPMode = ESPMode.AUTO) -> ESPSupport:
    """Choose who encrypts in this network namespace; never returns ``AUTO``.

    Raises IPsecError when the kernel is demanded and cannot.
    """
    if wanted is ESPMode.LIBIPSEC:
        return ESPSupport(ESPMode.LIBIPSEC, "chosen by the configuration")
    refusal = _kernel_refusal()
    if not refusal:
        return ESPSupport(ESPMode.KERNEL, "the kernel has ESP")
    if wanted is ESPMode.KERNEL:
        raise IPsecError(f"esp = kernel is configured, but the kernel has no ESP: {refusal}")
    return ESPSupport(ESPMode.LIBIPSEC, f"the kernel has no ESP: {refusal}")


def keep_outer_addresses(addresses: Iterable[str]) -> None:
    """Let what this host sends *from* ``addresses`` bypass the tunnels.

    Without virtual addresses a client's inner address is its outer one: charon's route would
    pull IKE, CRLs and everything else of the gateway's own addresses into the tunnel.
    """
    for address in addresses:
        rule = (*_rule(address), "lookup", "main", "pref", str(OUTER_ADDRESS_PREFERENCE))
        error = _run("ip", "-6", "rule", "add", *rule)
        if error and "File exists" not in error:
            raise IPsecError(f"cannot add the rule for {address}: {error}")


def release_outer_addresses(addresses: Iterable[str]) -> None:
    """Undo :func:`keep_outer_addresses`; what is not there is no error."""
    for address in addresses:
        _run("ip", "-6", "rule", "del", *_rule(address), "pref", str(OUTER_ADDRESS_PREFERENCE))


def restore_rules(addresses: Iterable[str] = ()) -> bool:
    """Add the rules again that another program has removed; say whether there were any.

    systemd-networkd takes away every rule that it does not know, and charon adds its own only
    when it starts: without it all routes into the tunnels are there and lead nowhere. ``addresses``
    are those of :func:`keep_outer_addresses`. Raises IPsecError when the kernel refuses.
    """
    try:
        there = netlink.rules()
        lost = not any(rule.table == CHARON_TABLE for rule in there)
        if lost and (lost := bool(netlink.routes(CHARON_TABLE))):
            netlink.add_rule(_CHARON_RULE)
    except OSError as error:
        raise IPsecError(f"charon's routing rule is gone, and cannot be added: {error}") from error
    kept = {rule.source for rule in there if rule.priority == OUTER_ADDRESS_PREFERENCE}
    released = [one for one in addresses if f"{ipaddress.IPv6Address(one)}/128" not in kept]
    keep_outer_addresses(released)
    return lost or bool(released)


def local_addresses() -> tuple[ipaddress.IPv6Address, ...]:
    """Return the IPv6 addresses of this network namespace that are not link-local."""
    try:
        lines = Path("/proc/thread-self/net/if_inet6").read_text().splitlines()
    except OSError:
        return ()
    addresses = (ipaddress.IPv6Address(bytes.fromhex(line.split()[0])) for line in lines)
    return tuple(address for address in addresses if not address.is_link_local)


def _rule(address: str) -> tuple[str, ...]:
    return ("from", str(ipaddress.IPv6Address(address)))


def _kernel_refusal() -> str:
    """Say why the kernel refuses an ESP state such as charon's; "" when it takes one."""
    spi = f"{secrets.randbelow(0x7FFFFFFF) + 0x100:#x}"
    cipher = ("mode", "tunnel", "aead", "rfc4106(gcm(aes))", _KEY, "128")
    error = _run("ip", "xfrm", "state", "add", *_PROBE, "spi", spi, *cipher)
    if not error:
        _run("ip", "xfrm", "state", "delete", *_PROBE, "spi", spi)
    return error


def _run(*command: str) -> str:
    """Run a command and return what is wrong, "" when nothing is."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        try:
            answer = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=_COMMAND_TIMEOUT,
                check=False,
            )
        except OSError as error:
            return f"{command[0]}: {error.strerror}"
        if answer.returncode == 0:
            return ""
        return answer.stderr.strip().removeprefix("Error: ") or f"{command[0]} failed"
    return f"{command[0]} did not answer"
