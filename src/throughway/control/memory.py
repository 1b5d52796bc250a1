"""What the C library's allocator keeps of memory that is free: malloc_trim(3).

glibc gives the kernel what is free at the end of its heap only. A daemon that makes a transport's
buffers with every move, and something small that stays after each, would so grow by megabytes that
nobody uses. Other C libraries have neither the function nor the need.
"""

import ctypes

_libc = ctypes.CDLL(None)


def give_back() -> None:
    """Give back now whatever is free, also between what is not; takes milliseconds."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(ctypes.c_size_t(0))
