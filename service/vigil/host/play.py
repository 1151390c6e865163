"""One run of a stream: every frame is grabbed and placed in time, those that are due are submitted."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from vigil.data import OfflineReason
from vigil.host.camera import Camera
from vigil.host.capture import Capture, CaptureFailed
from vigil.host.context import HostContext
from vigil.host.run import Run
from vigil.host.sampling import Sampler
from vigil.host.timeline import FileTimeline, LiveTimeline, TimeWentBack
from vigil.rules import Moment
from vigil.spec import Pace

ENGINE_WAIT_S = 60.0  # and so long for an engine that is being restarted
SLOT_WAIT_S = 30.0  # a file played fast waits so long for the engine to keep up
DAMAGE_ALONE_S = 30.0  # before the first whole frame: longer than between key frames
FAILED_GRABS = 5  # in a row, of a file: fewer are damage, not its end
LONG_WAIT_S = 0.1  # of a file for its time; one up to so long goes on though the reader is stopped
_USUAL_INTERVAL_S = 0.04  # of a source that does not say its rate


class Ended(NamedTuple):
    """Why a connection is over."""

    reason: OfflineReason
    detail: str


class Play:
    """Reads one open capture to its end, on its reader's thread.

    A live source plays at its own pace; a file at that of its timestamps, or as fast as it is analysed.
    """

    def __init__(
        self,
        camera: Camera,
        context: HostContext,
        *,
        capture: Capture,
        run: Run,
        stop: threading.Event,
        read_timeout_s: float,
        on_size: Callable[[Capture], None],
    ) -> None:
        self._camera = camera
        self._context = context
        self._clock = context.clock
        self._capture = capture
        self._run = run
        self._stop = stop
        self._read_timeout_s = read_timeout_s
        self._on_size = on_size  # of the first frame, and of the first one of each other size
        pace = camera.spec.source.pace
        self._fast = not capture.live and pace is Pace.FAST
        self._paced = not capture.live and not self._fast
        self._waits = self._fast or (not capture.live and pace is Pace.WAITED)
        self._interval_s = 1.0 / capture.fps if capture.fps else _USUAL_INTERVAL_S
        self._timeline = (
            LiveTimeline()
            if capture.live
            else FileTimeline(run.anchor.monotonic_s, interval_s=self._interval_s)
        )
        self._detect_fps = camera.spec.detect_fps
        self._sampler = Sampler(self._detect_fps)
        self._due_s = run.anchor.monotonic_s  # when a paced file's next frame is expected to be due
        self._frames = 0  # that show what the camera saw
        self._size_px = (0, 0)  # of those
        self._damaged_since_s = run.anchor.monotonic_s  # before the first of them
        self._shape: tuple[int, ...] = (capture.height_px, capture.width_px, 3)

    def until_end(self) -> Ended:
        """Read until the source ends or fails, or until told to stop.

        Raises CaptureFailed, TimeWentBack.
        """
        failed = 0
        while not self._stop.is_set():
            if self._paced:
                self._wait_until(self._due_s)
            started_s, started_cpu_s = self._clock.monotonic_s(), time.thread_time()
            with self._camera.library.reading:
                grabbed = self._capture.grab()
            arrival_s = self._clock.monotonic_s()
            # of this thread's processor time: a live source's grab waits for the network, too
            decode_s = time.thread_time() - started_cpu_s
            if arrival_s - started_s > self._read_timeout_s:
                # a few buffered frames may still come; after them OpenCV says no for ever
                if grabbed:
                    self._camera.ledger.read(self._clock.utc_s(), outcome="dropped_error")
                return Ended(
                    OfflineReason.UNREACHABLE, f"no frame came for {self._read_timeout_s:g} s"
                )
            if grabbed:
                failed = 0
                self._context.page.times.observe("decode", decode_s)
                self._take(arrival_s - decode_s if self._capture.live else arrival_s)
                continue
            failed += 1
            if self._capture.live:
                return self._live_end()
            if failed >= FAILED_GRABS or self._capture.finished():
                return self._file_end()
        return Ended(OfflineReason.ENDED, "stopped")

    def _live_end(self) -> Ended:
        if not self._frames:
            return Ended(OfflineReason.NO_VIDEO, "the source opened and sent no frame")
        return Ended(OfflineReason.UNREACHABLE, "the source stopped sending")

    def _file_end(self) -> Ended:
        if not self._frames:
            return Ended(OfflineReason.DECODE_ERROR, "the file opens, but no frame of it decodes")
        return Ended(OfflineReason.ENDED, "the source has been played to its end")

    def _take(self, arrival_s: float) -> None:
        """A frame was grabbed: place it in time, and submit it if it is due."""
        try:
            time_s = self._timeline.place(self._capture.pts_s(), arrival_s)
        except TimeWentBack:
            utc_s = self._run.anchor.to_utc_s(arrival_s)
            self._camera.ledger.read(utc_s, outcome="dropped_error")
            raise
        captured_s = self._captured_s(time_s, arrival_s)
        seq = self._run.next_seq()
        ledger, utc_s = self._camera.ledger, self._run.anchor.to_utc_s(captured_s)
        if self._capture.corrupt():
            ledger.read(utc_s, outcome="corrupt")
            self._refuse_damage_alone(arrival_s)
            return
        self._frames += 1
        self._notice_size()
        if not self._is_due(time_s):
            ledger.read(utc_s, outcome="skipped_rate")
        elif not self._waits and self._age_s(captured_s) > self._context.settings.max_staleness_s:
            ledger.read(utc_s, outcome="dropped_stale")
        else:
            ledger.read(utc_s)
            self._submit(seq, time_s, captured_s)

    def _refuse_damage_alone(self, arrival_s: float) -> None:
        """A source of which no frame is whole is not online. Raises CaptureFailed."""
        if not self._frames and arrival_s - self._damaged_since_s > DAMAGE_ALONE_S:
            raise CaptureFailed(
                OfflineReason.DECODE_ERROR,
                f"only damaged frames came for {DAMAGE_ALONE_S:g} s; look at its network",
            )

    def _notice_size(self) -> None:
        size_px = (self._capture.width_px, self._capture.height_px)
        if size_px != self._size_px:
            self._size_px = size_px
            self._on_size(self._capture)

    def _captured_s(self, time_s: float, arrival_s: float) -> float:
        """Where latency is measured from: arrival, or when a paced file's frame was due."""
        if self._fast:
            return arrival_s
        if self._paced:
            self._due_s = time_s + self._interval_s
            self._wait_until(time_s)
            return time_s
        return min(time_s, arrival_s)

    def _is_due(self, time_s: float) -> bool:
        wanted_fps = self._camera.spec.detect_fps
        if wanted_fps != self._detect_fps:
            self._detect_fps = wanted_fps
            self._sampler = Sampler(wanted_fps)
        due = self._sampler.is_due(time_s)
        return due or self._camera.wants_picture()

    def _submit(self, seq: int, time_s: float, captured_s: float) -> None:
        if self._waits:  # it loses no frame that is due
            self._context.engine.wait_attached(ENGINE_WAIT_S, self._stop)
            slot = self._camera.slots.take_unless(self._stop, timeout_s=SLOT_WAIT_S)
        else:
            slot = self._camera.slots.take()
        if slot is None:
            self._camera.ledger.outcome("dropped_newer")
            return
        with self._context.pictures.turn:
            self._draw(slot, seq, self._run.moment(time_s=time_s, captured_s=captured_s))

    def _draw(self, slot: int, seq: int, moment: Moment) -> None:
        began_cpu_s = time.thread_time()
        try:
            with self._camera.library.reading:
                picture = self._capture.retrieve(self._context.pictures.take(self._shape))
        except Exception:  # CaptureFailed, or an error of OpenCV's
            self._camera.slots.give_back(slot)
            self._camera.ledger.outcome("dropped_error")
            raise
        self._shape = picture.shape
        self._context.page.times.observe("convert", time.thread_time() - began_cpu_s)
        self._camera.submit(
            self._run,
            seq=seq,
            picture=picture,
            moment=moment,
            slot=slot,
            keep=self._waits,
            pool=self._context.pictures,
        )

    def _age_s(self, captured_s: float) -> float:
        return self._clock.monotonic_s() - captured_s

    def _wait_until(self, moment_s: float) -> None:
        wait_s = moment_s - self._clock.monotonic_s()
        if wait_s > LONG_WAIT_S:
            self._stop.wait(wait_s)
        elif wait_s > 0.0:
            time.sleep(wait_s)  # half of what an Event's wait does in the interpreter
