"""Frames that clients push into streams without a source of their own."""

import threading
from collections.abc import Callable
from dataclasses import replace

from vigil.clock import Anchor
from vigil.data import U8, OfflineReason, Outcome, StreamState
from vigil.errors import FieldViolation, InvalidRequest, Unavailable, UnreadableImage, VigilError
from vigil.host.answers import Answers, decoded, found_objects, taken_slot
from vigil.host.camera import Analysed, Camera
from vigil.host.context import HostContext
from vigil.host.run import Run
from vigil.host.worker import Worker
from vigil.ipc.messages import PictureAnalysed, PushFrame, StreamReport


class Pushes:
    """One run for each client's session; every frame is answered."""

    def __init__(self, context: HostContext, answers: Answers, worker: Worker) -> None:
        self._context = context
        self._answers = answers
        self._worker = worker
        self._runs: dict[str, _PushedRun] = {}  # by stream; the worker's
        self._telling = threading.Lock()  # the worker tells beginnings, the loop ends

    def push(self, request: PushFrame, encoded: bytes, camera: Camera | None) -> None:
        """Analyse a frame of a pushed stream; the answer goes to the service."""
        if camera is None:
            self._answers.refuse(
                request.request_id, Unavailable(f"no stream {request.stream_id!r} is here")
            )
            return
        self._answers.work(request.request_id, lambda: self._push(request, encoded, camera))

    def end(self, camera: Camera, then: Callable[[], None] | None = None) -> None:
        """A session is over, after the frames that are queued; that is told after its run's last event.

        ``then`` is called on the host's loop once none of its frames is queued any more.
        """

        def end() -> None:
            pushed = self._runs.pop(camera.spec.stream_id, None)
            if pushed is not None:
                camera.end_run(pushed.run, then=lambda: self._tell_end(camera))
            if then is not None:
                self._context.post(then)

        self._worker.give_own(end)

    def _tell_end(self, camera: Camera) -> None:
        with self._telling:
            if camera.spec.stream_id not in self._runs:  # else another session has begun
                camera.report(
                    StreamReport(
                        stream_id=camera.spec.stream_id,
                        state=StreamState.OFFLINE,
                        reason=OfflineReason.ENDED,
                        detail="the client that pushed its frames has ended its call",
                    )
                )

    def _push(self, request: PushFrame, encoded: bytes, camera: Camera) -> None:
        try:
            picture = decoded(encoded)
            pushed = self._run_of(camera, request.captured_at_s)
            time_s = pushed.place(request.captured_at_s, self._context.clock.monotonic_s())
            slot = taken_slot(camera.slots)
        except VigilError as error:
            corrupt = isinstance(error, UnreadableImage)
            self._count(camera, "corrupt" if corrupt else "dropped_error")
            raise
        run, arrival_s = pushed.run, self._context.clock.monotonic_s()
        camera.ledger.read(run.anchor.to_utc_s(time_s))
        camera.submit(
            run,
            seq=run.next_seq(),
            picture=picture,
            moment=run.moment(time_s=time_s, captured_s=arrival_s),
            slot=slot,
            keep=True,
            then=(lambda analysed: self._answer(request.request_id, picture, analysed),),
        )

    def _run_of(self, camera: Camera, captured_at_s: float | None) -> "_PushedRun":
        stream_id = camera.spec.stream_id
        if stream_id not in self._runs:
            anchor = Anchor.now(self._context.clock)
            if captured_at_s is not None:
                anchor = replace(anchor, utc_s=captured_at_s)
            pushed = _PushedRun(camera.begin_run(anchor))
            with self._telling:
                self._runs[stream_id] = pushed
                camera.report(StreamReport(stream_id=stream_id, state=StreamState.ONLINE))
        return self._runs[stream_id]

    def _count(self, camera: Camera, outcome: Outcome) -> None:
        """Account for a pushed frame that does not get as far as the engine."""
        camera.ledger.read(self._context.clock.utc_s())
        camera.ledger.outcome(outcome)

    def _answer(self, request_id: int, picture: U8, analysed: Analysed | None) -> None:
        if analysed is None:
            self._answers.lost(request_id)
            return
        height_px, width_px = picture.shape[:2]
        self._answers.give(
            PictureAnalysed(
                request_id=request_id,
                width_px=width_px,
                height_px=height_px,
                infer_s=analysed.infer_s,
                found=found_objects(analysed.found, analysed.tracks),
                run=analysed.run,
                seq=analysed.seq,
                events=analysed.events,
            )
        )


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
