"""What other packet filters drop, asked of nft."""

from pathlib import Path

import pytest

from tests.net.namespace import in_namespace, run
from throughway.net import filters
from throughway.net.firewall import ClientFirewall, FirewallError, close_client


@pytest.mark.lab
def test_ike_on_a_link() -> None:
    def there() -> None:
        close_client(ClientFirewall(prefixes=("2001:db8:c0::/48",)))
        needed = filters.ike("iphttps0")
        assert len(needed) == 4
        assert filters.dropped(needed) == ()
        run("nft", "add table inet other")
        run("nft", "add chain inet other o { type filter hook output priority 0; policy drop; }")
        run("nft", "add rule inet other o udp dport 500 accept")
        ((words, end),) = filters.dropped(needed)
        assert words == "UDP 4500 of IKE, out by iphttps0"
        assert str(end) == "table inet other, chain o, its policy"

    in_namespace(there)


def test_without_nft_there_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FirewallError, match="nft: "):
        filters.dropped(filters.ike("iphttps0"))
    for text, why in (("echo none of this", "not the JSON"), ("echo no >&2; exit 1", "nft: no")):
        (tmp_path / "nft").write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "nft").chmod(0o755)
        with pytest.raises(FirewallError, match=why):
            filters.dropped(filters.ike("iphttps0"))
