"""Copies of a state directory, taken while a service uses it, and put back when none does."""

import contextlib
import os
import shutil
import sqlite3
import time
from pathlib import Path

from vigil.errors import VigilError
from vigil.store import tokens
from vigil.store.database import FILE_NAME, Database
from vigil.store.errors import StateInUse, translated
from vigil.store.inspection import Condition, in_use_now, inspect

# Nobody knows how many runs and events there were after the backup. Their numbers are parts of ids that
# consumers have seen, so counting goes on well beyond them.
SKIPPED = 1_000_000
_KEPT = (FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", tokens.FILE_NAME)


class NoBackup(VigilError):
    """There is no backup, or no room for one, where one should be."""

    code = "FAILED_PRECONDITION"


def save(state: Path, target: Path) -> Condition:
    """Copy the state of a moment to a new folder, which is a state directory itself.

    Nothing of the original is changed, also where another version wrote it. The copy is read once as a
    whole. Raises NoBackup, DamagedState, StorageFailed.
    """
    source = state / FILE_NAME
    if not source.is_file():
        raise NoBackup(f"{state} holds no state of vigil; name its folder with --state")
    try:
        target.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise NoBackup(f"{target} cannot be made ({error.strerror}): name a new folder") from error
    copy = target / FILE_NAME
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # it holds passwords
    try:
        with (
            contextlib.closing(
                sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)
            ) as one,
            contextlib.closing(sqlite3.connect(copy)) as other,
        ):
            one.backup(other)
            other.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
    except sqlite3.Error as error:
        raise translated(error, source) from error
    with contextlib.suppress(FileNotFoundError):
        shutil.copy2(state / tokens.FILE_NAME, target)
    _sync(target)
    return inspect(target)


async def restore(backup: Path, state: Path) -> Path | None:
    """Put a backup in a state directory's place; returns where the files lie that were there.

    Runs and events are counted on from far beyond the backup, and cursors of before are expired: no id is
    used for two things. Raises NoBackup, StateInUse, DamagedState, NewerState, StorageFailed.
    """
    if not (backup / FILE_NAME).is_file():
        raise NoBackup(f"{backup} is no backup: name a folder that `vigil backup save` has made")
    inspect(backup)
    if in_use_now(state):
        raise StateInUse(f"a service runs from {state}: stop it first")
    aside = _put_aside(state)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in (FILE_NAME, tokens.FILE_NAME):
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(backup / name, state)
    with Database(state) as database:
        await database.write(_count_on)
    return aside


def _put_aside(state: Path) -> Path | None:
    present = [state / name for name in _KEPT if (state / name).exists()]
    if not present:
        return None
    aside = state / time.strftime("before-restore-%Y%m%dT%H%M%SZ", time.gmtime())
    aside.mkdir(mode=0o700)
    for path in present:
        path.rename(aside / path.name)
    return aside


def _count_on(connection: sqlite3.Connection) -> None:
    connection.execute(
        "UPDATE counter SET run = run + ?, event_seq = event_seq + ?", (SKIPPED, SKIPPED)
    )
    connection.execute("UPDATE log SET log_id = lower(hex(randomblob(4)))")


def _sync(folder: Path) -> None:
    """Have the disk hold the files and their names."""
    for path in (*folder.iterdir(), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
