"""Where the IP packet begins behind each kind of link-layer header."""

import pytest

from throughway.model.errors import WireError
from throughway.wire.link import HEADER_LENGTHS, LinkType, find_ip, refusal

IP = b"\x45" + bytes(30)
MAC = bytes(12)


@pytest.mark.parametrize(
    ("link", "header"),
    [
        (LinkType.ETHERNET, MAC + b"\x08\x00"),
        (LinkType.ETHERNET, MAC + b"\x81\x00\x00\x05\x86\xdd"),
        (LinkType.ETHERNET, MAC + b"\x88\xa8\x00\x05\x81\x00\x00\x06\x08\x00"),
        (LinkType.ETHERNET, MAC + b"\x88\x64\x11\x00\x00\x01\x00\x20\x00\x57"),
        (LinkType.LINUX_SLL, bytes(14) + b"\x08\x00"),
        (LinkType.LINUX_SLL2, b"\x86\xdd" + bytes(18)),
        (LinkType.RAW, b""),
        (LinkType.RAW_BSD, b""),
        (LinkType.IPV6, b""),
        (LinkType.NULL, b"\x02\x00\x00\x00"),
        (LinkType.LOOP, b"\x00\x00\x00\x1e"),
    ],
)
def test_the_packet_is_found(link: LinkType, header: bytes) -> None:
    assert find_ip(link, header + IP) == len(header)


@pytest.mark.parametrize(
    ("link", "frame"),
    [
        (LinkType.ETHERNET, MAC + b"\x08\x06" + bytes(28)),
        (LinkType.ETHERNET, MAC + b"\x81\x00\x00\x05" * 5 + b"\x08\x00" + IP),
        (LinkType.ETHERNET, MAC + b"\x88\x64\x11\x00\x00\x01\x00\x20\xc0\x21" + bytes(9)),
        (LinkType.RAW, b"\x00\x01"),
        (LinkType.NULL, b"\x02\x00\x00\x00\x00"),
    ],
)
def test_other_frames_hold_none(link: LinkType, frame: bytes) -> None:
    assert find_ip(link, frame) is None


@pytest.mark.parametrize("link", HEADER_LENGTHS)
def test_frames_that_are_cut_off(link: int) -> None:
    with pytest.raises(WireError):
        find_ip(link, bytes(HEADER_LENGTHS[link]))
    with pytest.raises(WireError):
        find_ip(LinkType.ETHERNET, MAC + b"\x81\x00\x00\x05\x08\x00")


def test_what_is_not_read_is_said() -> None:
    assert "monitor mode" in refusal(LinkType.IEEE802_11)
    with pytest.raises(WireError, match="monitor mode"):
        find_ip(LinkType.IEEE802_11_RADIOTAP, bytes(90))
    with pytest.raises(WireError, match="link type 9 "):
        find_ip(9, bytes(90))
