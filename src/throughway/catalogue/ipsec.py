"""Problems of the IPsec tunnels, seen from client or gateway."""

from throughway.catalogue import (
    iphttps,
    iphttps_certificate,
    ipsec_certificate,
    policy,
    smart_card,
)
from throughway.catalogue.firewall import DROPS_TUNNELS
from throughway.catalogue.host import CLOCK_SKEW, IPV6_DISABLED
from throughway.catalogue.internet import NO_WAY_OUT, PATH_MTU_BLACK_HOLE
from throughway.catalogue.on_windows.firewall import NO_IPSEC
from throughway.model.findings import Component, Problem, Severity

GATEWAY_LOG = "journalctl -u throughway-gateway --since -10min"

NO_PATH = (
    *NO_WAY_OUT,
    *iphttps.NO_LINK,
    iphttps.NO_ROUTER_ADVERTISEMENT,
    iphttps.NO_GLOBAL_ADDRESS,
    iphttps.LISTENER_DOWN,
    *iphttps_certificate.NO_TRUST,
    policy.EXPIRED,
    policy.SIGNATURE_INVALID,
    policy.MISSING,
)
"""While one of these holds, there is nothing that could carry a tunnel."""

DAEMON_DOWN = Problem(
    code="ipsec-daemon-down",
    title="The IPsec daemon (charon) does not run",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause=(
        "charon could not be started, ended, or does not answer on its vici socket: strongSwan "
        "is not installed whole, or another charon holds UDP ports 500 and 4500."
    ),
    resolution=(
        "throughway starts charon again by itself. If it keeps ending, install the packages "
        "and stop the other charon. Meanwhile nothing leaves for the intranet in plain."
    ),
    fix=(
        "apt-get install charon-systemd strongswan-swanctl libcharon-extra-plugins",
        "ss -lunp sport = :500",
    ),
    verify=("journalctl -u throughway-client -u throughway-gateway --since -10min",),
)

CONNECTIONS_WRONG = Problem(
    code="ipsec-connections-wrong",
    title="The IPsec daemon's connections are not those of the admitted computers",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause=(
        "Each admitted computer has connections of its own in charon. Another program (swanctl, "
        "ipsec) has loaded or unloaded some, or charon refused one: a computer whose connection "
        "is missing stays outside, and by one that nobody is admitted by somebody may come in."
    ),
    resolution=(
        "Reload the gateway, which loads what is missing; restart it to be rid of connections "
        "that are not its own. Let no other program configure this charon."
    ),
    fix=("throughway gateway reload", "systemctl restart throughway-gateway"),
    verify=("throughway gateway status connections --now",),
    depends_on=(DAEMON_DOWN,),
    visible_after=5.0,
)

ENDPOINT_MISSING = Problem(
    code="ipsec-endpoint-missing",
    title="The gateway does not have the address of a tunnel's end",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause=(
        "Another program or person has taken the address of an endpoint from this machine, or the "
        "interface that had it went down: no client's IKE arrives any more."
    ),
    resolution=(
        "Nothing needs to be done once: the gateway puts the address back within seconds. If it is "
        "taken again and again, find out who does so."
    ),
    fix=("throughway gateway reload", "ip -6 address show"),
    verify=("ip -6 address show", "throughway gateway status endpoints --now"),
    depends_on=(IPV6_DISABLED,),
)

ENDPOINT_UNREACHABLE = Problem(
    code="ipsec-endpoint-unreachable",
    title="The gateway's tunnel endpoint does not answer",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause=(
        "The link is up, but no packet comes back from the endpoint's address: the route to it "
        "is missing, the endpoint is not on the gateway, or a filter drops it."
    ),
    resolution="Ping the endpoint from the client; look whether the gateway owns the address.",
    fix=("ip -6 route get ENDPOINT",),
    verify=("ping -c 3 ENDPOINT", "throughway client status"),
    depends_on=(
        *(IPV6_DISABLED, ENDPOINT_MISSING, *NO_PATH),
        *(iphttps.ROUTE_UNPUBLISHED, iphttps.FORWARDING_DISABLED),
        DROPS_TUNNELS,
    ),
    visible_after=2.0,
)

NEGOTIATION_TIMEOUT = Problem(
    code="ipsec-negotiation-timeout",
    title="The gateway does not answer IKE",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause=(
        "Requests to UDP port 500 of the endpoint were repeated without an answer (13805): the "
        "gateway's charon is down, or a filter drops UDP 500 and 4500 on the way."
    ),
    resolution="Look whether the gateway's IPsec is well, then for filters between.",
    fix=(GATEWAY_LOG,),
    verify=("throughway gateway status ipsec", "throughway client status"),
    depends_on=(ENDPOINT_UNREACHABLE, DAEMON_DOWN, PATH_MTU_BLACK_HOLE, DROPS_TUNNELS),
)

POLICY_MISMATCH = Problem(
    code="ipsec-policy-mismatch",
    title="Client and gateway do not agree on the tunnel",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause=(
        "Proposals or traffic selectors have nothing in common (NO_PROPOSAL_CHOSEN, "
        "TS_UNACCEPTABLE; 13868): the policy of the client is older than the gateway's "
        "configuration, or prefixes were changed on one side only."
    ),
    resolution="Build the policy again from the gateway's configuration and give it to the client.",
    fix=(
        "throughway policy build --config /etc/throughway/gateway.toml",
        "throughway client refresh",
    ),
    verify=("throughway client status", GATEWAY_LOG),
    depends_on=(policy.OUT_OF_DATE,),
)

AUTH_FAILURE_UNSPECIFIED = Problem(
    code="ipsec-auth-failure-unspecified",
    title="The gateway refused the authentication and does not say why",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause=(
        "IKE tells the client only AUTHENTICATION_FAILED (13801). The reason (certificate, "
        "revocation, account or ticket) stands in the gateway's log."
    ),
    resolution="Read the gateway's log for this computer's identity.",
    fix=(GATEWAY_LOG,),
    verify=("throughway gateway status ipsec", "throughway client status"),
    depends_on=(CLOCK_SKEW, *ipsec_certificate.NO_TRUST),
)

COMPUTER_ACCOUNT_REFUSED = Problem(
    code="ipsec-computer-account-refused",
    title="The computer account was refused",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause=(
        "The certificate was accepted, but the second round with the computer account failed "
        "(EAP-MSCHAPv2): wrong password, or the gateway does not know the account."
    ),
    resolution=(
        "Compare the account and its password on the client with the account and NT hash in "
        "the gateway's configuration; reset the account's password if need be."
    ),
    fix=(
        "throughway gateway check --config /etc/throughway/gateway.toml",
        "throughway gateway reload",
    ),
    verify=(GATEWAY_LOG, "throughway client status"),
)

ACCOUNT_CERTIFICATE_MISMATCH = Problem(
    code="ipsec-account-certificate-mismatch",
    title="A computer used another computer's certificate or account",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause=(
        "The account of the second round does not belong to the certificate of the first. A "
        "copied or stolen certificate looks like this; so does a computer that was renamed."
    ),
    resolution=(
        "The tunnel was refused. If nobody renamed a computer, revoke the certificate and reset "
        "the account's password. This is told until the gateway is reloaded."
    ),
    fix=(
        "throughway pki revoke COMPUTER --reason key-compromise",
        "throughway gateway reload",
    ),
    verify=(GATEWAY_LOG, "throughway gateway status ipsec"),
)

USER_REFUSED = Problem(
    code="ipsec-user-refused",
    title="The gateway refused the user",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause=(
        "The certificate was accepted, but the user's Kerberos ticket was not (13827): it has "
        "expired, was used before, is for another service, or its user is not the one named."
    ),
    resolution="Log on again. If it is refused again, read the gateway's log for the reason.",
    fix=("throughway login USER",),
    verify=("throughway client status", GATEWAY_LOG),
    depends_on=(CLOCK_SKEW,),
)

HEALTH_CHECK_FAILED = Problem(
    code="health-check-failed",
    title="This computer does not meet the health policy",
    severity=Severity.WARNING,
    component=Component.IPSEC,
    cause=(
        "The gateway has judged what the computer states of itself, and required checks fail. In "
        "mode full the intranet tunnel is refused until they pass; the infrastructure tunnel stays."
    ),
    resolution=(
        "Mend what is named, by the command that stands beside it; the computer states its health "
        "again within a minute by itself."
    ),
    fix=("throughway client refresh",),
    verify=("throughway client status",),
)

HEALTH_REGISTRATION_FAILED = Problem(
    code="health-registration-failed",
    title="The gateway cannot be told of this computer's health",
    severity=Severity.WARNING,
    component=Component.IPSEC,
    cause=(
        "The health registration authority at the infrastructure endpoint does not answer, or "
        "does not take the computer certificate."
    ),
    resolution="Look at the detail; on the gateway, at publish.reasons_port and its status.",
    fix=("throughway gateway status", "throughway gateway check"),
    verify=("throughway client status",),
)

HEALTH_CERTIFICATE_MISSING = Problem(
    code="ipsec-health-certificate-missing",
    title="The gateway wants a health certificate",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause=(
        "The computer has not proven its health, as this gateway demands for the intranet tunnel "
        "(13905): it has not stated it, required checks fail, or its certificate lacks the policy."
    ),
    resolution="Mend the checks that fail; the computer states its health again by itself.",
    fix=("throughway client refresh", "throughway client status"),
    verify=("throughway client status",),
    depends_on=(HEALTH_CHECK_FAILED, HEALTH_REGISTRATION_FAILED),
)

SMART_CARD_REQUIRED = Problem(
    code="ipsec-smart-card-required",
    title="The gateway wants a smart card or a one-time code",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause=(
        "The intranet tunnel is open only to users with a smart card, or a certificate given for "
        "a one-time code (13906)."
    ),
    resolution="Log on with the smart card, or with a code, as the deployment has it.",
    fix=("throughway login --smart-card", "throughway login USER --code"),
    verify=("throughway client status",),
)

REFUSED = (
    AUTH_FAILURE_UNSPECIFIED,
    COMPUTER_ACCOUNT_REFUSED,
    ACCOUNT_CERTIFICATE_MISMATCH,
    HEALTH_CHECK_FAILED,
    HEALTH_REGISTRATION_FAILED,
    HEALTH_CERTIFICATE_MISSING,
    POLICY_MISMATCH,
)

INFRASTRUCTURE_TUNNEL_DOWN = Problem(
    code="ipsec-infrastructure-tunnel-down",
    title="The infrastructure tunnel is down",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause="The tunnel to the first endpoint is not up, though the client is outside.",
    resolution="The client keeps trying. Mend what its status and the gateway's log name.",
    fix=("throughway client refresh",),
    verify=("throughway client status", GATEWAY_LOG),
    depends_on=(NEGOTIATION_TIMEOUT, *REFUSED, *NO_IPSEC),
    visible_after=30.0,
)

INTRANET_TUNNEL_DOWN = Problem(
    code="ipsec-intranet-tunnel-down",
    title="The intranet tunnel is down",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause="A user is logged on, but the tunnel to the second endpoint is not up.",
    resolution="The client keeps trying. Mend what its status names, or log on again.",
    fix=("throughway login USER",),
    verify=("throughway client status", GATEWAY_LOG),
    depends_on=(
        *(INFRASTRUCTURE_TUNNEL_DOWN, USER_REFUSED, SMART_CARD_REQUIRED),
        *smart_card.PROBLEMS,
        *NO_IPSEC,
    ),
    visible_after=30.0,
)

TRAFFIC_LEAK = Problem(
    code="ipsec-traffic-leak",
    title="Traffic for the intranet could leave unprotected",
    severity=Severity.CRITICAL,
    component=Component.IPSEC,
    cause=(
        "The rules that make intranet prefixes unreachable outside the tunnels are missing, or "
        "packets for the intranet were seen on an interface that is no tunnel."
    ),
    resolution="Restart the client: it puts the rules in place before anything else.",
    fix=("systemctl restart throughway-client",),
    verify=("nft list ruleset", "ip -6 route show type unreachable"),
)

PROBLEMS = (
    DAEMON_DOWN,
    CONNECTIONS_WRONG,
    ENDPOINT_MISSING,
    ENDPOINT_UNREACHABLE,
    NEGOTIATION_TIMEOUT,
    *REFUSED,
    USER_REFUSED,
    SMART_CARD_REQUIRED,
    INFRASTRUCTURE_TUNNEL_DOWN,
    INTRANET_TUNNEL_DOWN,
    TRAFFIC_LEAK,
)
