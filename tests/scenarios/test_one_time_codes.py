"""A second factor opens the intranet: from `throughway login --code` to the tunnel, and back."""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from tests import freeradius
from tests.scenarios.actions import (
    CLIENT_BUNDLE,
    gateway_status,
    kept,
    leaks,
    refusal,
    shown,
    wait_gateway,
)
from throughway.lab import deployment
from throughway.lab.deployment import BUNDLE, CONFIGURATION, GATEWAY_CONFIG
from throughway.lab.lab import Lab
from throughway.lab.observe import (
    PAGE_BY_ADDRESS,
    PATIENCE,
    USER_PASSWORDS,
    Observer,
    problems,
    tunnel,
)
from throughway.lab.processes import Service, wait_until
from throughway.pki import totp

ALICE = "alice@CORP.EXAMPLE.COM"
ROOT = f"{CONFIGURATION}/users.crt"
ENDED = "one-time-code-ended"
PKI, REGISTRAR, OWNER = f"{CONFIGURATION}/pki", f"{CONFIGURATION}/registrar", 64123
BOOK = "/var/lib/throughway/gateway/codes.json"
REQUIRE = '[users]\nrequire = "code"\n'
RADIUS, RADIUS_PORT = "/var/lib/radius", 1812
LIFE = timedelta(hours=8)
"""Of what is given for a code, as the gateway asks for it."""
REMAINDER = timedelta(seconds=8)
"""What is left of it where the authority's clock is slow."""

AUTHORITY = """\
listen = ["[2001:db8:c0:1::1]:8443"]
names = ["2001:db8:c0:1::1"]
"""
USERS = f"""
[users.certificates]
ca = "{ROOT}"

[users.codes]
listen = "[2001:db8:c0:1::1]:8081"
authority = "https://[2001:db8:c0:1::1]:8443"
authority_ca = "{ROOT}"
certificate = "{REGISTRAR}.crt"
key = "{REGISTRAR}.key"
"""
BY_RADIUS = f"""\
check = "radius"
servers = ["127.0.0.1:{RADIUS_PORT}"]
secret = "{CONFIGURATION}/codes.secret"
"""
SERVE = """
import sys, time
from pathlib import Path
from throughway.authority import daemon, settings
from throughway.control import lifecycle
from throughway.health import log
slow = float(sys.argv[1])
log.configure()
config = settings.load(Path("/etc/throughway/authority.toml"))
make = lambda: daemon.AuthorityDaemon(config, lambda: time.time() - slow)
sys.exit(lifecycle.run(make, lambda what, error: print(what, file=sys.stderr)))
"""
"""What `throughway pki serve` does, but with another clock."""
CREATE = f"""
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from throughway.authority import directory
from throughway.pki.authority import KeyType, Profile
at, folder = datetime.now(UTC) - timedelta(hours=9), Path("{PKI}")
kind = dict(days=30, key_type=KeyType.P256, force=True)
directory.create(folder, "Users Root", at, crl_url="", **kind)
stem = Path("{REGISTRAR}")
names = ["da.example.com"]
directory.issue(folder, Profile.REGISTRAR, names, at, crl_url=None, output=stem, **kind)
Path("{ROOT}").write_bytes((folder / "ca.crt").read_bytes())
for path in (folder, *folder.rglob("*")):
    os.chown(path, {OWNER}, {OWNER})
"""
"""What `throughway pki init` and `issue registrar` did some hours ago."""


@dataclass
class Site:
    """The lab with an authority, a gateway that wants codes, and a device of alice's."""

    lab: Lab
    device: totp.Device
    authority: Service

    @property
    def client(self) -> Observer:
        return Observer(self.lab, "client1")

    def log_on(self, *codes: str, wait: float = PATIENCE) -> tuple[int, str]:
        """Log alice on as a person does: with the password, and codes as they are asked for."""
        password = self.lab.read("client1", f"{USER_PASSWORDS}/alice.password")
        script = f"exec 3<<END\n{NEWLINE.join(codes)}\nEND\n{LOGIN} --wait {wait:g}"
        command = ["sh", "-c", script]
        answer = self.lab.run("client1", command, stdin=password, timeout=2 * PATIENCE)
        return answer.returncode, answer.stdout + answer.stderr

    def log_off(self) -> None:
        self.lab.run("client1", ["throughway", "logout"], check=True)
        wait_gateway(self.lab, "alice gone", lambda s: not tunnel(s, "intranet"))

    def wrong_code(self) -> str:
        """Return a code that the device shows neither now nor within hours."""
        now = time.time()
        shown = {self.device.code(now + step * totp.PERIOD) for step in range(-99, 100)}
        return next(code for code in map("{:06}".format, range(1000)) if code not in shown)

    def ask_radius(self) -> None:
        """Let the gateway ask a RADIUS server from now on."""
        lab = self.lab
        lab.run("edge1", ["mkdir", "-p", RADIUS], check=True)
        lab.write("edge1", f"{RADIUS}/radiusd.conf", freeradius.configuration(RADIUS, RADIUS_PORT))
        lab.write("edge1", f"{CONFIGURATION}/codes.secret", freeradius.SECRET + b"\n", 0o600)
        service = lab.start("edge1", "freeradius", freeradius.command(RADIUS))
        wait_until(lambda: freeradius.READY in service.log_tail(), PATIENCE, "FreeRADIUS", service)
        lab.write("edge1", GATEWAY_CONFIG, lab.read("edge1", GATEWAY_CONFIG) + BY_RADIUS)
        restart(lab)

    def slow_authority(self) -> None:
        """Have certificates issued of whose life little is left."""
        self.authority.stop()
        self.authority = start_authority(self.lab, LIFE - REMAINDER)


NEWLINE = "\n"
LOGIN = "exec throughway login alice --password-file - --code-fd 3"


def start_authority(lab: Lab, slow: timedelta = timedelta(0)) -> Service:
    """Run the authority's service, with a clock that may be slow."""
    command = [sys.executable, "-P", "-c", SERVE, f"{slow.total_seconds()}"]
    service = lab.start("edge1", "authority-slow" if slow else "authority", command)
    wait_until(lambda: "authority serves" in service.log_tail(), PATIENCE, "authority", service)
    return service


def restart(lab: Lab) -> None:
    """Let the gateway read its configuration, and the client come anew."""
    lab.stop_client("client1")
    lab.stop_gateway()
    lab.start_gateway()
    lab.start_client("client1")
    Observer(lab, "client1").wait_tunnel("infrastructure")


@pytest.fixture
def site(fresh: Lab) -> Iterator[Site]:
    lab = fresh
    with (
        kept(lab, "edge1", GATEWAY_CONFIG, ROOT, BUNDLE, REGISTRAR + ".crt", REGISTRAR + ".key"),
        kept(lab, "client1", CLIENT_BUNDLE),
    ):
        # All that the authority has was made before, so that a slow clock of its knows it.
        lab.run("edge1", [sys.executable, "-P", "-c", CREATE], check=True)
        lab.write("edge1", f"{CONFIGURATION}/authority.toml", AUTHORITY)
        authority = start_authority(lab)
        text = lab.read("edge1", GATEWAY_CONFIG).replace("[users]\n", REQUIRE, 1)
        lab.write("edge1", GATEWAY_CONFIG, text + USERS)
        said = lab.run("edge1", ["throughway", "gateway", "totp", "add", "alice"], check=True)
        secret = parse_qs(urlsplit(said.stdout.split()[0]).query)["secret"][0]
        policy = deployment.build_policy(lab.namespaces("edge1"))
        deployment.join(lab.namespaces("client1"), policy)
        site = Site(lab, totp.Device(principal=ALICE, secret=secret), authority)
        restart(lab)
        yield site
        lab.stop_client("client1")
        site.authority.stop()
        if radius := lab.service("edge1", "freeradius"):
            radius.stop()
        lab.run("edge1", ["rm", "-rf", PKI, RADIUS, BOOK], check=True)
    lab.stop_gateway()
    lab.start_gateway()


def test_a_second_factor_opens_the_intranet(site: Site) -> None:
    lab, client, began = site.lab, site.client, time.time()
    wrong = site.wrong_code()
    code, said = site.log_on(wrong)
    assert code == 1, said
    assert "the code is not that of alice" in said, said
    assert refusal(lab, "one-time-code-wrong", after=began)["peer"].startswith("client1.")

    # The next one: by its clock the gateway takes it for another minute at least.
    right = site.device.code(time.time() + totp.PERIOD)
    code, said = site.log_on(right)
    assert code == 0, said
    assert client.wait_page(PAGE_BY_ADDRESS)
    assert tunnel(gateway_status(lab), "intranet")["account"] == ALICE
    client.wait_well()

    site.log_off()
    code, said = site.log_on(right)
    assert code == 1, said
    assert "was used before" in said, said
    assert client.fetch(PAGE_BY_ADDRESS, 1.0) == ""

    site.ask_radius()
    code, said = site.log_on("1111")
    assert code == 1, said
    assert "the RADIUS server refused the code of alice" in said, said
    code, said = site.log_on(freeradius.PIN, freeradius.CODE)
    assert code == 0, said
    assert f"the server asks: {freeradius.QUESTION}" in said, said
    assert client.wait_page(PAGE_BY_ADDRESS)
    failed = ["throughway", "events", "--event", "4625", "--json"]
    told = [json.loads(line) for line in lab.run("edge1", failed).stdout.splitlines()]
    told = [e for e in told if e.get("problem", "").startswith("one-time-code-")]
    assert [(e["user"], e["problem"], e["transport"]) for e in told[-3:]] == [
        (ALICE, f"one-time-code-{why}", "iphttps") for why in ("wrong", "used", "wrong")
    ], told
    made = ["throughway", "events", "--event", "certificate-issued", "--json", "--user", "alice"]
    (given, *_) = [json.loads(line) for line in lab.run("edge1", made).stdout.splitlines()]
    assert "asked by da.example.com" in given["detail"]
    secrets = {"secret": site.device.secret, "wrong code": wrong, "code": right}
    secrets |= {"PIN": freeradius.PIN, "RADIUS": freeradius.CODE, "shared": str(freeradius.SECRET)}
    assert leaks(lab, secrets, "authority") == []

    # A certificate that ends takes the tunnel and the logon with it.
    site.log_off()
    site.slow_authority()
    site.log_on(freeradius.PIN, freeradius.CODE, wait=5)
    client.wait("the end of what the code was worth", lambda s: ENDED in problems(s))
    wait_gateway(lab, "no user", lambda s: not tunnel(s, "intranet"))
    client.wait(
        "infrastructure alone",
        lambda s: (s["user"], s["connection"]) == ("", "connected-remotely"),
    )
    assert client.fetch(PAGE_BY_ADDRESS, 1.0) == ""
    assert "throughway login USER --code" in shown(lab, "client1").text
