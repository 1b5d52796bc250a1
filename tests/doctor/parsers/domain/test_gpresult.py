"""Which policies were applied, in several languages."""

import pytest

from tests.doctor.parsers.reading import facts, reading
from throughway.model.facts.domain import GroupPolicyResult

WORDS = {
    "en": (
        "COMPUTER SETTINGS",
        "USER SETTINGS",
        "Applied Group Policy Objects",
        "The following GPOs were not applied because they were filtered out",
        "The computer is a part of the following security groups",
        "Filtering:  Denied (Security)",
    ),
    "de": (
        "COMPUTEREINSTELLUNGEN",
        "BENUTZEREINSTELLUNGEN",
        "Angewendete Gruppenrichtlinienobjekte",
        "Folgende herausgefilterte Gruppenrichtlinien werden nicht angewendet.",
        "Der Computer ist Mitglied der folgenden Sicherheitsgruppen",
        "Filterung:  Verweigert (Sicherheit)",
    ),
    "fr": (
        "CONFIGURATION DE L'ORDINATEUR",
        "PARAMÈTRES UTILISATEUR",
        "Objets Stratégie de groupe appliqués",
        "Les objets de stratégie de groupe n'ont pas été appliqués car ils ont été refusés",
        "L'ordinateur fait partie des groupes de sécurité suivants",
        "Filtrage : Refusé (sécurité)",
    ),
    "es": (
        "CONFIGURACIÓN DE EQUIPO",
        "CONFIGURACIÓN DE USUARIO",
        "Objetos de directiva de grupo aplicados",
        "Los GPO siguientes no se aplicaron porque se filtraron",
        "El equipo es miembro de los siguientes grupos de seguridad",
        "Filtrado:  Denegado (Seguridad)",
    ),
    "zh": (
        "计算机设置",
        "用户设置",
        "应用的组策略对象",
        "没有应用下列 GPO，因为它们被筛选掉了",
        "该计算机是下列安全组的一部分",
        "筛选:  拒绝 (安全性)",
    ),
}


def output(language: str) -> str:
    computer, user, applied, filtered, groups, reason = WORDS[language]
    rule = "    " + "-" * 40
    return f"""C:\\>gpresult /r

{computer}
------------------
    CN=CLIENT1,OU=Laptops,DC=corp,DC=example,DC=com
    Xyz: 11/18/2025 at 8:31:02 AM
    Xyz:      dc1.corp.example.com

    {applied}
{rule}
        DirectAccess Client Settings
        Default Domain Policy

    {filtered}
{rule}
        DirectAccess Server Settings
            {reason}

        Local Group Policy
            {reason}

    {groups}
{rule}
        BUILTIN\\Administrators
        DirectAccess Clients

{user}
--------------
    Xyz: 11/18/2025 at 8:31:02 AM

    {applied}
{rule}
        N/A
"""


@pytest.mark.parametrize("language", WORDS)
def test_both_parts(language: str) -> None:
    computer, user = facts(output(language), GroupPolicyResult)
    assert (computer.computer, user.computer) == (True, False)
    assert computer.applied == ("DirectAccess Client Settings", "Default Domain Policy")
    assert [name for name, _ in computer.filtered] == [
        "DirectAccess Server Settings",
        "Local Group Policy",
    ]
    assert computer.filtered[0][1].rstrip(")").endswith(WORDS[language][5].rstrip(")")[-4:])
    assert computer.groups == ("BUILTIN\\Administrators", "DirectAccess Clients")
    assert computer.applied_from == "dc1.corp.example.com"
    assert computer.last_applied == "11/18/2025 at 8:31:02 AM"
    assert user.applied == ()


def test_a_language_that_is_not_known_says_nothing() -> None:
    text = output("en").replace("COMPUTER", "ZXCV").replace("USER", "QWER")
    found = reading(text)
    assert not any(item.facts for item in found.read)


@pytest.mark.parametrize("cut", range(0, len(output("en")), 9))
def test_what_is_cut_off_is_not_mixed_up(cut: int) -> None:
    for found in facts(output("en")[:cut], GroupPolicyResult):
        assert all(not name.startswith("DirectAccess S") for name in found.applied)


def test_reasons_are_found_where_the_indentation_was_lost() -> None:
    flat = "\n".join(" " * (line[:1] == " ") + line.strip() for line in output("en").split("\n"))
    computer, _ = facts(flat, GroupPolicyResult)
    assert computer.filtered == (
        ("DirectAccess Server Settings", "Denied (Security)"),
        ("Local Group Policy", "Denied (Security)"),
    )
    assert computer.groups == ("BUILTIN\\Administrators", "DirectAccess Clients")
