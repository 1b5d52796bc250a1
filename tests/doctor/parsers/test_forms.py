"""The forms in which Windows prints, by themselves."""

from datetime import datetime

import pytest

from throughway.doctor.parsers.forms import dates, labelled, numbers, records
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence


def read(text: str) -> list[dict[str, str]]:
    return [
        {name: found.value for name, found in record.properties.items()}
        for record in records.read(Evidence("a", text))
    ]


@pytest.mark.parametrize(
    ("text", "label", "value"),
    [
        ("   IPv4 Address. . . . . . . . : 192.0.2.1", "IPv4 Address", "192.0.2.1"),
        ("Role:client", "Role", "client"),
        ("État                  : Actif", "État", "Actif"),
        ("URL : `https://da.example.com:443/x`", "URL", "https://da.example.com:443/x"),
        ("https://da.example.com", "", "https://da.example.com"),
        ("状态：offline", "状态", "offline"),
        ("no label here", "", "no label here"),
    ],
)
def test_labels(text: str, label: str, value: str) -> None:
    line = labelled.split(1, text)
    assert (line.label, line.value) == (label, value)


def test_rules_are_no_lines() -> None:
    evidence = Evidence("a", "Heading\n-----------\n\n  === ===\nA : b\n")
    assert [line.number for line in labelled.read(evidence)] == [1, 5]


def test_the_remark_of_a_policy_is_taken_off() -> None:
    assert labelled.without_remark("client  (Group Policy)") == ("client", True)
    assert labelled.without_remark("restricted (port)") == ("restricted (port)", False)


def test_lists_with_values_that_go_on() -> None:
    text = """

Name    : a
Servers : {2001:db8::1,
          2001:db8::2}
Empty   :

Name    : b
Servers :
"""
    assert read(text) == [
        {"name": "a", "servers": "{2001:db8::1, 2001:db8::2}", "empty": ""},
        {"name": "b", "servers": ""},
    ]


def test_lists_with_a_blank_line_between_members_are_one_object() -> None:
    assert read("Namespace : .a\n\nQueryPolicy :\n\nProxy : x\n") == [
        {"namespace": ".a", "querypolicy": "", "proxy": "x"}
    ]


def test_tables_with_wide_characters_and_numbers_to_the_right() -> None:
    text = (
        "ifIndex InterfaceAlias      AddressFamily NlMtu(Bytes) State\n"
        "------- --------------      ------------- ------------ -----\n"
        "6       以太网 3            IPv6                  1500 Up\n"
        "1       Loopback            IPv6            4294967295 Up\n"
    )
    assert [row["interfacealias"] for row in read(text)] == ["以太网 3", "Loopback"]
    assert [row["nlmtu(bytes)"] for row in read(text)] == ["1500", "4294967295"]
    assert [row["addressfamily"] for row in read(text)] == ["IPv6", "IPv6"]


CLIXML = """#< CLIXML
<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">
  <Obj RefId="0">
    <Props>
      <S N="Name">a</S>
      <B N="On">true</B>
      <Nil N="None" />
      <Obj N="List" RefId="1"><LST><S>x</S><S>y</S></LST></Obj>
    </Props>
  </Obj>
</Objs>
"""


def test_clixml() -> None:
    assert read(CLIXML) == [{"name": "a", "on": "true", "none": "", "list": "{x, y}"}]
    (record,) = records.read(Evidence("a", CLIXML))
    assert record.items("list") == ("x", "y")
    assert record.boolean("on") is True


def test_json_of_one_and_of_several_objects() -> None:
    assert read('{"A": 1, "B": ["x", null, {"value": ["y"]}]}') == [{"a": "1", "b": "{x, , {y}}"}]
    assert read('[{"A": true}, {"A": null}]') == [{"a": "True"}, {"a": ""}]


def test_csv_with_its_type_and_with_semicolons() -> None:
    assert read('#TYPE X\n"A","B"\n"1","2, 3"\n') == [{"a": "1", "b": "2, 3"}]
    assert read('"A";"B"\n"1";"2"\n') == [{"a": "1", "b": "2"}]


@pytest.mark.parametrize(
    "text",
    [
        '{"A": ',
        "[{" * 100_000,
        "<Objs><Obj>",
        '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><Objs>&b;</Objs>',
    ],
)
def test_a_broken_form_is_a_parse_error(text: str) -> None:
    with pytest.raises(ParseError):
        read(text)


def test_numbers() -> None:
    assert numbers.error_code("0x80090326") == 0x80090326
    assert numbers.error_code("-2146893018") == 0x80090326
    assert numbers.error_code("none") is None
    assert numbers.address("2001:db8::1%17(Preferred)") == "2001:db8::1"
    assert numbers.address("fe80::1%17(首选)") == "fe80::1"
    assert numbers.address("192.0.2.300") is None
    assert [numbers.boolean(w) for w in ("True", "Nein", "是", "vielleicht")] == [
        True,
        False,
        True,
        None,
    ]
    assert [numbers.is_global_ipv6(a) for a in ("2002::1", "fd00::1", "fe80::1", "x")] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("11/3/2029 3:40 PM", datetime(2029, 11, 3, 15, 40)),
        ("22-01-2017 19:31:51", datetime(2017, 1, 22, 19, 31, 51)),
        ("2025-08-24 02:32", datetime(2025, 8, 24, 2, 32)),
        ("24.08.2025 02:32", datetime(2025, 8, 24, 2, 32)),
        ("2/29/2025 1:00 AM", None),
        ("03/14/2026", datetime(2026, 3, 14)),
        ("never", None),
    ],
)
def test_dates(text: str, moment: datetime | None) -> None:
    assert dates.moment(text) == moment


@pytest.mark.parametrize(
    ("value", "items"),
    [
        ("{a, b}", ("a", "b")),
        ("{a, b, c, d...}", ("a", "b", "c", "d")),
        ("{a, b...", ("a",)),
        ("{a, bcd\u2026", ("a",)),
        (".corp.exam...", None),
        ("{}", ()),
        ("", ()),
    ],
)
def test_an_element_that_is_cut_off_is_none(value: str, items: tuple[str, ...] | None) -> None:
    (record,) = records.read(Evidence("a.txt", f"Name : x\nList : {value}\n"))
    assert record.items("List") == items


TABLE = """
Name      Metric State
----      ------ -----
Ethernet      25 Connected
Wi-Fi 2      350 Disconnected
"""


def test_a_table_whose_columns_moved_is_not_guessed_at() -> None:
    assert read(TABLE)[1] == {"name": "Wi-Fi 2", "metric": "350", "state": "Disconnected"}
    for moved in ("Wi-Fi 2 350 Disconnected", " Wi-Fi 2  350 Disconnected", "Wi-Fi\t2\t350\tDown"):
        with pytest.raises(ParseError, match="line 5: the columns do not stand"):
            read(TABLE.replace("Wi-Fi 2      350 Disconnected", moved + " "))


def test_an_error_below_a_table_is_no_row() -> None:
    error = "Remove-DnsClientNrptRule: Rule corp.example.com was not found.\n"
    assert read(f"{TABLE}\n{error}") == read(TABLE)
    with pytest.raises(ParseError):
        read(f"{TABLE}\nand something else that stands nowhere\n")


def test_a_value_that_the_console_broke_is_joined() -> None:
    broken = (
        "Url  : http://directaccess-WebProbeHost.corp.example.com/a/path/that/is/long/eno\n"
        "       ugh\nIssuer : CN=Example Issuing CA of a very long name that fills the console\n"
        "         whole, DC=example\n"
    )
    assert read(broken) == [
        {
            "url": "http://directaccess-WebProbeHost.corp.example.com/a/path/that/is/long/enough",
            "issuer": (
                "CN=Example Issuing CA of a very long name that fills the console whole, DC=example"
            ),
        }
    ]
