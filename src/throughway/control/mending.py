"""The command by which a part of a daemon is made anew while the others go on."""

from collections.abc import Awaitable, Callable, Mapping

from throughway.control.codec import JSON, CommandRefused
from throughway.control.server import Request, require_owner

COMMAND = "mend"

Mend = Callable[[], Awaitable[str]]
"""Does it and says in words what was done; raises a ThroughwayError when that cannot be."""


async def mend(request: Request, parts: Mapping[str, Mend]) -> JSON:
    """Mend the part that is asked for; only root may."""
    require_owner(request)
    name = request.command.text("part")
    if name not in parts:
        raise CommandRefused("unknown-part", f"{name!r} is none of {', '.join(parts)}")
    return {"part": name, "done": await parts[name]()}
