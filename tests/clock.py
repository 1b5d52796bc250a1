"""The clock of a test's event loop: it goes on at once where something must take too long.

A limit of a fifth of a second is soon waited for, but a busy machine reaches it before what comes
first. With a limit that only a failure reaches, and a clock that a test sets, both have their time.
"""

import asyncio

from tests.patience import PATIENCE


def pass_time(seconds: float = 2 * PATIENCE) -> None:
    """Let so much time be over for the running loop: all that is due until then comes next."""
    loop = asyncio.get_running_loop()
    now = loop.time
    loop.time = lambda: now() + seconds  # type: ignore[method-assign]
