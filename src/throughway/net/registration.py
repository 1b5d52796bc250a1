"""This computer's name in the domain's DNS: secure dynamic update (RFC 2136, RFC 3645).

As Windows does it (RFC 3645 section 4 shows the exchange): the zone
and its primary server are asked for by SOA, a security context is agreed upon with the server
(TKEY, the computer account's Kerberos ticket), and the update is signed under it (GSS-TSIG).

Everything here blocks and needs dnspython and libkrb5, which the client daemon should not hold:
it calls :func:`update_apart`, which does it in a short-lived process.
"""

import asyncio
import json
import os
import sys
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from throughway.model.errors import Stage, ThroughwayError, TransportError, TrustError
from throughway.net.files import read_secret

PROBLEM = "client-name-not-registered"
TTL = 60
"""Seconds: a client that moves has another address at once."""
QUERY_TIMEOUT = 5.0
"""Seconds for one question and its answer through the tunnel."""
MAXIMUM_TOKENS = 4
"""Kerberos needs one of ours; SPNEGO in front of it two."""
_APART_TIMEOUT = 40.0
"""Seconds; libkrb5 gives up a black-holed KDC after about 15."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A name and what it is to stand for."""

    name: str
    """Such as ``client1.corp.example.com``."""
    addresses: tuple[str, ...]
    """IPv6 addresses; none: the name is taken out."""
    servers: tuple[str, ...]
    """Addresses of the intranet's DNS servers."""
    principal: str
    """The computer account's, such as ``CLIENT1$@CORP.EXAMPLE.COM``."""
    password_file: str
    keytab: str = ""
    """In the place of the password."""


def update(registration: Registration, *, port: int = 53) -> None:
    """Put the name's AAAA records in place of all it had.

    Raises TransportError when no server answers, TrustError when the domain refuses.
    """
    import dns.exception

    try:
        zone, primary = _find_zone(registration, port)
        server, name = _find_server(registration, primary, port)
        _replace(registration, zone, server, name, port)
    except (dns.exception.DNSException, OSError, EOFError) as error:
        words = str(error) or type(error).__name__
        raise TransportError(
            Stage.CONNECT, f"the intranet's DNS: {words}", problem=PROBLEM
        ) from error


async def update_apart(registration: Registration) -> None:
    """Do :func:`update` in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        # -P: nothing is imported from the directory where the daemon happens to have been started.
        *(sys.executable, "-P", "-m", "throughway.net.registration"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_APART_TIMEOUT):
            answer, _ = await process.communicate(json.dumps(asdict(registration)).encode())
    except TimeoutError:
        raise TransportError(
            Stage.CONNECT, "the domain does not answer in time", problem=PROBLEM
        ) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    word, _, reason = answer.decode(errors="replace").strip().partition(" ")
    if word == "refused":
        raise TrustError(reason, problem=PROBLEM)
    if word != "registered":
        raise TransportError(Stage.CONNECT, reason or "no answer", problem=PROBLEM)


def _ask(query: Any, server: str, port: int) -> Any:  # noqa: ANN401 - dnspython's messages
    import dns.query

    return dns.query.tcp(query, server, port=port, timeout=QUERY_TIMEOUT)


def _first_answer(registration: Registration, query: Any, port: int) -> Any:  # noqa: ANN401
    """Return the answer of the first server that gives one."""
    import dns.exception

    last: Exception = TransportError(Stage.RESOLVE, "no DNS server is known", problem=PROBLEM)
    for server in registration.servers:
        try:
            return _ask(query, server, port)
        except (dns.exception.DNSException, OSError, EOFError) as error:
            last = error
    raise last


def _find_zone(registration: Registration, port: int) -> tuple[str, str]:
    """Return the zone that holds the name, and its primary server's name (RFC 2136 4.3)."""
    import dns.message
    import dns.rdatatype

    answer = _first_answer(registration, dns.message.make_query(registration.name, "SOA"), port)
    for rrset in (*answer.answer, *answer.authority):
        if rrset.rdtype == dns.rdatatype.SOA:
            return str(rrset.name), str(rrset[0].mname)
    raise TrustError(
        f"the intranet's DNS knows no zone that holds {registration.name}", problem=PROBLEM
    )


def _find_server(registration: Registration, primary: str, port: int) -> tuple[str, str]:
    """Return the primary server's IPv6 address, and its name without the last dot."""
    import dns.message
    import dns.rdatatype

    answer = _first_answer(registration, dns.message.make_query(primary, "AAAA"), port)
    for rrset in answer.answer:
        if rrset.rdtype == dns.rdatatype.AAAA:
            return str(rrset[0].address), primary.rstrip(".")
    # Only IPv4, or a hidden primary: whoever answers for the zone may pass the update on.
    return registration.servers[0], primary.rstrip(".")


def _replace(
    registration: Registration, zone: str, server: str, server_name: str, port: int
) -> None:
    import dns.rcode
    import dns.tsig
    import dns.update

    realm = registration.principal.rpartition("@")[2]
    keyring, key_name = _agree(registration, f"DNS/{server_name}@{realm}", server, port)
    message = dns.update.UpdateMessage(zone)
    message.delete(registration.name + ".", "AAAA")
    for address in registration.addresses:
        message.add(registration.name + ".", TTL, "AAAA", address)
    message.use_tsig(keyring, key_name, algorithm="gss-tsig")
    try:
        answer = _ask(message, server, port)
    except dns.tsig.BadSignature:
        # Samba's own server (4.17) signs its answers to updates wrongly; BIND's nsupdate says the
        # same of them. What the zone holds now tells what it did.
        if _held(registration, server, port) != set(registration.addresses):
            raise
        return
    if answer.rcode() != dns.rcode.NOERROR:
        word = dns.rcode.to_text(answer.rcode())
        raise TrustError(
            f"{server_name} refuses the update of {registration.name}: {word}", problem=PROBLEM
        )


def _held(registration: Registration, server: str, port: int) -> set[str]:
    """Return the addresses that the name has."""
    import dns.message
    import dns.rdatatype

    answer = _ask(dns.message.make_query(registration.name, "AAAA"), server, port)
    sets = (rrset for rrset in answer.answer if rrset.rdtype == dns.rdatatype.AAAA)
    return {str(record.address) for rrset in sets for record in rrset}


def _agree(registration: Registration, target: str, server: str, port: int) -> tuple[Any, Any]:
    """Agree upon a key with the server (RFC 3645 section 3.1); return keyring and key's name."""
    import dns.message
    import dns.name
    import dns.rdataclass
    import dns.rdatatype
    import dns.tsig

    context = _context(registration, target)
    key_name = dns.name.from_text(f"{uuid.uuid4()}.sig-{server.replace(':', '-')}")
    keyring = {key_name: dns.tsig.Key(key_name, context, "gss-tsig")}
    adapter: Any = dns.tsig.GSSTSigAdapter(keyring)  # type: ignore[no-untyped-call]
    token = _step(context, None)
    for _ in range(MAXIMUM_TOKENS):
        query = dns.message.make_query(key_name, "TKEY", "ANY")
        query.keyring = adapter
        additional = query.find_rrset(
            query.additional, key_name, dns.rdataclass.ANY, dns.rdatatype.TKEY, create=True
        )
        additional.add(_tkey(token))
        token = _reply(_ask(query, server, port))
        if context.complete:
            return keyring, key_name
        token = _step(context, token)
        if context.complete and not token:
            return keyring, key_name
    raise TrustError(f"{target}: no security context comes about", problem=PROBLEM)


def _tkey(token: bytes) -> Any:  # noqa: ANN401
    import dns.name
    import dns.rdataclass
    import dns.rdatatype
    import dns.rdtypes.ANY.TKEY as tkey

    now = int(time.time())
    return tkey.TKEY(  # type: ignore[no-untyped-call]
        dns.rdataclass.ANY,
        dns.rdatatype.TKEY,
        dns.name.from_text("gss-tsig."),
        now,
        now + 3600,
        tkey.TKEY.GSSAPI_NEGOTIATION,
        0,
        token,
        b"",
    )


def _reply(answer: Any) -> bytes:  # noqa: ANN401
    """Return the server's token; TrustError with its error when it has none."""
    import dns.rcode
    import dns.rdatatype

    for rrset in answer.answer:
        if rrset.rdtype == dns.rdatatype.TKEY:
            if rrset[0].error:
                word = dns.rcode.to_text(rrset[0].error)
                raise TrustError(f"the DNS server refuses the ticket: {word}", problem=PROBLEM)
            return bytes(rrset[0].key)
    word = dns.rcode.to_text(answer.rcode())
    raise TrustError(f"the DNS server makes no security context: {word}", problem=PROBLEM)


def _context(registration: Registration, target: str) -> Any:  # noqa: ANN401
    import gssapi
    import gssapi.raw

    krb5 = gssapi.MechType.kerberos
    principal = gssapi.NameType.kerberos_principal
    name = gssapi.Name(registration.principal, principal)
    try:
        if registration.keytab:
            store = {"client_keytab": f"FILE:{registration.keytab}", "ccache": "MEMORY:"}
            own = gssapi.Credentials(name=name, usage="initiate", store=store, mechs=[krb5])
        else:
            password = read_secret(Path(registration.password_file)).decode().strip()
            acquired = gssapi.raw.acquire_cred_with_password(
                *(name, password.encode()), usage="initiate", mechs=[krb5]
            )
            own = gssapi.Credentials(acquired.creds)
        return gssapi.SecurityContext(
            name=gssapi.Name(target, principal),
            creds=own,
            usage="initiate",
            mech=krb5,
        )
    except gssapi.exceptions.GSSError as error:
        raise _refused(registration, error) from error


def _step(context: Any, token: bytes | None) -> bytes:  # noqa: ANN401
    import gssapi

    try:
        return bytes(context.step(token) or b"")
    except gssapi.exceptions.GSSError as error:
        raise TrustError(
            f"no ticket for the DNS server: {_words(error)}", problem=PROBLEM
        ) from error


def _refused(registration: Registration, error: Any) -> TrustError:  # noqa: ANN401
    return TrustError(f"no ticket for {registration.principal}: {_words(error)}", problem=PROBLEM)


def _words(error: Any) -> str:  # noqa: ANN401
    return "; ".join(str(w) for w in error.get_all_statuses(int(error.min_code), False))


def _main() -> None:
    """Register what is read, and say how it went: the other half of :func:`update_apart`."""
    # The tickets stay in memory, whatever the daemon's environment says.
    os.environ["KRB5CCNAME"] = "MEMORY:registration"
    values = json.load(sys.stdin)
    lists = {name: tuple(values[name]) for name in ("addresses", "servers")}
    try:
        update(Registration(**{**values, **lists}))
    except TrustError as error:
        print("refused", error)
    except ThroughwayError as error:
        print("failed", error)
    except OSError as error:
        print("failed", error)
    else:
        print("registered")


if __name__ == "__main__":
    _main()
