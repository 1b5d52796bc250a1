"""Who connects where."""

from dataclasses import replace

import pytest

from tests.gateway.test_channel import CONFIG
from throughway.model.config import ADCConfig
from throughway.model.errors import TransportError
from throughway.net.listeners import endpoints_of, is_adc, listen, source_of

ADC = ADCConfig(listen=(("10.0.0.1", 8080),), addresses=("10.0.0.0/29", "2001:db8::5/128"))


def test_the_adc_has_addresses_of_its_own() -> None:
    assert endpoints_of(CONFIG) == CONFIG.listen
    assert endpoints_of(replace(CONFIG, adc=ADC)) == (*CONFIG.listen, ("10.0.0.1", 8080))


@pytest.mark.parametrize(
    ("address", "known"),
    [
        ("10.0.0.7", True),
        ("10.0.0.8", False),
        ("2001:db8::5", True),
        ("2001:db8::6", False),
        ("fe80::1%eth0", False),
    ],
)
def test_only_what_is_configured_is_the_adc(address: str, known: bool) -> None:
    assert is_adc(replace(CONFIG, adc=ADC), address) is known
    assert not is_adc(CONFIG, address)


def test_hosts_of_ipv6_have_a_whole_64() -> None:
    assert source_of("192.0.2.1") == "192.0.2.1"
    assert source_of("2001:db8::1:2:3:4") == "2001:db8::/64"
    assert source_of("fe80::1%eth0") == "fe80::/64"


def test_an_address_that_cannot_be_had_leaves_nothing_open() -> None:
    (taken,) = listen([("127.0.0.1", 0)])
    with taken:
        port = taken.getsockname()[1]
        with pytest.raises(TransportError, match=f"port {port}"):
            listen([("127.0.0.1", 0), ("127.0.0.1", port)])
