"""Faults of the intranet behind the gateway: controllers, location server, application servers."""

from throughway.lab.deployment import GATEWAY_CONFIG
from throughway.lab.faults.fault import GATEWAY, Fault, Scene
from throughway.lab.faults.made import FUTURE, PAST, Credential, Made
from throughway.lab.faults.servers import Program
from throughway.lab.faults.steps import Edit, Filter, Frozen, Heard, Stopped, reload_gateway
from throughway.lab.services import SITE_CERTIFICATE, SITE_KEY
from throughway.lab.topology import NLS_NAME
from throughway.pki.authority import Profile

INPUT = """
  chain input {{
    type filter hook input priority filter - 5;
    {rule}
  }}"""
ON_PORTS = "meta l4proto {{ tcp, udp }} th dport {{ {ports} }} {verdict}"
NGINX = ("nginx", "-c", "/etc/nginx/nginx.conf")
ENROLMENT = """
[enrolment]
url = "https://dc1.corp.example.com:8443"

[publish]
"""
"""A server where nobody listens."""
SKEW_PORT = 8888
REDIRECT = """
  chain divert {{
    type nat hook prerouting priority dstnat - 5;
    meta l4proto {{ tcp, udp }} th dport 88 redirect to :{port}
  }}"""
CLOCK = """
import asyncio, datetime, re
SHIFT = datetime.timedelta(seconds={seconds})
STAMP = re.compile(rb"\\x18\\x0f(\\d{{14}})Z")
def shifted(found):
    then = datetime.datetime.strptime(found[1].decode(), "%Y%m%d%H%M%S") + SHIFT
    return b"\\x18\\x0f" + then.strftime("%Y%m%d%H%M%S").encode() + b"Z"
async def ask(data):
    reader, writer = await asyncio.open_connection("127.0.0.1", 88)
    try:
        writer.write(len(data).to_bytes(4, "big") + data)
        answer = await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
    finally:
        writer.close()
    return STAMP.sub(shifted, answer)
async def by_tcp(reader, writer):
    try:
        data = await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
        answer = await ask(data)
        writer.write(len(answer).to_bytes(4, "big") + answer)
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()
class ByUDP(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport
    def datagram_received(self, data, address):
        asyncio.ensure_future(self.answer(data, address))
    async def answer(self, data, address):
        try:
            self.transport.sendto(await ask(data), address)
        except (OSError, asyncio.IncompleteReadError):
            pass
async def main():
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(ByUDP, ("::", {port}))
    server = await asyncio.start_server(by_tcp, None, {port})
    await server.serve_forever()
asyncio.run(main())
"""
"""A KDC whose clock is wrong: the real one's answers, with another time where it says its own."""


def _silent(ports: str, verdict: str = "drop") -> Filter:
    return Filter("dc1", INPUT.format(rule=ON_PORTS.format(ports=ports, verdict=verdict)))


def _skewed(seconds: int) -> tuple[Program, Filter]:
    code = CLOCK.format(seconds=seconds, port=SKEW_PORT)
    return Program("dc1", "skewed-kdc", code), Filter("dc1", REDIRECT.format(port=SKEW_PORT))


def _reload_site(scene: Scene) -> None:
    scene.lab.run("nls", [*NGINX, "-s", "reload"], check=True)


def _location(made: Made) -> Heard:
    return Heard((Credential("nls", SITE_CERTIFICATE, SITE_KEY, made),), _reload_site)


def _of_location(**how: object) -> Made:
    return Made(profile=Profile.SERVER, name=NLS_NAME, **how)  # type: ignore[arg-type]


FAULTS = (
    Fault(
        name="domain-controller-silent",
        title="the domain controller answers neither DNS nor Kerberos nor LDAP",
        steps=(_silent("53, 88, 389, 464"),),
        client="nrpt-dns-server-unreachable",
        gateway="nrpt-dns-server-unreachable",
    ),
    Fault(
        name="domain-controller-hung",
        title="the domain controller is there and does nothing",
        steps=(Frozen("dc1", "samba"),),
        client="nrpt-dns-server-unreachable",
        gateway="nrpt-dns-server-unreachable",
    ),
    Fault(
        name="domain-dns-silent",
        title="the domain's DNS does not answer, the rest of the controller does",
        steps=(_silent("53"),),
        client="nrpt-dns-server-unreachable",
        gateway="nrpt-dns-server-unreachable",
    ),
    Fault(
        name="directory-silent",
        title="the domain controller does not take LDAP",
        steps=(_silent("389"),),
        gateway="dc-unreachable",
    ),
    Fault(
        name="kdc-silent",
        title="the domain's KDC does not answer",
        steps=(_silent("88"),),
        gateway="kerberos-unreachable",
    ),
    Fault(
        name="kdc-refuses",
        title="the domain's KDC does not run",
        steps=(_silent("88", "reject"),),
        gateway="kerberos-unreachable",
    ),
    Fault(
        name="domain-clock-ahead",
        title="the domain's clock is ten minutes ahead of everybody else's",
        steps=_skewed(600),
        client="clock-skew",
        gateway="clock-skew",
    ),
    Fault(
        name="domain-clock-behind",
        title="the domain's clock is ten minutes behind everybody else's",
        steps=_skewed(-600),
        client="clock-skew",
        gateway="clock-skew",
    ),
    Fault(
        name="location-server-down",
        title="the Network Location Server's web server is stopped",
        steps=(Stopped("nls", "nginx", NGINX),),
        gateway="nls-unreachable-inside",
    ),
    Fault(
        name="location-server-hung",
        title="the Network Location Server's web server is there and does nothing",
        steps=(Frozen("nls", "nginx"),),
        gateway="nls-unreachable-inside",
    ),
    Fault(
        name="location-certificate-expired",
        title="the Network Location Server's certificate has expired",
        steps=(_location(_of_location(age=PAST)),),
        gateway="nls-certificate-invalid",
    ),
    Fault(
        name="location-certificate-not-yet-valid",
        title="the Network Location Server's certificate begins in two days",
        steps=(_location(_of_location(age=FUTURE)),),
        gateway="nls-certificate-invalid",
    ),
    Fault(
        name="location-certificate-wrong-name",
        title="the Network Location Server's certificate has another name",
        steps=(_location(Made(profile=Profile.SERVER, name="other.corp.example.com")),),
        gateway="nls-certificate-invalid",
    ),
    Fault(
        name="location-certificate-untrusted",
        title="the Network Location Server's certificate is of a root that nobody trusts",
        steps=(_location(_of_location(issuer="Another Root")),),
        gateway="nls-certificate-invalid",
    ),
    Fault(
        name="location-server-down-inside",
        title="the Network Location Server is stopped while the client is inside",
        steps=(Stopped("nls", "nginx", NGINX),),
        client="nls-unreachable-inside",
        gateway="nls-unreachable-inside",
        place="corp",
        user=False,
    ),
    Fault(
        name="location-certificate-expired-inside",
        title="the Network Location Server's certificate expires while the client is inside",
        steps=(_location(_of_location(age=PAST)),),
        client="nls-certificate-invalid",
        gateway="nls-certificate-invalid",
        place="corp",
        user=False,
    ),
    Fault(
        name="management-server-unreachable",
        title="the authority that computers renew their certificates at does not run",
        steps=(
            Heard((Edit(GATEWAY, GATEWAY_CONFIG, "\n[publish]\n", ENROLMENT),), reload_gateway),
        ),
        gateway="management-server-unreachable",
    ),
    Fault(
        name="intranet-router-silent",
        title="the intranet's router does not forward any more",
        steps=(
            Filter(
                "core1",
                INPUT.format(rule="drop")
                .replace("chain input", "chain forward")
                .replace("hook input", "hook forward"),
            ),
        ),
        gateway="nls-unreachable-inside",
    ),
)
