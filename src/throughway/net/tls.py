"""TLS on both ends: contexts, and what went wrong said in our words and in Windows' numbers."""

import contextlib
import errno
import hashlib
import os
import re
import socket
import ssl
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from throughway.model.errors import ConfigError, Stage, TransportError

MINIMUM_VERSION = ssl.TLSVersion.TLSv1_2
KEY_MODE = 0o077
"""Bits which nobody but the owner of a private key may have."""


NULL_SUITES = "NULL-SHA256:NULL-SHA:@SECLEVEL=0"
"""TLS_RSA_WITH_NULL_SHA256 and _SHA; OpenSSL knows no security level above 0 that has them."""


def server_context(
    certificate: Path,
    key: Path,
    *,
    rsa: tuple[Path, Path] | None = None,
    client_ca: Path | None = None,
    client_crls: Path | None = None,
    file: str = "",
) -> ssl.SSLContext:
    """Make the context of a server; with ``client_ca`` clients must show a certificate.

    ``rsa`` is a second certificate with its key; without ``client_crls``, PEM, revocation is not
    checked. Raises :exc:`ConfigError` for ``file`` when
    certificate and key cannot be used.
    """
    context = _server_context()
    _load_pair(context, certificate, key, file)
    if rsa is not None:
        _load_pair(context, *rsa, file, "rsa_")
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        # What is configured is the anchor, whether it signed itself or not.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        _load_trust(context, "client_ca", client_ca, file)
        if client_crls is not None:
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
            _load_trust(context, "client_crls", client_crls, file)
    return context


def null_context(certificate: Path, key: Path, file: str = "") -> ssl.SSLContext:
    """Make the context for clients that offer nothing but suites without encryption.

    Apart from all others: the security level that it needs must be nobody else's.
    """
    context = _server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(NULL_SUITES)
    _load_pair(context, certificate, key, file, "rsa_")
    return context


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = MINIMUM_VERSION
    context.options |= ssl.OP_NO_RENEGOTIATION
    # Unread tickets turn a close into a reset. With TLS 1.2 clients resume all the same.
    context.num_tickets = 0
    return context


def _load_trust(context: ssl.SSLContext, name: str, path: Path, file: str) -> None:
    try:
        context.load_verify_locations(cafile=path)
    except OSError as error:
        raise ConfigError(file, name, f"{path}: {_words(error)}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A server's files, read: for a process that may not read them itself."""

    certificate: str = ""
    """"": nobody speaks TLS with it."""
    key: str = field(default="", repr=False)
    client_ca: str = ""
    """"": clients need no certificate."""
    client_crls: str = ""
    """"": revocation is not checked."""
    rsa_certificate: str = ""
    rsa_key: str = field(default="", repr=False)


def context_of(credentials: Credentials) -> ssl.SSLContext | None:
    """Make the context of a server without any file on a disk; None: without a certificate."""
    if not credentials.certificate:
        return None
    with contextlib.ExitStack() as stack:
        return server_context(
            _file(credentials.certificate, stack),
            _file(credentials.key, stack),
            rsa=_rsa_files(credentials, stack) if credentials.rsa_certificate else None,
            client_ca=_file(credentials.client_ca, stack) if credentials.client_ca else None,
            client_crls=_file(credentials.client_crls, stack) if credentials.client_crls else None,
        )


def null_context_of(credentials: Credentials) -> ssl.SSLContext:
    """Make the context for NULL suites without any file on a disk."""
    with contextlib.ExitStack() as stack:
        return null_context(*_rsa_files(credentials, stack))


def _rsa_files(credentials: Credentials, stack: contextlib.ExitStack) -> tuple[Path, Path]:
    return _file(credentials.rsa_certificate, stack), _file(credentials.rsa_key, stack)


def load_credentials(context: ssl.SSLContext, credentials: Credentials) -> None:
    """Let new connections see another certificate and key."""
    with contextlib.ExitStack() as stack:
        certificate = _file(credentials.certificate, stack)
        _load_pair(context, certificate, _file(credentials.key, stack), "")


def _file(text: str, stack: contextlib.ExitStack) -> Path:
    """There is no other way into ssl for a key but the path of a file."""
    descriptor = os.memfd_create("throughway")
    stack.callback(os.close, descriptor)
    os.write(descriptor, text.encode())
    return Path(f"/proc/self/fd/{descriptor}")


def client_context(
    *,
    anchors: Sequence[str] = (),
    system: bool = True,
    certificate: Path | None = None,
    key: Path | None = None,
) -> ssl.SSLContext:
    """Make the context of a client, which checks chain and name.

    ``anchors`` are PEM certificates beside or, without ``system``, instead of the system's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = MINIMUM_VERSION
    if system:
        # Not load_default_certs(): from the hashed directory roots are read when they are needed.
        context.set_default_verify_paths()
    for anchor in anchors:
        try:
            context.load_verify_locations(cadata=anchor)
        except (ssl.SSLError, ValueError) as error:
            why = f"a trust anchor is not a PEM certificate: {_words(error)}"
            raise ConfigError("", "trust_anchors", why) from error
    if certificate is not None and key is not None:
        _load_pair(context, certificate, key, "")
    return context


def load_pair(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Let new connections show what is in these files now."""
    _load_pair(context, certificate, key, "")


def unverified_context() -> ssl.SSLContext:
    """Make the context of a client that trusts whoever answers: for what proves itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = MINIMUM_VERSION
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def key_is_exposed(key: Path) -> bool:
    """Whether others than its owner can read a private key."""
    return bool(stat.S_IMODE(key.stat().st_mode) & KEY_MODE)


def describe(connection: ssl.SSLObject | None) -> str:
    """Return version and cipher suite, such as ``TLSv1.3 TLS_AES_128_GCM_SHA256``."""
    if connection is None:
        return ""
    cipher = connection.cipher()
    return f"{connection.version()} {cipher[0]}" if cipher else ""


def fingerprint_of(connection: ssl.SSLObject | None) -> str:
    """Return the SHA-256 of the certificate which the peer showed, "" where it showed none."""
    certificate = connection.getpeercert(binary_form=True) if connection else None
    return hashlib.sha256(certificate).hexdigest() if certificate else ""


def serial_of(connection: ssl.SSLObject | None) -> str:
    """Return the serial number of the peer's certificate, hexadecimal without leading zeros."""
    certificate = connection.getpeercert() if connection else None
    return str(certificate.get("serialNumber", "")).lstrip("0") if certificate else ""


def subject_of(connection: ssl.SSLObject | None) -> str:
    """Return the subject of the certificate which the peer showed and which was verified."""
    certificate = connection.getpeercert() if connection else None
    if not certificate:
        return ""
    names = cast("tuple[tuple[tuple[str, str], ...], ...]", certificate.get("subject", ()))
    return ", ".join(f"{key}={value}" for name in names for key, value in name)


def transport_error(error: BaseException, stage: Stage) -> TransportError:
    """Say what an exception of ssl, socket or asyncio means at this stage of a connection."""
    match error:
        case TransportError():
            return error
        case ssl.SSLCertVerificationError():
            return _verification_error(error)
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return _connection_error(errno.ECONNRESET, stage)
        case ssl.SSLError():
            return _tls_error(error, stage)
        case socket.gaierror():
            return _name_error(error)
        case TimeoutError():
            return _connection_error(errno.ETIMEDOUT, stage)
        case OSError():
            return _connection_error(error.errno, stage)
        case _:
            return TransportError(stage, str(error) or type(error).__name__)


_NAME_CODES = {
    socket.EAI_NONAME: (0x2AF9, "the name does not exist"),
    socket.EAI_NODATA: (0x2AFC, "the name has no address"),
    socket.EAI_AGAIN: (0x2AFA, "no DNS server answers"),
    socket.EAI_FAIL: (0x2AFB, "the DNS server failed"),
}


def _name_error(error: socket.gaierror) -> TransportError:
    code, words = _NAME_CODES.get(error.errno or 0, (0x2AF9, _words(error)))
    return TransportError(
        Stage.RESOLVE, words, windows_code=code, problem="iphttps-name-unresolvable"
    )


_CONNECTION_ERRORS = {
    errno.ECONNREFUSED: (0x274D, "iphttps-connection-refused", "the connection was refused"),
    errno.ECONNRESET: (0x2746, "iphttps-connection-reset", "the connection was reset"),
    errno.ECONNABORTED: (0x2746, "iphttps-connection-reset", "the connection was aborted"),
    errno.EPIPE: (0x2746, "iphttps-connection-reset", "the connection was closed"),
    errno.ETIMEDOUT: (0x274C, "iphttps-port-blocked", "no answer came in time"),
    errno.ENETUNREACH: (0x2743, "internet-down", "there is no route to the network"),
    # Its address is on a network of ours, or a router or firewall on the way says so.
    errno.EHOSTUNREACH: (0x2751, "iphttps-port-blocked", "the host cannot be reached"),
    errno.EADDRNOTAVAIL: (0x2741, "internet-down", "there is no address to connect from"),
}


def _connection_error(number: int | None, stage: Stage) -> TransportError:
    unknown = (0, "", os.strerror(number) if number else "the connection failed")
    code, problem, words = _CONNECTION_ERRORS.get(number or 0, unknown)
    if stage is Stage.TLS and number == errno.ETIMEDOUT:
        problem = "iphttps-tls-handshake-failed"
    return TransportError(stage, words, windows_code=code, problem=problem)


# OpenSSL's X509_V_ERR_… numbers.
_VERIFICATION_ERRORS = {
    3: (0x80092013, "iphttps-crl-unreachable"),
    7: (0x800B010A, "iphttps-cert-chain-invalid"),
    9: (0x800B0101, "iphttps-cert-not-yet-valid"),
    10: (0x800B0101, "iphttps-cert-expired"),
    12: (0x80092013, "iphttps-crl-expired"),
    18: (0x800B0109, "iphttps-cert-untrusted-root"),
    19: (0x800B0109, "iphttps-cert-untrusted-root"),
    20: (0x800B0109, "iphttps-cert-untrusted-root"),
    21: (0x800B010A, "iphttps-cert-intermediate-missing"),
    22: (0x800B010A, "iphttps-cert-chain-invalid"),
    23: (0x800B010C, "iphttps-cert-revoked"),
    24: (0x800B010A, "iphttps-cert-chain-invalid"),
    25: (0x800B010A, "iphttps-cert-chain-invalid"),
    26: (0x800B0110, "iphttps-cert-wrong-usage"),
    32: (0x800B010A, "iphttps-cert-chain-invalid"),
    34: (0x800B010A, "iphttps-cert-chain-invalid"),
    47: (0x800B010A, "iphttps-cert-chain-invalid"),
    48: (0x800B010A, "iphttps-cert-chain-invalid"),
    62: (0x800B010F, "iphttps-cert-name-mismatch"),
    64: (0x800B010F, "iphttps-cert-name-mismatch"),
    66: (0x800B010A, "iphttps-cert-chain-invalid"),
    67: (0x800B010A, "iphttps-cert-chain-invalid"),
    68: (0x800B010A, "iphttps-cert-chain-invalid"),
    79: (0x800B010A, "iphttps-cert-chain-invalid"),
}


def _verification_error(error: ssl.SSLCertVerificationError) -> TransportError:
    handshake = (0x80090326, "iphttps-tls-handshake-failed")
    code, problem = _VERIFICATION_ERRORS.get(error.verify_code, handshake)
    words = f"the server's certificate is not accepted: {error.verify_message}"
    return TransportError(Stage.TLS, words, windows_code=code, problem=problem)


# By OpenSSL's reason; the alerts which a server sends for our certificate, and what is no TLS.
_TLS_ERRORS = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": (0x90320, "iphttps-client-cert-required"),
    "TLSV1_ALERT_UNKNOWN_CA": (0x80090327, "iphttps-client-cert-rejected"),
    "SSLV3_ALERT_BAD_CERTIFICATE": (0x80090327, "iphttps-client-cert-rejected"),
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": (0x80090327, "iphttps-client-cert-rejected"),
    "SSLV3_ALERT_CERTIFICATE_REVOKED": (0x80090327, "iphttps-client-cert-rejected"),
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": (0x80090328, "iphttps-client-cert-rejected"),
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": (0x80090327, "iphttps-client-cert-rejected"),
    "TLSV1_ALERT_PROTOCOL_VERSION": (0x80090331, "iphttps-tls-handshake-failed"),
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": (0x80090331, "iphttps-tls-handshake-failed"),
    "WRONG_VERSION_NUMBER": (0x80090308, "iphttps-wrong-server"),
    "HTTP_REQUEST": (0x80090308, "iphttps-wrong-server"),
    "UNEXPECTED_EOF_WHILE_READING": (0x2746, "iphttps-connection-reset"),
}


def _tls_error(error: ssl.SSLError, stage: Stage) -> TransportError:
    handshake = (0x80090326, "iphttps-tls-handshake-failed")
    code, problem = _TLS_ERRORS.get(error.reason or "", handshake)
    reason = (error.reason or _words(error)).lower().replace("_", " ")
    stage = Stage.TLS if problem != "iphttps-connection-reset" else stage
    return TransportError(stage, f"TLS failed: {reason}", windows_code=code, problem=problem)


def _load_pair(
    context: ssl.SSLContext, certificate: Path, key: Path, file: str, prefix: str = ""
) -> None:
    for name, path in ((f"{prefix}certificate", certificate), (f"{prefix}key", key)):
        if not os.access(path, os.R_OK):
            raise ConfigError(file, name, f"{path} cannot be read")
    try:
        # Never ask for a passphrase on a terminal which a daemon has not got.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (ssl.SSLError, OSError, ValueError) as error:
        why = f"{certificate} and {key} are no certificate (PEM) with its key: {_words(error)}"
        raise ConfigError(file, f"{prefix}key", why) from error


def _words(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    # Where in OpenSSL and in Python it arose means nothing to whoever reads it.
    return re.sub(r"^\[[A-Z0-9_: ]+\] | \(_ssl\.c:\d+\)$", "", words)
