"""What every capture looks like to a reader, and the only door to OpenCV's VideoCapture.

What OpenCV does was measured (see `docs/capture.md`): time-outs act only as open parameters with
CAP_FFMPEG named; size is known after open, before the first read; FFmpeg's own options are one string
for the whole process. `pyav_capture` is the other door to video, `folder_capture` that to pictures.
"""

import socket
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias
from urllib.parse import unquote, urlsplit

import cv2
import numpy as np

from vigil.data import U8, OfflineReason
from vigil.host.access import Access, Connect, Refused
from vigil.host.diagnose import diagnose, unreachable
from vigil.host.route import ffmpeg_address, find
from vigil.spec import CaptureBackend, Source

if TYPE_CHECKING:
    from vigil.host.pyav_capture import PyAvCapture

MAX_SIDE_PX = 8192
IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})


class CaptureFailed(Exception):
    """A source that cannot be opened or goes no further; ``detail`` never holds a credential."""

    def __init__(self, reason: OfflineReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class CaptureLimits:
    """How long a source may take."""

    open_timeout_s: float
    read_timeout_s: float


class Capture(Protocol):
    """An open source. One thread uses it."""

    live: bool  # plays at its own pace, whether anyone reads or not
    width_px: int  # of the grabbed frame, where the door can tell; of the first one, else
    height_px: int
    fps: float  # as the source says; 0 if it does not

    def grab(self) -> bool:
        """Take the next frame, decoded but not converted; False if there is none.

        Raises CaptureFailed where its size is not allowed.
        """

    def corrupt(self) -> bool:
        """Whether the grabbed frame is known to show what the camera did not see."""

    def retrieve(self, out: U8 | None) -> U8:
        """The grabbed frame as (H, W, 3) uint8 BGR, in ``out`` where that has the right shape.

        Raises CaptureFailed if it cannot be converted.
        """

    def pts_s(self) -> float:
        """The grabbed frame's timestamp, by the source's own clock."""

    def finished(self) -> bool:
        """Whether the source has no more frames to give, rather than one that failed."""

    def close(self) -> None:
        """Let go of the source."""


def configure_process() -> None:
    """Make OpenCV quiet and single-threaded: its messages hold URLs, and streams are the parallelism."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    cv2.setNumThreads(1)


Turn: TypeAlias = AbstractContextManager[None]
"""Entered while OpenCV opens, which it does for one source after the other in a process."""
NO_TURN: Turn = nullcontext()


def open_capture(
    source: Source,
    limits: CaptureLimits,
    access: Access | None = None,
    *,
    turn: Turn = NO_TURN,
) -> Capture:
    """Open a source. Raises CaptureFailed with the reason, as far as it can be told.

    ``access`` judges every connection and file; none is for what the user of this process named himself.
    """
    try:
        if source.uri.startswith("folder:"):
            path = unquote(urlsplit(source.uri).path)
            folder = access.path(source.uri) if access else Path(path)
            from vigil.host.folder_capture import FolderCapture  # it stands on this module

            return FolderCapture(folder, fps=source.folder_fps, access=access)
        if access is None:
            return door_class(source)(source, limits, address=ffmpeg_address(source), turn=turn)
        if source.uri.startswith("file:"):
            return _open_file(source, limits, access, turn)
        return _open_network(source, limits, access, turn)
    except Refused as refused:
        raise CaptureFailed(OfflineReason.REFUSED_BY_POLICY, str(refused)) from None


def _open_file(source: Source, limits: CaptureLimits, access: Access, turn: Turn) -> Capture:
    path = access.path(source.uri)
    try:
        with access.opened(path) as fd:
            # FFmpeg opens what was judged, not what the path leads to a moment later.
            return door_class(source)(source, limits, address=f"/proc/self/fd/{fd}", turn=turn)
    except OSError:
        raise CaptureFailed(*diagnose(source, took_s=0.0, timeout_s=1.0)) from None


def _open_network(source: Source, limits: CaptureLimits, access: Access, turn: Turn) -> Capture:
    timeout_s = limits.open_timeout_s
    try:
        with find(source, access, timeout_s=timeout_s) as (found, address):
            return door_class(source)(
                found, limits, address=address, turn=turn, connect=access.connect
            )
    except OSError as error:
        detail = unreachable(urlsplit(source.uri), error)
        raise CaptureFailed(OfflineReason.UNREACHABLE, detail) from None


def door_class(source: Source) -> "type[OpenCvCapture | PyAvCapture]":
    """The library that the stream asks for. Raises CaptureFailed where it is not installed."""
    if source.backend is CaptureBackend.OPENCV:
        return OpenCvCapture
    try:
        from vigil.host.pyav_capture import PyAvCapture
    except ImportError:
        detail = "PyAV is not installed: pip install 'vigil[video]', or use the backend OPENCV"
        raise CaptureFailed(OfflineReason.UNSUPPORTED, detail) from None
    return PyAvCapture


class OpenCvCapture:
    """RTSP, HTTP and files through OpenCV's FFmpeg backend."""

    def __init__(
        self,
        source: Source,
        limits: CaptureLimits,
        *,
        address: str,
        turn: Turn = NO_TURN,
        connect: Connect = socket.create_connection,
    ) -> None:
        self.live = not source.uri.startswith("file:")
        parameters = [
            *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(limits.open_timeout_s * 1000)),
            *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(limits.read_timeout_s * 1000)),
            *(cv2.CAP_PROP_N_THREADS, 1),
        ]
        with turn:
            started_s = time.monotonic()
            self._capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, parameters)  # noqa: TID251
        if not self._capture.isOpened():
            self._capture.release()
            took_s = time.monotonic() - started_s
            reason, detail = diagnose(
                source, took_s=took_s, timeout_s=limits.open_timeout_s, connect=connect
            )
            raise CaptureFailed(reason, detail)
        self.width_px = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height_px = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        self.fps = sane_fps(self._capture.get(cv2.CAP_PROP_FPS))
        try:
            check_size(self.width_px, self.height_px)
        except CaptureFailed:
            self.close()
            raise

    def grab(self) -> bool:
        """Take and decode the next frame."""
        return bool(self._capture.grab())

    def retrieve(self, out: U8 | None) -> U8:
        """Convert the grabbed frame to BGR."""
        taken, picture = self._capture.retrieve(out)
        if not taken or picture is None or picture.ndim != 3:
            raise CaptureFailed(
                OfflineReason.DECODE_ERROR, "a decoded frame could not be converted"
            )
        return np.asarray(picture, np.uint8)

    def pts_s(self) -> float:
        """The grabbed frame's timestamp."""
        return float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000.0

    def finished(self) -> bool:
        """A file is over when its frame count is reached; a live source never is."""
        if self.live:
            return False
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        return count <= 0 or self._capture.get(cv2.CAP_PROP_POS_FRAMES) >= count - 1

    def corrupt(self) -> bool:
        """OpenCV does not tell: damaged frames come back as good ones."""
        return False

    def close(self) -> None:
        """Release the decoder and the connection."""
        self._capture.release()


def decode_picture(encoded: U8) -> U8 | None:
    """An encoded picture as (H, W, 3) uint8 BGR; None where the bytes are not one."""
    if encoded.size == 0:
        return None
    try:
        picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if picture is None else np.asarray(picture, np.uint8)


def check_size(width_px: int, height_px: int) -> None:
    """Refuse a picture by its size before its first frame is decoded. Raises CaptureFailed."""
    if width_px <= 0 or height_px <= 0:
        raise CaptureFailed(
            OfflineReason.NO_VIDEO,
            "the source shows no picture: no video track, or none that sends any",
        )
    if min(width_px, height_px) < 16 or max(width_px, height_px) > MAX_SIDE_PX:
        raise CaptureFailed(
            OfflineReason.UNSUPPORTED,
            f"pictures of {width_px}x{height_px} are outside 16 to {MAX_SIDE_PX} pixels a side",
        )


def sane_fps(fps: float) -> float:
    """The rate that a source says it has; 0 where that is none that a camera has."""
    return float(fps) if 0.0 < fps <= 240.0 else 0.0
