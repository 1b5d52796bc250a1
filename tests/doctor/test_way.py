"""The chain: where it is broken, what follows, what is only not known."""

import pytest

from throughway.doctor.examination import examine_bundle
from throughway.doctor.sources.bundle import read_text
from throughway.doctor.way import State, way
from throughway.model.findings import Layer

TUNNEL = """Role : client
URL : https://da.example.com:443/IPHTTPS
Last Error Code : {}
"""
REGISTRY = (
    "HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\tcpip6\\Parameters\n"
    "    DisabledComponents    REG_DWORD    {}\n"
)


def states(text: str) -> dict[Layer, State]:
    return {link.layer: link.state for link in way(examine_bundle(read_text(text)))}


@pytest.mark.parametrize(
    ("code", "broken"), [("0x274c", Layer.TCP), ("0x2af9", Layer.NAMES), ("0x800b0109", Layer.TLS)]
)
def test_one_link_is_broken(code: str, broken: Layer) -> None:
    found = states(TUNNEL.format(code))
    assert [layer for layer, state in found.items() if state is State.BROKEN] == [broken]
    assert found[Layer.IKE] is State.UNKNOWN


def test_what_is_well_was_judged() -> None:
    found = states(TUNNEL.format("0x0"))
    assert found[Layer.TCP] is State.WELL
    assert found[Layer.TLS] is State.WELL
    assert found[Layer.IKE] is State.UNKNOWN
    assert found[Layer.DOMAIN] is State.UNKNOWN


def test_what_follows_is_marked_so() -> None:
    found = states(REGISTRY.format("0xff") + TUNNEL.format("0x274c"))
    assert found[Layer.LOCAL] is State.BROKEN
    assert State.BROKEN not in {found[layer] for layer in Layer if layer is not Layer.LOCAL}


def test_nothing_is_known_of_nothing() -> None:
    examination = examine_bundle(read_text("no evidence of anything"))
    assert all(link.state is State.UNKNOWN for link in way(examination))
    assert way(examination, 7) == ()
