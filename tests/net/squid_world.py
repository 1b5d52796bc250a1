"""A real squid for a test, in the one way of asking for credentials that the test wants."""

import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HELPERS = Path("/usr/lib/squid")
USER, PASSWORD, REALM = "alice", "s3cret: \u00fc", "Test proxy"
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
        (*inside, "squid", "-N", "-f", str(folder / "squid.conf")),
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
