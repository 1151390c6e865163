"""Pictures that clients send, and pictures that clients ask for: decoding and encoding, one thread."""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import cv2
import numpy as np
import structlog

from vigil.clock import Anchor
from vigil.data import (
    U8,
    Detections,
    OfflineReason,
    Outcome,
    StreamState,
    Track,
    TrackState,
)
from vigil.draw import annotate
from vigil.errors import FieldViolation, InvalidRequest, VigilError
from vigil.host.camera import Analysed, Camera
from vigil.host.capture import CaptureFailed, check_size, decode_picture
from vigil.host.context import HostContext
from vigil.host.engine_link import SlotPool
from vigil.host.environment import MAX_PICTURE_PX
from vigil.host.run import Run, Thresholds
from vigil.ipc.channel import ChannelClosed
from vigil.ipc.messages import (
    AnalysePicture,
    FoundObject,
    FrameDone,
    FrameReady,
    PictureAnalysed,
    PushFrame,
    SnapshotTaken,
    StreamReport,
    TakeSnapshot,
)
from vigil.vision.letterbox import Letterbox

log = structlog.get_logger()

MOST_WAITING = 64  # pictures of clients in this host; more are refused
SLOT_WAIT_S = 5.0
JPEG_QUALITY = 90
ErrorKind: TypeAlias = Literal["unreadable", "unavailable", "unknown", "invalid"]


@dataclass(frozen=True, slots=True, eq=False)
class ClientPicture:
    """A client's single picture at the engine (see `context.Transit`)."""

    request: AnalysePicture
    letterbox: Letterbox
    thresholds: Thresholds
    answer: Callable[[PictureAnalysed], None]

    def analysed(self, found: Detections, done: FrameDone) -> None:
        """The engine's answer."""
        height_px, width_px = self.letterbox.source_hw
        self.answer(
            PictureAnalysed(
                request_id=self.request.request_id,
                width_px=width_px,
                height_px=height_px,
                infer_s=done.infer_s,
                found=found_objects(self.thresholds.keep(found)),
            )
        )

    def dropped(self, done: FrameDone) -> None:
        """No answer."""
        self.answer(_unavailable(self.request.request_id))


class Pictures:
    """A bounded queue of picture work and the thread that does it, beside the cameras' threads."""

    def __init__(self, context: HostContext, *, slots: range) -> None:
        self._context = context
        self._slots = SlotPool(slots)
        # bounded: pictures are refused above MOST_WAITING, ends of pushes are as many as streams
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._pushed: dict[str, _PushedRun] = {}
        self._thread = threading.Thread(target=self._run, name="pictures", daemon=True)

    def start(self) -> None:
        """Begin working."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is queued, then end."""
        self._work.put(None)
        self._thread.join(SLOT_WAIT_S)

    def analyse(self, request: AnalysePicture, encoded: bytes) -> None:
        """Find the objects in a picture; the answer goes to the service."""
        self._queue(lambda: self._analyse(request, encoded), request.request_id)

    def push(self, request: PushFrame, encoded: bytes, camera: Camera | None) -> None:
        """Analyse a frame of a pushed stream; the answer goes to the service."""
        if camera is None:
            self._refuse(request.request_id, "unknown", f"no stream {request.stream_id!r} here")
            return
        self._queue(lambda: self._push(request, encoded, camera), request.request_id)

    def end_push(self, camera: Camera, then: Callable[[], None] | None = None) -> None:
        """A pushed stream's run is over, after the frames that are queued.

        ``then`` is called on the host's loop once none of its frames is queued any more.
        """
        stream_id = camera.spec.stream_id

        def end() -> None:
            pushed = self._pushed.pop(stream_id, None)
            if pushed is not None:
                camera.end_run(pushed.run)
                camera.report(
                    StreamReport(
                        stream_id=stream_id,
                        state=StreamState.OFFLINE,
                        reason=OfflineReason.ENDED,
                        detail="the client that pushed its frames has ended its call",
                    )
                )
            if then is not None:
                self._context.post(then)

        self._work.put(end)

    def snapshot(self, request: TakeSnapshot, camera: Camera | None) -> None:
        """Encode the next analysed frame of a camera."""
        if camera is None:
            self._context.send(
                SnapshotTaken(request_id=request.request_id, error="the stream is not running")
            )
            return
        camera.want_picture(lambda analysed: self._snapshot(request, camera, analysed))

    def _queue(self, work: Callable[[], None], request_id: int) -> None:
        if self._work.qsize() >= MOST_WAITING:
            self._refuse(request_id, "unavailable", "too many pictures wait; send fewer at once")
            return

        def answered() -> None:
            try:
                work()
            except cv2.error as error:
                log.error("opencv_failed", code=error.code)
                self._refuse(request_id, "unreadable", "OpenCV failed on this picture")

        self._work.put(answered)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except ChannelClosed:
                return
            except Exception:  # one client's picture must not end the thread that all clients share
                log.exception("picture_failed")

    def _analyse(self, request: AnalysePicture, encoded: bytes) -> None:
        picture = self._decode(request.request_id, encoded)
        if picture is None:
            return
        slot = self._slots.take(timeout_s=SLOT_WAIT_S)
        if slot is None:
            self._refuse(request.request_id, "unavailable", "the engine is busy; try again")
            return
        context = self._context
        letterbox = Letterbox.fit(picture.shape[:2], context.input_hw)
        letterbox.draw(picture, context.engine.picture(slot))
        now_s = context.clock.monotonic_s()
        thresholds = Thresholds.of(
            classes=request.classes,
            model_classes=context.settings.classes,
            model_thresholds=context.settings.class_thresholds,
            min_score=request.min_score,
        )
        waiting = ClientPicture(request, letterbox, thresholds, self._answer)
        message = FrameReady(
            slot=slot, camera=-1, captured_s=now_s, ready_s=now_s, priority=1, keep=True
        )
        if not context.engine.submit(message, pool=self._slots, carried=waiting):
            self._answer(_unavailable(request.request_id))

    def _push(self, request: PushFrame, encoded: bytes, camera: Camera) -> None:
        picture = self._decode(request.request_id, encoded)
        if picture is None:
            self._count(camera, "corrupt")
            return
        slot = camera.slots.take(timeout_s=SLOT_WAIT_S)
        if slot is None:
            self._count(camera, "dropped_error")
            self._refuse(request.request_id, "unavailable", "the engine is busy; try again")
            return
        try:
            pushed = self._pushed_run(camera, request.captured_at_s)
            time_s = pushed.place(request.captured_at_s, self._context.clock.monotonic_s())
        except VigilError as error:
            camera.slots.give_back(slot)
            self._count(camera, "dropped_error")
            kind: ErrorKind = "invalid" if isinstance(error, InvalidRequest) else "unavailable"
            self._refuse(request.request_id, kind, str(error))
            return
        arrival_s = self._context.clock.monotonic_s()
        seq = pushed.run.next_seq()
        camera.ledger.read(pushed.run.anchor.to_utc_s(time_s))
        camera.submit(
            pushed.run,
            seq=seq,
            picture=picture,
            moment=pushed.run.moment(time_s=time_s, captured_s=arrival_s),
            slot=slot,
            keep=True,
            then=(lambda analysed: self._answer(_pushed(request.request_id, picture, analysed)),),
        )

    def _pushed_run(self, camera: Camera, captured_at_s: float | None) -> "_PushedRun":
        stream_id = camera.spec.stream_id
        if stream_id not in self._pushed:
            anchor = Anchor.now(self._context.clock)
            if captured_at_s is not None:
                anchor = replace(anchor, utc_s=captured_at_s)
            run = camera.begin_run(anchor)
            self._pushed[stream_id] = _PushedRun(run)
            camera.report(StreamReport(stream_id=stream_id, state=StreamState.ONLINE))
        return self._pushed[stream_id]

    def _count(self, camera: Camera, outcome: Outcome) -> None:
        """Account for a pushed frame that does not get as far as the engine."""
        camera.ledger.read(self._context.clock.utc_s())
        camera.ledger.outcome(outcome)

    def _decode(self, request_id: int, encoded: bytes) -> U8 | None:
        picture = decode_picture(np.frombuffer(encoded, np.uint8))
        if picture is None:
            self._refuse(
                request_id,
                "unreadable",
                f"{len(encoded)} bytes that are not a picture of at most "
                f"{MAX_PICTURE_PX / 1e6:.0f} megapixels; send JPEG, PNG, WebP or BMP",
            )
            return None
        try:
            check_size(picture.shape[1], picture.shape[0])
        except CaptureFailed as failure:
            self._refuse(request_id, "unreadable", failure.detail)
            return None
        return picture

    def _snapshot(self, request: TakeSnapshot, camera: Camera, analysed: Analysed | None) -> None:
        if analysed is None or analysed.picture is None:
            detail = "the stream gave no picture; see its state"
            self._context.send(SnapshotTaken(request_id=request.request_id, error=detail))
            return
        if self._work.qsize() >= MOST_WAITING:
            detail = "too many pictures wait; try again"
            self._context.send(SnapshotTaken(request_id=request.request_id, error=detail))
            return
        self._work.put(lambda: self._encode(request, camera, analysed))

    def _encode(self, request: TakeSnapshot, camera: Camera, analysed: Analysed) -> None:
        picture = analysed.picture
        assert picture is not None
        if request.annotated:
            picture = annotate(
                picture,
                tracks=analysed.tracks,
                class_names=self._context.settings.classes,
                rules=camera.spec.rules,
            )
        height_px, width_px = picture.shape[:2]
        if 0 < request.max_width_px < width_px:
            height_px = max(1, round(height_px * request.max_width_px / width_px))
            width_px = request.max_width_px
            size = (width_px, height_px)
            picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        answer = SnapshotTaken(
            request_id=request.request_id,
            width_px=width_px,
            height_px=height_px,
            captured_at_s=analysed.captured_at_s,
            run=analysed.run,
            seq=analysed.seq,
            found=found_objects(analysed.found, analysed.tracks),
        )
        self._context.send(answer, payload=jpeg.tobytes())

    def _answer(self, answer: PictureAnalysed) -> None:
        self._context.send(answer)

    def _refuse(self, request_id: int, kind: ErrorKind, detail: str) -> None:
        self._answer(PictureAnalysed(request_id=request_id, error=detail, error_kind=kind))


class _PushedRun:
    """A client's session of frames: places them in time by what the client says."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._last_s = -1.0

    def place(self, captured_at_s: float | None, now_s: float) -> float:
        """Monotonic seconds of a frame. Raises InvalidRequest where time does not increase."""
        anchor = self.run.anchor
        time_s = now_s
        if captured_at_s is not None:
            time_s = anchor.monotonic_s + (captured_at_s - anchor.utc_s)
        if time_s <= self._last_s:
            detail = "is not after the frame before it; begin a new call for another sequence"
            raise InvalidRequest([FieldViolation("frame.captured_at", detail)])
        self._last_s = time_s
        return time_s


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


def _pushed(request_id: int, picture: U8, analysed: Analysed | None) -> PictureAnalysed:
    if analysed is None:
        return _unavailable(request_id)
    height_px, width_px = picture.shape[:2]
    return PictureAnalysed(
        request_id=request_id,
        width_px=width_px,
        height_px=height_px,
        infer_s=analysed.infer_s,
        found=found_objects(analysed.found, analysed.tracks),
        run=analysed.run,
        seq=analysed.seq,
        events=analysed.events,
    )


def _unavailable(request_id: int) -> PictureAnalysed:
    detail = "the engine is starting or was restarted; send the picture again"
    return PictureAnalysed(request_id=request_id, error=detail, error_kind="unavailable")
