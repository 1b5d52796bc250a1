"""Faults of accounts and policies: who comes in, with what, and what must be shown."""

import time

from throughway.lab.deployment import BUNDLE, CLIENT_CONFIG, CONFIGURATION, GATEWAY_CONFIG
from throughway.lab.domain import account, computer_password
from throughway.lab.faults.fault import CLIENT, GATEWAY, Fault, Scene
from throughway.lab.faults.made import CLIENT_BUNDLE, forged, republish, signed
from throughway.lab.faults.servers import Restarted
from throughway.lab.faults.steps import (
    Edit,
    Filter,
    Heard,
    Put,
    Run,
    reload_gateway,
    restart_client,
    restart_gateway,
)

ACCOUNT = f"{CONFIGURATION}/account.password"
TICKET = "/run/throughway/client/user.ccache"
HEALTH = f"{CONFIGURATION}/health"
HEALTH_TABLE = f'''
[health]
mode = "full"
required = ["firewall"]
authority = "{HEALTH}"

[publish]
'''
SERVICE = 'service = "host@da.example.com"\n'
CARDS = f'{SERVICE}require = "smart-card"\n\n[users.certificates]\nca = "root.crt"\n'
ALICE = "alice"
DAY = 86400


def _other_account(scene: Scene) -> bytes:
    text = scene.lab.read(scene.client, CLIENT_CONFIG)
    own = account(scene.client)
    return text.replace(f'"{own}"', f'"{account(_other(scene))}"').encode()


def _other(scene: Scene) -> str:
    return next(name for name in scene.lab.topology.clients if name != scene.client)


def _other_password(scene: Scene) -> bytes:
    return f"{computer_password(_other(scene))}\n".encode()


def _without_computers(scene: Scene) -> bytes:
    text = scene.lab.read(GATEWAY, GATEWAY_CONFIG)
    own = f'[[computers]]\naccount = "{account(scene.client)}"'
    begin = text.index(own)
    end = text.find("\n[[computers]]", begin + 1)
    return (text[:begin] + (text[end + 1 :] if end > 0 else "")).encode()


def _looked_at(scene: Scene) -> None:
    """Let the client begin anew, and an administrator see to it.

    It may be theft: the gateway goes on telling of it until somebody has reloaded it.
    """
    restart_client(scene)
    reload_gateway(scene)


def _policy(make: object) -> tuple[Heard, ...]:
    return (Heard((Put(CLIENT, CLIENT_BUNDLE, make),), restart_client),)  # type: ignore[arg-type]


_ENDING = signed(
    issued_at=lambda policy: (int(time.time()) // DAY - 87) * DAY,
    expires_at=lambda policy: (int(time.time()) // DAY + 3) * DAY,
)
"""Both ends must have the very same: two of one version are a forgery."""

FAULTS = (
    Fault(
        name="computer-password-wrong",
        title="the computer has another password than its account",
        steps=(Heard((Put(CLIENT, ACCOUNT, lambda scene: b"guessed\n", 0o600),), restart_client),),
        client="ipsec-computer-account-refused",
    ),
    Fault(
        name="computer-account-of-another",
        title="the computer comes with the account of another one",
        steps=(
            Heard(
                (
                    Put(CLIENT, CLIENT_CONFIG, _other_account),
                    Put(CLIENT, ACCOUNT, _other_password, 0o600),
                ),
                _looked_at,
            ),
        ),
        client="ipsec-auth-failure-unspecified",
        gateway="ipsec-account-certificate-mismatch",
    ),
    Fault(
        name="computer-not-listed",
        title="the gateway does not know the computer",
        steps=(
            Heard((Put(GATEWAY, GATEWAY_CONFIG, _without_computers),), reload_gateway),
            Restarted(),
        ),
        client="access-computer-unknown",
    ),
    Fault(
        name="user-ticket-gone",
        title="the ticket of the user has been destroyed",
        steps=(
            Put(CLIENT, TICKET, None),
            Restarted(),
        ),
        client="kerberos-ticket-missing",
    ),
    Fault(
        name="user-ticket-unusable",
        title="the ticket of the user is no ticket",
        steps=(
            Put(CLIENT, TICKET, lambda scene: b"no ticket", 0o600),
            Restarted(),
        ),
        client="kerberos-ticket-missing",
    ),
    Fault(
        name="user-disabled",
        title="the user's account is disabled; tickets that were given stay good until they end",
        steps=(
            Run(
                "dc1",
                ("samba-tool", "user", "disable", ALICE),
                ("samba-tool", "user", "enable", ALICE),
            ),
        ),
    ),
    Fault(
        name="gateway-keytab-unusable",
        # With one that is none from the start it would not run at all, and say so.
        title="the gateway's keytab is overwritten while it runs",
        steps=(
            Put(GATEWAY, f"{CONFIGURATION}/gateway.keytab", lambda scene: b"no keytab", 0o600),
            Restarted(),
        ),
        client="user-keytab-unusable",
        gateway="user-keytab-unusable",
    ),
    Fault(
        name="smart-card-required",
        title="the gateway wants a smart card, the user has a ticket only",
        steps=(
            Heard((Edit(GATEWAY, GATEWAY_CONFIG, SERVICE, CARDS),), restart_gateway),
            Restarted(),
        ),
        client="ipsec-smart-card-required",
    ),
    Fault(
        name="health-missing",
        title="the gateway wants a firewall on every computer, this one has none",
        steps=(
            Run(
                GATEWAY,
                ("throughway", "pki", "init", "--name", "Corp Health", "--directory", HEALTH),
                ("rm", "-rf", HEALTH),
            ),
            Heard((Edit(GATEWAY, GATEWAY_CONFIG, "\n[publish]\n", HEALTH_TABLE),), republish),
        ),
        client="health-check-failed",
    ),
    Fault(
        name="policy-expired",
        title="the policy of the client has expired",
        steps=_policy(
            signed(
                issued_at=lambda policy: int(time.time()) - 90 * DAY,
                expires_at=lambda policy: int(time.time()) - DAY,
            )
        ),
        client="policy-expired",
    ),
    Fault(
        name="policy-forged",
        title="the policy of the client is signed by somebody else",
        steps=_policy(forged),
        client="policy-signature-invalid",
    ),
    Fault(
        name="policy-malformed",
        title="the policy of the client is no policy",
        steps=_policy(lambda scene: b"{}\n"),
        client="policy-signature-invalid",
    ),
    Fault(
        name="policy-missing",
        title="the client has no policy",
        steps=_policy(None),
        client="policy-missing",
    ),
    Fault(
        name="policy-forged-at-gateway",
        title="the policy that the gateway hands out is signed by somebody else",
        steps=(Heard((Put(GATEWAY, BUNDLE, forged),), reload_gateway),),
        gateway="policy-signature-invalid",
    ),
    Fault(
        name="policy-out-of-date",
        title="the policy that the gateway hands out ends in three days, and so does the client's",
        steps=(
            Heard(
                (
                    Put(GATEWAY, BUNDLE, _ENDING),
                    Put(CLIENT, CLIENT_BUNDLE, _ENDING),
                ),
                restart_client,
            ),
        ),
        client="policy-out-of-date",
        gateway="policy-out-of-date",
    ),
    Fault(
        name="policy-server-silent",
        title="the gateway does not answer who asks for the policy",
        steps=(
            Filter(
                GATEWAY,
                """
  chain input {
    type filter hook input priority filter - 5;
    tcp dport 8080 drop
  }""",
            ),
            Restarted(),
        ),
        # Clients ask once an hour, and say so after a minute: the policy in force stays.
        gateway="policy-unreachable",
    ),
)
