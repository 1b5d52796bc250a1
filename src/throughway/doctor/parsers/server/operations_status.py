r"""Operations Status and Configuration Status of the server, as the console prints them.

Sample::

    IP-HTTPS: Not working properly
    Error:
    The IP-HTTPS route does not have published property enabled.
    Causes:
    ...

The same sentences stand in the alerts of management packs and in what Get-RemoteAccessHealth
returns as ErrorDesc. They are known by their words, in English only; causes and resolutions name
other components, so only what a component says of itself counts.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from throughway.doctor.parser import CERTAIN, LIKELY, Parser
from throughway.model.evidence import MAXIMUM_LINE, Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.server import ConfigurationDistributed, OperationsError, ServerFault

_GAP = r"(?:[^.\n]|\.(?=\S)){0,90}?"
_DOWN = (
    r"(?:unreachable|not reachable|(?:cannot|could not) be (?:reached|contacted|located)"
    r"|not respond|unavailable|not available|no response)"
)
_SAYINGS: tuple[tuple[str, ServerFault], ...] = (
    (r"published? property", ServerFault.ROUTE_UNPUBLISHED),
    (r"route advertis\w+ is disabled on the ip-?https", ServerFault.ADVERTISING_DISABLED),
    (r"forwarding is disabled", ServerFault.FORWARDING_DISABLED),
    (r"ip-?https certificate" + _GAP + "(?:expired|not valid|invalid)", ServerFault.CERT_EXPIRED),
    (r"no valid certificate to be used by ipsec", ServerFault.IPSEC_NO_CERT),
    (r"ip helper service" + _GAP + r"(?:stopped|not running)", ServerFault.IPHLPSVC_STOPPED),
    (r"certificate binding for ip-?https", ServerFault.SERVER_BINDING),
    (r"certificate binding for https port 443", ServerFault.KERBEROS_BINDING),
    (r"entry point" + _GAP + _DOWN, ServerFault.ENTRY_POINT_DOWN),
    (r"(?:route )?advertis\w+ is disabled on the isatap", ServerFault.ISATAP_ADVERTISING),
    (r"routes are not advertised on the isatap", ServerFault.ISATAP_ADVERTISING),
    (r"isatap" + _GAP + r"(?:not resolve|not be resolved|not published)", ServerFault.ISATAP_NAME),
    (r"two consecutive" + _GAP + "ipv4", ServerFault.TEREDO_SECOND_ADDRESS),
    (r"teredo server" + _GAP + r"stopped", ServerFault.TEREDO_STOPPED),
    (r"6to4 (?:interface|adapter)" + _GAP + r"not working", ServerFault.SIXTOFOUR_DOWN),
    (r"nat64" + _GAP + r"(?:not working|disabled|not configured|failed)", ServerFault.NAT64_BROKEN),
    (r"dns64" + _GAP + r"(?:not working|disabled|not configured|failed)", ServerFault.DNS64_BROKEN),
    (r"network location server" + _GAP + _DOWN, ServerFault.NLS_UNREACHABLE),
    (r"gpo" + _GAP + r"not linked", ServerFault.GPO_NOT_LINKED),
    (r"gpo" + _GAP + r"(?:deleted|not found|cannot be found)", ServerFault.GPO_DELETED),
    (r"configuration does not match on all servers", ServerFault.MULTISITE_MISMATCH),
    (
        r"(?:not|cannot be|could not be)(?: yet)? retrieved" + _GAP + "domain controller",
        ServerFault.CONFIG_NOT_RETRIEVED,
    ),
    (
        r"retrieved" + _GAP + r"domain controller[^\n]{0,90}?(?:not (?:yet )?applied|be applied)",
        ServerFault.CONFIG_NOT_APPLIED,
    ),
    (r"domain controllers?" + _GAP + _DOWN, ServerFault.DC_UNREACHABLE),
    (r"management servers?" + _GAP + _DOWN, ServerFault.MANAGEMENT_UNREACHABLE),
    (r"(?:otp|radius) servers?" + _GAP + _DOWN, ServerFault.OTP_UNREACHABLE),
    (r"dns servers?" + _GAP + _DOWN, ServerFault.DNS_UNREACHABLE),
    (r"network adapter" + _GAP + r"(?:disconnected|not connected)", ServerFault.ADAPTER_DOWN),
    (r"spoofing attack", ServerFault.SPOOFING),
)
_ERRORS = tuple((re.compile(saying), fault) for saying, fault in _SAYINGS)
"""Of small letters, so that each is sought by its first letters and not at every place."""
_SHORTEST = 5
"""Characters of the shortest line that says anything: an "Error" that begins."""
_SHORTEST_SAYING = 10
_WRAPPED = 60
"""Characters of a line from which on its sentence may go on in the next one."""
_COMPONENT = re.compile(r"^[ \t*]*([A-Za-z0-9][\w -]{1,40}): Not working", re.IGNORECASE)
_ADVICE = re.compile(r"^[ \t*#]*resolutions?\b", re.IGNORECASE)
_AGAIN = re.compile(r"^[ \t*#]*(?:error|alert|[\w -]{2,40}: not working)", re.IGNORECASE)
_WELL = "configuration was distributed successfully"
_RETRIEVED = {
    ServerFault.GPO_NOT_LINKED: (ServerFault.CONFIG_NOT_RETRIEVED,),
    ServerFault.GPO_DELETED: (ServerFault.CONFIG_NOT_RETRIEVED,),
}
"""The more general saying that stands in the same sentence."""


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield each error once, where it is said first."""
    said: set[ServerFault] = set()
    component = ""
    advising = False
    for (number, text), (_, following) in pairwise([*evidence.lines(), (0, "")]):
        if len(text) < _SHORTEST or text.isspace():
            continue
        if match := _COMPONENT.match(text):
            component = match[1].strip()
        if _WELL in text.lower():
            yield ConfigurationDistributed(source=evidence.at(number, text))
        advising = (advising or bool(_ADVICE.match(text))) and not _AGAIN.match(text)
        for fault in [] if advising else _faults(text, following):
            if fault not in said:
                said.add(fault)
                yield OperationsError(
                    source=evidence.at(number, text),
                    fault=fault,
                    component=component,
                    text=" ".join(text.replace("*", "").split()),
                )


def _faults(text: str, following: str) -> list[ServerFault]:
    """Return what a line says, with the next one where a console or a mail broke the sentence."""
    if len(text) < _WRAPPED or _ADVICE.match(following) or _AGAIN.match(following):
        return faults_of(text)
    later = faults_of(following)
    joined = [*faults_of(f"{text} {following.strip()}"), *faults_of(text + following.strip())]
    return [fault for fault in _particular(joined) if fault not in later]


def faults_of(text: str) -> list[ServerFault]:
    """Return what a sentence says, without what only repeats it in general."""
    if len(text) < _SHORTEST_SAYING:
        return []
    text = text[:MAXIMUM_LINE].lower()
    open_ones = [(match, fault) for saying, fault in _ERRORS if (match := saying.search(text))]
    found = []
    while open_ones:
        first, fault = min(open_ones, key=lambda item: item[0].start())
        found.append(fault)
        # What was read as one saying is not read again as another.
        open_ones = [
            (match, fault)
            for earlier, fault in open_ones
            if (match := earlier if earlier.start() >= first.end() else _again(earlier, first))
        ]
    return _particular(found)


def _again(match: re.Match[str], after: re.Match[str]) -> re.Match[str] | None:
    return match.re.search(match.string, after.end())


def _particular(faults: Iterable[ServerFault]) -> list[ServerFault]:
    found = dict.fromkeys(faults)
    general = {fault for one in found for fault in _RETRIEVED.get(one, ())}
    return [fault for fault in found if fault not in general]


_SENTENCES = (
    "does not have published property",
    "certificate binding for https port 443 has changed",
    "is disabled on the isatap",
    "the gpo is not linked",
    "does not match on all servers",
    "ip helper service (iphlpsvc) has stopped",
    "from the domain controller",
)
"""Of which one says what is wrong, where the heading is lost."""


def signature(head: str) -> int:
    """Score the head of a text."""
    if ": not working prop" in head or _WELL in head:
        return CERTAIN
    if "directaccess" not in head and "ip-https" not in head and "server" not in head:
        certain = "isatap router" in head
    else:
        certain = any(words in head for words in _SENTENCES)
    return CERTAIN if certain else LIKELY * ("causes" in head and "resolution" in head)


PARSER = Parser(
    name="Operations Status of the Remote Access console",
    parse=parse,
    command=re.compile(r"(?:operations|configuration)[ -]status", re.IGNORECASE),
    signature=signature,
)
