"""systeminfo, with labels of any language, and Get-ComputerInfo."""

import pytest

from tests.doctor.parsers.reading import facts
from throughway.model.facts.network import (
    ComputerName,
    SystemInformation,
)

SYSTEM = """\

Host Name:                 CLIENT1
OS Name:                   Microsoft Windows 10 Enterprise
OS Version:                10.0.19045 N/A Build 19045
OS Manufacturer:           Microsoft Corporation
OS Configuration:          Member Workstation
OS Build Type:             Multiprocessor Free
Registered Owner:          N/A
Registered Organization:
Product ID:                00329-00000-00003-AA000
Original Install Date:     1/2/2023, 9:00:00 AM
System Boot Time:          3/5/2024, 7:00:00 AM
System Manufacturer:       LENOVO
System Model:              20XW
System Type:               x64-based PC
Processor(s):              1 Processor(s) Installed.
                           [01]: Intel64 Family 6 Model 140 Stepping 1 GenuineIntel ~2419 Mhz
BIOS Version:              LENOVO N32ET75W (1.51 ), 12/2/2021
Domain:                    corp.example.com
Logon Server:              \\\\DC1
Hotfix(s):                 2 Hotfix(s) Installed.
                           [01]: KB5031988
                           [02]: KB5033372
"""


@pytest.mark.parametrize("language", ["en", "none"])
def test_systeminfo(language: str) -> None:
    text = SYSTEM
    if language == "none":
        lines = [f"Qx{i}:{line.partition(':')[2]}" if ":" in line[:27] and line[0] != " " else line
                 for i, line in enumerate(text.split("\n")) if line]  # fmt: skip
        text = "C:\\>systeminfo\n" + "\n".join(lines)
    (system,) = facts(text, SystemInformation)
    assert system.product == "Microsoft Windows 10 Enterprise"
    assert system.version == "10.0.19045"
    assert (system.manufacturer, system.model) == ("LENOVO", "20XW")
    assert system.domain == "corp.example.com"
    assert system.hotfixes == ("KB5031988", "KB5033372")
    assert [fact.name for fact in facts(text, ComputerName)] == ["CLIENT1"]


def test_systeminfo_cut_off() -> None:
    (system,) = facts(SYSTEM[:120], SystemInformation)
    assert system.model is None


def test_a_name_as_long_as_netbios_allows_may_be_cut_off() -> None:
    assert facts(SYSTEM.replace("CLIENT1\n", "CLIENT-OF-ANNA-\n"), ComputerName) == []


def test_get_computerinfo() -> None:
    text = (
        "CsDNSHostName      : client1\nCsManufacturer     : LENOVO\nCsModel            : 20XW\n"
        "OsName             : Microsoft Windows 11 Pro\nOsVersion          : 10.0.22631\n"
    )
    (system,) = facts(text, SystemInformation)
    assert (system.product, system.version) == ("Microsoft Windows 11 Pro", "10.0.22631")
