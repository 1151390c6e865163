"""Shared memory that its users' deaths cannot break: an anonymous memfd, passed by descriptor.

A named segment can be unlinked by an unrelated reader's exit and lives in /dev/shm, which a container
limits to 64 MB by default; a memfd has no name and ends with its last descriptor. There are no locks
in it: every byte has one writing process.
"""

import mmap
import os
from types import TracebackType

import numpy as np

from vigil.data import U8

PAGE_BYTES = mmap.PAGESIZE
SLOTS_A_STREAM = 3  # one being written, one waiting, one being inferred
CROP_SLOTS = 64  # of a host, for crops of tracks
PICTURE_SLOTS = 8  # of a host, for pictures that clients send


class Slab:
    """One piece of shared memory; pages cost nothing until they are written."""

    def __init__(self, fd: int, size_bytes: int) -> None:
        self.fd = fd
        self.size_bytes = size_bytes
        self._map = mmap.mmap(fd, size_bytes)
        self.bytes: U8 = np.frombuffer(self._map, np.uint8)

    @classmethod
    def create(cls, name: str, size_bytes: int) -> "Slab":
        """New zeroed memory; ``name`` shows in /proc for people."""
        fd = os.memfd_create(name, os.MFD_CLOEXEC)
        os.ftruncate(fd, size_bytes)
        return cls(fd, size_bytes)

    @classmethod
    def open(cls, fd: int) -> "Slab":
        """Map memory that another process passed; takes ownership of the descriptor."""
        return cls(fd, os.fstat(fd).st_size)

    def close(self) -> None:
        """Give the descriptor back. The mapping itself goes when the last array on it does."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> "Slab":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def aligned(size_bytes: int, to_bytes: int = PAGE_BYTES) -> int:
    """The size rounded up to whole pages (or ``to_bytes``)."""
    return -(-size_bytes // to_bytes) * to_bytes


class Slots:
    """Detector-sized pictures in a slab, each (H, W, 3) uint8 BGR.

    A host writes a slot and tells the engine; until the engine gives it back by message, the host
    leaves it alone.
    """

    def __init__(self, slab: Slab, *, height_px: int, width_px: int) -> None:
        self.slab = slab
        self.height_px = height_px
        self.width_px = width_px
        self._stride_bytes = aligned(height_px * width_px * 3)
        self.count = slab.size_bytes // self._stride_bytes

    @classmethod
    def create(cls, name: str, *, count: int, height_px: int, width_px: int) -> "Slots":
        """A new slab with room for ``count`` pictures."""
        size_bytes = aligned(height_px * width_px * 3) * count
        return cls(Slab.create(name, size_bytes), height_px=height_px, width_px=width_px)

    def __getitem__(self, slot: int) -> U8:
        """The picture in a slot, as a view: (H, W, 3)."""
        if not 0 <= slot < self.count:
            raise IndexError(f"slot {slot} of {self.count}")
        start = slot * self._stride_bytes
        flat = self.slab.bytes[start : start + self.height_px * self.width_px * 3]
        return flat.reshape(self.height_px, self.width_px, 3)
