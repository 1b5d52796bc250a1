r"""``Get-RemoteAccess``: the configuration of the server.

Sample (shortened)::

    DAStatus                       : Installed
    ConnectToAddress               : da.example.com
    SslCertificate                 : [Subject]
                                       CN=da.example.com

                                     [Not After]
                                       22-01-2027 19:31:51
    ClientGpoName                  : corp.example.com\DirectAccess Client Settings
    ForceTunnel                    : Disabled
    DnsSuffix                      : {.corp.example.com, nls.corp.example.com}

Certificates stand in it as blocks of names in brackets, each with its value below; dates are in
the culture of the server.
"""

import re
from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.forms import dates, records
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.certificates import Certificate, Store
from throughway.model.facts.server import RemoteAccessConfiguration

_BLOCK = re.compile(r"^\[([A-Za-z ]{3,20})\]$")
_CERTIFICATES = {
    "sslcertificate": "ssl",
    "ipsecrootcertificate": "ipsec-root",
    "nlscertificate": "nls",
    "vpnsslcertificate": "",
}


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield the configuration, then the certificates in it."""
    for record in records.read(evidence):
        if "dastatus" not in record and "connecttoaddress" not in record:
            continue
        yield _configuration(record, evidence)
        for name, purpose in _CERTIFICATES.items():
            found = record.properties.get(name)
            if found is not None and len(found.values) > 1:
                yield _certificate(found, purpose, evidence)


def _configuration(record: records.Record, evidence: Evidence) -> RemoteAccessConfiguration:
    installed = (record.name("dastatus") or "").lower()
    return RemoteAccessConfiguration(
        source=record.source(evidence, "connecttoaddress"),
        installed=installed == "installed" if installed else None,
        connect_to=record.word("connecttoaddress"),
        internet_interface=record.word("internetinterface"),
        internal_interface=record.word("internalinterface"),
        client_prefix=record.word("clientipv6prefix"),
        client_gpo=record.word("clientgponame"),
        server_gpo=record.word("servergponame"),
        client_groups=record.items("clientsecuritygroupnamelist") or (),
        suffixes=record.items("dnssuffix") or (),
        force_tunnel=record.boolean("forcetunnel"),
        downlevel=record.boolean("downlevel"),
        computer_certificates=record.boolean("computercertauthentication"),
        user_authentication=record.name("userauthentication"),
        location_url=record.word("nlsurl"),
        only_remote_computers=record.boolean("onlyremotecomputers"),
        teredo=record.boolean("teredostate"),
    )


def _certificate(found: records.Property, purpose: str, evidence: Evidence) -> Certificate:
    values: dict[str, str] = {}
    name = ""
    for text in found.values:
        if match := _BLOCK.match(text):
            name = match[1].lower()
        elif name and text:
            values[name] = f"{values[name]}, {text}" if name in values else text
    subject, issuer = values.get("subject", ""), values.get("issuer", "")
    return Certificate(
        source=evidence.at(found.line, found.text),
        store=Store.SERVER,
        subject=subject,
        issuer=issuer,
        serial=values.get("serial number", "").lower(),
        thumbprint=values.get("thumbprint", "").lower().replace(" ", ""),
        not_before=dates.moment(values.get("not before", "")),
        not_after=dates.moment(values.get("not after", "")),
        self_signed=subject == issuer if subject else None,
        purpose=purpose,
    )


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if "dastatus" in head and "connecttoaddress" in head else 0


PARSER = Parser(
    name="Get-RemoteAccess",
    parse=parse,
    command=re.compile(r"\bGet-RemoteAccess(?![A-Za-z])", re.IGNORECASE),
    signature=signature,
)
