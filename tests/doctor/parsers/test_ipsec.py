"""Associations and the audit policy, in several languages."""

import random

import pytest

from throughway.doctor.parser import Parser
from throughway.doctor.parsers.ipsec import PARSERS, auditpol, get_netipsecsa, netsh_monitor_sa
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.ipsec import (
    AuditPolicy,
    Mode,
    NoSecurityAssociations,
    SecurityAssociation,
)
from throughway.model.facts.network import ServiceState

LOCAL, REMOTE, SECOND = "2001:db8:51::2", "2002:c000:202::c000:202", "2002:c000:203::c000:203"
MAIN = f"""
Main Mode SA at 11/18/2024 10:31:12
----------------------------------------------------------------------
Local IP Address:                     {LOCAL}
Remote IP Address:                    {REMOTE}
Auth1:                                ComputerCert
Auth2:                                UserNTLM
MM Offer:                             None-AES128-SHA256
Cookie Pair:                          d203b3df87a3d0b6:0e60d97ac8b5a9f2
Health Cert:                          No

Main Mode SA at 11/18/2024 10:31:12
----------------------------------------------------------------------
Local IP Address:                     {LOCAL}
Remote IP Address:                    {SECOND}
Auth1:                                ComputerCert
Auth2:                                UserKerb
MM Offer:                             None-AES128-SHA256
Cookie Pair:                          a203b3df87a3d0b6:1e60d97ac8b5a9f2
Health Cert:                          No
Ok.
"""
QUICK = f"""
Quick Mode SA at 11/18/2024 10:31:12
----------------------------------------------------------------------
Local IP Address:                     {LOCAL}
Remote IP Address:                    {REMOTE}
Local Port:                           Any
Remote Port:                          Any
Protocol:                             Any
Direction:                            Both
QM Offer:                             ESP:SHA1-AES192+60min+100000kb
PFS:                                  None
Ok.
"""
GERMAN = f"""
Hauptmodus-SA am 18.11.2024 10:31:12
----------------------------------------------------------------------
Lokale IP-Adresse:                    {LOCAL}
Remote-IP-Adresse:                    {REMOTE}
Auth1:                                ComputerCert
Auth2:                                UserNTLM
MM-Angebot:                           None-AES128-SHA256
Cookiepaar:                           d203b3df87a3d0b6:0e60d97ac8b5a9f2
Integritätszertifikat:                Nein
OK.
"""
CHINESE = f"""
主模式 SA，时间 2024/11/18 10:31:12
----------------------------------------------------------------------
本地 IP 地址:                         {LOCAL}
远程 IP 地址:                         {REMOTE}
身份验证1:                            ComputerCert
身份验证2:                            UserNTLM
MM 提议:                              None-AES128-SHA256
Cookie 对:                            d203b3df87a3d0b6:0e60d97ac8b5a9f2
健康证书:                             否
确定。
"""
UNKNOWN = "\n".join(
    line.replace(line.split(":")[0], f"Qx{i} zz") if ":   " in line else line
    for i, line in enumerate(GERMAN.replace("Hauptmodus-SA am", "Wx YZ").split("\n"))
)
SPANISH = f"""
SA de modo rápido en 18/11/2024 10:31:12
----------------------------------------------------------------------
Dirección IP local:                   {LOCAL}
Dirección IP remota:                  {REMOTE}
Puerto local:                         Cualquiera
Oferta QM:                            ESP:SHA1-AES192+60min+100000kb
PFS:                                  Ninguno
Aceptar
"""


def read(parser: Parser, text: str, command: str = "") -> list[Fact]:
    return list(parser.parse(Evidence("a.txt", text, command=command)))


def associations(text: str, command: str = "") -> list[SecurityAssociation]:
    found = read(netsh_monitor_sa.PARSER, text, command)
    assert all(isinstance(fact, SecurityAssociation) for fact in found)
    return [fact for fact in found if isinstance(fact, SecurityAssociation)]


def test_main_mode_in_english() -> None:
    first, second = associations(MAIN)
    assert (first.mode, first.local, first.remote) == (Mode.MAIN, LOCAL, REMOTE)
    assert (first.auth1, first.auth2) == ("ComputerCert", "UserNTLM")
    assert (first.offer, first.health_certificate) == ("None-AES128-SHA256", False)
    assert (first.when, first.source.line) == ("11/18/2024 10:31:12", 2)
    assert (second.remote, second.auth2, second.source.line) == (SECOND, "UserKerb", 12)


def test_quick_mode_in_english() -> None:
    (found,) = associations(QUICK)
    assert (found.mode, found.local, found.remote) == (Mode.QUICK, LOCAL, REMOTE)
    assert (found.offer, found.auth1) == ("ESP:SHA1-AES192+60min+100000kb", None)


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        (GERMAN, Mode.MAIN),
        (CHINESE, Mode.MAIN),
        (UNKNOWN, Mode.MAIN),
        (SPANISH, Mode.QUICK),
        (QUICK.replace("Quick Mode", "Main Mode"), Mode.QUICK),
    ],
    ids=["de", "zh", "unknown", "es", "wrong heading"],
)
def test_other_languages_by_form(text: str, mode: Mode) -> None:
    (found,) = associations(text)
    assert (found.mode, found.local, found.remote) == (mode, LOCAL, REMOTE)
    if mode is Mode.MAIN:
        assert (found.auth1, found.auth2) == ("ComputerCert", "UserNTLM")


def test_older_labels_and_lost_headings() -> None:
    text = (
        f"Local IP Address:{LOCAL}\nRemote IP Address: {REMOTE}\nMy ID:\nPeer ID:\n"
        "First Auth:ComputerCert\nSecond Auth:UserNTLM\nCookie Pair:203d57505:5d088705\n"
        f"Local IP Address:{LOCAL}\nRemote IP Address: {SECOND}\n"
        "First Auth:ComputerCert\nSecond Auth:UserKerb\nOk.\n"
    )
    assert [(a.remote, a.auth2) for a in associations(text)] == [
        (REMOTE, "UserNTLM"),
        (SECOND, "UserKerb"),
    ]


def test_labels_that_were_shuffled_do_not_turn_the_ends_round() -> None:
    text = (
        MAIN.split("\n\n")[0]
        .replace("Local IP Address", "X")
        .replace("Remote IP Address", "Local IP Address")
        .replace("X:", "Remote IP Address:")
        .replace("Cookie Pair", "Y")
        .replace("Health Cert", "Cookie Pair")
        .replace("Y:", "Health Cert:")
    )
    assert [(a.local, a.remote) for a in associations(text)] == [(LOCAL, REMOTE)]


@pytest.mark.parametrize(
    "text",
    [
        "\nNo SAs match the specified criteria.\n\n",
        "Es stimmen keine SAs mit den angegebenen Kriterien überein.\n",
        "Aucune SA ne correspond aux critères spécifiés.\n",
        "没有与指定标准相匹配的 SA。\n",
    ],
)
def test_none(text: str) -> None:
    for command, mode in (("mmsa", Mode.MAIN), ("qmsa", Mode.QUICK)):
        (none,) = read(netsh_monitor_sa.PARSER, text, f"netsh advfirewall monitor show {command}")
        assert isinstance(none, NoSecurityAssociations)
        assert none.mode is mode
    # Of which mode, only the command says.
    (none,) = read(netsh_monitor_sa.PARSER, text)
    assert isinstance(none, NoSecurityAssociations)
    assert none.mode is None


def test_messages_are_no_empty_lists() -> None:
    for text in (
        "The requested operation requires elevation (Run as administrator).\n",
        "Zugriff verweigert\n",
        "Ok.\n",
        "",
    ):
        assert read(netsh_monitor_sa.PARSER, text, "netsh advfirewall monitor show mmsa") == []


def test_something_else_is_refused() -> None:
    with pytest.raises(ParseError):
        read(netsh_monitor_sa.PARSER, "A: b\nC: d\nE: f\nG: h\n")


def test_objects() -> None:
    text = f"""
Name           : 21
KeyModule      : AuthIP
LocalEndpoint  : {LOCAL}
RemoteEndpoint : {REMOTE}
LocalFirstId   : client1.corp.example.com (ComputerCert)
LocalSecondId  : CORP\\CLIENT1$ (UserNTLM)
MaxQMSAs       : 0
"""
    (found,) = read(get_netipsecsa.PARSER, text)
    assert isinstance(found, SecurityAssociation)
    assert (found.mode, found.local, found.remote) == (Mode.MAIN, LOCAL, REMOTE)
    assert (found.auth1, found.auth2) == ("ComputerCert", "UserNTLM")
    text = f"LocalEndpoint       : {LOCAL}\nRemoteEndpoint      : {REMOTE}\n"
    (found,) = read(get_netipsecsa.PARSER, text, "Get-NetIPsecQuickModeSA")
    assert isinstance(found, SecurityAssociation)
    assert (found.mode, found.auth1, found.auth2) == (Mode.QUICK, None, None)


@pytest.mark.parametrize(
    ("names", "none", "both"),
    [
        (
            ("IPsec Main Mode", "IPsec Quick Mode", "IPsec Extended Mode"),
            "No Auditing",
            "Success and Failure",
        ),
        (
            ("IPsec-Hauptmodus", "IPsec-Schnellmodus", "IPsec-Erweiterungsmodus"),
            "Keine Überwachung",
            "Erfolg und Fehler",
        ),
        (
            ("Mode principal IPsec", "Mode rapide IPsec", "Mode étendu IPsec"),
            "Aucun audit",
            "Succès et échec",
        ),
        (
            ("Modo principal de IPsec", "Modo rápido de IPsec", "Modo extendido de IPsec"),
            "Sin auditoría",
            "Aciertos y errores",
        ),
        (("IPsec 主模式", "IPsec 快速模式", "IPsec 扩展模式"), "无审核", "成功和失败"),
        (("Qwe IPsec rtz", "Asd IPsec rtz", "Yxc IPsec rtz"), "No Auditing", "Success and Failure"),
    ],
    ids=["en", "de", "fr", "es", "zh", "unknown"],
)
def test_audit_policy(names: tuple[str, str, str], none: str, both: str) -> None:
    text = (
        "System audit policy\nCategory/Subcategory                      Setting\n"
        f"Logon/Logoff\n  {names[0]:<40}{none}\n  {names[1]:<40}{none}\n  {names[2]:<40}{both}\n"
    )
    found = [f for f in read(auditpol.PARSER, text) if isinstance(f, AuditPolicy)]
    assert [(f.mode, f.success, f.failure) for f in found] == [
        (Mode.MAIN, False, False),
        (Mode.QUICK, False, False),
        (Mode.EXTENDED, True, True),
    ]


def test_audit_policy_as_csv() -> None:
    text = (
        "Machine Name,Policy Target,Subcategory,Subcategory GUID,Inclusion Setting,"
        "Exclusion Setting\n"
        "CLIENT1,System,IPsec Main Mode,{0CCE9218-69AE-11D9-BED3-505054503030},Failure,\n"
    )
    (found,) = read(auditpol.PARSER, text)
    assert isinstance(found, AuditPolicy)
    assert (found.mode, found.success, found.failure) == (Mode.MAIN, False, True)


def test_unknown_settings_say_nothing() -> None:
    text = "Xx\n  IPsec Main Mode                         Qwertz\n"
    assert read(auditpol.PARSER, text) == []


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_broken_outputs_are_read_or_refused(parser: Parser) -> None:
    whole = MAIN + QUICK + CHINESE
    draw = random.Random(9)
    texts = [whole[:end] for end in range(0, len(whole), 23)]
    for _ in range(60):
        letters = list(whole)
        for at in draw.sample(range(len(letters)), 40):
            letters[at] = draw.choice(":\n -{}[]0aZ\0\uff1a\u3000")
        texts.append("".join(letters))
    for text in texts:
        try:
            found = read(parser, text, "netsh advfirewall monitor show mmsa")
        except ParseError:
            continue
        assert not any(isinstance(f, NoSecurityAssociations | ServiceState) for f in found)
