"""The only door to PyAV's containers: what OpenCV hides, damage and changes of size.

PyAV is FFmpeg without a layer between. Its time-outs interrupt whatever FFmpeg waits for; options are one
container's, not the process's. Measured: `docs/capture.md`.
"""

import socket
import time
from collections import deque
from collections.abc import Iterator

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from vigil.data import U8, OfflineReason
from vigil.host.access import Connect
from vigil.host.capture import (
    MAX_SIDE_PX,
    NO_TURN,
    CaptureFailed,
    CaptureLimits,
    Turn,
    check_size,
    sane_fps,
)
from vigil.host.diagnose import diagnose
from vigil.host.environment import FFMPEG_OPTIONS
from vigil.spec import Source

MOST_DAMAGED = 750  # frames without a key frame: by then intra refresh has mended the picture
_USUAL_INTERVAL_S = 0.04
_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


class PyAvCapture:
    """RTSP, HTTP and files through FFmpeg, frame by frame, each with what the decoder knows of it.

    A decoder conceals what it lacks and flags the frame, but not those that are predicted from it: so
    every frame from a damaged one up to the next key frame is corrupt.
    """

    def __init__(
        self,
        source: Source,
        limits: CaptureLimits,
        *,
        address: str,
        turn: Turn = NO_TURN,  # not waited for: PyAV opens sources beside each other
        connect: Connect = socket.create_connection,
    ) -> None:
        self.live = not source.uri.startswith("file:")
        self._limits = limits
        started_s = time.monotonic()
        av.logging.set_level(None)  # FFmpeg's messages hold URLs with credentials
        try:
            self._container = av.open(
                address,
                options=FFMPEG_OPTIONS,
                timeout=(limits.open_timeout_s, limits.read_timeout_s),
            )
        except (av.FFmpegError, OSError, ValueError):  # whose texts hold the address
            took_s = time.monotonic() - started_s
            reason, detail = diagnose(
                source, took_s=took_s, timeout_s=limits.open_timeout_s, connect=connect
            )
            raise CaptureFailed(reason, detail) from None
        try:
            self._begin()
        except CaptureFailed:
            self.close()
            raise

    def _begin(self) -> None:
        """Prepare to read the video track. Raises CaptureFailed where there is none, or none to be read."""
        stream = self._container.streams.best("video")
        if not isinstance(stream, av.VideoStream):
            raise CaptureFailed(OfflineReason.NO_VIDEO, "the source has no video track")
        decoder = stream.codec_context
        self.width_px, self.height_px = decoder.width, decoder.height
        check_size(self.width_px, self.height_px)
        decoder.thread_count = 1  # streams are the parallelism
        # a picture that grows later is refused by the decoder, before it is allocated
        decoder.options = {"max_pixels": str(MAX_SIDE_PX**2), "flags": "+output_corrupt"}
        self.fps = sane_fps(float(stream.average_rate or stream.guessed_rate or 0))
        self._stream = stream
        self._packets: Iterator[av.Packet[av.VideoStream]] = self._container.demux(stream)
        self._first_pts = stream.start_time or 0
        self._frames: deque[av.VideoFrame] = deque()  # what one packet held: a few at most
        self._frame: av.VideoFrame | None = None
        self._reformatter = VideoReformatter()
        self._pts_s = -self._interval_s
        self._damaged = 0  # frames that are corrupt still, if no key frame comes before
        self._at_end = False

    @property
    def _interval_s(self) -> float:
        return 1.0 / self.fps if self.fps else _USUAL_INTERVAL_S

    def grab(self) -> bool:
        """Take and decode the next frame; False if none came within the read time-out."""
        deadline_s = time.monotonic() + self._limits.read_timeout_s
        while not self._frames:
            if time.monotonic() >= deadline_s or not self._decode_packet():
                return False
        self._frame = frame = self._frames.popleft()
        self._pts_s = (
            self._pts_s + self._interval_s
            if frame.pts is None or frame.time_base is None
            else float((frame.pts - self._first_pts) * frame.time_base)
        )
        self._judge(frame)
        self._measure(frame)
        return True

    def corrupt(self) -> bool:
        """Whether the grabbed frame is damaged, or predicted from one that is."""
        return self._damaged > 0

    def retrieve(self, out: U8 | None) -> U8:
        """Convert the grabbed frame to BGR."""
        assert self._frame is not None, "grab comes first"
        try:
            plane = self._reformatter.reformat(self._frame, format="bgr24").planes[0]
        except (av.FFmpegError, ValueError):
            raise CaptureFailed(
                OfflineReason.DECODE_ERROR, "a decoded frame could not be converted"
            ) from None
        rows: U8 = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        picture = rows[: plane.height, : plane.width * 3].reshape(plane.height, plane.width, 3)
        turn = _TURNS.get(self._frame.rotation % 360)
        if turn is not None:
            picture = np.asarray(cv2.rotate(picture, turn), np.uint8)
        if out is None or out.shape != picture.shape:
            return picture.copy()
        np.copyto(out, picture)
        return out

    def pts_s(self) -> float:
        """The grabbed frame's timestamp; where it has none, an interval after the one before."""
        return self._pts_s

    def finished(self) -> bool:
        """Whether a file's last packet was read."""
        return not self.live and self._at_end

    def close(self) -> None:
        """Release the decoder and the connection."""
        self._container.close()

    def _decode_packet(self) -> bool:
        """Read one packet into frames, which may be none; False where there is no packet."""
        try:
            packet = next(self._packets)
        except StopIteration:
            self._at_end = True
            return False
        except (av.FFmpegError, OSError):
            self._packets = self._container.demux(
                self._stream
            )  # a file may go on behind its damage
            return False
        try:
            self._frames.extend(packet.decode())
        except (av.FFmpegError, ValueError):
            self._damaged = MOST_DAMAGED
        if packet.is_corrupt:
            self._damaged = MOST_DAMAGED
        return True

    def _judge(self, frame: av.VideoFrame) -> None:
        if frame.is_corrupt:
            self._damaged = MOST_DAMAGED
        elif frame.key_frame:
            self._damaged = 0
        elif self._damaged:
            self._damaged -= 1

    def _measure(self, frame: av.VideoFrame) -> None:
        turned = frame.rotation % 180 != 0
        size = (frame.height, frame.width) if turned else (frame.width, frame.height)
        if size != (self.width_px, self.height_px):
            check_size(*size)
            self.width_px, self.height_px = size
