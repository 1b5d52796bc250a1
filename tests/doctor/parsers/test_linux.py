"""Outputs of commands of Linux, and of our own, as facts."""

import json

import pytest

from tests.doctor.parsers.reading import facts, reading
from tests.linux_incidents import files
from throughway.doctor.parser import find
from throughway.doctor.parsers import PARSERS
from throughway.doctor.parsers.linux import PARSERS as OURS
from throughway.model.evidence import Evidence, Role
from throughway.model.facts.linux import (
    DaemonReport,
    FilterRule,
    GatewayConfiguration,
    KernelRoute,
    KernelSetting,
    LinkState,
    ListeningSocket,
    ReportedProblem,
)


@pytest.mark.parametrize("host", ["edge1", "client1"])
def test_every_file_is_known_by_its_content_alone(host: str) -> None:
    for name, text in files("well", host).items():
        assert find(Evidence("-", text), PARSERS), name


@pytest.mark.parametrize("parser", OURS, ids=lambda parser: parser.name)
def test_what_is_empty_or_something_else_is_not_taken(parser: object) -> None:
    assert list(parser.parse(Evidence("a", ""))) == []  # type: ignore[attr-defined]
    assert parser.signature("something else") == 0  # type: ignore[attr-defined]


def test_status_of_a_client() -> None:
    text = files("port-443-blocked", "client1")["client-status.json"]
    (report,) = facts(text, DaemonReport)
    assert (report.daemon, report.role_shown) == (Role.CLIENT, Role.CLIENT)
    assert report.taken_at > 1_000_000_000
    (problem,) = facts(text, ReportedProblem)
    assert problem.code == "iphttps-port-blocked"
    assert "da.example.com" in problem.detail
    assert text.splitlines()[(problem.source.line or 0) - 1].strip() == problem.source.text


def test_a_status_that_breaks_off_is_told() -> None:
    text = files("well", "edge1")["gateway-status.json"]
    found = reading(text[: len(text) // 2], "gateway-status.json")
    assert [item.parser for item in found.unreadable] == ["throughway gateway status --json"]


def test_a_status_on_one_line_is_read_too() -> None:
    text = files("port-443-blocked", "client1")["client-status.json"]
    compact = json.dumps(json.loads(text))
    assert [p.code for p in facts(compact, ReportedProblem)] == ["iphttps-port-blocked"]


def test_devices() -> None:
    links = {
        link.name: link for link in facts(files("well", "edge1")["ip-address.json"], LinkState)
    }
    assert links["lo"].addresses is not None
    assert "127.0.0.1" in links["lo"].addresses
    assert any("131.107.0.2" in (link.addresses or ()) and link.up for link in links.values())


def test_routes() -> None:
    text = '[{"dst":"default","gateway":"fe80::1","dev":"net0"},{"dst":"2001:db8::1","dev":"lo"}]'
    routes = facts(text, KernelRoute)
    assert [(r.prefix, r.interface) for r in routes] == [
        ("::/0", "net0"),
        ("2001:db8::1/128", "lo"),
    ]


def test_settings() -> None:
    settings = facts("net.ipv6.conf.all.forwarding = 1\nkernel.x = 2\n", KernelSetting)
    assert [(s.name, s.value) for s in settings] == [("net.ipv6.conf.all.forwarding", "1")]


def test_sockets() -> None:
    sockets = facts(
        "Netid State  Recv-Q Send-Q   Local Address:Port Peer Address:Port Process\n"
        'tcp   LISTEN 0      4096     131.107.0.2:443  0.0.0.0:*  users:(("python3",pid=9,fd=7))\n'
        "tcp   LISTEN 0      4096            [::]:80        [::]:*\n"
        "udp   UNCONN 0      0      127.0.0.153%lo:53    0.0.0.0:*\n",
        ListeningSocket,
    )
    assert [(s.protocol, s.address, s.port, s.process) for s in sockets] == [
        ("tcp", "131.107.0.2", 443, "python3"),
        ("tcp", "*", 80, ""),
        ("udp", "127.0.0.153", 53, ""),
    ]


def test_packet_filter() -> None:
    rules = facts(
        "table inet filter {\n\tchain input {\n"
        "\t\ttype filter hook input priority filter; policy accept;\n"
        "\t\ttcp dport { 80, 443, 500-600 } counter packets 1 bytes 2 drop\n"
        "\t\ttcp dport 22 accept\n\t}\n"
        "\tchain other {\n\t\treject\n\t}\n}\n",
        FilterRule,
    )
    assert [(r.table, r.hook, r.ports) for r in rules] == [
        ("inet filter", "input", (80, 443)),
        ("inet filter", "", ()),
    ]


def test_configuration_of_a_gateway() -> None:
    (configuration,) = facts(files("well", "edge1")["gateway.toml"], GatewayConfiguration)
    assert configuration.listen == ("131.107.0.2:443",)
    assert configuration.interface == "iphttps0"
    assert configuration.source.text.startswith("prefix = ")
