"""The computer's own token for the infrastructure tunnel: a ticket got through a KDC proxy.

Before the tunnel there is no way to a domain controller, so libkrb5 asks the gateway's KDC proxy
by HTTPS ([MS-KKDCP], which MIT Kerberos speaks natively). That needs settings of its own and the
environment of a whole process, hence a short-lived one: nothing of the machine's krb5.conf is
changed or used. Tickets are kept in a file of the daemon's, so that a reconnection asks nobody.
"""

import asyncio
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from throughway.model.errors import Stage, ThroughwayError, TransportError, TrustError
from throughway.net.files import read_secret
from throughway.net.kerberos import (
    get_ticket,
    get_ticket_by_keytab,
    make_token,
    ticket_expiry,
)
from throughway.net.process import write_private

TIMEOUT = 25.0
"""Seconds: two requests by HTTPS, each of which a silent gateway may hold up for ten."""
FRESH = 600.0
"""Seconds a ticket must still be good for: the tunnel may be refused for less."""
_UNREACHABLE = "kerberos-unreachable"
COMMAND = (sys.executable, "-P", "-m", "throughway.net.computer_token")
"""-P: nothing is imported from the directory where the daemon happens to have been started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputerTicket:
    """What a token is made of."""

    principal: str
    """Such as ``CLIENT1$@CORP.EXAMPLE.COM``."""
    service: str
    """GSS host-based name of the gateway's."""
    realm: str
    kdc_proxy: str
    directory: str
    """Of the daemon's; the settings and the ticket are kept there."""
    anchors: tuple[str, ...]
    """PEM; beside them the system's count."""
    keytab: str = ""
    password_file: str = ""
    """Where there is no keytab."""

    @property
    def ccache(self) -> Path:
        """Where the ticket is kept."""
        return Path(self.directory) / "computer.ccache"

    def forget(self) -> None:
        """Ask for a new ticket next time: the gateway has refused this one's."""
        self.ccache.unlink(missing_ok=True)


async def make_computer_token(ticket: ComputerTicket) -> bytes:
    """Make a fresh AP-REQ for the gateway's service, in a process of its own.

    Raises TransportError when the proxy or a KDC behind it cannot be reached, TrustError when
    the domain refuses; ``problem`` says which.
    """
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(TIMEOUT):
            answer, _ = await process.communicate(json.dumps(asdict(ticket)).encode())
    except TimeoutError:
        raise TransportError(
            Stage.CONNECT, f"{ticket.kdc_proxy} does not answer in time", problem=_UNREACHABLE
        ) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    word, _, rest = answer.decode(errors="replace").strip().partition(" ")
    if word == "token":
        return bytes.fromhex(rest)
    problem, _, reason = rest.partition(" ")
    if problem == _UNREACHABLE:
        raise TransportError(
            Stage.CONNECT, f"{reason} (asked through {ticket.kdc_proxy})", problem=problem
        )
    raise TrustError(
        reason or "no ticket for the computer", problem=problem or "ipsec-computer-account-refused"
    )


def settings_text(ticket: ComputerTicket, anchors: Path) -> str:
    """Return the krb5.conf that leads to the proxy and nowhere else."""
    return f"""[libdefaults]
  default_realm = {ticket.realm}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false

[realms]
  {ticket.realm} = {{
    kdc = {ticket.kdc_proxy}
    http_anchors = FILE:{anchors}
    http_anchors = DIR:/etc/ssl/certs
  }}
"""


def make(ticket: ComputerTicket) -> bytes:
    """Make a token; for a process of its own, whose environment is changed."""
    directory = Path(ticket.directory)
    settings, anchors = directory / "computer.krb5.conf", directory / "computer.anchors"
    write_private(anchors, "".join(ticket.anchors))
    write_private(settings, settings_text(ticket, anchors))
    os.environ["KRB5_CONFIG"] = str(settings)
    os.environ.pop("KRB5CCNAME", None)
    if not _good(ticket.ccache):
        ticket.forget()
        if ticket.keytab:
            get_ticket_by_keytab(ticket.principal, ticket.keytab, f"FILE:{ticket.ccache}")
        else:
            password = read_secret(Path(ticket.password_file)).decode().strip("\r\n")
            get_ticket(ticket.principal, password, ticket.ccache)
    return make_token(ticket.ccache, ticket.service, realm=ticket.realm)


def _good(ccache: Path) -> bool:
    try:
        return ccache.exists() and ticket_expiry(ccache) > time.time() + FRESH
    except TrustError:
        return False


def _main() -> None:
    """Make a token and print it: the other half of :func:`make_computer_token`."""
    told = json.loads(sys.stdin.read())
    ticket = ComputerTicket(**told | {"anchors": tuple(told["anchors"])})
    try:
        print("token", make(ticket).hex())
    except (ThroughwayError, ValueError) as error:
        print("error", getattr(error, "problem", "") or "ipsec-computer-account-refused", error)


if __name__ == "__main__":
    _main()
