"""How this process treats memory that it has freed."""

import ctypes

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let a process keep the memory that it frees, to use it again, instead of giving it back to the system each time.

    A training step on the CPU frees and takes hundreds of megabytes. By default each large array is taken from the system
    anew, which hands out every page of 4 KB, zeroed, at its first use. The process's peak stays what it was; between steps it
    holds more.

    Returns
    -------
    bool : whether the C library is one that can be told so (glibc).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or none that can be found like that
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST) and mallopt(_M_TRIM_THRESHOLD, _LARGEST))
