"""A golden clip's frames, told to the service as tracker and rules saw them."""

import os

from msgspec.structs import replace

from vigil.data import TrackState
from vigil.host.camera import Analysed, Then
from vigil.host.context import Send
from vigil.ipc.messages import FoundObject, FrameWitnessed
from vigil.spec import StreamSpec

_COPIED_BYTES = 1 << 20


class HeldClip:
    """A golden clip in memory: the service hands over an open file that this process may not open again."""

    def __init__(self, clip_fd: int) -> None:
        """Copies the file, and closes it."""
        self._fd = os.memfd_create("vigil-golden", os.MFD_CLOEXEC)
        try:
            while os.sendfile(self._fd, clip_fd, None, _COPIED_BYTES):
                pass
        finally:
            os.close(clip_fd)

    def spec(self, spec: StreamSpec) -> StreamSpec:
        """The stream's definition with the copy for its source."""
        uri = f"file:///proc/self/fd/{self._fd}"
        return replace(spec, source=replace(spec.source, uri=uri))

    def close(self) -> None:
        """Let go of the copy."""
        os.close(self._fd)


def tell_of(stream_id: str, send: Send) -> Then:
    """A witness of a camera's frames. What the engine dropped shows in the camera's account."""

    def tell(analysed: Analysed | None) -> None:
        if analysed is not None:
            send(_witnessed(stream_id, analysed))

    return tell


def _witnessed(stream_id: str, analysed: Analysed) -> FrameWitnessed:
    every = analysed.unfiltered
    return FrameWitnessed(
        stream_id=stream_id,
        seq=analysed.seq,
        captured_at_s=analysed.captured_at_s,
        xyxy=every.xyxy.tobytes(),
        score=every.score.tobytes(),
        class_id=every.class_id.tobytes(),
        tracks=tuple(
            FoundObject(
                xyxy=track.xyxy, score=track.score, class_id=track.class_id, track_id=track.track_id
            )
            for track in analysed.tracks
            if track.state is TrackState.CONFIRMED
        ),
    )
