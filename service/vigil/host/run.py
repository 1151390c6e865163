"""One uninterrupted connection of a stream: its tracks, its rules, its frames' numbers."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from vigil.clock import Anchor
from vigil.data import U8, Detections, Event, Glance, Track
from vigil.host.context import HostContext
from vigil.host.motion import StillScene, may_skip
from vigil.host.second_stage import SecondStages
from vigil.rules import Moment, RuleSet
from vigil.rules.usual import Baseline, Sample
from vigil.spec import MotionGate, StreamSpec
from vigil.tracking import Tracker, TrackerSettings, kinds_of
from vigil.vision.glance import Glancer
from vigil.vision.letterbox import Letterbox


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which score on an object of each class counts, as an array by class id."""

    by_class: np.ndarray[tuple[int], np.dtype[np.float32]]  # (C,); inf for classes not asked for
    asked: bool = False  # a client named the least score: nothing below it counts for anything
    kinds: tuple[int, ...] = ()  # by class, for the tracker

    @classmethod
    def of(
        cls,
        *,
        classes: tuple[str, ...],
        model_classes: tuple[str, ...],
        model_thresholds: tuple[float, ...],
        min_score: float,
    ) -> "Thresholds":
        """The model's operating thresholds, or ``min_score`` where it is above 0; unasked classes never."""
        values = [
            (min_score or threshold) if not classes or name in classes else np.inf
            for name, threshold in zip(model_classes, model_thresholds, strict=True)
        ]
        return cls(
            np.array(values, np.float32), asked=min_score > 0.0, kinds=kinds_of(model_classes)
        )

    def reached(self, found: Detections) -> NDArray[np.bool_]:
        """Which detections, (N,), reach their class's threshold."""
        return np.asarray(found.score >= self.by_class[found.class_id])

    def keep(self, found: Detections) -> Detections:
        """The detections that reach their class's threshold."""
        return found[self.reached(found)]

    def drop(self, found: Detections) -> Detections:
        """The others."""
        return found[~self.reached(found)]

    def tracker_settings(self) -> TrackerSettings:
        """Tracks begin above their class's threshold and go on at it, or below where that fits well."""
        settings = TrackerSettings(
            class_thresholds=tuple(self.by_class.tolist()), class_kinds=self.kinds
        )
        return replace(settings, faint=1.0) if self.asked else settings


class Run:
    """Belongs to the host's loop.

    Readers call `next_seq`, `skips`, `glance`, `entered` and `left`, too.
    """

    def __init__(
        self, number: int, spec: StreamSpec, context: HostContext, *, anchor: Anchor
    ) -> None:
        self.number = number
        self.anchor = anchor
        self._clock = context.clock
        self.thresholds = thresholds_of(spec, context)
        self._tracker = Tracker(self.thresholds.tracker_settings())
        self.second_stages = SecondStages(spec.all_second_stages, context)
        self._rules = RuleSet(
            spec.rules,
            stream_id=spec.stream_id,
            run=number,
            class_names=context.settings.classes,
            labels=spec.labels,
            masks=spec.privacy_masks,
            traits=self.second_stages.traits,
        )
        self._glancer = Glancer()
        self._scene = StillScene()
        self._motion_gate = _motion_gate(spec)
        self._lock = threading.Lock()
        self._seq = -1
        self._in_flight = 0
        self._over = False
        self.finished = threading.Event()  # its last frame is back and its last event is out
        self.then: Callable[[], None] | None = None  # what the loop does after that
        self._last = Moment(
            time_s=anchor.monotonic_s, utc_s=anchor.utc_s, captured_s=anchor.monotonic_s
        )

    def next_seq(self) -> int:
        """The number of the frame that was just read."""
        self._seq += 1
        return self._seq

    def entered(self) -> None:
        """A frame of this run is on its way to the engine."""
        with self._lock:
            self._in_flight += 1

    def left(self) -> bool:
        """A frame of this run came back; True if the run is over and this was its last."""
        with self._lock:
            self._in_flight -= 1
            return self._over and self._in_flight == 0

    def end(self) -> bool:
        """No more frames will be read; True if none is in flight, either."""
        with self._lock:
            self._over = True
            return self._in_flight == 0

    def moment(self, *, time_s: float, captured_s: float) -> Moment:
        """The time of a frame for tracker and rules."""
        return Moment(time_s=time_s, utc_s=self.anchor.to_utc_s(time_s), captured_s=captured_s)

    def skips(self, drawn: U8, letterbox: Letterbox, moment: Moment) -> bool:
        """Whether a frame shows nothing new, where the stream wants such frames left out."""
        gate = self._motion_gate
        return gate.enabled and self._scene.skips(drawn, letterbox, time_s=moment.time_s, gate=gate)

    def glance(self, drawn: U8, letterbox: Letterbox, *, seq: int) -> Glance | None:
        """The look of a picture in the net's input, where a rule wants it; the reader calls it."""
        if not self._rules.wants_glances:
            return None
        return self._glancer.glance(drawn, letterbox, seq=seq)

    def judge(self, glance: Glance, moment: Moment) -> list[Event]:
        """What the rules say of a frame's picture; called before `track`."""
        was_sick = self._rules.sick
        events = self._rules.judge(moment, glance)
        if was_sick and not self._rules.sick:  # who is there now is not who was there before
            self._tracker.forget()
        return events

    def track(self, found: Detections, moment: Moment) -> tuple[Track, ...]:
        """Take all that was found in a frame into the tracks; none where its picture shows nothing."""
        if self._rules.blind:
            return ()
        return self._tracker.advance(found, time_s=moment.time_s)

    def rule(self, tracks: tuple[Track, ...], moment: Moment) -> list[Event]:
        """What the rules say of a frame's tracks."""
        self._last = moment
        return self._rules.advance(moment, tracks)

    def classify(self, picture: U8 | None, tracks: tuple[Track, ...], moment: Moment) -> list[int]:
        """Show a frame's tracks to the second stages; gives the labels of tracks that ended."""
        if self._rules.blind:
            return []
        if picture is not None:
            self.second_stages.look(picture, tracks, time_s=moment.time_s)
        return self.second_stages.forget(tracks)

    def learn(self, baselines: Sequence[Baseline]) -> None:
        """Take limits that were learnt anew."""
        self._rules.learn(baselines)

    def samples(self) -> list[Sample]:
        """What there is to learn limits from since it was asked for last."""
        return self._rules.samples()

    def change(self, spec: StreamSpec, context: HostContext) -> list[Event]:
        """Take a changed definition; rules that are gone end their episodes."""
        self.thresholds = thresholds_of(spec, context)
        self._tracker.retune(self.thresholds.tracker_settings())
        self.second_stages.change(spec.all_second_stages)
        self._motion_gate = _motion_gate(spec)
        return self._rules.replace(
            spec.rules, labels=spec.labels, moment=self._now(), masks=spec.privacy_masks
        )

    def finish(self) -> list[Event]:
        """The run is over: what is still open ends with its last frame."""
        return self._rules.finish(self._now())

    def _now(self) -> Moment:
        """The last frame's time, for events that no frame causes: their latency begins now."""
        return msgspec.structs.replace(self._last, captured_s=self._clock.monotonic_s())


def _motion_gate(spec: StreamSpec) -> MotionGate:
    """The stream's gate, closed where its rules want every frame."""
    return msgspec.structs.replace(
        spec.motion_gate, enabled=spec.motion_gate.enabled and may_skip(spec.rules)
    )


def thresholds_of(spec: StreamSpec, context: HostContext) -> Thresholds:
    """The scores that a stream's definition asks for."""
    return Thresholds.of(
        classes=spec.classes,
        model_classes=context.settings.classes,
        model_thresholds=context.settings.class_thresholds,
        min_score=spec.min_score,
    )
