"""An authority that serves, for tests: its directory, its process, and an EST client by hand.

The client is curl and openssl, put together after RFC 7030, appendix A: another implementation
than ours of everything that goes over the wire.
"""

import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.patience import PATIENCE
from tests.ports import free_port
from throughway.authority import directory as directories
from throughway.authority.registrar import make_tokens
from throughway.pki.authority import KeyType, Profile

OWNER = 64123
"""A user that nobody is."""
NAME = "da.example.com"
CLIENT = "client1.corp.example.com"
URL = "http://crl.example.com/root.crl"
EST = "/.well-known/est"


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def create_authority(directory: Path) -> None:
    directories.create(
        directory, "Root", now(), days=3650, key_type=KeyType.P256, crl_url=URL, force=False
    )


def make_token(
    directory: Path,
    *names: str,
    secret: bytes = b"",
    profile: Profile = Profile.COMPUTER,
    life: timedelta = timedelta(days=1),
    at: datetime | None = None,
) -> str:
    computers = [names or (CLIENT,)]
    secrets = [secret or os.urandom(16)]
    return make_tokens(directory, computers, profile, secrets, now=at or now(), life=life)[0]


@dataclass
class Authority:
    """A service that runs."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def directory(self) -> Path:
        return self.folder / "pki"

    @property
    def url(self) -> str:
        return f"https://{NAME}:{self.port}"

    def token(self, *names: str, **options: object) -> str:
        return make_token(self.directory, *names, **options)  # type: ignore[arg-type]

    def curl(self, path: str, *options: str, check: bool = True) -> bytes:
        """Ask as anybody could; the name is led to this machine."""
        answer = subprocess.run(
            (
                *("curl", "--silent", "--show-error", "--max-time", "10"),
                *("--resolve", f"{NAME}:{self.port}:127.0.0.1"),
                *("--cacert", str(self.directory / "ca.crt"), *options, self.url + path),
            ),
            capture_output=True,
            check=False,
        )
        assert answer.returncode == 0 or not check, answer.stderr
        return answer.stdout


@contextmanager
def serving(**settings: str) -> Iterator[Authority]:
    """Run the service as its administrator would, by its command."""
    folder = Path(tempfile.mkdtemp(prefix="throughway-authority-"))
    folder.chmod(0o755)  # the service is somebody else
    create_authority(folder / "pki")
    if os.geteuid() == 0:
        for path in (folder / "pki", *(folder / "pki").iterdir()):
            os.chown(path, OWNER, OWNER)
    port = free_port()
    values = {"listen": f'["127.0.0.1:{port}"]', "names": f'["{NAME}"]', "directory": '"pki"'}
    values |= {name: f'"{value}"' for name, value in settings.items()}
    config = folder / "authority.toml"
    config.write_text("".join(f"{name} = {value}\n" for name, value in values.items()))
    command = (sys.executable, "-m", "throughway.cli.main", "pki", "serve", "--config", str(config))
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, stderr=log)
    try:
        _wait_listening(port, folder / "log", process)
        yield Authority(folder, port, process)
    finally:
        process.terminate()
        process.wait(PATIENCE)
        shutil.rmtree(folder)


def _wait_listening(port: int, log: Path, process: "subprocess.Popen[bytes]") -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    while process.poll() is None:
        try:
            with (
                socket.create_connection(("127.0.0.1", port), 5) as sock,
                context.wrap_socket(sock),
            ):
                return
        except (OSError, ssl.SSLError):
            continue
    raise AssertionError(log.read_text())


def openssl(folder: Path, *command: str) -> str:
    answer = subprocess.run(
        ("openssl", *command), cwd=folder, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout
