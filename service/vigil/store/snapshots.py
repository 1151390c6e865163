"""Pictures of events on disk: a folder for each stream, held to an age and a size.

A picture is written beside its place and moved there, so that none is ever half there. Where room is
needed, the stream that has the most loses its oldest: a camera that sees much pushes out its own
pictures, not those of the others.
"""

import contextlib
import errno
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from vigil.data import SnapshotName
from vigil.store.errors import StorageFailed

LEAST_FREE_BYTES = 256 * 1024 * 1024  # of the disk, which is the event log's, too
_PARTIAL = ".partial"


class NoRoom(OSError):
    """The disk has less than LEAST_FREE_BYTES left."""


class _Kept(NamedTuple):
    name: SnapshotName
    size_bytes: int


class SnapshotFolder:
    """What is kept, and what is let go. One thread at a time may `open`, `put` and `sweep`; any may `read`.

    ``on_deleted`` is told why pictures went: age or max_bytes.
    """

    def __init__(
        self,
        folder: Path,
        *,
        retention_s: float,
        max_bytes: int,
        on_deleted: Callable[[str, int], None],
        least_free_bytes: int = LEAST_FREE_BYTES,
    ) -> None:
        self._folder = folder
        self._retention_s = retention_s
        self._max_bytes = max_bytes
        self._on_deleted = on_deleted
        self._least_free_bytes = least_free_bytes
        self._kept: dict[str, deque[_Kept]] = {}  # by stream, oldest first
        self._used: dict[str, int] = {}  # bytes by stream
        self.count = 0
        self.used_bytes = 0

    def open(self) -> None:
        """Find what is there, and remove what a crash left half written. Raises StorageFailed."""
        try:
            self._find()
        except OSError as error:
            raise StorageFailed(
                f"{self._folder} cannot be made or read ({error.strerror}): mend its owner and permissions,"
                " or leave snapshots.enabled out",
                full=error.errno == errno.ENOSPC,
            ) from error

    def _find(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in self._folder.iterdir():
            if not folder.is_dir() or folder.is_symlink():
                continue
            found = []
            with os.scandir(folder) as entries:
                for entry in entries:
                    name = SnapshotName.parse(f"{folder.name}/{entry.name}")
                    if entry.name.endswith(_PARTIAL):
                        Path(entry.path).unlink(missing_ok=True)
                    elif name is not None and entry.is_file(follow_symlinks=False):
                        found.append(_Kept(name, entry.stat(follow_symlinks=False).st_size))
            for kept in sorted(found):
                self._enter(kept)

    def put(self, name: SnapshotName, jpeg: bytes) -> None:
        """Keep a picture, letting go of others where room is needed. Raises OSError, and NoRoom.

        What is kept stays as it is: a second picture of a name is a FileExistsError.
        """
        path = self._folder / str(name)
        if path.exists():
            raise FileExistsError(errno.EEXIST, "a picture of that name is kept", str(path))
        while self.count and self.used_bytes + len(jpeg) > self._max_bytes:
            most = max(self._used, key=lambda stream_id: self._used[stream_id])
            self._let_go(most, "max_bytes")
        disk = os.statvfs(self._folder)
        if disk.f_bavail * disk.f_frsize < self._least_free_bytes + len(jpeg):
            raise NoRoom(
                f"the disk of {self._folder} has less than {self._least_free_bytes} bytes left"
            )
        path.parent.mkdir(mode=0o700, exist_ok=True)
        partial = path.with_name(path.name + _PARTIAL)
        try:
            descriptor = os.open(
                partial, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW, 0o600
            )
            with os.fdopen(descriptor, "wb") as file:
                file.write(jpeg)
                file.flush()
                os.fsync(descriptor)
            partial.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
        self._enter(_Kept(name, len(jpeg)))

    def sweep(self, *, now_s: float) -> None:
        """Let go of what is older than the retention; ``now_s`` is UTC. Raises OSError."""
        for stream_id, kept in list(self._kept.items()):
            while kept and kept[0].name.captured_at_s < now_s - self._retention_s:
                self._let_go(stream_id, "age")

    def read(self, name: SnapshotName) -> bytes | None:
        """A picture's JPEG; None where it is not kept. Raises OSError."""
        path = self._folder / str(name)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            return file.read()

    def _enter(self, kept: _Kept) -> None:
        stream_id = kept.name.stream_id
        self._kept.setdefault(stream_id, deque()).append(kept)
        self._used[stream_id] = self._used.get(stream_id, 0) + kept.size_bytes
        self.count += 1
        self.used_bytes += kept.size_bytes

    def _let_go(self, stream_id: str, reason: str) -> None:
        """Delete a stream's oldest picture; one that somebody else deleted is no error."""
        oldest = self._kept[stream_id][0]
        (self._folder / str(oldest.name)).unlink(missing_ok=True)
        self._kept[stream_id].popleft()
        self._used[stream_id] -= oldest.size_bytes
        self.count -= 1
        self.used_bytes -= oldest.size_bytes
        if not self._kept[stream_id]:
            del self._kept[stream_id], self._used[stream_id]
            with contextlib.suppress(OSError):  # somebody's own files are in it
                (self._folder / stream_id).rmdir()
        self._on_deleted(reason, 1)
