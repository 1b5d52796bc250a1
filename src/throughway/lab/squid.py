"""The office's way out: squid, as Debian has it, for HTTP and CONNECT to port 443."""

from throughway.lab import processes
from throughway.lab.namespaces import Namespaces
from throughway.lab.topology import Proxy

CONFIGURATION = "/etc/squid/squid.conf"
START = f"""
set -e
install -d -o proxy -g proxy /var/log/squid
mount -t tmpfs throughway-lab /dev/shm
exec squid -N -f {CONFIGURATION} </dev/null >/dev/null 2>&1 &
"""
"""With a /dev/shm of its own: what squid leaves there would stay, and meet another lab's."""
START_TIMEOUT = 60.0
"""Seconds; a second is usual."""


def start(namespaces: Namespaces, proxy: Proxy) -> None:
    """Start squid; it answers when this returns."""
    processes.write_files(namespaces, {CONFIGURATION: build_squid_conf(proxy)})
    # It goes to the background at once, and listens a little later.
    processes.run(namespaces, ["sh", "-c", START], check=True)
    processes.wait_port(namespaces, proxy.listen.strip("[]"), proxy.port, START_TIMEOUT)


def build_squid_conf(proxy: Proxy) -> str:
    """Return a configuration that asks nobody for credentials, and keeps nothing."""
    lines = [
        f"http_port {proxy.listen}:{proxy.port}",
        f"dns_nameservers {proxy.nameserver}",
        "visible_hostname proxy.office.example",
        "pid_filename /run/squid.pid",
        "cache deny all",
        "cache_mem 1 MB",
        "memory_pools off",
        "access_log stdio:/var/log/squid/access.log",
        "cache_log /var/log/squid/cache.log",
        "pinger_enable off",
        "shutdown_lifetime 1 second",
        f"acl connectable port {' '.join(map(str, proxy.connect_ports))}",
        "http_access deny CONNECT !connectable",
        "http_access allow all",
    ]
    return "\n".join(lines) + "\n"
