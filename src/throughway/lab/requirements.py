"""What the machine must have for a lab, and how it gets it."""

import os
import shutil

from throughway.lab.namespaces import SYSTEM_PATH
from throughway.lab.state import NEEDS_ROOT
from throughway.model.errors import LabError

PROGRAMS = {
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "tini": "tini",
    "tar": "tar",
    "nft": "nftables",
    "dnsmasq": "dnsmasq-base",
    "nginx": "nginx-light",
    "squid": "squid",
    "samba": "samba",
    "samba-tool": "samba",
    "tcpdump": "tcpdump",
    "kinit": "krb5-user",
    "tayga": "tayga",
    "curl": "curl",
    "ping": "iputils-ping",
    "charon-systemd": "charon-systemd",
}
"""Program and the Debian package that has it."""

FILES = {
    "/usr/share/samba/setup/provision.ldif": "samba-ad-provision",
    "/usr/lib/x86_64-linux-gnu/samba/ldb": "samba-dsdb-modules",
}
"""Parts of Samba that Debian splits off; without them provisioning fails obscurely."""


def check() -> None:
    """Raise :exc:`LabError` with the remedy when a lab cannot be built here."""
    if os.geteuid() != 0:
        raise LabError(NEEDS_ROOT)
    absent = missing_packages()
    if absent:
        names = " ".join(absent)
        raise LabError(
            f"these Debian packages are missing: {names}\n"
            f"apt-get install --no-install-recommends {names}"
        )
    if not os.path.exists("/dev/net/tun"):
        raise LabError("the kernel has no TUN device: modprobe tun")


def missing_packages() -> list[str]:
    """Return the packages that are missing, sorted."""
    absent = {p for name, p in PROGRAMS.items() if not shutil.which(name, path=SYSTEM_PATH)}
    architecture = os.uname().machine
    for path, package in FILES.items():
        if not os.path.exists(path.replace("x86_64", architecture)):
            absent.add(package)
    return sorted(absent)
