"""A process that runs what strangers have written: it may compute, read and write its pipes.

No file can be opened and nothing started (the limit of descriptors is what is open already), and
of the kernel's calls only those are left that computing needs. prctl(2), seccomp(2), bpf(2) of
the classic kind; syscall numbers of the kernel's tables.
"""

import ctypes
import os
import platform
import resource
import struct

from throughway.model.errors import ThroughwayError
from throughway.net import privileges

MEMORY = 256 << 20
"""Bytes of address space; an interpreter has 60 MiB before it does anything."""
CPU_SECONDS = 2

_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_EPERM = 1
_NUMBER, _ARCHITECTURE = 0, 4
"""Where struct seccomp_data has them."""

# read write close fstat lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn
# mremap madvise futex sched_yield exit exit_group clock_gettime gettimeofday getrandom
_CALLS: dict[str, tuple[int, tuple[int, ...]]] = {
    "x86_64": (
        0xC000003E,
        (0, 1, 3, 5, 8, 9, 10, 11, 12, 13, 14, 15, 25, 28, 202, 24, 60, 231, 228, 96, 318),
    ),
    "aarch64": (
        0xC00000B7,
        (
            *(63, 64, 57, 80, 62, 222, 226, 215, 214, 134, 135, 139, 216, 233, 98, 124, 93, 94),
            *(113, 169, 278),
        ),
    ),
}


def enter() -> None:
    """Give up everything but the open descriptors, for good. Import what is needed before.

    On other machines than :data:`_CALLS` knows only the limits hold.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    os.chdir("/")
    os.environ.clear()
    if "CAP_SETUID" in privileges.permitted():
        privileges.renounce()
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_NOFILE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    architecture, calls = _CALLS.get(platform.machine(), (0, ()))
    if calls:
        _install(libc, _program(architecture, calls))


def _program(architecture: int, calls: tuple[int, ...]) -> bytes:
    """Return the filter: the calls named, on this architecture; everything else is refused."""
    refuse = len(calls) + 1
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 0, refuse, architecture),
        (_LOAD, 0, 0, _NUMBER),
        *((_EQUAL, refuse - number - 1, 0, call) for number, call in enumerate(calls)),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _install(libc: ctypes.CDLL, program: bytes) -> None:
    code = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_SET_SECCOMP, _FILTER, head, 0, 0):
        raise ThroughwayError(f"no sandbox: {os.strerror(ctypes.get_errno())}")
