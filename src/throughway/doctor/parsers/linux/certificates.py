r"""``certificates.json`` of ``throughway collect``: what the configurations name, without keys.

Sample::

    {
     "certificates": [
      {"of": "gateway", "setting": "iphttps.certificate", "file": "/etc/throughway/gateway.crt",
       "judged_at": "2026-01-02T03:00:00+00:00",
       "chain": [{"subject": "CN=da.example.com", "not_before": "…", "not_after": "…"}]}
     ]
    }
"""

from collections.abc import Iterator

from throughway.doctor.parser import CERTAIN, Parser
from throughway.doctor.parsers.linux.document import Lines, load_object, objects, text
from throughway.model.evidence import Evidence, Role
from throughway.model.facts.base import Fact
from throughway.model.facts.linux import ConfiguredCertificate, UnreadableCertificate


def parse(evidence: Evidence) -> Iterator[Fact]:
    """Yield each certificate, those that were issued to this machine first."""
    if not evidence.text.strip():
        return
    data = load_object(evidence, "the list of certificates")
    lines = Lines(evidence)
    for named in objects(data.get("certificates")):
        setting, file = text(named, "setting"), text(named, "file")
        if why := text(named, "why"):
            source = lines.of("why", why)
            yield UnreadableCertificate(source=source, setting=setting, file=file, why=why)
        for certificate in objects(named.get("chain")):
            yield ConfiguredCertificate(
                source=lines.of("not_after", text(certificate, "not_after")),
                setting=setting,
                file=file,
                subject=text(certificate, "subject"),
                not_before=text(certificate, "not_before"),
                not_after=text(certificate, "not_after"),
                judged_at=text(named, "judged_at"),
                of=Role.CLIENT if text(named, "of") == "client" else Role.SERVER,
            )


def signature(head: str) -> int:
    """Score the head of a text."""
    return CERTAIN if '"certificates":' in head and '"judged_at":' in head else 0


PARSER = Parser(name="certificates of throughway collect", parse=parse, signature=signature)
