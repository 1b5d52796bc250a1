"""net view: a list of shares, or an error in any language."""

import pytest

from tests.doctor.parsers.reading import facts
from throughway.model.facts.network import (
    NetworkShare,
)


def test_net_view() -> None:
    listed = (
        "C:\\>net view \\\\app1\nShared resources at \\\\app1\n\n\n"
        "Share name  Type  Used as  Comment\n\n"
        "-------------------------------------------------------------------------------\n"
        "Files       Disk\nThe command completed successfully.\n"
    )
    (share,) = facts(listed, NetworkShare)
    assert (share.server, share.succeeded, share.error_code) == ("app1", True, None)


@pytest.mark.parametrize(
    "words",
    [
        "System error 53 has occurred.\n\nThe network path was not found.",
        "Systemfehler 53 aufgetreten.\n\nDer Netzwerkpfad wurde nicht gefunden.",
        "\u53d1\u751f\u7cfb\u7edf\u9519\u8bef 53\u3002\n\n\u627e\u4e0d\u5230\u8def\u5f84\u3002",
        "Error de sistema 53.\n\nNo se ha encontrado la ruta de acceso de la red.",
    ],
)
def test_net_view_that_fails(words: str) -> None:
    (share,) = facts(f"C:\\>net view \\\\app1.corp.example.com\n{words}\n", NetworkShare)
    assert (share.server, share.succeeded) == ("app1.corp.example.com", False)
    assert share.error_code == 53


def test_of_the_clocks_any_command_says_enough() -> None:
    text = "Systemfehler {} aufgetreten.\n\nEs besteht ein Unterschied.\n"
    (share,) = facts(text.format(1398), NetworkShare)
    assert (share.server, share.succeeded, share.error_code) == ("", False, 1398)
    assert facts(text.format(53), NetworkShare) == []
