"""A diagnosis as data and as text."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from throughway.catalogue.iphttps import URL_INVALID
from throughway.doctor.examination import Examination, examine_bundle
from throughway.doctor.report import as_data, exit_code, filled, quote, verdict
from throughway.doctor.rule import Rule
from throughway.doctor.rules import RULES
from throughway.doctor.sources.bundle import Bundle, read_text
from throughway.model.facts.transition import IPHTTPSInterface
from throughway.model.findings import Finding

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schema" / "doctor-1.json").read_text())
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "null": type(None)}
FAULT = """Role : client
URL : https://da.example.com:443/IPHTTPS
Last Error Code : 0x2af9
"""
WELL = FAULT.replace("0x2af9", "0x0")
REGISTRY = (
    "HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\tcpip6\\Parameters\n"
    "    DisabledComponents    REG_DWORD    0xff\n"
)


def examined(text: str) -> Examination:
    return examine_bundle(read_text(text))


def check(value: Any, schema: dict[str, Any], where: str = "$") -> None:  # noqa: ANN401
    """Hold a value against the part of JSON Schema that the file uses."""
    types = schema.get("type")
    if types is not None:
        names = types if isinstance(types, list) else [types]
        assert isinstance(value, tuple(TYPES[name] for name in names)), where
    if "enum" in schema:
        assert value in schema["enum"], where
    if "const" in schema:
        assert value == schema["const"], where
    assert set(schema.get("required", ())) <= set(value if isinstance(value, dict) else ()), where
    if isinstance(value, dict):
        assert set(value) == set(schema["properties"]), where
        for name, part in value.items():
            check(part, schema["properties"][name], f"{where}.{name}")
    if isinstance(value, list):
        for number, part in enumerate(value):
            check(part, schema["items"], f"{where}[{number}]")


@pytest.mark.parametrize("text", [FAULT, WELL, "nothing of this is known", REGISTRY + FAULT])
def test_the_data_are_of_the_schema(text: str) -> None:
    data = json.loads(json.dumps(as_data(examined(text))))
    check(data, SCHEMA)


def test_a_finding_has_all_that_mends_it() -> None:
    (finding,) = as_data(examined(FAULT))["diagnosis"]
    assert finding["code"] == "iphttps-name-unresolvable"
    assert finding["evidence"] == [{"source": "-", "line": 3, "text": "Last Error Code : 0x2af9"}]
    assert "WSAHOST_NOT_FOUND" in finding["summary"]
    assert "nslookup da.example.com 9.9.9.9" in finding["fix"]


def test_consequences_are_named_under_their_cause() -> None:
    text = REGISTRY + FAULT.replace("0x2af9", "0x34")
    (finding,) = as_data(examined(text))["diagnosis"]
    assert finding["code"] == "ipv6-disabled-by-registry"
    assert finding["consequences"] == ["iphttps-interface-creation-failed"]


@pytest.mark.parametrize(
    ("text", "code"), [(FAULT, 1), (WELL, 0), ("nothing of this is known", 3), ("", 3)]
)
def test_exit_codes(text: str, code: int) -> None:
    assert exit_code(examined(text)) == code


def test_broken_evidence_is_told_with_its_line() -> None:
    bundle = read_text('PS C:\\> Get-DAConnectionStatus | ConvertTo-Json\n{\n"Status": "Er')
    questions = as_data(examine_bundle(bundle))["unanswered"]
    assert any("line 3" in question["question"] for question in questions)
    unreadable = Bundle(unreadable=[("x.zip", "is broken")])
    (question,) = as_data(examine_bundle(unreadable))["unanswered"]
    assert question["question"] == "What does x.zip say? It could not be read: is broken."


def test_the_verdict_is_one_sentence() -> None:
    assert verdict(examined(FAULT)) == "The public name of the gateway has no address."
    assert verdict(examined(WELL)).startswith("Nothing wrong in what was shown (1 fact")
    assert verdict(examined("nothing of this is known")).startswith("Could not tell")


def test_a_quote_is_one_line_and_moves_no_cursor() -> None:
    assert quote("a\x1b]0;title\x07b\u202ec\nd") == "a\ufffd]0;title\ufffdb\ufffdc\ufffdd"
    assert len(quote("x" * 10_000)) < 500


def test_what_a_shell_would_act_on_stays_out_of_commands() -> None:
    hostile = FAULT.replace("da.example.com", "da.example.com;calc")
    (item,) = examined(FAULT).diagnosis.findings
    evil = replace(item, finding=replace(item.finding, values=(("HOST", "x;$(calc)`y|z"),)))
    assert filled("ping HOST", item) == "ping da.example.com"
    assert filled("ping HOST", evil) == "ping HOST"
    option = replace(item.finding, values=(("HOST", "http://crl.test/ -o /root/.bashrc"),))
    assert filled("curl --head HOST", replace(item, finding=option)) == "curl --head HOST"
    commands = [c for f in as_data(examined(hostile))["diagnosis"] for c in f["fix"]]
    assert not any("calc" in command for command in commands)


def test_our_own_mistakes_are_shown_last_and_are_no_finding_about_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(fact: IPHTTPSInterface) -> Finding:
        raise KeyError(fact.url)

    rules = (Rule((URL_INVALID,), failing), *RULES)
    monkeypatch.setattr("throughway.doctor.examination.RULES", rules)
    well, fault = examined(WELL), examined(FAULT)
    assert [item["code"] for item in as_data(fault)["diagnosis"]][-1] == "bug-in-throughway"
    assert (exit_code(well), exit_code(fault)) == (3, 1)
    assert verdict(well).startswith("Could not tell: this program failed")
    assert verdict(fault) == "The public name of the gateway has no address."
