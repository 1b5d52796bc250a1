"""charon as a child of ours: started, watched, configured and asked over vici.

The settings file, the vici socket and everything else of it lie in one directory, so that
daemons in other network namespaces have their own. charon dies with the thread that called
:meth:`Charon.start` (PR_SET_PDEATHSIG, by setpriv): that thread must live as long as the daemon.
"""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from throughway.model.config import ESPMode
from throughway.model.errors import IPsecError
from throughway.model.revocation import Revocation
from throughway.net import privileges
from throughway.net.causes import explained
from throughway.net.process import death_of, end, end_recorded, record, write_private
from throughway.net.sas import IKESA, Event, parse_event, parse_sa
from throughway.net.vici import Section, Session

MARK = 0x42
"""Firewall mark of charon's own packets, which must not be pulled into the tunnels."""

PROGRAM = "charon-systemd"
PLUGINS = (
    *("random", "nonce", "pem", "x509", "openssl", "revocation", "constraints", "pubkey"),
    *("kdf", "drbg", "vici", "kernel-netlink", "socket-default", "eap-identity"),
)
"""What both ends need; each plugin costs memory, and start time."""
CLIENT_PLUGINS = ("eap-mschapv2", "eap-gtc", "eap-tls")
GATEWAY_PLUGINS = ("eap-mschapv2", "eap-radius", "pkcs1")
"""Without pkcs1, which x509 wants for public keys, charon reads certificates by openssl: that knows
no certificate policies, and no health certificate would be good."""

IKE_PROPOSALS = (
    "aes256gcm16-prfsha256-x25519",
    "aes256gcm16-prfsha256-ecp256",
    "aes256-sha256-modp2048",
)
ESP_PROPOSALS = (
    *("aes256gcm16-x25519", "aes256gcm16-ecp256", "aes256gcm16"),
    "aes128gcm16",
    "aes256-sha256-modp2048",
)
"""AES-256-GCM first: with user-space ESP it is also the fastest that encrypts."""

REVOCATION = {
    Revocation.WEAK: {"revocation": "relaxed"},
    Revocation.STRONG: {"revocation": "strict"},
}
"""What a connection demands of its peer, in charon's words."""


_FOR_MODULES = ("SOFTHSM2_CONF", "OPENSC_CONF", "TPM2_PKCS11_STORE", "TPM2_PKCS11_TCTI")
"""What PKCS#11 modules read of the environment."""

_READY_TIMEOUT = 10.0
"""Seconds until the vici socket must answer; half a second is usual."""
_READY_INTERVAL = 0.01
_FIRST_BACKOFF, _LAST_BACKOFF = 0.25, 30.0
"""Seconds before the second and before the last of restarts in a row; the first is at once."""
_STEADY = 60.0
"""Seconds charon must have lived for its next death to count as a first one."""
_TERMINATE_TIMEOUT = 2000
"""Milliseconds to wait for the peer's answer to a DELETE."""
_ANSWER_TIME = 10.0
"""Seconds for any answer; all but an attempt at a tunnel take some milliseconds."""
_WATCH_INTERVAL, _WATCH_LIMIT = 10.0, 3
"""Seconds between two looks whether charon answers, and looks in a row without an answer after
which it is ended, to be started anew: a minute."""
FETCH_TIME = 4
"""Seconds that charon waits for our own answer; a daemon that is busy gives it in less."""
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----\r?\n?", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class RADIUSServer:
    """Where charon asks about round 2 of users."""

    address: str
    port: int
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CharonSettings:
    """All that differs between one charon and another."""

    directory: Path
    esp: ESPMode
    plugins: tuple[str, ...]
    threads: int = 16
    """Of these charon keeps 9 for itself with user-space ESP; with 8 it never answers."""
    retransmit_timeout: float = 0.5
    retransmit_base: float = 1.5
    retransmit_tries: int = 4
    """With these a silent peer is given up after 6.6 s; charon's own defaults take 165 s."""
    revocation: bool = True
    """Whether lists and answers are looked at."""
    proxy: str = field(default="", repr=False)
    """By whom charon fetches them, see ``crl_proxy``; "" for nobody: it can fetch nothing then."""
    radius: RADIUSServer | None = None
    modules: tuple[Path, ...] = ()
    """PKCS#11 modules with keys."""
    account: str = ""
    """Who charon is, where there is such an account; else it is who we are."""

    @property
    def socket(self) -> Path:
        """The vici socket."""
        return self.directory / "charon.vici"


HALF_OPEN = 30
"""IKE_SAs of one address that are only coming up, with which charon hears no more from it. Each is
there for 30 s when the client has refused the gateway and gone, and tries again in seconds: with
charon's own 5 it would be kept out for that, also when the gateway is in order again."""


def settings_text(settings: CharonSettings) -> str:
    """Return strongswan.conf: one setting a line, since two on a line become one value."""
    plugins = list(settings.plugins)
    if settings.esp is ESPMode.LIBIPSEC:
        # It must be asked before kernel-netlink, which would take the policies without ESP.
        plugins.insert(plugins.index("kernel-netlink"), "kernel-libipsec")
    if settings.modules:
        # Before openssl, whose engine for PKCS#11, where there is one, would use up tries of a PIN;
        # pkcs1 makes the identifiers of RSA keys, without which no certificate finds its key.
        place = plugins.index("openssl")
        plugins[place:place] = ["pkcs1", "pkcs11"]
    if settings.proxy:
        plugins.insert(plugins.index("revocation"), "curl")
    parts = _modules_text(settings.modules)
    parts += "" if settings.radius is None else _radius_text(settings.radius)
    return f"""charon-systemd {{
  load = {" ".join(plugins)}
  multiple_authentication = yes
  threads = {settings.threads}
  install_virtual_ip = no
  retransmit_timeout = {settings.retransmit_timeout}
  retransmit_base = {settings.retransmit_base}
  retransmit_tries = {settings.retransmit_tries}
  block_threshold = {HALF_OPEN}
  close_ike_on_child_failure = yes
  delete_rekeyed_delay = 1
  journal {{
    default = -1
  }}
  plugins {{
    vici {{
      socket = unix://{settings.socket}
    }}
    kernel-libipsec {{
      allow_peer_ts = yes
    }}
    kernel-netlink {{
      fwmark = !{MARK:#x}
    }}
    socket-default {{
      fwmark = {MARK:#x}
    }}
    revocation {{
      enable_crl = {"yes" if settings.revocation else "no"}
      enable_ocsp = {"yes" if settings.revocation and settings.proxy else "no"}
      timeout = {FETCH_TIME}s
    }}
{parts}  }}
}}
"""


def _modules_text(modules: Sequence[Path]) -> str:
    if not modules:
        return ""
    # Certificates on a card are not to be believed for being there.
    told = (
        f"""        module{number} {{
          path = {module}
          os_locking = yes
          load_certs = no
        }}
"""
        for number, module in enumerate(dict.fromkeys(modules))
    )
    return f"""    pkcs11 {{
      modules {{
{"".join(told)}      }}
    }}
"""


def _radius_text(server: RADIUSServer) -> str:
    return f"""    eap-radius {{
      accounting = no
      servers {{
        authoriser {{
          address = {server.address}
          auth_port = {server.port}
          secret = {server.secret}
          sockets = 4
        }}
      }}
    }}
"""


class Charon:
    """One charon, kept running between :meth:`start` and :meth:`stop`.

    ``on_ready`` is awaited whenever a charon has come up, empty: it loads everything. All
    callbacks are called in the event loop.
    """

    def __init__(
        self,
        settings: CharonSettings,
        *,
        on_ready: Callable[["Charon"], Awaitable[None]],
        on_event: Callable[[Event], None] = lambda event: None,
        on_death: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._settings = settings
        self._on_ready = on_ready
        self._on_event = on_event
        self._on_death = on_death
        self._process: subprocess.Popen[bytes] | None = None
        self._died = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._listener: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether charon runs and listens."""
        return self._listener is not None and not self._listener.done()

    @property
    def pid(self) -> int | None:
        """The process, when there is one."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start charon and load it; from then on it is restarted when it dies."""
        await asyncio.to_thread(end_recorded, self._pid_file)
        try:
            await self._start_once()
        except BaseException:
            await self._end_process()
            raise
        self._keeper = asyncio.create_task(self._keep(), name="charon keeper")
        self._watcher = asyncio.create_task(self._watch(), name="charon watcher")

    async def stop(self) -> None:
        """End charon, and wait until it is gone."""
        await _cancel(self._watcher)
        await _cancel(self._keeper)
        self._keeper = self._watcher = None
        await self._end_process()
        self._pid_file.unlink(missing_ok=True)

    async def request(self, command: str, message: Section | None = None) -> Section:
        """Send any vici command; IPsecError when charon refuses it or is not there."""
        async with _answering(), Session(self._settings.socket) as session:
            return await session.request(command, message)

    async def load_connection(self, name: str, connection: Section) -> None:
        """Load, or replace, a connection; tunnels which are up stay."""
        await self.request("load-conn", {name: connection})

    async def unload_connection(self, name: str) -> None:
        """Forget a connection, if there is one; its tunnels stay until they are terminated."""
        try:
            await self.request("unload-conn", {"name": name})
        except IPsecError as error:
            if "not found" not in str(error):
                raise

    async def load_certificate(self, certificate: bytes, *, authority: bool = False) -> None:
        """Load a certificate, PEM or DER; with ``authority`` as a root to trust."""
        flag = "CA" if authority else "NONE"
        await self.request("load-cert", {"type": "X509", "flag": flag, "data": certificate})

    async def load_crl(self, crl: bytes) -> None:
        """Load a revocation list, PEM or DER, of no more than 65,535 bytes."""
        await self.request("load-cert", {"type": "X509_CRL", "data": crl})

    async def forget_fetched(self) -> None:
        """Forget lists and OCSP answers that were fetched; what was loaded stays."""
        for kind in ("X509_CRL", "OCSP_RESPONSE"):
            await self.request("flush-certs", {"type": kind})

    async def load_key(self, key: bytes) -> str:
        """Load a private key, PEM or DER, not encrypted; return its name."""
        answer = await self.request("load-key", {"type": "any", "data": key})
        return str(answer.get("id", b"").decode())

    async def load_token(
        self, handle: str, pin: str, *, slot: int | None = None, module: Path | None = None
    ) -> str:
        """Load a private key that stays on a PKCS#11 token, presenting the PIN once.

        ``handle`` is the key's identifier, hexadecimal. Without a slot charon looks for the
        token that shows the key before it presents a PIN to anyone.
        """
        message = {"handle": handle} | ({"pin": pin} if pin else {})
        if slot is not None and module is not None:
            number = list(dict.fromkeys(self._settings.modules)).index(module)
            message |= {"slot": str(slot), "module": f"module{number}"}
        answer = await self.request("load-token", message)
        return str(answer.get("id", b"").decode())

    async def unload_key(self, name: str) -> None:
        """Forget a private key, and the PIN for it."""
        try:
            await self.request("unload-key", {"id": name})
        except IPsecError as error:
            if "not found" not in str(error):
                raise

    def renew(self) -> None:
        """End the process, to have another one started at once."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> bool:
        """End the process by force, to have another one started at once; say if there was one.

        One that hangs hears of nothing else.
        """
        if self._process is None:
            return False
        self._process.kill()
        return True

    async def load_secret(
        self, identifier: str, kind: str, secret: bytes, owners: Sequence[str]
    ) -> None:
        """Load, or replace, a shared secret of ``kind`` (``eap``, ``ntlm``) for ``owners``."""
        message = {"id": identifier, "type": kind, "data": secret, "owners": list(owners)}
        await self.request("load-shared", message)

    async def unload_secret(self, identifier: str) -> None:
        """Forget a shared secret."""
        await self.request("unload-shared", {"id": identifier})

    async def clear_credentials(self) -> None:
        """Forget all certificates, keys and secrets, and cached CRLs too; tunnels stay."""
        await self.request("clear-creds")

    async def initiate(self, child: str, *, ike: str, timeout_ms: int) -> None:
        """Bring a tunnel up; IPsecError with the cause when it does not come."""
        message = {"child": child, "ike": ike, "timeout": str(timeout_ms)}
        lines: list[str] = []
        try:
            async with Session(self._settings.socket) as session:
                async for line in session.stream("initiate", "control-log", message):
                    text = line.get("msg", b"").decode(errors="replace")
                    lines.append(text)
        except IPsecError as error:
            raise explained(error, lines) from error

    async def terminate(
        self, *, ike: str = "", unique_id: int = 0, wait: bool = True, force: bool = True
    ) -> None:
        """End the IKE_SAs of a name, or one by its id; no such SA is no error."""
        message = {"timeout": str(_TERMINATE_TIMEOUT if wait else -1)}
        message |= {"force": "yes"} if force else {}
        message |= {"ike": ike} if ike else {"ike-id": str(unique_id)}
        try:
            await self.request("terminate", message)
        except IPsecError as error:
            if error.problem or "no matching SAs" not in str(error):
                raise

    async def list_sas(self) -> tuple[IKESA, ...]:
        """Return every IKE_SA, also those that are only coming up."""
        found: list[IKESA] = []
        async with _answering(), Session(self._settings.socket) as session:
            async for answer in session.stream("list-sas", "list-sa"):
                found += (parse_sa(name, sa) for name, sa in answer.items())
        return tuple(found)

    async def list_connections(self) -> frozenset[str]:
        """Return the names of the connections that are loaded."""
        answer = await self.request("get-conns")
        names = answer.get("conns", [])
        return frozenset(str(name, "utf-8", "replace") for name in names)

    async def list_certificates(self) -> tuple[bytes, ...]:
        """Return certificates (DER) that are neither ours nor trusted: peers have shown them.

        charon remembers few of them, those of the last to come.
        """
        found: list[bytes] = []
        async with Session(self._settings.socket) as session:
            wanted = {"type": "X509", "flag": "NONE"}
            async for answer in session.stream("list-certs", "list-cert", wanted):
                found += [answer["data"]] if "has_privkey" not in answer else []
        return tuple(found)

    async def flush_certificates(self) -> None:
        """Forget what peers have shown; what was loaded, and every CRL, stays."""
        await self.request("flush-certs", {"type": "X509"})

    @property
    def _pid_file(self) -> Path:
        return self._settings.directory / "charon.pid"

    async def _start_once(self) -> None:
        """Start one charon, wait until it answers and load it."""
        directory = self._settings.directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        configuration = directory / "strongswan.conf"
        write_private(configuration, settings_text(self._settings))
        self._settings.socket.unlink(missing_ok=True)
        account = privileges.usable_account(self._settings.account)
        if account is not None:
            _let_in(account[1], directory, configuration)
        self._process = _spawn(
            configuration, directory / "charon.err", account, self._settings.proxy
        )
        record(self._pid_file, self._process)
        self._died = death_of(self._process)
        session = await self._wait_ready()
        self._listener = asyncio.create_task(self._listen(session), name="charon events")
        await self._on_ready(self)

    async def _wait_ready(self) -> Session:
        """Return a session that is subscribed to the events."""
        try:
            async with asyncio.timeout(_READY_TIMEOUT):
                while not self._died.is_set():
                    with contextlib.suppress(IPsecError):
                        return await self._subscribed()
                    await asyncio.sleep(_READY_INTERVAL)
        except TimeoutError:
            raise IPsecError("charon does not answer", problem="ipsec-daemon-down") from None
        raise IPsecError(f"charon ended at once: {self._last_words()}", problem="ipsec-daemon-down")

    async def _subscribed(self) -> Session:
        async with contextlib.AsyncExitStack() as stack:
            session = await stack.enter_async_context(Session(self._settings.socket))
            await session.subscribe("ike-updown", "child-updown", "log")
            stack.pop_all()
            return session

    async def _listen(self, session: Session) -> None:
        """Hand the events on; a charon that tells nothing any more is ended, to be started anew."""
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_exit(session)
            with contextlib.suppress(IPsecError):
                async for name, message in session.events():
                    self._tell(name, message)
        if self._process is not None:
            self._process.terminate()

    def _tell(self, name: str, message: Section) -> None:
        try:
            for event in parse_event(name, message):
                self._on_event(event)
        except Exception as error:  # whatever a listener does wrong, the next event is heard
            told = {"message": f"the event {name} of charon was lost", "exception": error}
            asyncio.get_running_loop().call_exception_handler(told)

    async def _keep(self) -> None:
        """Restart charon whenever it dies: at once, then ever more slowly."""
        backoff, lived_from = 0.0, time.monotonic()
        while True:
            await self._died.wait()
            reason = self._last_words()
            await self._end_process()
            if time.monotonic() - lived_from > _STEADY:
                backoff = 0.0
            while reason:
                self._on_death(reason)
                await asyncio.sleep(backoff)
                backoff = min(_LAST_BACKOFF, max(_FIRST_BACKOFF, backoff * 2))
                lived_from = time.monotonic()
                reason = await self._restart()

    async def _watch(self) -> None:
        """End a charon that hangs: its keeper starts another one."""
        silent = 0
        while True:
            await asyncio.sleep(_WATCH_INTERVAL)
            try:
                await self.request("version")
                silent = 0
            except IPsecError:
                silent = silent + 1 if self.running else 0
            if silent >= _WATCH_LIMIT:
                silent = 0
                self.kill()

    async def _restart(self) -> str:
        """Start charon again; return what prevented it."""
        try:
            await self._start_once()
        except Exception as error:  # the keeper must not die: there would be no charon any more
            await self._end_process()
            return str(error) or type(error).__name__
        return ""

    async def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await asyncio.to_thread(end, process)
            await self._died.wait()
        await _cancel(self._listener)
        self._listener = None

    def _last_words(self) -> str:
        """Say how the process ended: its signal or code, and the last of what it printed."""
        code = self._process.poll() if self._process is not None else None
        how = "is still there" if code is None else f"ended with {code}"
        if code is not None and code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        with contextlib.suppress(OSError):
            printed = (self._settings.directory / "charon.err").read_text(errors="replace")
            if printed.strip():
                return f"charon {how}: {printed.strip().splitlines()[-1]}"
        return f"charon {how}"


@contextlib.asynccontextmanager
async def _answering() -> AsyncIterator[None]:
    """Wait no longer than an answer takes: a charon that hangs must not hang who asks it."""
    try:
        async with asyncio.timeout(_ANSWER_TIME):
            yield
    except TimeoutError:
        words = "charon is there, but does not answer: it hangs"
        raise IPsecError(words, problem="ipsec-daemon-down") from None


def split_pem(text: bytes, kind: str = "CERTIFICATE") -> tuple[bytes, ...]:
    """Return the PEM blocks whose label ends with ``kind``."""
    return tuple(m[0] for m in _PEM.finditer(text) if m[1].decode().endswith(kind))


def _let_in(gid: int, directory: Path, configuration: Path) -> None:
    """Let an account's group make its socket beside its configuration; it can read nothing else.

    The sticky bit keeps what is ours there from being put away or replaced by it.
    """
    for path, mode in ((directory, 0o1770), (configuration, 0o640)):
        os.chown(path, -1, gid)
        path.chmod(mode)
    above = directory.parent
    above.chmod(above.stat().st_mode | 0o011)  # to go through, not to look


def _as_account(account: tuple[int, int] | None) -> tuple[str, ...]:
    """Return how setpriv becomes an account that keeps what charon needs of root's powers."""
    if account is None:
        return ()
    uid, gid = account
    needed = "-all,+net_admin,+net_raw,+net_bind_service"
    return (
        *("--reuid", str(uid), "--regid", str(gid), "--clear-groups"),
        *(f"--inh-caps={needed}", f"--ambient-caps={needed}"),
    )


def _spawn(
    configuration: Path, errors: Path, account: tuple[int, int] | None, proxy: str
) -> "subprocess.Popen[bytes]":
    environment = {"STRONGSWAN_CONF": str(configuration), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    environment |= {key: os.environ[key] for key in _FOR_MODULES if key in os.environ}
    environment |= {"http_proxy": proxy, "all_proxy": proxy} if proxy else {}
    write_private(errors, "")
    with errors.open("ab") as stream:
        try:
            return subprocess.Popen(
                ("setpriv", *_as_account(account), "--pdeathsig", "TERM", PROGRAM),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stream,
                start_new_session=True,  # Ctrl-C at the daemon's terminal is the daemon's to handle
            )
        except OSError as error:
            raise IPsecError(f"charon: {error}", problem="ipsec-daemon-down") from error


async def _cancel(task: asyncio.Task[None] | None) -> None:
    """End a task; should it have failed, the loop's handler hears of it, not who cleans up."""
    if task is not None:
        task.cancel()
        await asyncio.wait((task,))
