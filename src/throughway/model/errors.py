"""Every exception that crosses a package boundary.

A type exists here only where some caller handles it differently from its siblings.
A finding is not an exception, and an absent fact is not an error.
"""

from enum import StrEnum


class ThroughwayError(Exception):
    """Base of all errors raised on purpose; its text is fit to be shown to a person."""


class ConfigError(ThroughwayError):
    """A configuration file (or policy) says something that cannot be obeyed."""

    def __init__(
        self, file: str, key: str, why: str, errors: tuple["ConfigError", ...] = ()
    ) -> None:
        super().__init__(": ".join(part for part in (file, key, why) if part))
        self.file = file
        self.key = key
        self.why = why
        self.errors = errors
        """Where several were found at once: each by itself; else nothing."""


class WireError(ThroughwayError, ValueError):
    """Bytes which are not a message of the format asked for."""


class ProtocolError(ThroughwayError):
    """A rule of the protocol was broken; raise one of the two subclasses."""


class LocalProtocolError(ProtocolError):
    """We asked the machine for something which its state does not allow: our bug."""


class RemoteProtocolError(ProtocolError):
    """The peer sent what the specification forbids."""


class Stage(StrEnum):
    """How far a connection got before it failed."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    PROXY = "proxy"
    TLS = "tls"
    HTTP = "http"
    LINK = "link"


class TransportError(ThroughwayError):
    """A connection could not be made or did not last.

    ``windows_code`` is the number that Windows shows for the same failure in
    ``netsh interface httpstunnel show interfaces``; 0 where it has none.
    ``problem`` is the code of the catalogue's entry, "" where none fits.
    """

    def __init__(
        self, stage: Stage, message: str, *, windows_code: int = 0, problem: str = ""
    ) -> None:
        super().__init__(message)
        self.stage = stage
        self.windows_code = windows_code
        self.problem = problem


class NetworkLeftError(TransportError):
    """The connection went with the network in which it was made: nothing is broken by that.

    Whether the network of now lets the next one through, that one tells.
    """


class IPsecError(ThroughwayError):
    """charon refused, failed or is not there; ``problem`` as in :class:`TransportError`."""

    def __init__(self, message: str, *, problem: str = "", authorities_known: bool = False) -> None:
        super().__init__(message)
        self.problem = problem
        self.authorities_known = authorities_known
        """Whether the peer has named the authorities that it trusts, and we know all of them."""


class TrustError(ThroughwayError):
    """A signature, certificate or ticket does not prove what it must."""

    def __init__(self, message: str, *, problem: str = "") -> None:
        super().__init__(message)
        self.problem = problem


class ParseError(ThroughwayError):
    """Evidence is not in the form its kind promises."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message if line is None else f"line {line}: {message}")
        self.line = line


class ControlError(ThroughwayError):
    """The daemon cannot be asked, or refused the command."""


class LabError(ThroughwayError):
    """The lab cannot be built, or a service in it did not come up."""
