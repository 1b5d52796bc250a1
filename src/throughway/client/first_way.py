"""The way out of a computer that has not joined yet: the client's own proxy code, without a policy.

Who may name a proxy: a table ``[proxy]`` that lies in client.toml already, the environment of who
joins, the network itself. Whom a proxy wants to know: ``[proxy] user``, or the ticket of who joins.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from throughway.client import settings
from throughway.client.enrolment import Place
from throughway.client.proxy import ProxySource, network_identity
from throughway.model.config import ClientConfig
from throughway.model.errors import ThroughwayError
from throughway.model.policy import Policy, TunnelPolicy
from throughway.net.dial import Dialer, Resolve
from throughway.net.proxy_dial import WayDialer

NO_TUNNEL = TunnelPolicy(endpoint="", prefixes=())


def way_out(
    place: Place, resolve: Resolve, environment: Mapping[str, str] | None = None
) -> WayDialer:
    """Return what connects to the authority, directly or through a proxy."""
    known = os.environ if environment is None else environment
    own = settings.load_proxy(place.config)
    ccache = _ccache(known)
    config = ClientConfig(
        file=place.config,
        certificate=place.certificate,
        key=place.key,
        account="",
        identity="",
        password_file=None,
        proxy=own,
    )
    realm = _realm_of(ccache) or (own.domain.upper() if "." in own.domain else "")
    source = ProxySource(
        config,
        _policy(realm),
        resolve,
        environment=known,
        mark=0,  # nothing holds a computer back that is no client yet, and not only root may join
        ccache=ccache,
    )
    return WayDialer(
        Dialer(resolve),
        named=source.named,
        find=source.find if own.detect else None,
        ticket=source.ticket,
        network=network_identity,
    )


def _policy(realm: str) -> Policy:
    """Return the policy of who has none: it names no proxy."""
    return Policy(
        deployment="",
        version=0,
        issued_at=0,
        expires_at=0,
        iphttps_url="",
        gateway_identity="",
        infrastructure=NO_TUNNEL,
        intranet=NO_TUNNEL,
        nrpt=(),
        nls_urls=(),
        trust_anchors=(),
        kerberos_realm=realm,
    )


def _ccache(environment: Mapping[str, str]) -> Path:
    """Return the file of this session's tickets; other kinds of caches are not looked into."""
    value = environment.get("KRB5CCNAME") or f"/tmp/krb5cc_{os.getuid()}"
    return Path(value.removeprefix("FILE:"))


def _realm_of(ccache: Path) -> str:
    if not ccache.is_file():
        return ""
    from throughway.net import kerberos  # libkrb5 is loaded only where there are tickets

    try:
        return kerberos.ticket_principal(ccache).rpartition("@")[2]
    except (ThroughwayError, ImportError):
        return ""
