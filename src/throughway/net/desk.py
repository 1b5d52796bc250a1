"""Who sits at this computer, as systemd-logind (or elogind) knows: sd-login(3).

The library only reads what logind keeps below /run: asking it is quick and waits for nobody.
"""

import ctypes
from functools import cache
from pathlib import Path

LIBRARIES = ("libsystemd.so.0", "libelogind.so.0")
SEATS = Path("/run/systemd/seats")
"""There while logind runs."""
PERSON = b"user"
"""Begins the classes of sessions that people have: "user", "user-early", "user-incomplete"."""
CALLS = ("sd_uid_get_seats", "sd_uid_get_sessions", "sd_seat_get_active", "sd_session_get_class")
_libc = ctypes.CDLL(None)


def is_known() -> bool:
    """Say whether anybody keeps book of sessions here."""
    return SEATS.is_dir() and _library() is not None


def at_desk(uid: int) -> bool:
    """Say whether a user's session has screen and keyboard of a seat now."""
    library = _library()
    return library is not None and library.sd_uid_get_seats(uid, 1, None) > 0


def has_session(uid: int) -> bool:
    """Say whether a user has a session here that is not ending; by network, too."""
    library = _library()
    return library is not None and library.sd_uid_get_sessions(uid, 1, None) > 0


def anybody_at_desk() -> bool:
    """Say whether some user has screen and keyboard of a seat now."""
    library = _library()
    if library is None:
        return False
    try:
        seats = [path.name for path in SEATS.iterdir() if not path.name.startswith(".")]
    except OSError:
        return False
    return any(_person_at(library, seat.encode()) for seat in seats)


def _person_at(library: ctypes.CDLL, seat: bytes) -> bool:
    """Say whether a seat's session is a person's, and not the greeter of a display manager."""
    session, kind = ctypes.c_char_p(), ctypes.c_char_p()
    if library.sd_seat_get_active(seat, ctypes.byref(session), None) < 0:
        return False
    known = library.sd_session_get_class(session, ctypes.byref(kind)) >= 0
    person = known and (kind.value or b"").startswith(PERSON)
    for text in (session, kind):
        _libc.free(text)  # sd-login(3): they are ours
    return person


@cache
def _library() -> ctypes.CDLL | None:
    for name in LIBRARIES:
        try:
            library = ctypes.CDLL(name)
            for call in CALLS:
                getattr(library, call)
        except (OSError, AttributeError):
            continue
        return library
    return None
