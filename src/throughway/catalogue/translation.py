"""Problems of the gateway's DNS64 and NAT64: hosts of the intranet that have only IPv4."""

from throughway.catalogue.on_windows.host import IPHLPSVC_STOPPED
from throughway.model.findings import Component, Problem, Severity

_RESTART = "systemctl restart throughway-gateway"
_STATUS = "throughway gateway status"

NAT64_BROKEN = Problem(
    code="nat64-broken",
    title="The gateway does not translate for hosts that have only IPv4",
    severity=Severity.CRITICAL,
    component=Component.NAMES,
    cause=(
        "tayga, which translates, does not run or does not stay up, its device or routes were "
        "taken away, or the firewall rules around it cannot be made."
    ),
    resolution="See why it ended; it is started again by itself.",
    fix=("apt-get install tayga", _RESTART),
    verify=("ip -6 route show dev nat64", _STATUS),
    depends_on=(IPHLPSVC_STOPPED,),
    visible_after=3.0,
)

DNS64_BROKEN = Problem(
    code="dns64-broken",
    title="The gateway's DNS64 does not answer",
    severity=Severity.CRITICAL,
    component=Component.NAMES,
    cause=(
        "The intranet's DNS servers behind it do not answer, or another program holds the port "
        "on which it listens."
    ),
    resolution="Look whether the gateway itself resolves intranet names by these servers.",
    fix=("ss -lntup sport = :53", _RESTART),
    verify=("dig @DNS64 REALM AAAA", _STATUS),
    depends_on=(IPHLPSVC_STOPPED,),
    visible_after=5.0,
)

PROBLEMS = (NAT64_BROKEN, DNS64_BROKEN)
