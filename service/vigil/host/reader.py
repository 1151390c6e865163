"""One thread a stream: open, play, on failure wait and begin again, for ever."""

import random
import threading
import traceback

import structlog

from vigil.clock import Anchor
from vigil.data import OfflineReason, StreamState
from vigil.errors import Unavailable
from vigil.host.backoff import Backoff
from vigil.host.camera import Camera, LoginRefused
from vigil.host.capture import Capture, CaptureFailed, CaptureLimits, open_capture
from vigil.host.context import HostContext
from vigil.host.play import Ended, Play
from vigil.host.run import Run
from vigil.host.timeline import TimeWentBack
from vigil.ipc.channel import ChannelClosed
from vigil.ipc.messages import StreamReport
from vigil.redact import REDACTOR
from vigil.spec import Pace

log = structlog.get_logger()

FINISH_S = 2.0  # for frames that are still at the engine, once it is told to stop
GIVEN_UP_S = 20.0  # else: an engine that hangs is ended before, and they come back
MOST_JUMPS = 100  # of a file's time, each of which begins a run
ENGINE_WAIT_S = 60.0  # a file waits so long for an engine before it plays on without


class Reader:
    """Owns one stream's capture. `start` begins its thread, `stop` ends it within a read time-out."""

    def __init__(self, camera: Camera, context: HostContext) -> None:
        self._camera = camera
        self._context = context
        self._source = camera.spec.source
        self._limits = CaptureLimits(
            open_timeout_s=context.settings.open_timeout_s,
            read_timeout_s=context.settings.read_timeout_s,
        )
        self._backoff = Backoff(random.Random())
        self._stop = threading.Event()
        self._reconnects = 0
        self._ended = threading.Event()
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
        """Whether frames can still come from it."""
        return not self._ended.is_set()

    def _read_for_ever(self) -> None:
        self._camera.ledger.set_reader(threading.get_ident())
        structlog.contextvars.bind_contextvars(stream_id=self._camera.spec.stream_id)
        try:
            self._read_until_stopped()
        except ChannelClosed:
            pass  # the service is gone, and this process with it
        finally:
            self._ended.set()
            self._context.post(_nothing)  # the host's loop looks whether it waited for this

    def _read_until_stopped(self) -> None:
        while not self._stop.is_set():
            ended = self._connect_and_play()
            if self._stop.is_set():
                return
            if ended.reason is OfflineReason.ENDED:
                if self._source.loop:
                    continue
                self._report(StreamState.OFFLINE, ended)
                return
            retry_in_s = self._backoff.next_s(ended.reason)
            self._reconnects += 1
            self._report(StreamState.OFFLINE, ended, retry_in_s=retry_in_s)
            self._stop.wait(retry_in_s)

    def _connect_and_play(self) -> Ended:
        """One connection from open to its end; returns why it ended."""
        self._report(StreamState.CONNECTING)
        capture = None
        try:
            capture = self._open()
            if not capture.live:
                self._context.engine.wait_attached(ENGINE_WAIT_S, self._stop)
            return self._play_on(capture)
        except CaptureFailed as failure:
            return Ended(failure.reason, failure.detail)
        except LoginRefused as refused:
            return Ended(OfflineReason.AUTH_FAILED, str(refused))
        except TimeWentBack as jump:
            return Ended(OfflineReason.DECODE_ERROR, f"the stream's time jumped back {jump}")
        except Unavailable as error:
            return Ended(OfflineReason.UNREACHABLE, str(error))
        except ChannelClosed:
            raise
        except Exception as error:  # whatever it is, it is this stream's: the others go on
            return self._unexpected(error)
        finally:
            if capture is not None:
                with self._camera.library.reading:
                    capture.close()

    def _open(self) -> Capture:
        """Raises LoginRefused, Unavailable, CaptureFailed."""
        source = self._camera.login()
        # a golden clip is the service's own: no client named it
        access = None if self._source.pace is Pace.WAITED else self._context.access
        library = self._camera.library
        with library.opening:
            return open_capture(source, self._limits, access, turn=library.turn())

    def _unexpected(self, error: Exception) -> Ended:
        """Say what failed and where, without its text: OpenCV's holds the address, credentials and all."""
        name = type(error).__name__
        places = [
            f"{each.name}:{each.lineno}" for each in traceback.extract_tb(error.__traceback__)
        ]
        log.error("reading_failed", error=name, at=places)
        return Ended(OfflineReason.DECODE_ERROR, f"reading failed with {name}; the log says where")

    def _play_on(self, capture: Capture) -> Ended:
        """A file whose time jumps back goes on there, as another run: opened again, it would start over."""
        for _ in range(MOST_JUMPS):
            try:
                return self._play(capture)
            except TimeWentBack as jump:
                if capture.live:
                    raise
                log.warning("file_time_jumped_back", jump=str(jump))
        return Ended(OfflineReason.DECODE_ERROR, f"the file's time jumps back {MOST_JUMPS} times")

    def _play(self, capture: Capture) -> Ended:
        if self._stop.is_set():
            return Ended(OfflineReason.ENDED, "stopped")
        run = self._camera.begin_run(Anchor.now(self._context.clock))
        structlog.contextvars.bind_contextvars(run=run.number)
        play = Play(
            self._camera,
            self._context,
            capture=capture,
            run=run,
            stop=self._stop,
            read_timeout_s=self._limits.read_timeout_s,
            on_size=self._online,
        )
        try:
            return play.until_end()
        finally:
            self._camera.end_run(run)
            structlog.contextvars.unbind_contextvars("run")
            self._wait_finished(run)

    def _wait_finished(self, run: Run) -> None:
        """A stream's end is reported after its last event."""
        clock = self._context.clock
        given_up_s = clock.monotonic_s() + GIVEN_UP_S
        while not run.finished.wait(FINISH_S) and not self._stop.is_set():
            if clock.monotonic_s() > given_up_s:
                log.error("run_does_not_finish")
                return

    def _online(self, capture: Capture) -> None:
        self._backoff.succeeded()
        self._camera.report(
            StreamReport(
                stream_id=self._camera.spec.stream_id,
                state=StreamState.ONLINE,
                width_px=capture.width_px,
                height_px=capture.height_px,
                source_fps=capture.fps,
                reconnects=self._reconnects,
            )
        )

    def _report(
        self, state: StreamState, ended: Ended | None = None, *, retry_in_s: float | None = None
    ) -> None:
        self._camera.report(
            StreamReport(
                stream_id=self._camera.spec.stream_id,
                state=state,
                reason=ended.reason if ended else None,
                detail=REDACTOR.text(ended.detail) if ended else "",
                retry_in_s=retry_in_s,
                reconnects=self._reconnects,
            )
        )


def _nothing() -> None:
    """Work that only wakes the loop."""
