"""One-time codes of people's devices: TOTP (RFC 6238), and the book of who has which secret.

Pure: the time and fresh secrets are arguments. A code counts once and in its time, give or take
one step (RFC 6238 section 5.2); each check returns the book to be kept from then on.
"""

import base64
import binascii
import hmac
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from throughway.model.errors import ConfigError, TrustError
from throughway.pki import fields
from throughway.pki.fields import Fields

WRONG, USED, DRIFTED = "one-time-code-wrong", "one-time-code-used", "one-time-code-clock"
TOO_MANY, UNKNOWN = "one-time-code-too-many", "one-time-code-unknown-user"

FORMAT = 1
SECRET_LENGTH = 20
"""Octets; what RFC 4226 section 4 recommends, and every device takes."""
DIGITS, PERIOD = 6, 30
WINDOW = 1
"""Steps before and after now that count."""
DRIFT = 20
"""Steps in which a code that is right is told from one that is wrong: ten minutes."""
MAX_FAILURES = 5
FAILURES_FOR = 300
"""Seconds for which a user who has failed so often must wait (RFC 4226 section 7.3)."""
MAX_USERS = 50_000
ALGORITHMS: dict[str, type[HashAlgorithm]] = {"SHA1": SHA1, "SHA256": SHA256, "SHA512": SHA512}


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """The device of one user."""

    principal: str
    secret: str
    """Base32."""
    algorithm: str = "SHA1"
    digits: int = DIGITS
    period: int = PERIOD
    last: int = -1
    """The step of the last code that counted; none up to it counts any more."""
    failures: int = 0
    failed_at: int = 0

    def code(self, at: float) -> str:
        """Return the code that the device shows at a time."""
        return self._totp().generate(max(0, int(at))).decode()

    def uri(self, issuer: str) -> str:
        """Return what devices read as a QR code (Key URI Format)."""
        label = quote(f"{issuer}:{self.principal}")
        said = {"secret": self.secret.rstrip("="), "issuer": issuer, "algorithm": self.algorithm}
        return f"otpauth://totp/{label}?{urlencode(said | self._numbers(), quote_via=quote)}"

    def _numbers(self) -> dict[str, str]:
        return {"digits": str(self.digits), "period": str(self.period)}

    def _totp(self) -> TOTP:
        key = base64.b32decode(self.secret)
        algorithm = ALGORITHMS[self.algorithm]()
        return TOTP(key, self.digits, algorithm, self.period, enforce_key_length=False)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceBook:
    """All users' devices."""

    devices: tuple[Device, ...] = ()

    def find(self, principal: str) -> Device | None:
        """Return a user's device."""
        wanted = principal.casefold()
        return next((d for d in self.devices if d.principal.casefold() == wanted), None)

    def added(self, device: Device) -> "DeviceBook":
        """Return the book with a device, in the place of the user's former one."""
        return replace(self, devices=(*self.without(device.principal).devices, device))

    def without(self, principal: str) -> "DeviceBook":
        """Return the book without a user."""
        kept = (d for d in self.devices if d.principal.casefold() != principal.casefold())
        return replace(self, devices=tuple(kept))


def make_device(principal: str, secret: bytes) -> Device:
    """Return a user's new device."""
    return Device(principal=principal, secret=base64.b32encode(secret).decode())


def check(
    book: DeviceBook, principal: str, code: str, now: float
) -> tuple[DeviceBook, TrustError | None]:
    """Judge a code: return the book to be kept, and why it does not count, None when it does."""
    device = book.find(principal)
    if device is None:
        why = f"{principal} has no device for codes; `throughway gateway totp add` makes one"
        return book, TrustError(why, problem=UNKNOWN)
    if device.failures >= MAX_FAILURES and now < device.failed_at + FAILURES_FOR:
        wait = int(device.failed_at + FAILURES_FOR - now) + 1
        why = f"{principal} had {device.failures} wrong codes; none counts for {wait} s more"
        return book, TrustError(why, problem=TOO_MANY)
    step = int(now) // device.period
    found = next((s for s in _steps(step) if _same(device, s, code)), None)
    if found is not None and found > device.last and abs(found - step) <= WINDOW:
        return book.added(replace(device, last=found, failures=0)), None
    old = device.failures if now < device.failed_at + FAILURES_FOR else 0
    failed = replace(device, failures=old + 1, failed_at=int(now))
    return book.added(failed), _refusal(device, found, step)


def _refusal(device: Device, found: int | None, step: int) -> TrustError:
    if found is None:
        return TrustError(f"the code is not that of {device.principal}'s device", problem=WRONG)
    if found <= device.last:
        return TrustError(f"the code of {device.principal} was used before", problem=USED)
    off = (found - step) * device.period
    when = f"{abs(off)} s {'ahead of' if off > 0 else 'behind'}"
    why = f"the clock of {device.principal}'s device is about {when} the gateway's"
    return TrustError(why, problem=DRIFTED)


def _steps(now: int) -> Iterator[int]:
    """Yield the nearest first."""
    yield now
    for distance in range(1, DRIFT + 1):
        yield now - distance
        yield now + distance


def _same(device: Device, step: int, code: str) -> bool:
    """Compare in a time that tells nothing."""
    if step < 0:
        return False
    return hmac.compare_digest(device.code(step * device.period).encode(), code.strip().encode())


def build_book(book: DeviceBook) -> bytes:
    """Return the book as JSON."""
    values = {"format": FORMAT, "devices": [asdict(device) for device in book.devices]}
    return json.dumps(values, indent=1).encode() + b"\n"


def parse_book(data: bytes, what: str) -> DeviceBook:
    """Return the book; :exc:`ConfigError` where it was damaged."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConfigError(what, "", f"is not JSON: {error}") from error
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise ConfigError(what, "format", f"must be {FORMAT}")
    top = Fields(values, what)
    tables = top.tables("devices", maximum=MAX_USERS)
    devices = tuple(_read_device(table) for table in tables)
    top.finish(*tables)
    return DeviceBook(devices=devices)


def _read_device(table: Fields) -> Device:
    device = Device(
        principal=table.text("principal"),
        secret=table.text("secret", _check_secret),
        algorithm=table.text("algorithm", _check_algorithm, "SHA1"),
        digits=table.integer("digits", 6, DIGITS),
        period=table.integer("period", 1, PERIOD),
        last=table.integer("last", -1, -1),
        failures=table.integer("failures", 0, 0),
        failed_at=table.integer("failed_at", 0, 0),
    )
    if device.digits > 8:
        table.refuse("digits", "must be 6, 7 or 8")
    return device


def _check_secret(value: str) -> str:
    try:
        if len(base64.b32decode(value)) >= 10:
            return fields.check_text(value)
    except binascii.Error:
        pass
    raise ValueError("must be base32 of at least 10 octets")


def _check_algorithm(value: str) -> str:
    if value not in ALGORITHMS:
        raise ValueError(f"{value!r} is not one of {', '.join(ALGORITHMS)}")
    return value
