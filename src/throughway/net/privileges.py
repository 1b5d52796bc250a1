"""Give up every capability that is not needed: root that may not read other users' files.

The daemons keep uid 0, since the files of the machine that they write belong to root, but of
root's powers only the named ones; their children (charon, nft, ip) can have no more. Formats:
capabilities(7), capset(2), prctl(2).
"""

import contextlib
import ctypes
import os
import pwd
import resource
import signal
import struct
from collections.abc import Iterator
from pathlib import Path

from throughway.model.errors import ThroughwayError

CAPABILITIES = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_DAC_READ_SEARCH": 2,
    "CAP_FOWNER": 3,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_SETPCAP": 8,
    "CAP_NET_BIND_SERVICE": 10,
    "CAP_NET_ADMIN": 12,
    "CAP_NET_RAW": 13,
    "CAP_IPC_LOCK": 14,
    "CAP_SYS_MODULE": 16,
    "CAP_SYS_CHROOT": 18,
    "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_NICE": 23,
    "CAP_SYS_RESOURCE": 24,
}
"""Numbers of linux/capability.h, of those that anybody here could ask for."""
CLIENT = frozenset({"CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_NET_BIND_SERVICE"})
"""TUN, routes, nft, socket marks; sockets of charon; port 53 of the stub and 500 of IKE."""
GATEWAY = CLIENT | {"CAP_SETUID", "CAP_SETGID", "CAP_KILL"}
"""The workers are nobody, and one that hangs is killed."""
NOBODY = "nobody"
"""Who a process is that needs nothing of the machine but what it was given."""

IKE_ACCOUNT = "throughway-ike"
"""Who charon is on a gateway, where there is such an account: it parses what strangers send."""

_VERSION_3 = 0x20080522
_CAPBSET_READ, _CAPBSET_DROP, _SET_NO_NEW_PRIVS, _CAP_AMBIENT = 23, 24, 38, 47
_SET_PDEATHSIG, _SET_DUMPABLE = 1, 4
_CLEAR_ALL = 4
_libc = ctypes.CDLL(None, use_errno=True)


def drop(keep: frozenset[str]) -> None:
    """Keep only the named capabilities, for good, for this thread and all it starts.

    Call it before there are other threads. Raises :exc:`ThroughwayError` when one that is to be
    kept is not there, or when the kernel refuses.
    """
    missing = keep - permitted()
    if missing:
        raise ThroughwayError(f"the daemon lacks {', '.join(sorted(missing))}")
    mask = sum(1 << CAPABILITIES[name] for name in keep)
    _prctl(_SET_NO_NEW_PRIVS, 1)
    _prctl(_CAP_AMBIENT, _CLEAR_ALL)
    for number in range(_last() + 1):
        if not mask >> number & 1 and _prctl(_CAPBSET_READ, number):
            _prctl(_CAPBSET_DROP, number)
    _capset(mask)
    keep_to_itself()


def join_group_of(account: str) -> None:
    """Become a member of an account's group, so that what it makes for us can be reached.

    Does nothing where there is no such account. Call it before :func:`drop`.
    """
    with contextlib.suppress(KeyError, OSError):
        os.setgroups(sorted({*os.getgroups(), pwd.getpwnam(account).pw_gid}))


def usable_account(name: str) -> tuple[int, int] | None:
    """Return uid and gid of an account that we can start processes as, and reach."""
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        return None
    able = os.geteuid() == 0 and permitted() >= {"CAP_SETUID", "CAP_SETGID", "CAP_KILL"}
    if not able or account.pw_uid == 0 or account.pw_gid not in os.getgroups():
        return None
    return account.pw_uid, account.pw_gid


def keep_to_itself() -> None:
    """Let no image of this process get to a disk, nor to a debugger without root's powers.

    What it starts has no image either, but can be debugged by its own account.
    """
    leave_no_image()
    _prctl(_SET_DUMPABLE, 0)


def leave_no_image() -> None:
    """Let no image of this process, nor of what it starts, get to a disk when it crashes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def hide_argument(secret: str) -> None:
    """Take a secret out of this process's command line, which everybody on the machine can read.

    What was started less than a moment ago may have been seen: the best place of a secret is a
    file, and this is for who has typed it all the same.
    """
    wanted = os.fsencode(secret)
    # proc(5): the fields arg_start and arg_end, 48 and 49, the first two of which hold the name.
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    at = ctypes.string_at(start, end - start).find(wanted) if wanted and end > start else -1
    if at >= 0:
        ctypes.memset(start + at, ord("*"), len(wanted))


def renounce() -> None:
    """Become nobody, without any capability and unseen by debuggers, for good.

    Call it when everything is imported and opened. A process that is not root's stays who it is.
    Raises :exc:`ThroughwayError` when the kernel refuses.
    """
    account = pwd.getpwnam(NOBODY)
    _become(account.pw_uid, account.pw_gid, NOBODY)


def become_owner(directory: Path) -> None:
    """Become the owner of a directory, without any capability, otherwise as :func:`renounce`.

    Raises :exc:`ThroughwayError` when that is root: then there would be nothing to give up.
    """
    owner = directory.stat()
    if owner.st_uid == 0:
        raise ThroughwayError(f"{directory} belongs to root: chown it to a user of its own")
    _become(owner.st_uid, owner.st_gid, f"the owner of {directory}")


def _become(uid: int, gid: int, who: str) -> None:
    _prctl(_SET_NO_NEW_PRIVS, 1)
    _prctl(_CAP_AMBIENT, _CLEAR_ALL)
    if os.geteuid() == 0:
        try:
            os.setgroups([])
            os.setresgid(*3 * (gid,))
            os.setresuid(*3 * (uid,))
        except OSError as error:
            raise ThroughwayError(f"cannot become {who}: {error.strerror}") from error
    _capset(0)
    keep_to_itself()


@contextlib.contextmanager
def at_home() -> Iterator[None]:
    """Let a process that has renounced everything open its own descriptors by their paths.

    The kernel gives /proc/self of one that is not dumpable to root.
    """
    _prctl(_SET_DUMPABLE, 1)
    try:
        yield
    finally:
        _prctl(_SET_DUMPABLE, 0)


def end_with_parent() -> None:
    """Let the kernel kill this process when the one that started it ends, however that ends.

    Even one that hangs must not keep what the next daemon needs. Call it after :func:`renounce`:
    becoming another user undoes it.
    """
    _prctl(_SET_PDEATHSIG, signal.SIGKILL)


def permitted(pid: int | None = None) -> frozenset[str]:
    """Return the permitted capabilities of a process, by default of this one."""
    return _set("CapPrm", pid)


def bounding(pid: int | None = None) -> frozenset[str]:
    """Return the capabilities that a process and its children can ever have."""
    return _set("CapBnd", pid)


def _set(field: str, pid: int | None) -> frozenset[str]:
    status = Path(f"/proc/{pid or 'thread-self'}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith(f"{field}:"))
    mask = int(line.split()[1], 16)
    known = {number: name for name, number in CAPABILITIES.items()}
    return frozenset(
        known.get(number, f"CAP_{number}")
        for number in range(mask.bit_length())
        if mask >> number & 1
    )


def _last() -> int:
    return int(Path("/proc/sys/kernel/cap_last_cap").read_text())


def _prctl(option: int, argument: int) -> int:
    answer: int = _libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0)
    if answer < 0:
        raise _refused("prctl")
    return answer


def _capset(mask: int) -> None:
    header = struct.pack("=Ii", _VERSION_3, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    # Effective, permitted, inheritable; once for each half.
    data = struct.pack("=6I", low, low, 0, high, high, 0)
    if _libc.capset(header, data):
        raise _refused("capset")


def _refused(call: str) -> ThroughwayError:
    return ThroughwayError(f"{call}: {os.strerror(ctypes.get_errno())}")
