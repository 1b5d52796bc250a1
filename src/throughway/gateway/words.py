"""The names of this deployment, for the commands that the catalogue tells people."""

from throughway.model.config import GatewayConfig
from throughway.proto.iphttps.http import parse_url


def words(config: GatewayConfig) -> dict[str, str]:
    """Return what stands in the places of the catalogue's words, as far as it is known here."""
    url, publish = parse_url(config.iphttps.url), config.publish
    servers = [server for rule in publish.nrpt for server in rule.servers] if publish else []
    realm = config.users or config.directory
    known = {
        "HOST": url.host,
        "PORT": str(url.port),
        "INTERFACE": config.iphttps.interface,
        "CERTIFICATE": str(config.iphttps.certificate or ""),
        "KEY": str(config.iphttps.key or ""),
        "ENDPOINT": config.ipsec.infrastructure_endpoint,
        "REALM": realm.realm if realm is not None else "",
        "DNS": servers[0] if servers else "",
        "NLS_URL": publish.nls_urls[0] if publish and publish.nls_urls else "",
    }
    return {word: value for word, value in known.items() if value}
