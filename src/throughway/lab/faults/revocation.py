"""Faults of revocation: lists that are gone, old, of somebody else, or no lists."""

from collections.abc import Callable
from datetime import timedelta

from throughway.lab.deployment import GATEWAY_CONFIG
from throughway.lab.faults.fault import GATEWAY, Fault, Scene, Step
from throughway.lab.faults.made import List, republish
from throughway.lab.faults.servers import Restarted
from throughway.lab.faults.steps import (
    Edit,
    Filter,
    Heard,
    flush_revocation,
    reload_gateway,
)
from throughway.lab.trust import CRL_URL

OLD = timedelta(days=20)
SITE = "131.107.0.1"
DEMANDED = Edit(
    GATEWAY,
    GATEWAY_CONFIG,
    "reasons_port = 4433\n",
    'reasons_port = 4433\n\n[publish.revocation]\niphttps = "strong"\nipsec = "strong"\n',
)
"""A policy that takes nobody whose revocation is not known."""
STRICT = Heard((DEMANDED,), republish)
IDENTITY = 'identity = "da.example.com"\n'
GATEWAY_STRICT = Heard(
    (Edit(GATEWAY, GATEWAY_CONFIG, IDENTITY, f'{IDENTITY}revocation = "strong"\n'),),
    reload_gateway,
)
"""A gateway that lets nobody in whose revocation is not known."""


def _list(make: Callable[[Scene], bytes]) -> tuple[Step, ...]:
    return (STRICT, List(make), Heard((), flush_revocation), Restarted())


def _silent(verdict: str) -> tuple[Step, ...]:
    rules = f"""
  chain input {{
    type filter hook input priority filter - 5;
    ip daddr {SITE} tcp dport 80 {verdict}
  }}"""
    return (STRICT, Filter("inet1", rules), Heard((), flush_revocation), Restarted())


FAULTS = (
    Fault(
        name="revocation-list-silent",
        title="the distribution point swallows what it is asked; revocation must be known",
        steps=_silent("drop"),
        client="iphttps-crl-unreachable",
        gateway="ipsec-crl-not-renewed",
    ),
    Fault(
        name="revocation-list-refused",
        title="the distribution point takes no connections; revocation must be known",
        steps=_silent("reject with tcp reset"),
        client="iphttps-crl-unreachable",
        gateway="ipsec-crl-not-renewed",
    ),
    Fault(
        name="revocation-list-expired",
        title="the revocation list is two weeks old; revocation must be known",
        steps=_list(lambda scene: scene.lab.authority.build_crl(age=OLD)),
        client="iphttps-crl-expired",
        gateway="ipsec-crl-not-renewed",
    ),
    Fault(
        name="revocation-list-of-another",
        title="the revocation list is signed by somebody else; revocation must be known",
        steps=_list(lambda scene: scene.lab.authority.stranger("Throughway Lab Root").build_crl()),
        client="iphttps-crl-wrong-signer",
        gateway="ipsec-crl-not-renewed",
    ),
    Fault(
        name="revocation-list-unusable",
        title="there is a page in the place of the revocation list; revocation must be known",
        steps=_list(lambda scene: b"<html>moved</html>"),
        client="iphttps-crl-unusable",
        gateway="ipsec-crl-not-renewed",
    ),
    Fault(
        name="revocation-delta-missing",
        title="the revocation list names a delta list that is not there; revocation must be known",
        steps=_list(
            lambda scene: scene.lab.authority.build_crl(
                delta=CRL_URL.replace("root.crl", "delta.crl")
            )
        ),
        client="iphttps-delta-crl-missing",
        gateway="ipsec-crl-not-renewed",
    ),
    Fault(
        name="revocation-list-silent-weakly",
        title="the distribution point swallows what it is asked; the default policy bears it",
        steps=(_silent("drop")[1], Heard((), flush_revocation), Restarted()),
        gateway="ipsec-crl-not-renewed",
    ),
    Fault(
        name="revocation-list-refused-to-gateway",
        title="the distribution point takes no connections; the gateway must know of revocation",
        steps=(
            GATEWAY_STRICT,
            _silent("reject with tcp reset")[1],
            Heard((), flush_revocation),
            Restarted(),
        ),
        client="ipsec-crl-unreachable",
        gateway="ipsec-crl-unreachable",
    ),
    Fault(
        name="revocation-list-expired-at-gateway",
        title="the revocation list is two weeks old; the gateway must know of revocation",
        steps=(
            GATEWAY_STRICT,
            List(lambda scene: scene.lab.authority.build_crl(age=OLD)),
            Heard((), flush_revocation),
            Restarted(),
        ),
        client="ipsec-crl-expired",
        gateway="ipsec-crl-expired",
    ),
)
