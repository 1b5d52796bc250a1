"""Problems of packet filters: our fail-closed rules and other people's."""

from throughway.model.findings import Component, Problem, Severity

RULES_MISSING = Problem(
    code="firewall-rules-missing",
    title="The rules that keep intranet traffic in could not be installed",
    severity=Severity.CRITICAL,
    component=Component.FIREWALL,
    cause=(
        "The kernel refused the nftables rules or routes: nf_tables is missing, the daemon "
        "lacks CAP_NET_ADMIN, or another program flushed the ruleset."
    ),
    resolution=(
        "The client opens no tunnel without them. Load nf_tables, and keep other firewalls from "
        "flushing tables that are not theirs."
    ),
    fix=("modprobe nf_tables", "systemctl restart throughway-client"),
    verify=("nft list tables", "throughway client status"),
)

RULES_STALE = Problem(
    code="firewall-rules-stale",
    title="The intranet is closed by the rules of a client that no longer runs",
    severity=Severity.WARNING,
    component=Component.FIREWALL,
    cause="A client was killed. Its rules stay on purpose, so that nothing leaves in plain.",
    resolution="Start the client, or take the rules away if this machine shall not use it.",
    fix=("systemctl start throughway-client",),
    verify=("nft list tables", "throughway client status"),
)

THIRD_PARTY = Problem(
    code="firewall-third-party",
    title="Another firewall on this machine stops the tunnels",
    severity=Severity.CRITICAL,
    component=Component.FIREWALL,
    cause="A rule that is not ours drops UDP 500 or 4500, ESP, or ICMPv6 on the way out or in.",
    resolution="Allow these on the IP-HTTPS interface in the other firewall's configuration.",
    fix=("nft list ruleset",),
    verify=("ping -c 3 ENDPOINT", "throughway client status"),
)

DROPS_TUNNELS = Problem(
    code="firewall-drops-tunnels",
    title="A rule of another packet filter on this machine drops what throughway needs",
    severity=Severity.CRITICAL,
    component=Component.FIREWALL,
    cause=(
        "A table of nftables that is not ours is sure to drop TCP 443, UDP 500 or 4500, ICMPv6, or "
        "what a gateway forwards between its tunnels and the intranet: a rule, or a policy `drop` "
        "with no rule that lets it pass (ufw, firewalld and Docker set such policies)."
    ),
    resolution=(
        "Allow it in that firewall's own configuration: TCP 443 on the way that IP-HTTPS takes, "
        "UDP 500 and 4500 on its interface, on a gateway also what comes from ipsec0 or goes to it."
    ),
    fix=("nft -a list ruleset",),
    verify=("throughway client status", "throughway gateway status other-firewalls --now"),
)

PROBLEMS = (RULES_MISSING, RULES_STALE, THIRD_PARTY, DROPS_TUNNELS)
