"""Linux's Landlock: a process takes away its own access to files and to other processes, for good.

Three system calls and three structures of <linux/landlock.h>, by ctypes: the package on PyPI is a
development release. See https://docs.kernel.org/userspace-api/landlock.html for what each part means.
"""

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_ASK_VERSION = 1
_PATH_BENEATH = 1
_NO_NEW_PRIVILEGES = 38

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = (1 << bit for bit in range(4))
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE
_READ = EXECUTE | READ_FILE | READ_DIR
_ACCESS_BITS = {1: 13, 2: 14, 3: 15, 4: 15}  # kinds of access to files by version; later ones 16
_SCOPES = 0b11  # abstract UNIX sockets of others, signals to others: version 6 and later


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def version() -> int:
    """Landlock's version in the running kernel; 0 where it has none, or does not let us."""
    found = _libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)
    return max(0, int(found))


def restrict(*, readable: Iterable[Path], writable: Iterable[Path]) -> bool:
    """From here on this thread, and what it starts, may only read and write what is beneath these paths.

    Nothing may be made, removed or renamed, and no process outside be signalled. Descriptors that are
    open stay open; sockets are as before. Paths that are not there are left out. Returns whether it holds;
    False where the kernel has no Landlock. Raises OSError where the kernel refuses.
    """
    known = version()
    if not known:
        return False
    every = (1 << _ACCESS_BITS.get(known, 16)) - 1
    ruleset = _Ruleset(every, 0, _SCOPES if known >= 6 else 0)
    size_bytes = 24 if known >= 6 else 8
    fd = _called(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size_bytes), 0)
    try:
        for path in readable:
            _allow(fd, path, _READ & every)
        for path in writable:
            _allow(fd, path, (_READ | WRITE_FILE) & every)
        if _libc().prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "no_new_privs cannot be set")
        _called(_RESTRICT_SELF, fd, 0)
    finally:
        os.close(fd)
    return True


def _allow(ruleset: int, path: Path, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # it is not there
    try:
        if not path.is_dir():
            access &= _OF_FILES
        rule = _PathBeneath(access, place)
        _called(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(place)


def _called(number: int, *arguments: object) -> int:
    result = int(_libc().syscall(number, *arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"landlock: {os.strerror(error)}")
    return result


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
