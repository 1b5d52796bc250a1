"""The tables of gateway.toml: the keys that the model has, with its defaults."""

from dataclasses import fields

import pytest

from throughway.gateway.tables import TABLES
from throughway.model import config as model
from throughway.model.policy import NRPTRule


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        ("", model.GatewayConfig),
        ("iphttps", model.IPHTTPSServerConfig),
        ("iphttps.adc", model.ADCConfig),
        ("ipsec", model.IPsecServerConfig),
        ("computers", model.Computer),
        ("users", model.UsersConfig),
        ("publish", model.PublishConfig),
        ("sixtofour", model.SixToFourServerConfig),
        ("teredo", model.TeredoServerConfig),
        ("publish.nrpt", NRPTRule),
    ],
)
def test_tables_mirror_the_model(table: str, kind: type) -> None:
    elsewhere = {"file"} | ({"health"} if table == "ipsec" else set())  # of the table [health]
    expected = {field.name for field in fields(kind)} - elsewhere
    assert set(TABLES[table].model_fields) == expected
