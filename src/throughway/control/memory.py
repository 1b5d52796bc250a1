"""What a process keeps of memory that nobody uses: malloc_trim(3), and the garbage of cycles.

glibc gives the kernel what is free at the end of its heap only, and Python looks for objects that
hold only each other the more seldom the more there are. A daemon that makes a transport's buffers
with every move, and something small that stays after each, would so grow by tens of megabytes.
Other C libraries have neither the function nor the need.
"""

import ctypes
import gc

_libc = ctypes.CDLL(None)


def give_back() -> None:
    """Give back now whatever nobody uses; takes some hundredths of a second."""
    gc.collect()
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(ctypes.c_size_t(0))
