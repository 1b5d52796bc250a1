"""The search for a domain controller, in several languages."""

import pytest

from tests.doctor.parsers.reading import facts
from throughway.model.facts.domain import DomainController

VALUES = (
    "\\\\DC1.corp.example.com",
    "\\\\2001:db8::10",
    "29ae137a-0000-4fd5-a839-607b5807b1d7",
    "corp.example.com",
    "example.com",
    "Berlin",
    "Default-First-Site-Name",
    "PDC GC DS LDAP KDC TIMESERV WRITABLE DNS_DC DNS_DOMAIN DNS_FOREST CLOSE_SITE",
)
ENGLISH = (
    *("DC", "Address", "Dom Guid", "Dom Name", "Forest Name", "Dc Site Name", "Our Site Name"),
    "Flags",
)
GERMAN = (
    *("DC", "Adresse", "Dom-GUID", "Dom-Name", "Gesamtstrukturname", "DC-Standortname"),
    *("Unser Standortname", "Kennzeichen"),
)
UNKNOWN = ("DC", *"abcdefg")


def output(labels: tuple[str, ...], without: int | None = None) -> str:
    lines = [
        f"{label:>13}: {value}"
        for place, (label, value) in enumerate(zip(labels, VALUES, strict=True))
        if place != without
    ]
    return "C:\\>nltest /dsgetdc: /force\n" + "\n".join(lines) + "\nXyz\n"


@pytest.mark.parametrize("labels", [ENGLISH, GERMAN, UNKNOWN])
def test_a_controller(labels: tuple[str, ...]) -> None:
    (found,) = facts(output(labels), DomainController)
    assert found.found
    assert (found.name, found.address) == ("DC1.corp.example.com", "2001:db8::10")
    assert (found.domain, found.dc_site) == ("corp.example.com", "Berlin")
    assert found.our_site == "Default-First-Site-Name"


def test_a_machine_in_no_site() -> None:
    (found,) = facts(output(ENGLISH, without=6), DomainController)
    assert (found.dc_site, found.our_site) == ("Berlin", None)


def test_a_domain_of_old_style_is_no_flag() -> None:
    (found,) = facts(output(ENGLISH).replace(" corp.example.com\n", " CORP\n"), DomainController)
    assert found.domain == "CORP"


@pytest.mark.parametrize(
    "text",
    [
        "Getting DC name failed: Status = 1355 0x54b ERROR_NO_SUCH_DOMAIN",
        "Fehler beim Abrufen des DC-Namens: Status = 1355 0x54b ERROR_NO_SUCH_DOMAIN",
        "获取 DC 名称失败: Status = 1355 0x54b ERROR_NO_SUCH_DOMAIN",
    ],
)
def test_none(text: str) -> None:
    (found,) = facts(text, DomainController)
    assert (found.found, found.error_code) == (False, 1355)


def test_other_uses_of_the_command_say_nothing() -> None:
    text = "C:\\>nltest /sc_query:corp\nI_NetLogonControl failed: Status = 1311 0x51f X\n"
    assert facts(text, DomainController) == []
    assert facts("C:\\>nltest /dsgetsite\nBerlin\nThe command completed\n", DomainController) == []


@pytest.mark.parametrize("cut", range(27, len(output(ENGLISH)), 11))
def test_what_is_cut_off_was_found_all_the_same(cut: int) -> None:
    for found in facts(output(ENGLISH)[:cut], DomainController):
        assert found.found
