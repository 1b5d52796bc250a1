"""Services of the lab other than the domain's: web sites, DNS outside, NAT.

The files are those that an administrator would write; Debian's programs read them.
"""

from pathlib import PurePosixPath

from throughway.lab import processes, squid
from throughway.lab.namespaces import Namespaces
from throughway.lab.network import MASQUERADE, OUTWARD_PORTS
from throughway.lab.processes import File
from throughway.lab.topology import Host, Names, Site

WEB_ROOT = PurePosixPath("/var/www")
SITE_CERTIFICATE = "/etc/nginx/site.crt"
SITE_KEY = "/etc/nginx/site.key"

NGINX = """\
user www-data;
worker_processes 1;
pid /run/nginx/nginx.pid;
error_log /var/log/nginx/error.log;
events {{ worker_connections 512; }}
http {{
  access_log /var/log/nginx/access.log;
  types {{ text/html html; application/pkix-crl crl; }}
  default_type application/octet-stream;
  client_body_temp_path /run/nginx/body;
  proxy_temp_path /run/nginx/proxy;
  fastcgi_temp_path /run/nginx/fastcgi;
  uwsgi_temp_path /run/nginx/uwsgi;
  scgi_temp_path /run/nginx/scgi;
  keepalive_timeout 5;
{sites}}}
"""

SITE = """\
  server {{
    listen {listen}:{port}{tls};
    server_name {name};
    root {root};
{certificate}  }}
"""

SITE_TLS = f"""\
    ssl_certificate {SITE_CERTIFICATE};
    ssl_certificate_key {SITE_KEY};
    ssl_protocols TLSv1.2 TLSv1.3;
"""


def start_all(host: Host, namespaces: Namespaces) -> None:
    """Start what the topology wants on this host; every service answers when this returns."""
    if host.masquerade:
        ruleset = MASQUERADE.format(outside=host.masquerade)
        if host.outward_ports:
            ports = ", ".join(map(str, host.outward_ports))
            ruleset += OUTWARD_PORTS.format(outside=host.masquerade, ports=ports)
        processes.run(namespaces, ["nft", "-f", "-"], stdin=ruleset, check=True)
    if host.names:
        processes.write_files(namespaces, {"/etc/dnsmasq.conf": build_dnsmasq_conf(host.names)})
        # It goes to the background when its sockets are bound.
        processes.run(namespaces, ["dnsmasq", "--conf-file=/etc/dnsmasq.conf"], check=True)
    if host.sites:
        processes.write_files(namespaces, site_files(host.sites))
        # So does nginx.
        processes.run(namespaces, ["nginx", "-c", "/etc/nginx/nginx.conf"], check=True)
    if host.proxy:
        squid.start(namespaces, host.proxy)


def build_dnsmasq_conf(names: Names) -> str:
    """Return dnsmasq's configuration for a DNS server outside."""
    lines = [
        "user=root",
        "pid-file=/run/dnsmasq.pid",
        "log-facility=/var/log/dnsmasq.log",
        "no-resolv",
        "no-hosts",
        "bind-interfaces",
        "except-interface=lo",
        f"listen-address={names.listen}",
    ]
    if names.upstream:
        lines += [f"server={names.upstream}", "local=/home.arpa/"]
    else:
        # NXDOMAIN for whatever is not listed, as the public DNS says for intranet names.
        lines.append("local=//")
        lines.append("local=/com/org/net/arpa/test/")
    lines += [f"host-record={name},{address}" for name, address in names.records]
    return "\n".join(lines) + "\n"


def build_nginx_conf(sites: tuple[Site, ...]) -> str:
    """Return nginx's configuration for these sites."""
    return NGINX.format(
        sites="".join(
            SITE.format(
                listen=site.listen,
                port=site.port,
                tls=" ssl" if site.tls else "",
                name=site.name,
                root=WEB_ROOT / site.name,
                certificate=SITE_TLS if site.tls else "",
            )
            for site in sites
        )
    )


def site_files(sites: tuple[Site, ...]) -> dict[str, File | str | bytes]:
    """Return nginx's configuration and the page of every site."""
    files: dict[str, File | str | bytes] = {"/etc/nginx/nginx.conf": build_nginx_conf(sites)}
    for site in sites:
        page = f"<!doctype html><title>{site.name}</title><p>{site.page}</p>\n"
        files[str(WEB_ROOT / site.name / "index.html")] = page
        files |= {str(WEB_ROOT / site.name / name): content for name, content in site.files}
    return files
