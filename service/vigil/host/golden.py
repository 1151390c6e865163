"""A golden clip's frames, told to the service as tracker and rules saw them."""

from vigil.data import TrackState
from vigil.host.camera import Analysed, Then
from vigil.host.context import Send
from vigil.ipc.messages import FoundObject, FrameWitnessed


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
