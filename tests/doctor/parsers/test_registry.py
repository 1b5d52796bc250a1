"""The registry as reg query prints it."""

from tests.doctor.parsers.reading import facts
from throughway.model.facts.network import BrowserProxy, DisabledComponents, RegistryValue

KEY = r"HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\tcpip6\Parameters"


def test_disabled_components() -> None:
    text = f"\n{KEY}\n    DisabledComponents    REG_DWORD    0xffffffff\n\n"
    (fact,) = facts(text, DisabledComponents)
    assert fact.bits == 0xFFFFFFFF
    assert fact.source.line == 3


def test_a_value_that_is_not_there() -> None:
    command = f"C:\\>reg query {KEY} /v DisabledComponents\n"
    error = "ERROR: The system was unable to find the specified registry key or value.\n"
    assert [f.bits for f in facts(command + error, DisabledComponents)] == [0]
    assert facts(error, DisabledComponents) == []


def test_every_type_of_value() -> None:
    text = (
        f"{KEY}\n    A    REG_SZ    some text\n    B b    REG_MULTI_SZ    x\\0y\n"
        "    C    REG_DWORD    0x10\n    D    REG_SZ\n    E    REG_BINARY    0102\n"
    )
    assert [(f.name, f.value) for f in facts(text, RegistryValue)] == [
        ("A", "some text"),
        ("B b", ("x", "y")),
        ("C", 16),
        ("D", ""),
        ("E", "0102"),
    ]


def test_the_proxy_of_the_browser() -> None:
    text = (
        r"HKEY_USERS\S-1-5-18\Software\Microsoft\Windows\CurrentVersion\Internet Settings"
        "\n    ProxyEnable    REG_DWORD    0x1\n    ProxyServer    REG_SZ    p:8080\n"
    )
    (fact,) = facts(text, BrowserProxy)
    assert (fact.enabled, fact.proxy, fact.system) == (True, "p:8080", True)
