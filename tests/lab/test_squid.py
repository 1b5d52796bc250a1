"""The configuration of the office's proxy; that it serves is seen in test_lab."""

from throughway.lab.squid import build_squid_conf
from throughway.lab.topology import Proxy


def test_it_listens_inside_and_connects_to_tls_alone() -> None:
    conf = build_squid_conf(Proxy(listen="192.168.139.1", nameserver="131.107.0.1"))
    lines = conf.splitlines()
    assert "http_port 192.168.139.1:3128" in lines
    assert "dns_nameservers 131.107.0.1" in lines
    assert lines.index("http_access deny CONNECT !connectable") < lines.index(
        "http_access allow all"
    )
