"""The policy of a client: the bundle on the disk, and newer ones through the tunnel."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from throughway.client.join import install_bundle, load_bundle
from throughway.model.config import ClientConfig
from throughway.model.errors import ConfigError, Stage, ThroughwayError, TransportError, TrustError
from throughway.model.policy import Policy
from throughway.net.fetch import fetch as download
from throughway.pki.bundle import MAX_BUNDLE

FETCH_INTERVAL = 3600.0
"""Seconds between two looks for a newer bundle."""
RETRY_INTERVAL = 60.0
"""Seconds after which a fetch that failed is repeated."""
LOOK_INTERVAL = 2.0
"""Seconds between two looks at the disk while there is no policy that can be trusted."""

OnPolicy = Callable[[Policy], Awaitable[None]]
OnTrouble = Callable[[ThroughwayError | None], None]


class FilesError(ThroughwayError):
    """A file of the client cannot be written."""

    problem = "files-not-writable"


class PolicyKeeper:
    """Keeps the last good policy; ``on_policy`` is awaited with the first and each newer one.

    ``on_trouble`` hears why a bundle was refused or could not be fetched, and None when all
    is well again. A bundle that is refused changes nothing: the last good one stays in force.
    """

    def __init__(self, config: ClientConfig, on_policy: OnPolicy, on_trouble: OnTrouble) -> None:
        self._config = config
        self._on_policy = on_policy
        self._on_trouble = on_trouble
        self._policy: Policy | None = None
        self._waiter: asyncio.Task[None] | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._again = False
        """Whether somebody has asked while a fetch was under way: what it brings may be old."""
        self._due = 0.0
        """On the loop's clock."""

    @property
    def version(self) -> int:
        """The version in force, 0 when there is none."""
        return self._policy.version if self._policy is not None else 0

    async def start(self) -> None:
        """Take the bundle on the disk, or wait until there is one that can be trusted."""
        try:
            await self.look()
        except OSError as error:
            self._on_trouble(_told(error))
        except ThroughwayError as error:
            if not getattr(error, "problem", ""):
                raise
            self._on_trouble(error)  # who looks can see it, and it is tried again
        self._waiter = asyncio.create_task(self._watch(), name="policy")

    async def close(self) -> None:
        """Stop."""
        for task in (self._waiter, self._fetching):
            if task is not None:
                task.cancel()
                await asyncio.wait((task,))

    async def look(self) -> None:
        """Read the bundle on the disk; take it when it is the first or a newer one."""
        try:
            policy = load_bundle(self._config, time.time())
        except (TrustError, ConfigError) as error:
            self._on_trouble(error)
            return
        await self._take(policy)
        self._on_trouble(None)

    def fetch_if_due(self) -> None:
        """Fetch in the background when it is time; the infrastructure tunnel is up."""
        now = asyncio.get_running_loop().time()
        if now >= self._due:
            self._due = now + FETCH_INTERVAL
            self.fetch_now()

    def fetch_now(self) -> None:
        """Fetch in the background."""
        if self._policy is None or not self._policy.policy_url:
            return
        self._again = True
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._fetch_while_asked())

    async def finished(self) -> None:
        """Wait until no fetch is under way."""
        if self._fetching is not None:
            await asyncio.wait({self._fetching})

    async def _watch(self) -> None:
        """Wait for a first policy, then for the end of the one in force."""
        while True:
            await asyncio.sleep(LOOK_INTERVAL if self._policy is None else RETRY_INTERVAL)
            if self._policy is None or time.time() > self._policy.expires_at:
                try:
                    await self.look()
                except (ThroughwayError, OSError) as error:
                    self._on_trouble(_told(error))

    async def _fetch_while_asked(self) -> None:
        while self._again and self._policy is not None:
            self._again = False
            await self._fetch(self._policy.policy_url)

    async def _fetch(self, url: str) -> None:
        try:
            data = await self._download(url)
            await self._take(install_bundle(data, self._config, time.time()))
        except (ThroughwayError, OSError) as error:
            self._due = asyncio.get_running_loop().time() + RETRY_INTERVAL
            self._on_trouble(_told(error))
        else:
            self._on_trouble(None)

    async def _download(self, url: str) -> bytes:
        try:
            return await download(url, limit=MAX_BUNDLE)
        except TransportError as error:
            raise _unreachable(url, error) from error

    async def _take(self, policy: Policy) -> None:
        """Put a newer policy in force; one that cannot be is tried again with the next look."""
        if policy.version <= self.version:
            return
        former, self._policy = self._policy, policy
        try:
            await self._on_policy(policy)
        except BaseException:
            self._policy = former
            raise


def _told(error: ThroughwayError | OSError) -> ThroughwayError:
    """Return an error for people; a full disk is no bug, and ends no daemon."""
    if isinstance(error, ThroughwayError):
        return error
    words = error.strerror or str(error)
    return FilesError(f"{error.filename}: {words}" if error.filename else words)


def _unreachable(url: str, error: TransportError) -> TransportError:
    return TransportError(Stage.HTTP, f"{url}: {error}", problem="policy-unreachable")
