"""Redaction: nothing tells who and where, everything tells what is wrong."""

import ipaddress
import re
import zipfile
from pathlib import Path

import pytest

from tests.measured import seconds
from throughway.doctor.examination import Examination, examine, examine_bundle
from throughway.doctor.redaction.addresses import Addresses
from throughway.doctor.redaction.bundle import redact
from throughway.doctor.redaction.pseudonyms import Pseudonyms
from throughway.doctor.redaction.report import redacted
from throughway.doctor.redaction.text import Redactor, redactor_for
from throughway.doctor.report import as_data
from throughway.doctor.report_terminal import plain
from throughway.doctor.sources.bundle import read, read_text

EVIDENCE = Path(__file__).parent.parent / "evidence"
BUNDLES = sorted({path.parent for path in EVIDENCE.rglob("*") if path.is_file()})
TEXT = r"""
   Host Name . . . . . . . . . . . . : NB0042
   Primary Dns Suffix  . . . . . . . : corp.fabrikam.com
   IPv4 Address. . . . . . . . . . . : 192.168.12.57(Preferred)
   Subnet Mask . . . . . . . . . . . : 255.255.255.0
   Link-local IPv6 Address . . . . . : fe80::215:5dff:fe01:a2b3%12(Preferred)
URL : https://da.fabrikam.com:443/IPHTTPS
Subject: CN=Fabrikam-DC7-CA, DC=corp, DC=fabrikam, DC=com
FABRIKAM\bob.miller  bob.miller@fabrikam.com  \\FILESRV01\share  NB0042$  C:\Users\bob.miller\x
S-1-5-21-1004336348-1177238915-682003330-1107  {6D7A1B2C-1234-4AAA-9BBB-0123456789AB}
Cert Hash(sha1): 1a 2b 3c 4d 5e 6f 70 81 92 a3 b4 c5 d6 e7 f8 09 1a 2b 3c 4d
Thumbprint : 1A2B3C4D5E6F708192A3B4C5D6E7F8091A2B3C4D   MAC 00-15-5D-01-A2-B3
NB0042 has registered _ldap._tcp.dc._msdcs.corp.fabrikam.com at 131.107.0.2, 2002:836b:2::836b:2
"""
TELLING = re.compile(
    r"nb0042|fabrikam|bob|miller|filesrv|12\.57|1004336348|6d7a1b2c|1a ?2b ?3c|a2-b3|a2b3|836b"
    r"|131\.107",
    re.IGNORECASE,
)
KEPT = (
    *(r"HKLM\SYSTEM\CurrentControlSet\Services\tcpip6", "2.5.29.37", "1.3.6.1.5.5.7.3.2"),
    *("10.0.19041.1", "win1910.ipv6.microsoft.com.", "::1", "127.0.0.1", "255.255.252.0"),
    *("0.0.0.0", "fec0:0:0:ffff::1", "ff02::2", "S-1-5-18", "12:34:56", "8.8.8.8", "192.88.99.1"),
    *("Microsoft.Management.Infrastructure.CimInstance", "0x80090326", "System.Net.IPAddress"),
    *("{0CCE9218-69AE-11D9-BED3-505054503030}", "00-00-00-00-00-00-00-E0", "httpstunnel.txt"),
    *("www.msftncsi.com", "S-1-5-32-544", r"NT AUTHORITY\SYSTEM", "[System.IO]::x", "::/0"),
    *("01/04/2008 13:10:09", "DirectAccess Policy-ClientToDnsDc", "5.0.1", "a:b:c", "::"),
)


def addresses(key: bytes = b"k") -> Addresses:
    return Addresses(Pseudonyms(key))


def codes(examination: Examination) -> list[tuple[str, str, tuple[str, ...]]]:
    return [
        (
            item.finding.problem.code,
            item.finding.confidence,
            tuple(follower.finding.problem.code for follower in item.consequences),
        )
        for item in examination.diagnosis.findings
    ]


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda p: str(p.relative_to(EVIDENCE)))
def test_the_diagnosis_stays_the_same(bundle: Path, tmp_path: Path) -> None:
    before = sorted(codes(examine([bundle])))
    for key in (b"one", b"two"):
        target = tmp_path / f"{key.decode()}.zip"
        done = redact([bundle], None, target, key)
        if not done.left_out:
            assert (done.lost, done.new) == ((), ())
            assert sorted(codes(examine([target]))) == before


def test_nothing_tells_who_or_where() -> None:
    text = redactor_for([TEXT], ["NB0042"], b"k").text(TEXT)
    assert TELLING.search(text) is None
    assert text.count("\n") == TEXT.count("\n")
    assert "192.168." in text
    assert "255.255.255.0" in text
    assert "-1107" not in text


@pytest.mark.parametrize("text", KEPT)
def test_what_is_the_same_everywhere_stays(text: str) -> None:
    assert redactor_for([TEXT, text], ["NB0042"], b"k").text(text) == text


def test_the_same_stays_the_same() -> None:
    text = redactor_for([TEXT], ["NB0042"], b"k").text(TEXT)
    host = re.search(r"Host Name[ .]+: (\w+)", text)
    domain = re.search(r"Suffix[ .]+: corp\.(\w+)\.com", text)
    assert host is not None
    assert domain is not None
    assert text.count(host[1]) == 3
    assert text.lower().count(domain[1]) == TEXT.lower().count("fabrikam")
    spaced = re.search(r"sha1\): (.+)", text)
    assert spaced is not None
    assert spaced[1].replace(" ", "").upper() in text
    assert redactor_for([TEXT], ["NB0042"], b"k").text(TEXT) == text
    assert redactor_for([TEXT], ["NB0042"], b"other").text(TEXT) != text


def test_columns_stay_where_they_are() -> None:
    new = redactor_for([TEXT], ["NB0042"], b"k").text(TEXT)
    assert [len(line) for line in new.splitlines()] == [len(line) for line in TEXT.splitlines()]


@pytest.mark.parametrize("key", [b"a", b"b", b"c"])
def test_addresses_keep_their_kind(key: bytes) -> None:
    replaced = addresses(key)
    for text in ("10.1.2.3", "172.20.3.4", "192.168.7.8", "169.254.9.9", "100.70.1.1"):
        new = ipaddress.ip_address(replaced.v4(text))
        assert new.is_private == ipaddress.ip_address(text).is_private
        assert new.is_link_local == ipaddress.ip_address(text).is_link_local
        assert str(new).split(".")[0] == text.split(".")[0]
    for text in ("131.107.0.2", "81.2.69.160", "5.6.7.8", "223.1.2.3"):
        new = ipaddress.ip_address(replaced.v4(text))
        assert new.is_global, (text, new)
        assert len(str(new)) == len(text)


def test_common_beginnings_stay_common() -> None:
    v4 = [addresses().v4(text) for text in ("10.1.2.3", "10.1.2.99", "10.1.7.3", "10.2.2.3")]
    assert v4[0].rpartition(".")[0] == v4[1].rpartition(".")[0]
    assert v4[0].split(".")[:2] == v4[2].split(".")[:2]
    assert v4[0].split(".")[1] != v4[3].split(".")[1]
    assert len(set(v4)) == 4
    one, two, other = (
        addresses().v6(text)
        for text in ("2a02:8106:1:a::50", "2a02:8106:1:b::50", "2a02:8107:1:a::50")
    )
    assert one.split(":")[:3] == two.split(":")[:3]
    assert one.split(":")[1] != other.split(":")[1]
    assert one.split(":")[1][:3] == other.split(":")[1][:3]
    assert one.split("::")[1] == two.split("::")[1] == other.split("::")[1]


def test_embedded_addresses_are_those_that_stand_alone() -> None:
    replaced = addresses()
    v4 = ipaddress.IPv4Address(replaced.v4("131.107.0.2"))
    assert ipaddress.IPv6Address(replaced.v6("2002:836b:2::836b:2")).sixtofour == v4
    assert int(ipaddress.IPv6Address(replaced.v6("2002:836b:2::836b:2"))) & 0xFFFFFFFF == int(v4)
    teredo = ipaddress.IPv6Address(replaced.v6("2001:0:836b:2:3c4e:2b1a:7c94:fffd")).teredo
    assert teredo == (v4, v4)
    assert replaced.v6("fe80::5efe:131.107.0.2") == f"fe80::5efe:{v4}"
    assert replaced.v6("::ffff:131.107.0.2") == f"::ffff:{v4}"
    nat64 = ipaddress.IPv6Address(replaced.v6("fd12:3456:789a:7777::836b:2"))
    assert int(nat64) & 0xFFFFFFFF == int(v4)
    assert ":7777:" in str(nat64)
    assert replaced.v6("2001:db8:1:3333::1").endswith(":3333::1")


@pytest.mark.parametrize(
    "text", ["10.1.4.0/22", "131.107.0.0/16", "2001:db8:1:8000::/49", "fd12:3456::/32", "::/0"]
)
def test_networks_stay_networks(text: str) -> None:
    new = ipaddress.ip_network(addresses().network(text))
    assert new.prefixlen == ipaddress.ip_network(text).prefixlen


@pytest.mark.parametrize(
    "text", ["300.1.1.1", "1:2", "12:34:56", "fe80:::1", ":::", "1.2.3.4.5", "::1.2.3", "fg::1"]
)
def test_what_is_no_address_stays(text: str) -> None:
    assert Redactor(b"k").text(text) == text


def test_the_report_is_redacted_too() -> None:
    text = TEXT + "Role : client\nLast Error Code : 0x274c\n"
    bundle = read_text(text, "NB0042/tunnel.txt")
    examination = examine_bundle(bundle)
    shared = redacted(examination, bundle, b"k")
    assert codes(shared) == codes(examination)
    assert "fabrikam" in str(as_data(examination))
    assert TELLING.search(str(as_data(shared))) is None
    assert TELLING.search("\n".join(plain(shared))) is None
    assert redacted(examination, bundle).diagnosis.findings


def test_what_is_no_text_is_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.pcap").write_bytes(b"\xd4\xc3\xb2\xa1\2\0\4\0" + bytes(40))
    (tmp_path / "in" / "x.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n")
    (tmp_path / "in" / "NB0042.fabrikam.com.log").write_text(TEXT)
    (tmp_path / "in" / "bad.zip").write_bytes(b"PK\3\4broken")
    done = redact([tmp_path / "in"], None, tmp_path / "out.zip", b"k")
    assert sorted(file for file, _ in done.left_out) == ["bad.zip", "x.pcap", "x.pem"]
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        (name,) = archive.namelist()
        assert TELLING.search(name) is None
        assert TELLING.search(archive.read(name).decode()) is None


def test_members_cannot_leave_the_archive_nor_hide_each_other(tmp_path: Path) -> None:
    source = tmp_path / "NB0042.zip"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("../../x.txt", TEXT)
        archive.writestr("x.txt", TEXT)
    done = redact([source], None, tmp_path / "out.zip", b"k")
    assert done.files == ("x.txt", "2-x.txt")


def test_accounts_of_domains_with_another_short_name() -> None:
    text = "User: ACME\\anna.schmidt\nanna.schmidt@corp.fabrikam.com\nNT AUTHORITY\\SYSTEM\n"
    text += "HKLM\\SYSTEM\\CurrentControlSet C:\\Windows BUILTIN\\Administrators\n"
    shared = redactor_for([text], [], b"k").text(text)
    first, second, rest = shared.split("\n", 2)
    assert "ACME" not in first
    assert "schmidt" not in shared
    assert first.rpartition("\\")[2] == second.partition("@")[0]
    assert rest == text.split("\n", 2)[2]


def test_sessions_are_kept_whole(tmp_path: Path) -> None:
    session = "C:\\Users\\bob>netsh interface httpstunnel show interfaces\nRole : client\n"
    (tmp_path / "s.txt").write_text(session)
    assert len(read([tmp_path], whole=True).evidence) == 1
    redact([tmp_path / "s.txt"], None, tmp_path / "out.zip", b"k")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        text = archive.read("s.txt").decode()
    assert text.count("\n") == 2
    assert ">netsh interface httpstunnel show interfaces" in text
    assert "bob" not in text


@pytest.mark.parametrize("piece", ["a.", "1.", "1:", "00-", "a@", "\\\\a", "CN=a,", "word-", "_"])
def test_no_text_takes_long(piece: str) -> None:
    text = piece * (300_000 // len(piece))
    assert seconds(lambda: redactor_for([text], [], b"k").text(text), 3) < 3


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("password = Passw0rd.2", "password = (removed)"),
        ('"token": "EST-abcdef", "x": 1', '"token": "(removed)", "x": 1'),
        ("nt_hash=8846f7eaee8fb117ad06bdd830b7586c", "nt_hash=(removed)"),
        ("Proxy-Authorization: Basic YWxpY2U6UGFzc3c=", "Proxy-Authorization: Basic (removed)"),
        ('password_file = "/etc/x"', None),
        ("Password required            Yes", None),
    ],
)
def test_a_secret_in_a_text_is_removed(line: str, left: str | None) -> None:
    redactor = redactor_for([line], (), b"key")
    assert redactor.text(f"before\n{line}\nbehind") == f"before\n{left or line}\nbehind"


def test_what_linux_prints_of_hardware_and_of_homes_is_replaced() -> None:
    text = (
        '"address": "52:54:00:ab:cd:ef", "broadcast": "ff:ff:ff:ff:ff:ff"\n'
        "link/ether 52:54:00:ab:cd:ef\nlo 00:00:00:00:00:00\n"
        "/home/wilhelmina/x is of wilhelmina\n"
    )
    told = redactor_for([text], [], b"key").text(text)
    assert "ab:cd:ef" not in told
    assert "wilhelmina" not in told
    first, second = re.findall(r"52:54:00:[0-9a-f:]{8}", told)
    assert first == second
    assert "ff:ff:ff:ff:ff:ff" in told
    assert "00:00:00:00:00:00" in told
