"""Kerberos by GSS-API: tickets of users, the tokens made of them, and their acceptance.

Everything here blocks: call it in a thread, or, in a daemon that must stay small, call
:func:`make_token_apart`, which leaves libkrb5 to a short-lived process of its own. For the same
reason ``gssapi`` (6 MiB) is imported when first needed. Which KDC serves a realm is libkrb5's
business: krb5.conf, or SRV records.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from throughway.model.errors import ConfigError, Stage, ThroughwayError, TransportError, TrustError

USER_REFUSED = "ipsec-user-refused"
_APART_TIMEOUT = 20.0
"""Seconds; libkrb5 gives up a black-holed KDC after about 15."""
_REPLAY_CACHE = "file2:"
"""The type of replay cache that MIT Kerberos has had since 1.18; its file is never too large."""

# Of krb5.h (MIT), where they are fixed since they travel in KRB-ERROR (RFC 4120 section 7.5.9);
# each with the catalogue's problem and words for people.
_KRB5_ERRORS: dict[int, tuple[str, str]] = {
    -1765328383: ("kerberos-account-disabled", "the account has expired"),
    -1765328378: ("kerberos-user-unknown", "there is no such user"),
    -1765328377: ("kerberos-service-unknown", "the domain does not know the gateway's service"),
    -1765328366: ("kerberos-account-disabled", "the account is disabled or locked"),
    -1765328361: ("kerberos-password-expired", "the password has expired"),
    -1765328360: ("kerberos-password-wrong", "the password is wrong"),
    -1765328353: ("kerberos-password-wrong", "the password is wrong"),
    -1765328352: ("kerberos-ticket-expired", "the ticket has expired"),
    -1765328351: ("kerberos-clock-skew", "the ticket is not valid yet"),
    -1765328350: (USER_REFUSED, "the token was used before"),
    -1765328347: ("kerberos-clock-skew", "the clocks differ too much"),
    -1765328343: (USER_REFUSED, "the ticket is for another key of the service"),
    -1765328189: ("kerberos-ticket-missing", "there is no ticket"),
    -1765328243: ("kerberos-ticket-missing", "there is no ticket"),
    -1765328230: ("kerberos-unreachable", "no domain controller is known for the realm"),
    -1765328228: ("kerberos-unreachable", "no domain controller answers"),
    -1765328164: ("kerberos-unreachable", "the domain controller's name cannot be resolved"),
}
_UNREACHABLE = "kerberos-unreachable"
REALM_UNKNOWN = "kerberos-realm-unknown"
_NO_KDC = -1765328230
"""Neither krb5.conf nor the DNS names a KDC. For a computer's own realm, which somebody has set up,
that is a DNS which does not answer rightly; what a user types may be wrong."""


def get_ticket(principal: str, password: str, ccache: Path) -> None:
    """Get a ticket-granting ticket by password and keep it in ``ccache`` (a file, mode 0600).

    Raises TransportError when no KDC can be reached, TrustError when it refuses; ``problem``
    says which.
    """
    gssapi = _gssapi()
    krb5 = gssapi.MechType.kerberos
    try:
        name = gssapi.Name(principal, gssapi.NameType.kerberos_principal)
        acquired = gssapi.raw.acquire_cred_with_password(
            name, password.encode(), usage="initiate", mechs=[krb5]
        )
        store = {b"ccache": f"FILE:{ccache}".encode()}
        gssapi.raw.store_cred_into(
            store, acquired.creds, usage="initiate", mech=krb5, overwrite=True
        )
    except gssapi.exceptions.GSSError as error:
        if _minor(error) == _NO_KDC:
            words = f"no domain controller is known for the realm {principal.rpartition('@')[2]}"
            raise TransportError(Stage.RESOLVE, words, problem=REALM_UNKNOWN) from error
        raise _translated(error, principal, "kerberos-password-wrong") from error


def get_ticket_by_keytab(principal: str, keytab: Path | str, ccache: str) -> None:
    """Have a ticket-granting ticket in ``ccache`` by a keytab; a good one that is there stays.

    Errors as of :func:`get_ticket`.
    """
    gssapi = _gssapi()
    store = {"client_keytab": f"FILE:{keytab}", "ccache": ccache}
    try:
        name = gssapi.Name(principal, gssapi.NameType.kerberos_principal)
        gssapi.Credentials(
            name=name, usage="initiate", store=store, mechs=[gssapi.MechType.kerberos]
        ).inquire()
    except gssapi.exceptions.GSSError as error:
        raise _translated(error, principal, "kerberos-password-wrong") from error


def make_token(ccache: Path, service: str, *, realm: str = "") -> bytes:
    """Make a fresh AP-REQ for ``service`` (``host@da.example.com``) from the ticket in ``ccache``.

    ``realm`` is the service's; "" for the user's own. Each token is good for one use. Errors as
    of :func:`get_ticket`.
    """
    gssapi = _gssapi()
    krb5 = gssapi.MechType.kerberos
    user, principal = _user_of(ccache)
    try:
        target = _service_name(service, realm or principal.rpartition("@")[2])
        context = gssapi.SecurityContext(
            name=gssapi.Name(target, gssapi.NameType.kerberos_principal),
            creds=user,
            usage="initiate",
            mech=krb5,
            # No mutual authentication: the gateway has proven itself by its certificate, and
            # one message must do.
            flags=[gssapi.RequirementFlag.integrity],
        )
        token = context.step()
    except gssapi.exceptions.GSSError as error:
        raise _translated(error, service, USER_REFUSED) from error
    if token is None or not context.complete:
        raise TrustError(f"no token for {service}", problem=USER_REFUSED)
    return bytes(token)


async def make_token_apart(ccache: Path, service: str, *, realm: str = "") -> bytes:
    """Do :func:`make_token` in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        # -P: nothing is imported from the directory where the daemon happens to have been started.
        *(sys.executable, "-P", "-m", "throughway.net.kerberos", str(ccache), service, realm),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_APART_TIMEOUT):
            answer, _ = await process.communicate()
    except TimeoutError:
        raise TransportError(
            Stage.CONNECT, "no domain controller answers in time", problem=_UNREACHABLE
        ) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    word, _, rest = answer.decode(errors="replace").partition(" ")
    if word == "token":
        return bytes.fromhex(rest)
    problem, _, reason = rest.partition(" ")
    if problem == _UNREACHABLE:
        raise TransportError(Stage.CONNECT, reason, problem=problem)
    raise TrustError(reason or "the ticket could not be used", problem=problem or USER_REFUSED)


def ticket_principal(ccache: Path) -> str:
    """Return whose ticket ``ccache`` holds; TrustError when it holds none."""
    return str(_inquire(ccache).name)


def ticket_expiry(ccache: Path) -> float:
    """Return when the ticket in ``ccache`` expires, in seconds since 1970-01-01 UTC.

    TrustError when there is none; a ticket that has expired already gives a time in the past.
    """
    gssapi = _gssapi()
    try:
        return time.time() + float(_inquire(ccache).lifetime or 0)
    except gssapi.exceptions.ExpiredCredentialsError:
        return time.time() - 1


def token_acceptor(
    keytab: Path, service: str, realm: str, *, replay_cache: Path
) -> Callable[[bytes], str]:
    """Return what says whom a token proves, or raises TrustError.

    The keytab is read anew each time, so that a new key of the service is in force at once.
    """

    def accept(token: bytes) -> str:
        gssapi = _gssapi()
        store = {"keytab": f"FILE:{keytab}", "rcache": f"{_REPLAY_CACHE}{replay_cache}"}
        target = _service_name(service, realm)
        try:
            name = gssapi.Name(target, gssapi.NameType.kerberos_principal)
            own = gssapi.Credentials(name=name, usage="accept", store=store)
            context = gssapi.SecurityContext(creds=own, usage="accept")
            context.step(token)
            if not context.complete or context.mech != gssapi.MechType.kerberos:
                raise TrustError("the token is no whole Kerberos AP-REQ", problem=USER_REFUSED)
            return str(context.initiator_name)
        except gssapi.exceptions.GSSError as error:
            raise _refused(error, keytab) from error

    return accept


def check_keytab(keytab: Path, service: str, realm: str) -> None:
    """Raise TrustError when no ticket for the service can be read with what is in the keytab."""
    gssapi = _gssapi()
    try:
        target = _service_name(service, realm)
        name = gssapi.Name(target, gssapi.NameType.kerberos_principal)
        gssapi.Credentials(name=name, usage="accept", store={"keytab": f"FILE:{keytab}"})
    except gssapi.exceptions.GSSError as error:
        raise _refused(error, keytab) from error


def _user_of(ccache: Path) -> tuple[Any, str]:
    """Return credentials and whose they are; what cannot be read is no ticket."""
    gssapi = _gssapi()
    try:
        user = gssapi.Credentials(usage="initiate", store={"ccache": f"FILE:{ccache}"})
        return user, str(user.name)
    except gssapi.exceptions.GSSError as error:
        raise _translated(error, str(ccache), "kerberos-ticket-missing") from error


def _inquire(ccache: Path) -> Any:  # noqa: ANN401 - of an untyped package
    gssapi = _gssapi()
    try:
        return gssapi.Credentials(usage="initiate", store={"ccache": f"FILE:{ccache}"})
    except gssapi.exceptions.GSSError as error:
        raise _translated(error, str(ccache), "kerberos-ticket-missing") from error


def _gssapi() -> Any:  # noqa: ANN401 - of an untyped package
    try:
        import gssapi
        import gssapi.raw
    except ImportError as error:  # who has installed it for the doctor alone
        raise ConfigError(
            "Kerberos", "", f"needs the Python package gssapi ({error}): make install, or "
            "pip install '.[kerberos]'"
        ) from error  # fmt: skip

    return gssapi


def _service_name(service: str, realm: str) -> str:
    """Return the principal of a GSS host-based name.

    Made by hand, since libkrb5 would ask the DNS for the host's canonical name, and inside a
    tunnel under way there may be none to ask, or a wrong one.
    """
    kind, _, host = service.partition("@")
    return f"{kind}/{host}@{realm}"


def _minor(error: Any) -> int:  # noqa: ANN401 - of an untyped package
    code = int(getattr(error, "min_code", 0)) & 0xFFFFFFFF
    return code - (1 << 32) if code >= 1 << 31 else code


def _translated(error: Any, subject: str, otherwise: str) -> ThroughwayError:  # noqa: ANN401
    problem, words = _KRB5_ERRORS.get(_minor(error), (otherwise, _words(error)))
    words = words.removeprefix(f"{subject}: ")
    if problem == _UNREACHABLE:
        return TransportError(Stage.CONNECT, f"{subject}: {words}", problem=problem)
    return TrustError(f"{subject}: {words}", problem=problem)


def _refused(error: Any, keytab: Path) -> TrustError:  # noqa: ANN401
    """Say why the gateway refuses a token."""
    exceptions = _gssapi().exceptions
    if isinstance(error, exceptions.DuplicateTokenError):
        return TrustError("the token was used before", problem=USER_REFUSED)
    if isinstance(error, exceptions.MissingCredentialsError):
        return TrustError(f"{keytab} has no key: {_words(error)}", problem="user-keytab-unusable")
    if _minor(error) in _KRB5_ERRORS:
        problem, words = _KRB5_ERRORS[_minor(error)]
        return TrustError(words, problem=problem)
    if isinstance(error, exceptions.InvalidTokenError):
        return TrustError("the token is no Kerberos AP-REQ", problem=USER_REFUSED)
    return TrustError(_words(error), problem=USER_REFUSED)


def _words(error: Any) -> str:  # noqa: ANN401
    """Return the mechanism's words, which say more than the major status does."""
    return "; ".join(str(w) for w in error.get_all_statuses(int(error.min_code), False))


def _main(arguments: list[str]) -> None:
    """Make a token and print it: the other half of :func:`make_token_apart`."""
    ccache, service, realm = arguments
    try:
        print("token", make_token(Path(ccache), service, realm=realm).hex())
    except (TrustError, TransportError) as error:
        print("error", error.problem, error)


if __name__ == "__main__":
    _main(sys.argv[1:])
