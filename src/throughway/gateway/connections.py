"""What charon is told for the gateway: its files, and who may connect to which endpoint.

Each computer has two connections of its own in charon, one an endpoint: that is how the account
of round 2 of authentication (RFC 4739) is tied to the certificate of round 1. charon is not
told to ask for an EAP identity, so it takes the connection's, and then compares as constraints
IDi of round 2 and the name which MSCHAPv2 has proven (``eap_mschapv2.c`` puts it in the place of
the EAP identity): neither may be another computer's. A client says its account as IDi of round 2.
"""

import ipaddress
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from throughway.gateway.health_certificates import authorities_demanded, with_health
from throughway.model.config import Computer, IPsecServerConfig
from throughway.model.errors import ConfigError
from throughway.model.revocation import Revocation
from throughway.net.charon import ESP_PROPOSALS, IKE_PROPOSALS, REVOCATION, split_pem
from throughway.net.files import read_file, read_secret
from throughway.net.vici import Section

INFRASTRUCTURE, INTRANET = "infrastructure", "intranet"

_DPD_DELAY = "20s"
"""Silence after which a client is asked whether it lives; it is given up 6.6 s later."""
_FIXED = (
    *("infrastructure_endpoint", "intranet_endpoint"),
    *("infrastructure_prefixes", "intranet_prefixes", "esp"),
)
"""Settings that stay as they are until the gateway is started again."""


@dataclass(frozen=True, slots=True)
class Material:
    """The files, read: all of them before charon is told anything."""

    certificate: bytes
    chain: tuple[bytes, ...]
    key: bytes
    authorities: tuple[bytes, ...]
    nt_hashes: dict[str, bytes]
    health: tuple[bytes, ...] = ()
    """Of health certificates, which open nothing but the intranet; none: none is demanded."""


def connection_of(
    config: IPsecServerConfig, material: Material, computer: Computer, tunnel: str
) -> Section:
    """Return charon's connection for one tunnel of one computer."""
    if tunnel == INFRASTRUCTURE:
        endpoint, prefixes = config.infrastructure_endpoint, config.infrastructure_prefixes
        second = {"auth": "eap-mschapv2", "id": computer.account, "eap_id": computer.account}
        if computer.nt_hash is None:
            second |= {"auth": "eap-radius", "eap_id": "%any"}
    else:
        endpoint, prefixes = config.intranet_endpoint, config.intranet_prefixes
        second = {"auth": "eap-radius", "id": computer.identity, "eap_id": "%any"}
    first: Section = {"auth": "pubkey", "cacerts": list(material.authorities)}
    first |= {"id": computer.identity} | REVOCATION.get(config.revocation, {})
    if tunnel == INTRANET and material.health:
        first = with_health(first, material.health)
    child = {
        "local_ts": list(prefixes),
        "remote_ts": ["dynamic"],
        "esp_proposals": list(ESP_PROPOSALS),
        "dpd_action": "clear",
    }
    return {
        "version": "2",
        "local_addrs": [endpoint],
        "remote_addrs": ["%any6"],
        "proposals": list(IKE_PROPOSALS),
        "mobike": "no",
        "send_cert": "always",
        # A client that comes again has lost its old tunnel, whatever the gateway believes.
        "unique": "replace",
        "dpd_delay": _DPD_DELAY,
        "local-1": {"auth": "pubkey", "id": config.identity, "certs": [material.certificate]},
        "remote-1": first,
        "remote-2": second,
        "children": {tunnel: child},
    }


def fixed_settings(before: IPsecServerConfig, after: IPsecServerConfig) -> tuple[str, ...]:
    """Return the settings that cannot be changed now: charon learns only at its start of NONE."""
    none = [each.revocation is Revocation.NONE for each in (before, after)]
    return _FIXED if none[0] == none[1] else (*_FIXED, "revocation")


def check_selectors(config: IPsecServerConfig, addresses: Iterable[ipaddress.IPv6Address]) -> None:
    """Raise ConfigError if user-space ESP could not serve a prefix.

    kernel-libipsec needs an address of the host's inside every selector, for its route; else
    charon would answer every client TS_UNACCEPTABLE.
    """
    addresses = tuple(addresses)
    for key in ("infrastructure_prefixes", "intranet_prefixes"):
        for prefix in getattr(config, key):
            network = ipaddress.IPv6Network(prefix, strict=False)
            if not any(address in network for address in addresses):
                raise ConfigError(
                    "gateway configuration",
                    f"ipsec.{key}",
                    f"this host has no address inside {prefix}, which ESP in user space needs; "
                    "give its inner interface one (ip -6 address add) or choose another prefix",
                )


def named_connections(computers: tuple[Computer, ...]) -> dict[str, Computer]:
    """Give each computer a name that charon can carry; ConfigError on duplicates."""
    named: dict[str, Computer] = {}
    seen: set[str] = set()
    for computer in computers:
        for word in (computer.account.upper(), computer.identity.upper()):
            if word in seen:
                raise ConfigError("gateway configuration", "computers", f"{word} is there twice")
            seen.add(word)
        name = re.sub(r"[^a-z0-9]+", "-", computer.account.lower()).strip("-") or "computer"
        while name in named:
            name += "-x"
        named[name] = computer
    return named


def read_material(config: IPsecServerConfig, computers: Iterable[Computer]) -> Material:
    """Read every file; ConfigError on the first that is not what it must be."""
    certificates = split_pem(_content(config.certificate, "ipsec.certificate"))
    authorities = split_pem(_content(config.ca, "ipsec.ca"))
    for file, key, found in (
        (config.certificate, "ipsec.certificate", certificates),
        (config.ca, "ipsec.ca", authorities),
    ):
        if not found:
            raise ConfigError(str(file), key, "holds no PEM certificate")
    return Material(
        certificates[0],
        certificates[1:],
        _content(config.key, "ipsec.key", read_secret),
        authorities,
        {c.account: read_nt_hash(c.nt_hash) for c in computers if c.nt_hash is not None},
        authorities_demanded(config.health, time.time()),
    )


def read_nt_hash(file: Path) -> bytes:
    """Return an NT hash: the file holds its 32 hexadecimal digits."""
    text = _content(file, "computers.nt_hash", read_secret).strip()
    if not re.fullmatch(rb"[0-9a-fA-F]{32}", text):
        raise ConfigError(str(file), "computers.nt_hash", "must hold 32 hexadecimal digits")
    return bytes.fromhex(text.decode())


def _content(file: Path, key: str, read: Callable[[Path], bytes] = read_file) -> bytes:
    try:
        return read(file)
    except ValueError as error:
        raise ConfigError(str(file), key, str(error).removeprefix(f"{file} ")) from error
