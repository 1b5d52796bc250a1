"""Configuration of the services outside; that they serve is seen in test_lab."""

from dataclasses import replace

from throughway.lab.services import build_dnsmasq_conf, build_nginx_conf, site_files
from throughway.lab.topology import DIRECTACCESS, Names, Site

PLAIN = Site(name="www.example.com", listen="131.107.0.1", page="hello")
SECURE = Site(name="nls.corp.example.com", listen="[2001:db8:c0:2::81]", page="inside", tls=True)


def test_public_dns_knows_the_gateway_and_nothing_inside() -> None:
    names = DIRECTACCESS.host("inet1").names
    assert names
    conf = build_dnsmasq_conf(names)
    assert "host-record=da.example.com,131.107.0.2" in conf
    assert "corp.example.com" not in conf
    assert "server=" not in conf


def test_a_home_router_forwards() -> None:
    conf = build_dnsmasq_conf(Names(listen="192.168.137.1", upstream="131.107.0.1"))
    assert "server=131.107.0.1" in conf
    assert "listen-address=192.168.137.1" in conf


def test_plain_site() -> None:
    conf = build_nginx_conf((PLAIN,))
    assert "listen 131.107.0.1:80;" in conf
    assert "ssl" not in conf


def test_secure_site() -> None:
    conf = build_nginx_conf((SECURE,))
    assert "listen [2001:db8:c0:2::81]:443 ssl;" in conf
    assert "ssl_certificate_key" in conf


def test_braces_balance() -> None:
    conf = build_nginx_conf((PLAIN, SECURE))
    assert conf.count("{") == conf.count("}") == 5


def test_every_site_has_its_page() -> None:
    files = site_files((PLAIN, SECURE))
    page = files["/var/www/www.example.com/index.html"]
    assert isinstance(page, str)
    assert "hello" in page
    assert "/var/www/nls.corp.example.com/index.html" in files


def test_a_site_may_have_more_than_its_page() -> None:
    files = site_files((replace(PLAIN, files=(("wpad.dat", "a script"),)),))
    assert files["/var/www/www.example.com/wpad.dat"] == "a script"
