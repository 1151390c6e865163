"""Looking at a state directory without changing it, whether a service uses it or not."""

import contextlib
import fcntl
import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

from vigil.store.database import FILE_NAME, LOCK_NAME
from vigil.store.errors import damaged, translated
from vigil.store.migrations import STEPS, expect_known


class Condition(NamedTuple):
    """What a state directory holds."""

    in_use: bool  # a service has locked it
    schema: int  # 0: there is no file yet
    streams: int

    @property
    def older(self) -> bool:
        """Whether the next start brings the file to this version's schema."""
        return 0 < self.schema < len(STEPS)


def inspect(directory: Path) -> Condition:
    """Read the whole file for damage. Raises DamagedState, NewerState or StorageFailed."""
    path = directory / FILE_NAME
    in_use = in_use_now(directory)
    if not path.is_file():
        return Condition(in_use, 0, 0)
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as file:
            (schema,) = file.execute("PRAGMA user_version").fetchone()
            expect_known(schema, path)
            (found,) = file.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise damaged(path, found)
            if schema == 0:  # made, and not filled yet
                return Condition(in_use, 0, 0)
            (streams,) = file.execute("SELECT count(*) FROM stream").fetchone()
    except sqlite3.Error as error:
        raise translated(error, path) from error
    return Condition(in_use, schema, streams)


def in_use_now(directory: Path) -> bool:
    """Whether a service has locked the directory, whatever its file is like."""
    try:
        descriptor = os.open(directory / LOCK_NAME, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
