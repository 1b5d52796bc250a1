"""The functions of PAC scripts, by the examples of Netscape's description and by corners."""

import calendar

import pytest

from throughway.proto.proxy.script import MAXIMUM_LOOK_UPS, Functions, Surroundings, Value

NAMES = {"inside": ("10.1.2.3", "2001:db8::5"), "six": ("2001:db8::6",)}
# Wednesday, 2026-07-15 22:30:10 UTC; 00:30:10 on Thursday where local time is two hours ahead.
NOW = float(calendar.timegm((2026, 7, 15, 22, 30, 10)))


def functions(zone: int = 0, asked: list[str] | None = None) -> Functions:
    def resolve(name: str) -> tuple[str, ...]:
        if asked is not None:
            asked.append(name)
        return NAMES.get(name, ())

    addresses = ("2001:db8::1", "192.0.2.7")
    around = Surroundings(resolve=resolve, addresses=addresses, wall_time=NOW, zone=zone)
    return Functions(around)


def call(name: str, *arguments: Value, zone: int = 0) -> Value:
    return functions(zone).table()[name](*arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("isPlainHostName", ("www",), True),
        ("isPlainHostName", ("www.example.com",), False),
        ("dnsDomainIs", ("www.Example.com", ".example.com"), True),
        ("dnsDomainIs", ("www", ".example.com"), False),
        ("localHostOrDomainIs", ("www.example.com", "www.example.com"), True),
        ("localHostOrDomainIs", ("www", "www.example.com"), True),
        ("localHostOrDomainIs", ("www.example.org", "www.example.com"), False),
        ("localHostOrDomainIs", ("home.example.com", "www.example.com"), False),
        ("isResolvable", ("inside",), True),
        ("isResolvable", ("six",), False),
        ("isResolvableEx", ("six",), True),
        ("isResolvable", ("nowhere",), False),
        ("isInNet", ("inside", "10.0.0.0", "255.0.0.0"), True),
        ("isInNet", ("10.9.9.9", "10.1.0.0", "255.255.0.0"), False),
        ("isInNet", ("nowhere", "10.0.0.0", "255.0.0.0"), False),
        ("isInNetEx", ("six", "2001:db8::/32"), True),
        ("isInNetEx", ("six", "nonsense"), False),
        ("dnsResolve", ("inside",), "10.1.2.3"),
        ("dnsResolve", ("192.0.2.1",), "192.0.2.1"),
        ("dnsResolve", ("nowhere",), None),
        ("dnsResolveEx", ("inside",), "10.1.2.3;2001:db8::5"),
        ("convert_addr", ("10.0.0.1",), 0x0A000001),
        ("myIpAddress", (), "192.0.2.7"),
        ("myIpAddressEx", (), "2001:db8::1;192.0.2.7"),
        ("dnsDomainLevels", ("www.example.com",), 2),
        ("dnsDomainLevels", ("www",), 0),
        ("shExpMatch", ("http://a.example.com/b/c", "*/b/*"), True),
        ("shExpMatch", ("http://a.example.com/d/c", "*/b/*"), False),
        ("shExpMatch", ("a[b", "a[?"), True),
        ("shExpMatch", ("ab", "a?"), True),
        ("sortIpAddressList", ("10.0.0.1;2001:db8::1",), "2001:db8::1;10.0.0.1"),
        ("sortIpAddressList", ("nonsense",), ""),
        ("alert", ("x",), None),
        ("getClientVersion", (), "1.0"),
    ],
)
def test_functions(name: str, arguments: tuple[Value, ...], expected: Value) -> None:
    assert call(name, *arguments) == expected


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("weekdayRange", ("MON", "FRI"), True),
        ("weekdayRange", ("wed",), True),
        ("weekdayRange", ("THU", "GMT"), False),
        ("weekdayRange", ("SAT", "WED"), True),
        ("weekdayRange", ("FRI", "MON"), False),
        ("weekdayRange", ("nonsense",), False),
        ("weekdayRange", (), False),
        ("dateRange", (15.0,), True),
        ("dateRange", (16, "GMT"), False),
        ("dateRange", (1, 15), True),
        ("dateRange", (16, 14), False),
        ("dateRange", ("JUL",), True),
        ("dateRange", ("JAN", "MAR"), False),
        ("dateRange", ("NOV", "AUG"), True),
        ("dateRange", (2026,), True),
        ("dateRange", (2020, 2025), False),
        ("dateRange", (24, "DEC"), False),
        ("dateRange", (1, "JUN", 15, "AUG"), True),
        ("dateRange", ("JUN", 2026, "JUN", 2027), True),
        ("dateRange", (1, "JUN", 2026, 14, "JUL", 2026), False),
        ("dateRange", (1, "JUN", 2026, 15, "JUL", 2026), True),
        ("dateRange", ("nonsense",), False),
        ("dateRange", (), False),
        ("timeRange", (22,), True),
        ("timeRange", (9, 17), False),
        ("timeRange", (22, 23), True),
        ("timeRange", (21, 22), False),
        ("timeRange", (22, 0, 22, 30), True),
        ("timeRange", (23, 0, 6, 0), False),
        ("timeRange", (22, 30, 10, 22, 30, 10), True),
        ("timeRange", (0, 0, 0, 22, 30, 9, "GMT"), False),
        ("timeRange", ("x",), False),
        ("timeRange", (1, 2, 3), False),
        ("timeRange", (float("inf"),), False),
    ],
)
def test_times(name: str, arguments: tuple[Value, ...], expected: bool) -> None:
    assert call(name, *arguments) == expected


def test_local_time_unless_gmt_is_wanted() -> None:
    assert call("weekdayRange", "THU", zone=7200)
    assert call("weekdayRange", "WED", "GMT", zone=7200)
    assert call("timeRange", 0, zone=7200)


def test_there_is_an_end_to_look_ups() -> None:
    asked: list[str] = []
    table = functions(asked=asked).table()
    for number in range(2 * MAXIMUM_LOOK_UPS):
        table["dnsResolve"](f"host{number}")
    assert len(asked) == MAXIMUM_LOOK_UPS


@pytest.mark.parametrize("name", list(functions().table()))
@pytest.mark.parametrize("argument", [None, 7, 1.5, True, "", "\x00", "a" * 5000])
def test_whatever_a_script_gives_it_gets_an_answer(name: str, argument: Value) -> None:
    for count in range(8):
        call(name, *[argument] * count)
