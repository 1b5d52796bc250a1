"""A real squid for a test, in the one way of asking for credentials that the test wants."""

import base64
import contextlib
import hashlib
import os
import shutil
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import spnego

HELPERS = Path("/usr/lib/squid")
USER, PASSWORD, REALM = "alice", "s3cret \u00fc", "Test proxy"
APART = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs none /dev/shm; exec squid -N -f "$0"')
"""With a /dev/shm of its own: what squid leaves there would stay, and meet another test's."""
START_TIMEOUT = 60.0
"""Seconds; half of one is usual."""


def basic(folder: Path) -> list[str]:
    """Ask for Basic; squid's helper keeps the password as a hash."""
    digest = subprocess.run(
        ("openssl", "passwd", "-apr1", "-stdin"),
        input=PASSWORD.encode(),
        capture_output=True,
        check=True,
    ).stdout.decode()
    (folder / "basic").write_text(f"{USER}:{digest}")
    return [
        f"auth_param basic program {HELPERS}/basic_ncsa_auth {folder}/basic",
        f"auth_param basic realm {REALM}",
        "auth_param basic children 1 startup=1",
        *ASK,
    ]


def digest(folder: Path) -> list[str]:
    """Ask for Digest, with nonces that are good for three requests."""
    secret = hashlib.md5(f"{USER}:{REALM}:{PASSWORD}".encode("latin-1")).hexdigest()
    (folder / "digest").write_text(f"{USER}:{REALM}:{secret}\n")
    return [
        f"auth_param digest program {HELPERS}/digest_file_auth -c {folder}/digest",
        f"auth_param digest realm {REALM}",
        "auth_param digest children 1 startup=1",
        "auth_param digest nonce_max_count 3",
        *ASK,
    ]


_FORWARD = """
import socket, sys
judge = socket.socket(socket.AF_UNIX)
judge.connect(sys.argv[1])
answers = judge.makefile("r")
for line in sys.stdin:
    judge.sendall(line.encode())
    print(answers.readline(), end="", flush=True)
"""
"""Squid's own user may not run our Python: its helper asks the test."""


@contextlib.contextmanager
def ntlm(folder: Path, scheme: str = "ntlm") -> Iterator[list[str]]:
    """Ask for NTLM, proofs of which pyspnego checks; ``negotiate`` carries NTLM, too."""
    accounts = folder / "accounts"
    accounts.write_text(f"CORP:{USER}:{PASSWORD}\n")
    (folder / "forward.py").write_text(_FORWARD)
    judge = socketserver.ThreadingUnixStreamServer(f"{folder}/judge", _NTLMJudge)
    judge.daemon_threads = True
    _NTLMJudge.token = "" if scheme == "ntlm" else "* "
    os.chmod(folder / "judge", 0o777)
    os.environ["NTLM_USER_FILE"] = str(accounts)
    thread = threading.Thread(target=judge.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield [
            f"auth_param {scheme} program /usr/bin/python3 {folder}/forward.py {folder}/judge",
            f"auth_param {scheme} children 1 startup=1",
            *ASK,
        ]
    finally:
        judge.shutdown()
        thread.join()
        judge.server_close()
        del os.environ["NTLM_USER_FILE"]


class _NTLMJudge(socketserver.StreamRequestHandler):
    """Squid's questions to an NTLM helper, answered by an implementation that is not ours."""

    token = ""
    """What Negotiate's helpers say besides: a token for the client."""

    def handle(self) -> None:
        context = spnego.server(protocol="ntlm")
        for line in self.rfile:
            word, _, token = line.decode().strip().partition(" ")
            if word == "YR":
                context = spnego.server(protocol="ntlm")
                challenge = context.step(base64.b64decode(token)) or b""
                answer = f"TT {base64.b64encode(challenge).decode()}"
            else:
                answer = self._proof(context, base64.b64decode(token))
            self.wfile.write(f"{answer}\n".encode())

    def _proof(self, context: spnego.ContextProxy, token: bytes) -> str:
        try:
            context.step(token)
        except spnego.exceptions.SpnegoError:
            return f"NA {self.token}the proof is wrong"
        return f"AF {self.token}{USER}"


def kerberos(folder: Path, keytab: Path, principal: str) -> list[str]:
    """Ask for Negotiate and check tickets by squid's own helper."""
    own = shutil.copy(keytab, folder / "keytab")
    shutil.chown(own, "proxy", "proxy")
    return [
        f"auth_param negotiate program {HELPERS}/negotiate_kerberos_auth -k {own} -s {principal}",
        "auth_param negotiate children 1 startup=1",
        *ASK,
    ]


ASK = ["acl known proxy_auth REQUIRED", "http_access deny !known"]


@contextlib.contextmanager
def squid(
    port: int,
    *asking: str,
    folder: Path,
    inside: tuple[str, ...] = (),
    environment: dict[str, str] | None = None,
    address: str = "127.0.0.1",
) -> Iterator[Path]:
    """Run squid on an address; ``inside`` goes before the command. Gives its access log."""
    log = folder / "access.log"
    lines = [
        f"http_port {address}:{port}",
        f"hosts_file {folder}/hosts",
        "pid_filename none",
        "visible_hostname proxy.example.com",
        "cache deny all",
        "cache_mem 1 MB",
        "memory_cache_shared off",
        "pinger_enable off",
        "shutdown_lifetime 0 seconds",
        f"access_log stdio:{log}",
        "logfile_rotate 0",
        f"cache_log {folder}/cache.log",
        "max_filedescriptors 1024",
        *asking,
        "acl refused port 9",
        "http_access deny refused",
        "http_access allow all",
    ]
    (folder / "hosts").write_text("127.0.0.1 da.example.com\n")
    (folder / "squid.conf").write_text("\n".join(lines) + "\n")
    process = subprocess.Popen(
        (*inside, *APART, str(folder / "squid.conf")),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | (environment or {}),
    )
    try:
        _wait(process, folder, bool(inside), address, port)
        yield log
    finally:
        process.kill()
        process.wait()


def _wait(
    process: "subprocess.Popen[bytes]", folder: Path, apart: bool, address: str, port: int
) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        assert process.poll() is None, (folder / "cache.log").read_text()
        assert time.monotonic() < deadline, "squid does not begin to serve"
        if apart:
            log = folder / "cache.log"
            if log.exists() and "Accepting HTTP" in log.read_text():
                return
        else:
            with contextlib.suppress(OSError):
                socket.create_connection((address, port), timeout=1).close()
                return
        time.sleep(0.01)


@contextlib.contextmanager
def squid_folder() -> Iterator[Path]:
    """Give a folder where squid's own user may read and write."""
    folder = Path(tempfile.mkdtemp(prefix="throughway-squid-"))
    try:
        folder.chmod(0o755)
        if os.geteuid() == 0:
            shutil.chown(folder, "proxy", "proxy")
        yield folder
    finally:
        shutil.rmtree(folder)
