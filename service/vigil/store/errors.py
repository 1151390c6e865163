"""What can be wrong with the state directory, and what to do about it."""

import sqlite3
from pathlib import Path

from vigil.errors import VigilError

# Primary result codes (https://www.sqlite.org/rescode.html): the low byte of an extended one.
_FULL = (sqlite3.SQLITE_FULL,)
_UNWRITABLE = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOMEM,
)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class StorageFailed(VigilError):
    """The state directory cannot be written at present; ``full`` where its disk has no room left."""

    code = "UNAVAILABLE"

    def __init__(self, message: str, *, full: bool) -> None:
        super().__init__(message)
        self.full = full


class DamagedState(VigilError):
    """The state file is not a sound database."""

    code = "DATA_LOSS"


class NewerState(VigilError):
    """The state file was written by a newer version."""

    code = "FAILED_PRECONDITION"


class StateInUse(VigilError):
    """Another process serves from this state directory."""

    code = "FAILED_PRECONDITION"


def damaged(path: Path, detail: str) -> DamagedState:
    """The error for a file that SQLite finds broken."""
    return DamagedState(
        f"{path} is damaged ({detail}). Restore a backup (`vigil backup restore`), or move it and its"
        f" -wal and -shm files away (mv {path} {path}.damaged) to start afresh: streams must then be"
        " added again and events that were not published yet are lost. sqlite3's .recover may save some"
    )


def translated(error: sqlite3.Error, path: Path) -> Exception:
    """What a failed statement means for a caller; an error of our own making is given back as it is."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _DAMAGED:
        return damaged(path, str(error))
    if code in _FULL:
        return StorageFailed(
            f"no room left to write {path} ({error}): free space on its disk", full=True
        )
    if code in _UNWRITABLE:
        return StorageFailed(
            f"{path} cannot be written ({error}): check its disk, its permissions and that no other"
            " program holds it",
            full=False,
        )
    return error
