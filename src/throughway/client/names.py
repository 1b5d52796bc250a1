"""Names on a client: the stub resolver, the rules of the policy, and /etc/resolv.conf."""

import asyncio
import contextlib
import time
from collections.abc import Callable

from throughway.model.config import ClientConfig
from throughway.model.errors import ThroughwayError
from throughway.model.policy import DEFAULT, DIRECT, NRPTRule, Policy
from throughway.model.status import NamesStatus, TunnelState
from throughway.net.firewall import MARK
from throughway.net.resolvconf import ResolvConf, Settings, intranet_domains
from throughway.net.resolver import PORT, Resolver, resolve
from throughway.net.stub import StubListener
from throughway.proto.nrpt import Situation, Table
from throughway.proto.nrpt.rules import always_exempt, rules_of
from throughway.wire.dns import Service


class StubError(ThroughwayError):
    """The stub resolver cannot listen."""

    problem = "stub-resolver-down"


class Names:
    """Serves names to the machine from :meth:`start` to :meth:`close`.

    ``on_servers(answering, servers)`` is told when the intranet's DNS servers begin or cease to
    answer, ``on_network()`` when the local DNS servers are others: the network is another one.
    """

    def __init__(
        self,
        config: ClientConfig,
        policy: Policy,
        *,
        on_servers: Callable[[bool, tuple[str, ...]], None],
        on_network: Callable[[], None],
    ) -> None:
        self._config = config
        self._policy = policy
        self._on_network = on_network
        self._resolver = Resolver(on_intranet_servers=on_servers)
        self._listener = StubListener(self._resolver, config.stub_address)
        self._file = ResolvConf(config.state_directory, config.stub_address)
        self._watcher: asyncio.Task[None] | None = None
        self._local: tuple[str, ...] = ()
        self._effective = True
        self._intranet = TunnelState.DOWN
        self._since = 0.0
        """When the rules came into effect, or ceased to be."""

    async def start(self) -> None:
        """Serve, then take the machine's resolver settings over."""
        self._apply()
        try:
            await self._listener.start()
        except OSError as error:
            raise StubError(
                f"the stub resolver cannot listen on {self._config.stub_address} port {PORT}: "
                f"{error.strerror}; choose another stub_address in {self._config.file}"
            ) from error
        self._since = time.time()
        self._take(self._file.take(intranet_domains(self._policy.nrpt)))
        self._watcher = asyncio.create_task(self._file.watch(self._changed), name="resolv.conf")

    async def close(self) -> None:
        """Give the settings back, then stop serving."""
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
        self._file.restore()
        await self._listener.close()
        await self._resolver.close()

    def set_situation(self, *, effective: bool, intranet: TunnelState) -> None:
        """Say whether the rules count, and how the tunnel to their servers is."""
        if effective is not self._effective:
            self._since = time.time()
        if (effective, intranet) != (self._effective, self._intranet):
            self._effective, self._intranet = effective, intranet
            self._apply()

    def update_policy(self, policy: Policy) -> None:
        """Take the rules of a newer policy."""
        self._policy = policy
        self._take(self._file.take(intranet_domains(policy.nrpt)))

    def network_changed(self) -> None:
        """Look whether the network has brought other servers; at once, not at the next look."""
        self._resolver.forget_answers()
        if settings := self._file.check():
            self._take(settings)

    async def resolve_local(self, host: str) -> tuple[str, ...]:
        """Return the addresses of a name by the local DNS; TransportError when there are none."""
        return await resolve(host, servers=self._local, mark=MARK)

    async def lookup(self, host: str) -> tuple[str, ...]:
        """Return the addresses of a name as programs get them; TransportError without any."""
        return await self._resolver.lookup(host)

    async def services(self, name: str) -> tuple[Service, ...]:
        """Return the SRV records of a name as programs get them."""
        return await self._resolver.services(name)

    @property
    def queries(self) -> int:
        """How many names were asked for."""
        return self._resolver.queries

    @property
    def stub(self) -> str:
        """The address at which this computer's programs ask."""
        return self._config.stub_address

    def in_use(self) -> bool:
        """Whether this computer's programs ask here."""
        return self._file.effective()

    def heard(self, server: str) -> float:
        """When a server of the intranet has given an answer of use, by the monotonic clock."""
        return self._resolver.heard(server)

    def status(self) -> NamesStatus:
        """Return the rules and whether they hold."""
        policy = self._policy
        return NamesStatus(
            effective=self._effective and self._file.effective(),
            since=self._since,
            stub=self._config.stub_address,
            rules=tuple(_told(rule) for rule in policy.nrpt),
            upstreams=self._local,
            always_exempt=always_exempt(policy),
            fallback=policy.fallback,
            queries=self._resolver.queries,
            hits=self._resolver.hits,
            cached=self._resolver.cached,
        )

    def _changed(self, settings: Settings) -> None:
        self._take(settings)
        self._on_network()

    def _take(self, settings: Settings) -> None:
        self._local = settings.servers
        self._apply()

    def _apply(self) -> None:
        self._resolver.set_situation(
            Situation(
                table=Table(rules_of(self._policy)),
                effective=self._effective,
                local_servers=self._local,
                intranet=self._intranet,
                fallback=self._policy.fallback,
            )
        )


def _told(rule: NRPTRule) -> str:
    """Return a rule for people."""
    if rule.exemption:
        told = f"{rule.namespace} → local DNS (exempt)"
    else:
        told = f"{rule.namespace} → {', '.join(rule.servers)}"
    if rule.proxy == DEFAULT:
        return told
    return f"{told}, {'no proxy' if rule.proxy == DIRECT else f'proxy {rule.proxy}'}"
