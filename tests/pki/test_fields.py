"""Checks of single fields, and tables that gather their errors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughway.model.errors import ConfigError
from throughway.pki import fields
from throughway.pki.fields import Check, Fields

CHECKS: list[Check] = [
    getattr(fields, name) for name in sorted(dir(fields)) if name.startswith("check_")
]
GOOD: list[tuple[Check, str, str]] = [
    (fields.check_dns_name, "DA.Example.COM", "da.example.com"),
    (fields.check_dns_name, "_ldap._tcp.corp", "_ldap._tcp.corp"),
    (fields.check_address, "10.0.0.1", "10.0.0.1"),
    (fields.check_ipv6_address, "2001:DB8:0::1", "2001:db8::1"),
    (fields.check_public_ipv4, "131.107.0.2", "131.107.0.2"),
    (fields.check_ipv6_prefix, "2001:db8:c0:0::/48", "2001:db8:c0::/48"),
    (fields.check_link_prefix, "2001:db8:da:1000::/64", "2001:db8:da:1000::/64"),
    (fields.check_https_url, "https://da.example.com/IPHTTPS", "https://da.example.com/IPHTTPS"),
    (fields.check_web_url, "http://[2001:db8::1]:8080/x", "http://[2001:db8::1]:8080/x"),
    (fields.check_namespace, ".Corp.example.com", ".corp.example.com"),
    (fields.check_namespace, ".", "."),
    (fields.check_account, "CLIENT1$", "CLIENT1$"),
    (fields.check_interface, "iphttps0", "iphttps0"),
    (fields.check_realm, "CORP.EXAMPLE.COM", "CORP.EXAMPLE.COM"),
    (fields.check_service, "host@DA.example.com", "host@da.example.com"),
    (fields.check_text, "Größe", "Größe"),
]
BAD: list[tuple[Check, str]] = [
    (fields.check_dns_name, "a..b"),
    (fields.check_dns_name, "-a.b"),
    (fields.check_dns_name, "a b"),
    (fields.check_dns_name, "da.example.com\n"),
    (fields.check_dns_name, "192.0.2.1"),
    (fields.check_dns_name, "x" * 64),
    (fields.check_dns_name, ".".join(["abcdefg"] * 32)),
    (fields.check_address, "fe80::1%eth0; reboot"),
    (fields.check_ipv6_address, "192.0.2.1"),
    (fields.check_ipv6_address, "fe80::1"),
    (fields.check_ipv6_address, "ff02::1"),
    (fields.check_ipv6_address, "::"),
    (fields.check_ipv6_address, "2001:db8::1%eth0"),
    (fields.check_public_ipv4, "10.0.0.1"),
    (fields.check_public_ipv4, "2001:db8::1"),
    (fields.check_ipv6_prefix, "10.0.0.0/8"),
    (fields.check_ipv6_prefix, "2001:db8::1"),
    (fields.check_ipv6_prefix, "2001:db8::1/64"),
    (fields.check_ipv6_prefix, "2001:db8::/129"),
    (fields.check_ipv6_prefix, "2001:db8::%x/64"),
    (fields.check_link_prefix, "2001:db8::/48"),
    (fields.check_https_url, "http://da.example.com/"),
    (fields.check_https_url, "https://[2001:db8::1]/"),
    (fields.check_https_url, "https://user:secret@da.example.com/"),
    (fields.check_https_url, "https://da.example.com:0/"),
    (fields.check_https_url, "https://da.example.com:99999/"),
    (fields.check_https_url, "https:///IPHTTPS"),
    (fields.check_https_url, "https://da.example.com/\r\nX: y"),
    (fields.check_https_url, "https://[bad/"),
    (fields.check_web_url, "file:///etc/passwd"),
    (fields.check_namespace, ""),
    (fields.check_account, "CLIENT1"),
    (fields.check_account, 'A"$'),
    (fields.check_interface, "a/b"),
    (fields.check_interface, "sixteencharacter"),
    (fields.check_realm, "corp.example.com"),
    (fields.check_service, "host/da.example.com"),
    (fields.check_service, "@da.example.com"),
    (fields.check_text, " "),
    (fields.check_text, "a\nb"),
]


@pytest.mark.parametrize(("check", "given_text", "normal"), GOOD)
def test_good_values_come_back_normalised(check: Check, given_text: str, normal: str) -> None:
    assert check(given_text) == normal
    assert check(normal) == normal


@pytest.mark.parametrize(("check", "given_text"), BAD)
def test_bad_values_are_refused(check: Check, given_text: str) -> None:
    with pytest.raises(ValueError, match=r"must|not|has|needed|port|Port|Invalid"):
        check(given_text)


@given(st.sampled_from(CHECKS), st.text(max_size=40))
def test_any_text_is_normalised_once_or_refused(check: Check, text: str) -> None:
    try:
        normal = check(text)
    except ValueError:
        return
    assert check(normal) == normal
    assert "\n" not in normal


def test_errors_are_gathered_with_their_place() -> None:
    values = {
        "adress": "x",
        "number": "7",
        "list": "x",
        "names": ["ok.example", 3, "a b"],
        "inner": {"extra": 1},
        "outer": [{"name": "a.example"}, "text"],
        "not_a_table": 1,
        "names_missing_default": [],
    }
    top = Fields(values, "client.toml")
    top.text("address", fields.check_address)
    top.integer("number", 1)
    top.texts("list", fields.check_dns_name)
    top.texts("names", fields.check_dns_name)
    top.texts("names_missing_default", fields.check_dns_name, minimum=1)
    inner = top.table("inner")
    inner.gather()
    outer = top.tables("outer")
    assert [table.text("name", fields.check_dns_name) for table in outer] == ["a.example"]
    top.table("not_a_table")
    with pytest.raises(ConfigError) as caught:
        top.finish(inner, *outer)
    assert [(error.key, error.why.partition(";")[0]) for error in caught.value.errors] == [
        ("address", "is missing"),
        ("number", "must be a whole number, is text"),
        ("list", "must be a list, is text"),
        ("names[1]", "must be text, is a number"),
        ("names[2]", "'a b' is not a DNS name, such as da.example.com"),
        ("names_missing_default", "must have 1 to 512 items, has 0"),
        ("outer[1]", "must be a table, is text"),
        ("not_a_table", "must be a table, is a number"),
        ("adress", "unknown key"),
        ("inner.extra", "unknown key"),
    ]
    assert "did you mean 'address'?" in str(caught.value)


def test_defaults_and_optional_texts() -> None:
    top = Fields({"empty": ""}, "f")
    assert top.text("a", fields.check_dns_name, "b.example") == "b.example"
    assert top.integer("n", 1, 5) == 5
    assert top.texts("l", fields.check_address, default=("::1",)) == ("::1",)
    assert top.optional_text("empty", fields.check_realm) == ""
    assert top.optional_text("gone", fields.check_realm) == ""
    top.finish()


def test_null_is_there_and_of_the_wrong_kind() -> None:
    names = ("text", "optional", "default", "integer", "texts", "table", "tables")
    top = Fields(dict.fromkeys(names), "f")
    top.text("text", fields.check_text)
    top.optional_text("optional", fields.check_realm)
    top.text("default", fields.check_text, "x")
    top.integer("integer")
    top.texts("texts", fields.check_text)
    top.table("table")
    top.tables("tables")
    assert [error.key for error in top.errors] == list(names)
    assert all("is nothing" in error.why for error in top.errors)


def test_one_error_stays_itself_and_many_are_cut() -> None:
    one = ConfigError("f", "k", "w")
    assert fields.combined("f", [one]) is one
    many = fields.combined("f", [one] * 60)
    assert "and 10 more" in str(many)
    assert len(many.errors) == 60


@pytest.mark.parametrize(
    "url",
    [
        "http://me:s3cret@p.test:3128",
        "http://me:s3cret/x@p.test",
        "ftp://me:s3cret@p",
        "http://s3cret\n@p",
    ],
)
def test_no_password_is_told(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|password") as caught:
        fields.check_proxy_url(url)
    assert "s3cret" not in str(caught.value)
