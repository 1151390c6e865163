"""How the engine's process keeps memory: what a batch freed serves the next one."""

import ctypes

# of glibc's <malloc.h>
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8

_LARGEST_IN_HEAP_BYTES = 32 * 1024 * 1024  # the most that glibc takes
_KEPT_BYTES = 256 * 1024 * 1024


def keep_memory() -> None:
    """Let freed memory stay with the process, up to 256 MiB, in one arena for all threads.

    By default glibc gives a freed tensor's pages back to the kernel, which clears them for the next one:
    a fifth of the engine's processor time (DECISIONS.md). Called before torch is loaded; where the C
    library is another one, nothing is changed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST_IN_HEAP_BYTES)
    mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
    mallopt(_ARENA_MAX, 1)
