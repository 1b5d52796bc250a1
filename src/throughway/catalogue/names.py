"""Problems of the Name Resolution Policy Table and the stub resolver."""

from throughway.catalogue.host import CLOCK_SKEW
from throughway.catalogue.iphttps import NRPT_PUBLIC_NAME_NOT_EXEMPT
from throughway.catalogue.ipsec import INFRASTRUCTURE_TUNNEL_DOWN, INTRANET_TUNNEL_DOWN
from throughway.catalogue.on_windows.policy import GPO_NOT_APPLIED
from throughway.catalogue.policy import EXPIRED, MALFORMED, MISSING, SIGNATURE_INVALID
from throughway.model.findings import Component, Problem, Severity

NRPT_MISSING = Problem(
    code="nrpt-missing",
    title="There are no name resolution rules",
    severity=Severity.CRITICAL,
    component=Component.NAMES,
    cause="The policy of this client holds no NRPT rule: no name would be asked of the intranet.",
    resolution="Add the rules to the gateway's configuration and publish the policy again.",
    fix=(
        "throughway policy build --config /etc/throughway/gateway.toml",
        "throughway client refresh",
    ),
    verify=("throughway client status",),
    depends_on=(MISSING, SIGNATURE_INVALID, MALFORMED, EXPIRED, GPO_NOT_APPLIED),
)

NRPT_STALE_RULE = Problem(
    code="nrpt-stale-rule",
    title="Resolver settings of a client that ended badly are still in place",
    severity=Severity.WARNING,
    component=Component.NAMES,
    cause=(
        "A client was killed or lost power before it could restore /etc/resolv.conf; names are "
        "sent to a stub that no longer answers."
    ),
    resolution="Start the client, which takes them over, or restore the settings.",
    fix=("throughway client reset",),
    verify=("cat /etc/resolv.conf",),
)

NRPT_NO_DIRECTACCESS_RULE = Problem(
    code="nrpt-no-directaccess-rule",
    title="No name resolution rule names an intranet DNS server",
    severity=Severity.CRITICAL,
    component=Component.NAMES,
    cause="Every rule of the policy is an exemption, so intranet names are asked outside.",
    resolution="Give the rule for the intranet's suffix the addresses of its DNS servers.",
    fix=(
        "throughway policy build --config /etc/throughway/gateway.toml",
        "throughway client refresh",
    ),
    verify=("throughway client status",),
    depends_on=(NRPT_MISSING, NRPT_STALE_RULE, GPO_NOT_APPLIED),
)

NRPT_CORRUPT = Problem(
    code="nrpt-corrupt",
    title="The name resolution rules contradict each other",
    severity=Severity.CRITICAL,
    component=Component.NAMES,
    cause="Two rules for the same namespace differ, or a rule cannot be read (0x2564).",
    resolution="Remove one of the rules and publish the policy again.",
    fix=(
        "throughway policy build --config /etc/throughway/gateway.toml",
        "throughway client refresh",
    ),
    verify=("throughway client status",),
)

STUB_DOWN = Problem(
    code="stub-resolver-down",
    title="The local resolver of the client does not answer",
    severity=Severity.CRITICAL,
    component=Component.NAMES,
    cause=(
        "Port 53 of the stub's loopback address is held by another program, so that it could not "
        "be started, or a packet filter of this computer drops what programs ask it. No program "
        "finds any name."
    ),
    resolution=(
        "Let the packet filter pass what stays on this computer (interface lo). Stop the program "
        "that holds the port, or choose another loopback address for the stub."
    ),
    fix=(
        "nft list ruleset",
        "ss -lntup sport = :53",
        "systemctl restart throughway-client",
    ),
    verify=("throughway client status",),
)

NRPT_NOT_EFFECTIVE = Problem(
    code="nrpt-not-effective",
    title="The name resolution rules are not in effect",
    severity=Severity.CRITICAL,
    component=Component.NAMES,
    cause=(
        "This machine does not ask the client's stub resolver: another program (DHCP client, "
        "NetworkManager, another VPN) has written /etc/resolv.conf or taken over resolved."
    ),
    resolution="Keep the other program from writing the resolver's configuration.",
    fix=("ls -l /etc/resolv.conf", "throughway client refresh"),
    verify=("cat /etc/resolv.conf", "resolvectl status", "throughway client status"),
    depends_on=(STUB_DOWN, NRPT_MISSING),
    visible_after=3.0,
)

NRPT_DNS_SERVER_UNREACHABLE = Problem(
    code="nrpt-dns-server-unreachable",
    title="The intranet's DNS servers do not answer",
    severity=Severity.CRITICAL,
    component=Component.NAMES,
    cause=(
        "The servers that the rules name gave no answer through the infrastructure tunnel: they "
        "are down, not among its prefixes, or the way back to the client is missing inside. Or "
        "they answer, and do not know the names of the rule any more."
    ),
    resolution=(
        "Look whether the server answers inside, has the zone, and routes the client's prefix back."
    ),
    fix=("ping -c 3 DNS",),
    verify=("dig @DNS REALM", "throughway client status"),
    depends_on=(INFRASTRUCTURE_TUNNEL_DOWN,),
)

APP_BYPASSES_NRPT = Problem(
    code="app-bypasses-nrpt",
    title="A program asks DNS servers of its own",
    severity=Severity.WARNING,
    component=Component.NAMES,
    cause=(
        "The program has a resolver built in (DNS over HTTPS, a container with its own "
        "resolv.conf) and does not ask the machine's: the rules cannot reach it."
    ),
    resolution="Switch the program's own resolver off, or point it to the stub's address.",
    verify=("throughway client status",),
)

CLIENT_NAME_NOT_REGISTERED = Problem(
    code="client-name-not-registered",
    title="This computer's name is not registered in the domain's DNS",
    severity=Severity.WARNING,
    component=Component.NAMES,
    cause=(
        "The domain's DNS server did not answer, or refused the secure dynamic update: the name "
        "belongs to another account, the zone takes no updates, or the computer account got no "
        "ticket. Management servers do not find this computer by its name."
    ),
    resolution=(
        "Let the zone accept secure updates and delete a record of the same name that another "
        "account owns; or switch `publish.register_names` off on the gateway."
    ),
    fix=("samba-tool dns delete DC ZONE NAME AAAA ADDRESS", "throughway client refresh"),
    verify=("dig COMPUTER AAAA", "throughway client status"),
    depends_on=(INFRASTRUCTURE_TUNNEL_DOWN, NRPT_DNS_SERVER_UNREACHABLE, CLOCK_SKEW),
    visible_after=5.0,
)

FORCE_TUNNEL_PROXY_UNREACHABLE = Problem(
    code="force-tunnel-proxy-unreachable",
    title="The proxy for programs that know only IPv4 cannot be used",
    severity=Severity.WARNING,
    component=Component.NAMES,
    cause=(
        "The policy sends everything through the tunnels, and IPv4 by a proxy inside "
        "(`publish.force_tunnel_proxy`). Its name has no IPv6 address inside, it does not answer, "
        "or nobody is logged on, so that there is no intranet tunnel yet."
    ),
    resolution="Log on; look whether the proxy answers inside by IPv6.",
    fix=("throughway login USER",),
    verify=("throughway client status",),
    depends_on=(INFRASTRUCTURE_TUNNEL_DOWN, INTRANET_TUNNEL_DOWN, NRPT_DNS_SERVER_UNREACHABLE),
    visible_after=3.0,
)

PROBLEMS = (
    NRPT_MISSING,
    NRPT_NO_DIRECTACCESS_RULE,
    NRPT_CORRUPT,
    STUB_DOWN,
    NRPT_NOT_EFFECTIVE,
    NRPT_STALE_RULE,
    NRPT_PUBLIC_NAME_NOT_EXEMPT,
    NRPT_DNS_SERVER_UNREACHABLE,
    APP_BYPASSES_NRPT,
    CLIENT_NAME_NOT_REGISTERED,
    FORCE_TUNNEL_PROXY_UNREACHABLE,
)
