"""Answers to clients that wait for a picture: what was found in it, or why it was not analysed."""

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np
import structlog

from vigil.data import U8, Detections, Track, TrackState
from vigil.errors import Busy, InvalidRequest, Unavailable, UnreadableImage, VigilError
from vigil.host.capture import CaptureFailed, check_size, decode_picture
from vigil.host.context import Send
from vigil.host.engine_link import SlotPool
from vigil.host.environment import MAX_PICTURE_PX
from vigil.host.worker import Worker
from vigil.ipc.channel import ChannelClosed
from vigil.ipc.messages import FoundObject, PictureAnalysed, PictureClassified, RefusalKind

log = structlog.get_logger()

SLOT_WAIT_S = 5.0

Answer: TypeAlias = PictureAnalysed | PictureClassified


class Answers:
    """Does clients' picture work on the worker, and answers every request, come what may."""

    def __init__(self, send: Send, worker: Worker) -> None:
        self._send = send
        self._worker = worker

    def work(
        self, request_id: int, work: Callable[[], None], *, kind: type[Answer] = PictureAnalysed
    ) -> None:
        """Queue work that answers by itself, unless it raises; ``kind`` is what a refusal is."""

        def guarded() -> None:
            try:
                work()
            except VigilError as error:
                self.refuse(request_id, error, kind=kind)
            except cv2.error as error:
                log.error("opencv_failed", code=error.code)
                detail = "OpenCV failed on this picture"
                self.refuse(request_id, UnreadableImage(detail), kind=kind)
            except ChannelClosed:
                raise
            except Exception:  # an answer is owed whatever it is
                log.exception("picture_failed")
                detail = "analysing this picture failed; see the log"
                self.refuse(request_id, Unavailable(detail), kind=kind)

        try:
            self._worker.give(guarded)
        except Busy as error:
            self.refuse(request_id, error, kind=kind)

    def give(self, answer: Answer) -> None:
        """Answer a request."""
        self._send(answer)

    def refuse(
        self, request_id: int, error: VigilError, *, kind: type[Answer] = PictureAnalysed
    ) -> None:
        """Answer a request with why it was not done."""
        self._send(kind(request_id=request_id, error=str(error), error_kind=_kind_of(error)))

    def lost(self, request_id: int, *, kind: type[Answer] = PictureAnalysed) -> None:
        """Answer a request whose picture the engine gave back, or lost."""
        self.refuse(
            request_id,
            Unavailable("the engine is starting or was restarted; send the picture again"),
            kind=kind,
        )


def decoded(encoded: bytes) -> U8:
    """A client's picture as (H, W, 3) uint8 BGR. Raises UnreadableImage."""
    picture = decode_picture(np.frombuffer(encoded, np.uint8))
    if picture is None:
        raise UnreadableImage(
            f"{len(encoded)} bytes that are not a picture of at most "
            f"{MAX_PICTURE_PX / 1e6:.0f} megapixels; send JPEG, PNG, WebP or BMP"
        )
    try:
        check_size(picture.shape[1], picture.shape[0])
    except CaptureFailed as failure:
        raise UnreadableImage(failure.detail) from failure
    return picture


def taken_slot(pool: SlotPool) -> int:
    """A free slot, waited for. Raises Unavailable."""
    slot = pool.take(timeout_s=SLOT_WAIT_S)
    if slot is None:
        raise Unavailable("the engine is busy; try again")
    return slot


def found_objects(found: Detections, tracks: tuple[Track, ...] = ()) -> tuple[FoundObject, ...]:
    """Detections as messages; where there are tracks, the confirmed ones stand for them."""
    confirmed = [track for track in tracks if track.state is TrackState.CONFIRMED]
    if confirmed:
        return tuple(
            FoundObject(
                xyxy=track.xyxy, score=track.score, class_id=track.class_id, track_id=track.track_id
            )
            for track in confirmed
        )
    return tuple(
        FoundObject(
            xyxy=(float(x1), float(y1), float(x2), float(y2)),
            score=float(score),
            class_id=int(kind),
        )
        for (x1, y1, x2, y2), score, kind in zip(
            found.xyxy, found.score, found.class_id, strict=True
        )
    )


def _kind_of(error: VigilError) -> RefusalKind:
    if isinstance(error, UnreadableImage):
        return "unreadable"
    if isinstance(error, InvalidRequest):
        return "invalid"
    return "unavailable"
