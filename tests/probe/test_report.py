"""A probe as data of the schema, and as lines."""

import asyncio
import json
from pathlib import Path

from tests.net.iphttps_world import NAME
from tests.probe.probe_world import gateway, look, make, make_crl, web, write
from tests.schemas import check, schema
from throughway.cli.output import plain
from throughway.model.probing import (
    ConnectionSeen,
    HTTPSeen,
    NameSeen,
    ProbeSeen,
    SixToFourSeen,
    TeredoSeen,
    Trouble,
)
from throughway.probe.analysis.verdict import judge
from throughway.probe.lines import plain as plain_lines
from throughway.probe.report import as_data, as_lines

ROOT = make("Test Root", ca=True)
SCHEMA = schema("probe-1")


def everything(folder: Path) -> ProbeSeen:
    async def scenario() -> ProbeSeen:
        async with web({"/root.crl": make_crl(ROOT)}) as base:
            leaf = make(NAME, ROOT, names=[NAME], crl=[f"{base}/root.crl"])
            async with gateway(write(folder, leaf)) as port:
                return await look(port, transitions=True)

    return asyncio.run(scenario())


def test_the_data_are_of_the_schema_and_the_lines_say_what_was_seen(tmp_path: Path) -> None:
    seen = everything(tmp_path)
    judged = judge(seen)
    data = json.loads(json.dumps(plain(as_data(seen, judged))))
    check(data, SCHEMA)
    assert {each["code"] for each in data["diagnosis"]} >= {"iphttps-cert-untrusted-root"}
    text = "\n".join(plain_lines(as_lines(seen, judged)))
    for part in (
        "TLS 1.3      yes",
        "not trusted",
        "--ca FILE",
        "200 OK, Server: throughway",
        "router",
        "CRL",
    ):
        assert part in text
    assert "6to4 was not tried: 127.0.0.1 is no public address." in text


def test_what_was_hardly_seen_is_of_the_schema_too() -> None:
    seen = asyncio.run(look(1))
    trouble = Trouble(words="no", problem="internet-down")
    teredo = TeredoSeen(address="192.0.2.1", cone=False, answered=True, mapping="192.0.2.9:1")
    sixtofour = SixToFourSeen(endpoint="2002::", tried=True, answered=False)
    odd = ProbeSeen(
        target=seen.target,
        at=seen.at,
        names=(NameSeen(family="ipv6", trouble=trouble),),
        connections=(ConnectionSeen(address="::1", port=1, seconds=0.1, trouble=trouble),),
        http=(HTTPSeen(address="::1", trouble=trouble),),
        teredo=(teredo,),
        sixtofour=(sixtofour,),
    )
    for each in (seen, odd):
        check(json.loads(json.dumps(plain(as_data(each, judge(each))))), SCHEMA)
        assert list(plain_lines(as_lines(each, judge(each))))


def test_a_strangers_words_move_no_cursor() -> None:
    seen = asyncio.run(look(1))
    http = HTTPSeen(address="::1", status=404, reason="\x1b[2J", server="\x1b]0;x\x07")
    odd = ProbeSeen(target=seen.target, at=seen.at, http=(http,))
    assert not any("\x1b" in line for line in plain_lines(as_lines(odd, judge(odd))))
