"""Where problems stand on the way."""

from throughway.catalogue import PROBLEMS
from throughway.doctor.layers import layer_of
from throughway.model.findings import Layer


def test_every_problem_stands_somewhere() -> None:
    assert {layer_of(problem) for problem in PROBLEMS.values()} <= set(Layer)


def test_the_order_of_the_way() -> None:
    way = (
        "ipv6-disabled-by-registry",
        "internet-down",
        "iphttps-name-unresolvable",
        "iphttps-port-blocked",
        "iphttps-cert-untrusted-root",
        "iphttps-http-refused",
        "iphttps-no-global-address",
        "ipsec-cert-expired",
        "ipsec-policy-mismatch",
        "nrpt-dns-server-unreachable",
        "dc-unreachable",
    )
    assert [layer_of(PROBLEMS[code]) for code in way] == list(Layer)
