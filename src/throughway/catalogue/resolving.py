"""Problems of the DNS that the network around gives."""

from throughway.catalogue.internet import CAPTIVE_PORTAL, INTERNET_DOWN
from throughway.model.findings import Component, Problem, Severity

DNS_SILENT = Problem(
    code="network-dns-silent",
    title="No DNS server of this network answers",
    severity=Severity.CRITICAL,
    component=Component.INTERNET,
    cause=(
        "The DNS servers that the network gave (or somebody entered by hand) do not answer, or "
        "none was given: no name can be resolved, and the gateway's is one of them."
    ),
    resolution=(
        "Join the network again, so that it gives its servers; take away servers that were "
        "entered by hand for another network."
    ),
    verify=("resolvectl status", "dig HOST", "throughway netcheck"),
    depends_on=(CAPTIVE_PORTAL, INTERNET_DOWN),
)

DNS_INVENTS = Problem(
    code="network-dns-invents",
    title="The DNS of this network gives addresses for names that do not exist",
    severity=Severity.WARNING,
    component=Component.INTERNET,
    cause=(
        "A provider or a filter answers with the address of a page of its own where the truth "
        "is that there is no such name. Programs that look for a name in several places stop "
        "at the first answer, which is then the wrong one."
    ),
    resolution=(
        "Switch the provider's search help off, or use another DNS server for public names. "
        "Names of the intranet are not concerned: they are asked through the tunnel."
    ),
    verify=("dig no-such-name-here.com", "throughway netcheck"),
    depends_on=(CAPTIVE_PORTAL,),
)

PROBLEMS = (DNS_SILENT, DNS_INVENTS)
