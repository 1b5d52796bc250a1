"""What is kept on disk of a lab that is up: one directory under ``/run``, gone after ``down``."""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from throughway.lab.namespaces import Namespaces
from throughway.model.errors import LabError

DIRECTORY = Path("/run/throughway-lab")
DEFAULT_NAME = "lab"
NEEDS_ROOT = "a lab needs root, for its namespaces; try sudo"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


@dataclass(slots=True, kw_only=True)
class LabState:
    """The hosts of a lab and where the mobile ones are."""

    name: str
    complete: bool = False
    """False while it is being built: what is found so was left by a killed ``up``."""
    hosts: dict[str, Namespaces] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    services: dict[str, int] = field(default_factory=dict)
    """Our daemons: ``host/name`` and the process id in that host."""
    unplugged: list[str] = field(default_factory=list)
    """Mobile hosts whose cable is pulled."""
    faults: dict[str, str] = field(default_factory=dict)
    """Faults that were injected, in that order, each with the client that it is for."""


def directory(name: str, root: Path | None = None) -> Path:
    """Return where the lab keeps its files."""
    if not NAME.fullmatch(name):
        raise LabError(f"{name!r} cannot name a lab: small letters, digits and '-', at most 32")
    return (root or DIRECTORY) / name


def save(state: LabState, root: Path | None = None) -> None:
    """Write the state; a reader sees the old one or the new one, whole."""
    file = directory(state.name, root) / "state.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    written = file.with_suffix(f".{os.getpid()}")
    written.write_text(json.dumps(asdict(state), indent=2) + "\n")
    written.replace(file)


def load(name: str, root: Path | None = None) -> LabState | None:
    """Return the state, None when there is no such lab or its file cannot be read as one."""
    try:
        raw = json.loads((directory(name, root) / "state.json").read_text())
        hosts = {host: Namespaces(**value) for host, value in raw.pop("hosts").items()}
        return LabState(hosts=hosts, **raw)
    except PermissionError:
        raise LabError(NEEDS_ROOT) from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def host_of(name: str, host: str) -> Namespaces:
    """Return the namespaces of one host of a lab that is there."""
    kept = load(name)
    if kept is None or not kept.hosts:
        raise LabError(f"there is no lab {name}; throughway lab up --name {name}")
    if host not in kept.hosts:
        raise LabError(f"there is no host {host} in this lab; there are {', '.join(kept.hosts)}")
    return kept.hosts[host]


def remove(name: str, root: Path | None = None) -> None:
    """Remove all files of the lab, and the common directory with the last one."""
    shutil.rmtree(directory(name, root), ignore_errors=True)
    (directory(name, root).parent / f"{name}.lock").unlink(missing_ok=True)
    try:
        (root or DIRECTORY).rmdir()
    except OSError:
        return


def names(root: Path | None = None) -> list[str]:
    """Return the names of all labs that have files."""
    folder = root or DIRECTORY
    return sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []


@contextmanager
def locked(name: str, root: Path | None = None) -> Iterator[None]:
    """Hold the lab against a second ``up`` or ``down``; the kernel frees it when we are killed."""
    folder = directory(name, root).parent
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        lock = (folder / f"{name}.lock").open("w")
    except PermissionError:
        raise LabError(NEEDS_ROOT) from None
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError(
                f"the lab {name} is being brought up or down by somebody else; wait for it, "
                "or choose another --name"
            ) from None
        yield
