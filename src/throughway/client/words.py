"""The names of this deployment, for the commands that the catalogue tells people."""

from urllib.parse import urlsplit

from throughway.health.tracker import Tracker
from throughway.model.config import ClientConfig
from throughway.model.policy import Policy


def define_words(tracker: Tracker, config: ClientConfig, policy: Policy) -> None:
    """Put them in the places of the catalogue's words."""
    url = urlsplit(policy.iphttps_url)
    servers = [server for rule in policy.nrpt for server in rule.servers]
    tracker.define(
        INTERFACE=config.interface,
        HOST=url.hostname or "",
        PORT=str(url.port or 443),
        ENDPOINT=policy.infrastructure.endpoint,
        REALM=policy.kerberos_realm,
        POLICY_URL=policy.policy_url,
        NLS_URL=policy.nls_urls[0] if policy.nls_urls else "NLS_URL",
        DNS=servers[0] if servers else "DNS",
        CERTIFICATE=str(config.certificate),
        KEY=str(config.key),
        COMPUTER=config.identity,
    )
