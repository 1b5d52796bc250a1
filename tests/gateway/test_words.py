"""What stands in commands for the catalogue's words."""

from dataclasses import replace
from pathlib import Path

from tests.gateway.test_daemon import config
from throughway.gateway.words import words
from throughway.model.config import PublishConfig, UsersConfig
from throughway.model.policy import NRPTRule


def test_what_is_not_known_stays_a_word() -> None:
    known = words(config(Path("/etc")))
    assert known["HOST"] == "da.example.com"
    assert known["ENDPOINT"] == "2002:836b:2::836b:2"
    assert not {"REALM", "DNS", "NLS_URL"} & known.keys()


def test_the_domain_and_its_servers() -> None:
    publish = PublishConfig(
        deployment="corp",
        signing_key=Path("/etc/policy.key"),
        bundle=Path("/etc/policy.bundle"),
        nrpt=(
            NRPTRule(namespace="nls.corp.example.com"),
            NRPTRule(namespace=".corp.example.com", servers=("2001:db8:c0:1::10",)),
        ),
        nls_urls=("https://nls.corp.example.com/",),
        trust_anchors=(),
    )
    users = UsersConfig(realm="CORP.EXAMPLE.COM", keytab=Path("/etc/k"), service="host@da")
    known = words(replace(config(Path("/etc")), publish=publish, users=users))
    assert (known["DNS"], known["REALM"]) == ("2001:db8:c0:1::10", "CORP.EXAMPLE.COM")
    assert known["NLS_URL"] == "https://nls.corp.example.com/"
