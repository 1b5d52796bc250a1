"""Negotiate tokens for proxies (RFC 4559), made by a short-lived process of its own.

As in :mod:`throughway.net.kerberos`, libkrb5 stays out of the daemon. The request goes to the
process by its standard input, so that no password is in any list of processes.
"""

import asyncio
import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from throughway.model.errors import ThroughwayError, TrustError
from throughway.wire.spnego import build_init

TICKET_TIME = 6.0
"""Seconds; where no KDC answers by then, the proxy's next scheme is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketRequest:
    """For which proxy, and in whose name: of the first of these that has a ticket."""

    host: str
    realm: str
    ccaches: tuple[str, ...] = ()
    """Files with tickets of users."""
    accounts: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Names without their realm, and passwords."""


async def make_ticket_apart(request: TicketRequest) -> bytes:
    """Return a token for ``HTTP/host``; :exc:`ThroughwayError` says why there is none."""
    try:
        process = await asyncio.create_subprocess_exec(
            # -P: nothing is imported from the directory where the daemon happens to be started.
            *(sys.executable, "-P", "-m", "throughway.net.proxy_tickets"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        raise ThroughwayError(f"nobody can be asked for it: {error.strerror}") from error
    try:
        async with asyncio.timeout(TICKET_TIME):
            answer, _ = await process.communicate(json.dumps(asdict(request)).encode())
    except TimeoutError:
        raise ThroughwayError("no domain controller answers in time") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    word, _, rest = answer.decode(errors="replace").partition(" ")
    if word == "token":
        return bytes.fromhex(rest)
    raise ThroughwayError(rest.strip() or "Kerberos has failed")


def make_ticket(request: TicketRequest) -> bytes:
    """Do it here; blocks. Raises :exc:`TrustError` with every reason."""
    try:
        import gssapi
        import gssapi.raw
    except ImportError as error:  # who has installed it for the doctor alone
        raise TrustError(f"needs the Python package gssapi: {error}") from error
    reasons = []
    for file in request.ccaches:
        if not Path(file).exists():
            continue
        try:
            store = {"ccache": f"FILE:{file}"}
            return _token(gssapi, gssapi.Credentials(usage="initiate", store=store), request)
        except gssapi.exceptions.GSSError as error:
            reasons.append(_words(error))
    for user, password in request.accounts:
        principal = f"{user}@{request.realm}"
        try:
            name = gssapi.Name(principal, gssapi.NameType.kerberos_principal)
            acquired = gssapi.raw.acquire_cred_with_password(
                name, password.encode(), usage="initiate", mechs=[gssapi.MechType.kerberos]
            )
            return _token(gssapi, gssapi.Credentials(base=acquired.creds), request)
        except gssapi.exceptions.GSSError as error:
            reasons.append(f"{principal}: {_words(error)}")
    raise TrustError("; ".join(reasons) or "nobody has a ticket")


def _token(gssapi: Any, who: Any, request: TicketRequest) -> bytes:  # noqa: ANN401
    # By hand, as in kerberos: libkrb5 would ask the DNS for another name of the proxy.
    target = gssapi.Name(f"HTTP/{request.host}@{request.realm}", gssapi.NameType.kerberos_principal)
    context = gssapi.SecurityContext(
        name=target,
        creds=who,
        usage="initiate",
        mech=gssapi.MechType.kerberos,
        flags=[gssapi.RequirementFlag.integrity],
    )
    # Wrapped by hand: credentials by password are Kerberos' own and not those of SPNEGO.
    return build_init(bytes(context.step() or b""))


def _words(error: Any) -> str:  # noqa: ANN401
    return "; ".join(str(word) for word in error.get_all_statuses(int(error.min_code), False))


def _main() -> None:
    """Make a token and print it: the other half of :func:`make_ticket_apart`."""
    asked = json.load(sys.stdin)
    request = TicketRequest(
        host=asked["host"],
        realm=asked["realm"],
        ccaches=tuple(asked["ccaches"]),
        accounts=tuple((user, password) for user, password in asked["accounts"]),
    )
    try:
        print("token", make_ticket(request).hex())
    except ThroughwayError as error:
        print("error", error)


if __name__ == "__main__":
    _main()
