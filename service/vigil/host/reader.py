"""One thread a stream: open, read, hand over what is due; on failure wait and begin again, for ever."""

import random
import threading
import time

import structlog

from vigil.clock import Anchor
from vigil.data import U8, OfflineReason, StreamState
from vigil.errors import Unavailable
from vigil.host.backoff import Backoff
from vigil.host.camera import Camera
from vigil.host.capture import Capture, CaptureFailed, CaptureLimits, open_capture
from vigil.host.context import HostContext
from vigil.host.run import Run
from vigil.host.sampling import Sampler
from vigil.host.timeline import FileTimeline, LiveTimeline, TimeWentBack
from vigil.ipc.channel import ChannelClosed
from vigil.ipc.messages import StreamReport
from vigil.spec import Pace

log = structlog.get_logger()

ENGINE_WAIT_S = 60.0  # a file waits so long for an engine before it plays on without
SLOT_WAIT_S = 30.0  # a file played fast waits so long for the engine to keep up
FAILED_GRABS = 5  # in a row, of a file: fewer are damage, not its end


class Reader:
    """Owns one stream's capture. `start` begins its thread, `stop` ends it within a read time-out."""

    def __init__(self, camera: Camera, context: HostContext) -> None:
        self._camera = camera
        self._context = context
        self._clock = context.clock
        self._source = camera.spec.source
        self._limits = CaptureLimits(
            open_timeout_s=context.settings.open_timeout_s,
            read_timeout_s=context.settings.read_timeout_s,
        )
        self._backoff = Backoff(random.Random())
        self._stop = threading.Event()
        self._reconnects = 0
        self._buffer: U8 | None = None  # where frames are converted to, used again and again
        self._thread = threading.Thread(
            target=self._read_for_ever, name=f"reader-{camera.spec.stream_id}", daemon=True
        )

    def start(self) -> None:
        """Begin reading."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stop.set()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _read_for_ever(self) -> None:
        try:
            while not self._stop.is_set():
                reason, detail = self._connect_and_play()
                if self._stop.is_set():
                    return
                if reason is OfflineReason.ENDED:
                    if self._source.loop:
                        continue
                    self._camera.report(self._report(StreamState.OFFLINE, reason, detail))
                    return
                retry_in_s = self._backoff.next_s(reason)
                self._reconnects += 1
                self._camera.report(
                    self._report(StreamState.OFFLINE, reason, detail, retry_in_s=retry_in_s)
                )
                self._stop.wait(retry_in_s)
        except ChannelClosed:
            return  # the service is gone, and this process with it

    def _connect_and_play(self) -> tuple[OfflineReason, str]:
        """One connection from open to its end; returns why it ended."""
        self._camera.report(self._report(StreamState.CONNECTING))
        try:
            capture = open_capture(self._source, self._limits)
        except CaptureFailed as failure:
            return failure.reason, failure.detail
        try:
            if not capture.live:
                self._context.engine.wait_attached(ENGINE_WAIT_S)
            run = self._camera.begin_run(Anchor.now(self._clock))
            try:
                return _Play(self, capture, run).until_end()
            finally:
                self._camera.end_run(run)
        except CaptureFailed as failure:
            return failure.reason, failure.detail
        except TimeWentBack as jump:
            return OfflineReason.DECODE_ERROR, f"the stream's time jumped back {jump}"
        except Unavailable as error:
            return OfflineReason.UNREACHABLE, str(error)
        finally:
            capture.close()
            self._camera.abandon_wishes()

    def _report(
        self,
        state: StreamState,
        reason: OfflineReason | None = None,
        detail: str = "",
        *,
        retry_in_s: float | None = None,
        capture: Capture | None = None,
    ) -> StreamReport:
        return StreamReport(
            stream_id=self._camera.spec.stream_id,
            state=state,
            reason=reason,
            detail=detail,
            retry_in_s=retry_in_s,
            width_px=capture.width_px if capture else 0,
            height_px=capture.height_px if capture else 0,
            source_fps=capture.fps if capture else 0.0,
            reconnects=self._reconnects,
        )


class _Play:
    """One run of a reader."""

    def __init__(self, reader: Reader, capture: Capture, run: Run) -> None:
        self._reader = reader
        self._camera = reader._camera
        self._context = reader._context
        self._clock = reader._clock
        self._capture = capture
        self._run = run
        self._fast = not capture.live and reader._source.pace is Pace.FAST
        self._paced = not capture.live and not self._fast
        self._interval_s = 1.0 / capture.fps if capture.fps else 0.04
        self._timeline = LiveTimeline() if capture.live else FileTimeline(run.anchor.monotonic_s)
        self._detect_fps = self._camera.spec.detect_fps
        self._sampler = Sampler(self._detect_fps)
        self._due_s = run.anchor.monotonic_s  # of the next frame of a file in real time
        self._online = False

    def until_end(self) -> tuple[OfflineReason, str]:
        failed = 0
        while not self._reader._stop.is_set():
            if self._paced and self._reader._stop.wait(
                max(0.0, self._due_s - self._clock.monotonic_s())
            ):
                break
            started_s, started_cpu_s = self._clock.monotonic_s(), time.thread_time()
            grabbed = self._capture.grab()
            arrival_s, decode_s = self._clock.monotonic_s(), time.thread_time() - started_cpu_s
            if arrival_s - started_s > self._reader._limits.read_timeout_s:
                return OfflineReason.UNREACHABLE, (
                    f"no frame came for {self._reader._limits.read_timeout_s:g} s"
                )
            if not grabbed:
                failed += 1
                if self._capture.live:
                    return OfflineReason.UNREACHABLE, "the source stopped sending"
                if failed >= FAILED_GRABS or self._capture.finished():
                    return self._file_end()
                continue
            failed = 0
            self._context.page.times.observe("decode", decode_s)
            self._take(arrival_s - decode_s if self._capture.live else arrival_s)
        return OfflineReason.ENDED, "stopped"

    def _file_end(self) -> tuple[OfflineReason, str]:
        if not self._online:
            return OfflineReason.DECODE_ERROR, "the file opens, but no frame of it can be decoded"
        return OfflineReason.ENDED, "the source has been played to its end"

    def _take(self, arrival_s: float) -> None:
        """A frame was grabbed: place it in time, and submit it if it is due."""
        time_s = self._timeline.place(self._capture.pts_s(), arrival_s)
        captured_s = self._captured_s(time_s, arrival_s)
        seq = self._run.next_seq()
        self._camera.ledger.read(self._run.anchor.to_utc_s(captured_s))
        if not self._online:
            self._online = True
            self._reader._backoff.succeeded()
            self._camera.report(self._reader._report(StreamState.ONLINE, capture=self._capture))
        if self._detect_fps != self._camera.spec.detect_fps:
            self._detect_fps = self._camera.spec.detect_fps
            self._sampler = Sampler(self._detect_fps)
        due = self._sampler.is_due(time_s)
        if not due and not self._camera.wants_picture():
            self._camera.ledger.outcome("skipped_rate")
            return
        if (
            not self._fast
            and self._clock.monotonic_s() - captured_s > self._context.settings.max_staleness_s
        ):
            self._camera.ledger.outcome("dropped_stale")
            return
        self._submit(seq, time_s, captured_s)

    def _captured_s(self, time_s: float, arrival_s: float) -> float:
        """Where latency is measured from: arrival, or when a paced file's frame was due."""
        if self._fast:
            return arrival_s
        if self._paced:
            self._due_s = time_s + self._interval_s
            self._reader._stop.wait(max(0.0, time_s - self._clock.monotonic_s()))
            return time_s
        return min(time_s, arrival_s)

    def _submit(self, seq: int, time_s: float, captured_s: float) -> None:
        slot = self._camera.slots.take(timeout_s=SLOT_WAIT_S if self._fast else 0.0)
        if slot is None:
            self._camera.ledger.outcome("dropped_newer")
            return
        try:
            picture = self._capture.retrieve(self._reader._buffer)
        except CaptureFailed:
            self._camera.slots.give_back(slot)
            self._camera.ledger.outcome("dropped_error")
            raise
        self._reader._buffer = picture
        self._camera.submit(
            self._run,
            seq=seq,
            picture=picture,
            moment=self._run.moment(time_s=time_s, captured_s=captured_s),
            slot=slot,
            keep=self._fast,
        )
