"""The room of one camera: its frames go out to the engine and come back to its tracks and rules."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec
import structlog
from msgspec.structs import replace

from vigil.clock import Anchor
from vigil.data import U8, Detections, Event, Glance, Outcome, StreamState, Track
from vigil.errors import Unavailable
from vigil.host.context import HostContext, mask_areas
from vigil.host.engine_link import SlotPool
from vigil.host.event_pictures import EventPictures
from vigil.host.frame_trace import FrameTrace
from vigil.host.library_calls import LibraryCalls
from vigil.host.picture_pool import PicturePool
from vigil.host.run import Run
from vigil.host.track_tally import TrackTally
from vigil.ipc.messages import (
    FrameDone,
    FrameReady,
    FrameTraced,
    LoginGranted,
    LoginWanted,
    ModelFails,
    RunWanted,
    StreamEvents,
    StreamHistory,
    StreamReport,
    TracksEnded,
)
from vigil.redact import REDACTOR
from vigil.rules import Moment
from vigil.rules.usual import Baseline
from vigil.spec import Edge, Source, StreamSpec
from vigil.vision.letterbox import Letterbox

log = structlog.get_logger()

RUN_TIMEOUT_S = 10.0
LOGIN_TIMEOUT_S = 10.0


class LoginRefused(Exception):
    """A stream's password is only named, and cannot be had. The text says why, and holds nothing of it."""


@dataclass(frozen=True, slots=True)
class Analysed:
    """One analysed frame, for whoever asked for it: a snapshot or a client that pushed it."""

    run: int
    seq: int
    captured_at_s: float  # UTC
    found: Detections  # normalised, at the stream's thresholds
    unfiltered: Detections  # the same and those of lower scores, as the engine gave them
    tracks: tuple[Track, ...]
    events: tuple[Event, ...]
    picture: U8 | None  # full resolution, where it was asked for
    infer_s: float


Then: TypeAlias = Callable[[Analysed | None], None]
"""What to do with an analysed frame, on the host's loop; None: it was dropped."""


class Frame(msgspec.Struct, frozen=True, eq=False):
    """A frame of a camera at the engine (see `context.Transit`)."""

    camera: "Camera"
    run: Run
    seq: int
    moment: Moment
    letterbox: Letterbox
    glance: Glance | None  # where a rule wants it
    picture: U8 | None  # full resolution, where anyone wants it
    pool: PicturePool | None  # where it goes when nobody looks at it any more
    then: tuple[Then, ...]
    # of those who wait for a snapshot: a dropped frame leaves them waiting
    wishes: tuple[Then, ...]
    trace: FrameTrace | None

    def analysed(self, found: Detections, done: FrameDone) -> None:
        """The engine's answer."""
        self.camera.note_model(fails=False)
        self.camera.take_analysed(self, found, done)

    def dropped(self, done: FrameDone) -> None:
        """No answer, and why."""
        if done.quarantined:
            self.camera.note_model(fails=True)
        self.camera.take_dropped(self, done.outcome)


class Camera:
    """What the reader's thread and the host's loop share of one stream.

    The reader calls `begin_run`, `read`, `skip`, `submit`, `end_run` and `report`; the loop calls the
    rest. Tracks and rules are touched by the loop alone.
    """

    def __init__(
        self,
        spec: StreamSpec,
        context: HostContext,
        *,
        record: int,
        slots: range,
        witness: Then | None = None,
    ) -> None:
        """``witness`` is told of every frame that is analysed or dropped at the engine."""
        self.spec = spec
        self.record = record
        self.ledger = context.page.ledger(record)
        self.slots = SlotPool(slots)
        self.state = StreamState.PENDING
        self.library = LibraryCalls(
            context.clock,
            open_timeout_s=context.settings.open_timeout_s,
            read_timeout_s=context.settings.read_timeout_s,
        )
        self._context = context
        self._witness = (witness,) if witness is not None else ()
        self._tally = TrackTally()
        self._event_pictures = EventPictures(spec.stream_id, context)
        self._granted_run = 0
        self._run_granted = threading.Event()
        self._login = LoginGranted(stream_id=spec.stream_id)
        self._login_granted = threading.Event()
        self._run: Run | None = None  # the newest that the loop has seen frames of
        self._wishes: list[Then] = []  # those who wait for a snapshot
        self._wishes_lock = threading.Lock()
        self._model_fails = False  # as the service was told
        self._baselines: dict[tuple[str, Edge], Baseline] = {}  # learnt limits by rule and edge
        # a run begins with the definition that stands, or is changed
        self._definition_lock = threading.Lock()

    # the reader's side

    def begin_run(self, anchor: Anchor) -> Run:
        """A connection is up: ask the service for a run number, which is on disk when it comes.

        Raises Unavailable if the service does not answer.
        """
        self._run_granted.clear()
        self._context.send(RunWanted(stream_id=self.spec.stream_id))
        if not self._run_granted.wait(RUN_TIMEOUT_S):
            raise Unavailable("the service gave no run number in time; the stream tries again")
        with self._definition_lock:
            run = Run(self._granted_run, self.spec, self._context, anchor=anchor)
            run.learn(tuple(self._baselines.values()))
            self._run = run
        return run

    def login(self) -> Source:
        """The source to open, with the password that its definition may only name, as it is now.

        Raises LoginRefused where there is none, Unavailable if the service does not answer.
        """
        source = self.spec.source
        if not source.secret_ref:
            return source
        self._login_granted.clear()
        self._context.send(LoginWanted(stream_id=self.spec.stream_id))
        if not self._login_granted.wait(LOGIN_TIMEOUT_S):
            raise Unavailable("the service gave no password in time; the stream tries again")
        if self._login.problem:
            raise LoginRefused(self._login.problem)
        return replace(source, password=self._login.password)

    def report(self, report: StreamReport) -> None:
        """Tell the service what the stream does."""
        self.state = report.state
        self._context.send(report)
        if report.state is not StreamState.ONLINE:
            self.abandon_wishes()

    def wants_picture(self) -> bool:
        """Whether somebody waits for a snapshot, so that the next frame is due whatever its time."""
        return bool(self._wishes)

    def submit(
        self,
        run: Run,
        *,
        seq: int,
        picture: U8,
        moment: Moment,
        slot: int,
        keep: bool,
        then: tuple[Then, ...] = (),
        pool: PicturePool | None = None,
    ) -> None:
        """Draw a picture, (H, W, 3) uint8 BGR, into a slot of this camera and hand it to the engine.

        It is the camera's until it is given back to ``pool``: second stages and snapshots cut it and show
        it when its detections are known.
        """
        started_s = self._context.clock.monotonic_s()
        masks = self.spec.privacy_masks
        letterbox = self._context.letterbox(picture)
        target = self._context.engine.picture(slot)
        try:
            if masks:
                mask_areas(picture, masks)
            letterbox.draw(picture, target)
            if not then and not self._wishes and run.skips(target, letterbox, moment):
                self.slots.give_back(slot)
                if pool is not None:
                    pool.give_back(picture)
                self.ledger.outcome("skipped_motion")
                return
            glance = run.glance(target, letterbox, seq=seq)
        except Exception:  # whatever it is: the frame is accounted for, and its slot free again
            self.slots.give_back(slot)
            self.ledger.outcome("dropped_error")
            raise
        wishes = self._take_wishes()
        wanted = run.second_stages.wanted or self._event_pictures.wanted(self.spec)
        kept = picture if wishes or wanted else None
        if kept is None and pool is not None:
            pool.give_back(picture)
        ready_s = self._context.clock.monotonic_s()
        self._context.page.times.observe("resize", ready_s - started_s)
        witnessed = (*then, *self._witness)
        traces = self._context.traces
        trace = traces.draw(began_s=started_s, ready_s=ready_s) if traces is not None else None
        frame = Frame(
            self, run, seq, moment, letterbox, glance, kept, pool, witnessed, wishes, trace
        )
        message = FrameReady(
            slot=slot,
            camera=self.record,
            captured_s=moment.captured_s,
            ready_s=ready_s,
            priority=self.spec.priority,
            keep=keep,
            traced=trace is not None,
        )
        run.entered()
        if not self._context.engine.submit(message, pool=self.slots, carried=frame):
            self._context.post(lambda: self.take_dropped(frame, "dropped_error"))

    def end_run(self, run: Run, then: Callable[[], None] | None = None) -> None:
        """The connection is over: once its last frame is back, what is open ends.

        ``then`` is called on the host's loop after the run's last event.
        """

        def end() -> None:
            run.then = then
            if run.end():
                self._finish(run)

        self._context.post(end)

    # the loop's side

    def has_open_run(self) -> bool:
        """Whether a run has begun and its last event is not out yet."""
        return self._run is not None and not self._run.finished.is_set()

    def grant_run(self, number: int) -> None:
        """The service's answer to `begin_run`."""
        self._granted_run = number
        self._run_granted.set()

    def grant_login(self, login: LoginGranted) -> None:
        """The service's answer to `login`."""
        REDACTOR.remember(login.password, user=self.spec.source.username)
        self._login = login
        self._login_granted.set()

    def change(self, spec: StreamSpec) -> None:
        """Take a new definition with the same source."""
        with self._definition_lock:
            self.spec = spec
            events = self._run.change(spec, self._context) if self._run is not None else []
        self._publish(events)

    def learn(self, baselines: Sequence[Baseline]) -> None:
        """Take limits that were learnt anew, for the run that is open and those to come."""
        with self._definition_lock:
            self._baselines |= {(curve.rule_id, curve.edge): curve for curve in baselines}
            if self._run is not None:
                self._run.learn(baselines)

    def want_picture(self, then: Then) -> None:
        """Call ``then`` with the next analysed frame and its full picture; None where none will come."""
        with self._wishes_lock:
            self._wishes.append(then)
        if self.state is not StreamState.ONLINE:
            self.abandon_wishes()

    def abandon_wishes(self) -> None:
        """No picture will come: tell those who wait."""
        for then in self._take_wishes():
            then(None)

    def note_model(self, *, fails: bool) -> None:
        """Whether the model fails on this camera's pictures; the service is told of a change."""
        if fails != self._model_fails:
            self._model_fails = fails
            self._context.send(ModelFails(stream_id=self.spec.stream_id, fails=fails))

    def take_analysed(self, frame: Frame, found: Detections, done: FrameDone) -> None:
        """A frame came back with its detections: tracks, rules, events."""
        run, clock, times = frame.run, self._context.clock, self._context.page.times
        started_s = clock.monotonic_s()
        try:
            events = run.judge(frame.glance, frame.moment) if frame.glance is not None else []
            tracks = run.track(found, frame.moment)
            tracked_s = clock.monotonic_s()
            events += run.rule(tracks, frame.moment)
        except Exception:  # one camera's rules must not end the process that others share
            log.exception(
                "rules_failed", stream_id=self.spec.stream_id, run=run.number, seq=frame.seq
            )
            self.take_dropped(frame, "dropped_error")
            return
        ruled_s = clock.monotonic_s()
        times.observe("track", tracked_s - started_s)
        times.observe("rules", ruled_s - tracked_s)
        self.ledger.labelled(run.classify(frame.picture, tracks, frame.moment))
        counts = run.thresholds.reached(found)
        self.ledger.detected(found.class_id[counts])
        self.ledger.outcome("analysed")
        if frame.trace is not None:
            told = self._traced(frame, frame.trace, "analysed", returned_s=started_s)
            self._context.send(  # before the events: who traces knows them when they come
                replace(
                    told,
                    engine=done.times,
                    tracked_s=tracked_s,
                    ruled_s=ruled_s,
                    found=int(counts.sum()),
                    event_ids=tuple(event.event_id for event in events),
                )
            )
        pictured = ""
        if frame.picture is not None:
            events, pictured = self._event_pictures.announce(
                events, self.spec, run=run.number, seq=frame.seq, utc_s=frame.moment.utc_s
            )
        self._publish(events)
        if samples := run.samples():
            stream_id = self.spec.stream_id
            self._context.send(StreamHistory(stream_id=stream_id, samples=tuple(samples)))
        self._tell_of_tracks(run, tracks)
        if frame.then or frame.wishes:
            analysed = Analysed(
                run=run.number,
                seq=frame.seq,
                captured_at_s=frame.moment.utc_s,
                found=found[counts],
                unfiltered=found,
                tracks=tracks,
                events=tuple(events),
                picture=frame.picture if frame.wishes else None,
                infer_s=done.infer_s,
            )
            for then in (*frame.then, *frame.wishes):
                then(analysed)
        if frame.picture is not None and pictured:
            self._event_pictures.take(pictured, frame.picture, then=lambda: self._let_go(frame))
        else:
            self._let_go(frame)
        if run.left():
            self._finish(run)

    def _let_go(self, frame: Frame) -> None:
        """A picture that nobody was given may be written again."""
        if frame.picture is not None and frame.pool is not None and not frame.wishes:
            frame.pool.give_back(frame.picture)

    def _tell_of_tracks(self, run: Run, tracks: tuple[Track, ...]) -> None:
        block = self._tally.take(run.number, tracks)
        if block is not None:
            self._context.send(
                TracksEnded(
                    stream_id=self.spec.stream_id, score=block.score, fragments=block.fragments
                )
            )

    def take_dropped(self, frame: Frame, outcome: Outcome) -> None:
        """A frame came back without detections, or never left."""
        self.ledger.outcome(outcome)
        if frame.trace is not None:
            returned_s = self._context.clock.monotonic_s()
            self._context.send(self._traced(frame, frame.trace, outcome, returned_s=returned_s))
        self._let_go(frame)
        for then in frame.then:
            then(None)
        for wish in frame.wishes:
            self.want_picture(wish)
        if frame.run.left():
            self._finish(frame.run)

    def _traced(
        self, frame: Frame, trace: FrameTrace, outcome: Outcome, *, returned_s: float
    ) -> FrameTraced:
        captured_s = frame.moment.captured_s
        return FrameTraced(
            stream_id=self.spec.stream_id,
            run=frame.run.number,
            seq=frame.seq,
            outcome=outcome,
            captured_at_s=frame.run.anchor.to_utc_s(captured_s),
            captured_s=captured_s,
            began_s=trace.began_s,
            ready_s=trace.ready_s,
            returned_s=returned_s,
        )

    def _finish(self, run: Run) -> None:
        self._publish(run.finish())
        self.ledger.labelled(run.second_stages.forget(()))
        run.finished.set()
        if run.then is not None:
            run.then()

    def _publish(self, events: list[Event]) -> None:
        if events:
            self._context.send(StreamEvents(stream_id=self.spec.stream_id, events=tuple(events)))

    def _take_wishes(self) -> tuple[Then, ...]:
        if not self._wishes:
            return ()
        with self._wishes_lock:
            taken, self._wishes = tuple(self._wishes), []
        return taken
