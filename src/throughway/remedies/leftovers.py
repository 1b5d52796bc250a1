"""What a client that was killed leaves behind: seen without its daemon, kept, put back."""

import os
import subprocess
from pathlib import Path

from throughway.control.codec import JSON
from throughway.net import firewall, netlink, resolvconf
from throughway.net.files import PRIVATE, PUBLIC, write_atomically


def names(state: Path, path: Path = resolvconf.RESOLV_CONF) -> bool:
    """Say whether the machine asks a stub resolver that some client has put in place."""
    return (state / resolvconf.KEPT).exists() and resolvconf.is_ours(path)


def rules() -> bool:
    """Say whether the intranet is closed by a client's rules; False where nobody may look."""
    return os.geteuid() == 0 and firewall.has_table(firewall.CLIENT_TABLE)


def keep(state: Path, path: Path = resolvconf.RESOLV_CONF) -> JSON:
    """Return all of it as it is."""
    kept: dict[str, JSON] = {}
    if names(state, path):
        kept["resolv.conf"] = path.read_text(errors="replace")
        kept["original"] = (state / resolvconf.KEPT).read_text()
    if rules():
        kept["rules"] = _listed(firewall.CLIENT_TABLE)
        closed = netlink.routes(firewall.CLOSED_TABLE)
        kept["closed"] = [[route.prefix, route.kind] for route in closed]
    return kept


def put_back(kept: JSON, state: Path, path: Path = resolvconf.RESOLV_CONF) -> str:
    """Make it as it was; return what was put back, in words."""
    done = []
    if not isinstance(kept, dict):
        return ""
    if "resolv.conf" in kept and not resolvconf.is_ours(path):
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(state / resolvconf.KEPT, str(kept["original"]).encode(), PRIVATE)
        write_atomically(path, str(kept["resolv.conf"]).encode(), PUBLIC)
        done.append(str(path))
    if kept.get("rules") and not firewall.has_table(firewall.CLIENT_TABLE):
        closed = kept.get("closed")
        for each in closed if isinstance(closed, list) else ():
            prefix, kind = each if isinstance(each, list) else (each, "unreachable")
            table = firewall.CLOSED_TABLE
            netlink.add_route(netlink.Route(prefix=str(prefix), kind=str(kind), table=table))
        netlink.add_rule(firewall.CLOSED_RULE)
        firewall.apply(str(kept["rules"]))
        done.append(f"the nftables table {firewall.CLIENT_TABLE}")
    return " and ".join(done)


def _listed(table: str) -> str:
    answer = subprocess.run(
        ["nft", "list", "table", "inet", table],
        capture_output=True,
        text=True,
        timeout=firewall.NFT_TIMEOUT,
        check=False,
    )
    return answer.stdout if answer.returncode == 0 else ""
