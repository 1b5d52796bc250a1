"""Who may ask the client for what, by the account that the kernel names (SO_PEERCRED).

Everybody may see the status. Who logs on takes the whole computer's place in the intranet, and
may spend the tries of a card: that is for root, for who sits here, and for whom client.toml names.
"""

import asyncio
import pwd
from collections.abc import Callable
from dataclasses import dataclass

from throughway.control.codec import CommandRefused
from throughway.control.server import Request, require_owner
from throughway.net import desk

ROOT = 0
REFUSED = "not-permitted"


@dataclass(frozen=True, slots=True)
class Desk:
    """What is known of who sits here; the functions take numbers of users."""

    is_known: Callable[[], bool] = desk.is_known
    occupied: Callable[[], bool] = desk.anybody_at_desk
    sits: Callable[[int], bool] = desk.at_desk
    is_here: Callable[[int], bool] = desk.has_session


class Permission:
    """``named`` are the accounts of ``logon_users``."""

    def __init__(self, named: tuple[str, ...], desk: Desk | None = None) -> None:
        self._named = named
        self._desk = desk or Desk()

    async def require_logon(self, request: Request, owner: int | None) -> None:
        """Refuse to who may not log on; ``owner`` is whose logon it is that others would take."""
        if owner is not None:
            # Nobody may take the place of another person behind their back, nor inherit it.
            require_owner(request, (owner,))
            return
        here = self._sits(request) or (
            not self._desk.occupied() and self._desk.is_here(request.peer.uid)
        )
        await self._require(request, here=here)

    async def require_card(self, request: Request, owner: int | None) -> None:
        """Refuse the card in the reader to who does not sit before it."""
        if owner is not None:
            require_owner(request, (owner,))
        await self._require(request, here=self._sits(request))

    def _sits(self, request: Request) -> bool:
        return self._desk.sits(request.peer.uid)

    async def _require(self, request: Request, *, here: bool) -> None:
        uid = request.peer.uid
        if uid == ROOT or here or await asyncio.to_thread(self._is_named, uid):
            return
        who = "only root and who sits at this computer may do this"
        if not self._desk.is_known():
            who = "systemd-logind, which knows who sits here, does not run: only root may do this"
        why = f"{request.command.name}: {who}; or who is named in logon_users of client.toml"
        raise CommandRefused(REFUSED, why)

    def _is_named(self, uid: int) -> bool:
        for name in self._named:
            try:
                if pwd.getpwnam(name).pw_uid == uid:
                    return True
            except KeyError:
                continue  # an account that is not there yet, or not any more
        return False
