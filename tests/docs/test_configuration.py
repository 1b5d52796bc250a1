"""The page of all keys is true: every key, its default, and examples that load."""

import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from tests.pki_world import GATEWAY_TOML, write, write_gateway
from throughway.gateway import settings, tables
from throughway.model.config import ClientConfig, ProxyConfig, SmartCardConfig

DOCS = Path(__file__).parent.parent.parent / "docs" / "operate"
PAGE = (DOCS / "configuration.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| .+ \|$", re.MULTILINE)
HEADINGS = {
    "": "### The file itself",
    "iphttps": "### [iphttps]",
    "iphttps.adc": "### [iphttps.adc]",
    "ipsec": "### [ipsec]",
    "computers": "### [[computers]]",
    "users": "### [users]",
    "directory": "### [directory]",
    "access": "### [[access]]",
    "radius": "### [radius]",
    "users.certificates": "### [users.certificates]",
    "kdc_proxy": "### [kdc_proxy]",
    "users.codes": "### [users.codes]",
    "publish": "### [publish]",
    "publish.nrpt": "### [[publish.nrpt]]",
    "publish.probes": "### [[publish.probes]]",
    "publish.revocation": "### [publish.revocation]",
    "metrics": "### [metrics]",
    "sixtofour": "### [sixtofour]",
    "teredo": "### [teredo]",
    "nat64": "### [nat64]",
    "enrolment": "### [enrolment]",
    "health": "### [health]",
    "health.checks": "### [[health.checks]]",
    "audit": "### [audit]",
    "log": "### [log]",
}


NOT_ROWS = ("file", "proxy", "audit", "log", "metrics", "smart_card", "token_key")
"""Of the client: told in sentences, and in tables of their own."""


def section(heading: str) -> str:
    """Return the text under a heading, up to the next one."""
    text = PAGE.split(f"{heading}\n", 1)[1]
    return re.split(r"^#", text, maxsplit=1, flags=re.MULTILINE)[0]


def rows(heading: str) -> dict[str, str]:
    return dict(ROW.findall(section(heading)))


def written(default: object) -> str:
    """Write a default as the page does."""
    if default in (None, (), ""):
        return "none"
    if isinstance(default, tuple):
        default = ":".join(map(str, default))
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def test_every_table_has_its_section() -> None:
    assert tables.TABLES.keys() == HEADINGS.keys()


@pytest.mark.parametrize("table", tables.TABLES)
def test_keys_and_defaults_of_the_gateway(table: str) -> None:
    expected = {
        name: "required" if field.is_required() else written(field.default)
        for name, field in tables.TABLES[table].model_fields.items()
        if table or name not in HEADINGS
    }
    assert rows(HEADINGS[table]) == expected


def test_keys_and_defaults_of_the_client() -> None:
    expected = {
        field.name: "required" if field.default is MISSING else written(field.default)
        for field in fields(ClientConfig)
        if field.name not in NOT_ROWS
    }
    assert rows("## client.toml") == expected


def test_keys_and_defaults_of_the_client_s_proxy() -> None:
    expected = {field.name: written(field.default) for field in fields(ProxyConfig)}
    assert rows("### [proxy]") == expected


def test_keys_and_defaults_of_the_client_s_smart_card() -> None:
    expected = {
        field.name: "required" if field.default is MISSING else written(field.default)
        for field in fields(SmartCardConfig)
    }
    assert rows("### [smart_card]") == expected


def example(heading: str) -> str:
    return re.search(r"```toml\n(.*?)```", section(heading), re.DOTALL)[1]  # type: ignore[index]


def test_the_gateways_example_loads(tmp_path: Path) -> None:
    path = write_gateway(tmp_path)
    (tmp_path / "accounts").mkdir()
    (tmp_path / "client1.nthash").rename(tmp_path / "accounts" / "client1.nthash")
    config = settings.load(write(path, example("## gateway.toml")))
    assert config.iphttps.url in GATEWAY_TOML


def test_the_clients_example_is_what_join_writes() -> None:
    keys = re.findall(r"^(\w+) = ", example("## client.toml"), re.MULTILINE)
    required = [f.name for f in fields(ClientConfig) if f.default is MISSING and f.name != "file"]
    assert keys == required
