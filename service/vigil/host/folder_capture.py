"""A folder of pictures, played as a capture."""

from pathlib import Path

import numpy as np

from vigil.data import U8, OfflineReason
from vigil.host.access import Access, Refused
from vigil.host.capture import IMAGE_SUFFIXES, CaptureFailed, check_size, decode_picture


class FolderCapture:
    """The pictures of a folder, in name order, at a given rate."""

    live = False

    def __init__(self, folder: Path, *, fps: float, access: Access | None = None) -> None:
        self._access = access
        try:
            self._paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
        except OSError as error:
            raise CaptureFailed(
                OfflineReason.UNREACHABLE, f"the folder cannot be read: {error.strerror}"
            ) from error
        if not self._paths:
            kinds = ", ".join(sorted(IMAGE_SUFFIXES))
            raise CaptureFailed(OfflineReason.NO_VIDEO, f"the folder has no pictures ({kinds})")
        self.fps = fps
        self._index = -1
        self._picture = self._first()
        self.height_px, self.width_px = self._picture.shape[:2]

    def grab(self) -> bool:
        """Read the next picture; one that does not decode is a failed grab."""
        self._index += 1
        if self._index >= len(self._paths):
            return False
        try:
            self._picture = self._read(self._index)
        except CaptureFailed:
            return False
        return True

    def retrieve(self, out: U8 | None) -> U8:
        """The picture that was read."""
        return self._picture

    def pts_s(self) -> float:
        """Its place at the folder's rate."""
        return self._index / self.fps

    def finished(self) -> bool:
        """Whether the last picture was read."""
        return self._index >= len(self._paths) - 1

    def corrupt(self) -> bool:
        """A picture that decodes is whole, as far as anyone can tell."""
        return False

    def close(self) -> None:
        """Nothing is held open."""

    def _first(self) -> U8:
        """The first picture that can be used. Raises what is wrong with the very first if none can."""
        failures: list[CaptureFailed] = []
        for index in range(len(self._paths)):
            try:
                return self._read(index)
            except CaptureFailed as failure:
                failures.append(failure)
        raise failures[0]

    def _read(self, index: int) -> U8:
        picture = decode_picture(self._encoded(self._paths[index]))
        if picture is None:
            raise CaptureFailed(
                OfflineReason.DECODE_ERROR,
                f"{self._paths[index].name} does not decode to a picture",
            )
        check_size(picture.shape[1], picture.shape[0])
        return picture

    def _encoded(self, path: Path) -> U8:
        if self._access is None:
            return np.fromfile(path, np.uint8)
        try:
            with self._access.opened(path) as fd:
                return np.fromfile(f"/proc/self/fd/{fd}", np.uint8)
        except Refused as refused:
            raise CaptureFailed(OfflineReason.REFUSED_BY_POLICY, str(refused)) from None
        except OSError:
            raise CaptureFailed(OfflineReason.UNREACHABLE, f"{path.name} cannot be read") from None
