"""net start: what runs, and in a whole list what does not."""

import pytest

from tests.doctor.parsers.reading import facts, reading
from throughway.model.facts.network import ServiceState

OTHERS = [
    *("Application Information", "COM+ Event System", "Cryptographic Services", "DHCP Client"),
    *("DCOM Server Process Launcher", "DNS Client", "Group Policy Client", "Plug and Play"),
    *("Network List Service", "Power", "Print Spooler", "Remote Procedure Call (RPC)"),
    *("Task Scheduler", "Themes", "Workstation"),
]
END = "\nThe command completed successfully.\n"


def listed(*names: str, head: str = "These Windows services are started:", end: str = END) -> str:
    return f"{head}\n\n" + "".join(f"   {name.strip()}\n" for name in names) + end


def states(text: str) -> dict[str, bool | None]:
    return {fact.name: fact.running for fact in facts(text, ServiceState)}


def test_what_runs() -> None:
    text = listed("Base Filtering Engine", "IP Helper", "Windows Defender Firewall")
    assert states(text) == {"bfe": True, "iphlpsvc": True, "mpssvc": True}
    assert [fact.source.line for fact in facts(text, ServiceState)] == [3, 4, 5]


def test_what_is_missing_in_a_whole_list_does_not_run() -> None:
    found = states(listed(*OTHERS, "Base Filtering Engine", "Windows Firewall"))
    assert found == {"bfe": True, "mpssvc": True, "dnscache": True, "iphlpsvc": False}


@pytest.mark.parametrize("name", ["IPsec Policy Agent", "IKE and AuthIP IPsec Keying Modules"])
def test_what_waits_for_work_may_be_missing(name: str) -> None:
    known = ("IP Helper", "Base Filtering Engine", "Windows Firewall")
    assert False not in states(listed(*OTHERS, *known)).values()
    assert False not in states(listed(*OTHERS, *known, name)).values()


def test_nothing_is_missing_in_a_part_of_a_list() -> None:
    assert states(listed(*OTHERS, "Base Filtering Engine", end="")) == {
        "bfe": True,
        "dnscache": True,
    }
    assert False not in states(listed(*OTHERS[:5], "Base Filtering Engine")).values()


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ("Folgende Windows-Dienste sind gestartet:", ("IP-Hilfsdienst", "Basisfiltermodul")),
        (
            "Les services Windows suivants ont \u00e9t\u00e9 d\u00e9marr\u00e9s\u00a0:",
            ("Assistance IP", "Moteur de filtrage de base"),
        ),
        (
            "Se han iniciado estos servicios de Windows:",
            ("Aplicaci\u00f3n auxiliar IP", "Motor de filtrado de base"),
        ),
        (
            "\u5df2\u7ecf\u542f\u52a8\u4ee5\u4e0b Windows \u670d\u52a1:",
            ("IP Helper", "Base Filtering Engine"),
        ),
    ],
)
def test_in_other_languages_only_what_runs_is_said(head: str, names: tuple[str, ...]) -> None:
    others = [f"Dienst {number}" for number in range(20)]
    assert states(listed(*others, *names, head=head, end="\nEnde.\n")) == {
        "iphlpsvc": True,
        "bfe": True,
    }
    assert False not in states(listed(*others, names[1], head=head, end="\nEnde.\n")).values()


def test_a_head_alone_is_broken() -> None:
    (broken,) = reading("These Windows services are started:\n").unreadable
    assert broken.parser == "net start"
