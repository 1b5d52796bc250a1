"""Clients' revocation lists while the gateway runs: what is put in place counts within a minute.

Whoever publishes the list writes the file; nobody has to tell the gateway.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from throughway.catalogue.iphttps_clients import CRL_UNUSABLE
from throughway.health.tracker import Tracker
from throughway.model.config import AuthenticationMode, IPHTTPSServerConfig
from throughway.model.errors import ConfigError, TrustError
from throughway.net.files import read_file
from throughway.pki import pem

INTERVAL = 15.0
"""Seconds between two looks; four stat calls at the most."""

Reload = Callable[[IPHTTPSServerConfig], object]


def state_of(files: tuple[Path, ...]) -> tuple[tuple[int, int], ...]:
    """Return what changes with the files; one that is not there is one state too."""
    found = []
    for file in files:
        try:
            seen = file.stat()
        except OSError:
            found.append((0, 0))
        else:
            found.append((seen.st_mtime_ns, seen.st_size))
    return tuple(found)


def look_at_lists(config: IPHTTPSServerConfig, tracker: Tracker, now: datetime) -> None:
    """Say which lists have ended, or cannot be read: then clients are refused."""
    asked = config.authentication is AuthenticationMode.CERTIFICATES
    files = config.client_crls if asked else ()
    wrong = [words for file in files if (words := list_fault(file, now))]
    if wrong:
        tracker.set(CRL_UNUSABLE, "; ".join(wrong))
    else:
        tracker.clear(CRL_UNUSABLE)


def list_fault(file: Path, now: datetime) -> str:
    """Say why a list is of no use, "" when it is in force."""
    try:
        crl = pem.parse_crl(read_file(file), str(file))
    except (ValueError, TrustError) as error:
        return str(error)
    due = crl.next_update_utc
    ended = due is not None and due <= now
    return f"{file} ended on {due:%Y-%m-%d %H:%M} UTC" if ended else ""


async def watch_lists(
    config: Callable[[], IPHTTPSServerConfig], reload: Reload, tracker: Tracker
) -> None:
    """Look again and again; a file that has changed is taken."""
    known, known_files = state_of(config().client_crls), config().client_crls
    while True:
        look_at_lists(config(), tracker, datetime.now(UTC))
        await asyncio.sleep(INTERVAL)
        files = config().client_crls
        seen = state_of(files)
        if files != known_files:  # a reload has read these already
            known, known_files = seen, files
        if seen == known:
            continue
        known = seen
        try:
            reload(config())
        except ConfigError as error:  # half written, perhaps: the next look will tell
            tracker.set(CRL_UNUSABLE, str(error))
