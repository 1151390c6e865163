"""The path of a frame in one process, without a service: picture in, tracks and events out."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vigil.data import U8, Detections, Event, Track
from vigil.engine.runner import Runner
from vigil.errors import DamagedModel, VigilError
from vigil.host.capture import CaptureFailed, CaptureLimits, configure_process, open_capture
from vigil.host.run import Thresholds
from vigil.host.sampling import Sampler
from vigil.rules import Moment, RuleSet
from vigil.spec import Source, StreamSpec
from vigil.tracking import Tracker
from vigil.vision.glance import Glancer
from vigil.vision.letterbox import Letterbox
from vigil.vision.manifest import Manifest

_LIMITS = CaptureLimits(open_timeout_s=10.0, read_timeout_s=10.0)


class UnreadableSource(VigilError):
    """A file that holds no pictures, or goes no further."""

    code = "INVALID_ARGUMENT"


@dataclass(frozen=True, slots=True)
class Played:
    """One frame of a video. ``due``: it is to be analysed."""

    index: int
    time_s: float
    image: U8  # (H, W, 3) BGR
    due: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What one analysed frame gave: detections at the operating thresholds (normalised), and the rest."""

    detections: Detections
    below: Detections  # those that do not reach the thresholds
    tracks: tuple[Track, ...]
    events: tuple[Event, ...]


class Offline:
    """One model, one tracker, one set of rules, for one video or for pictures apart.

    ``runner``: the model, where it is there already.
    """

    def __init__(
        self, manifest: Manifest, spec: StreamSpec, *, device: str, runner: Runner | None = None
    ) -> None:
        self._runner = runner or Runner(manifest, device=device, max_batch=1, threads=0)
        self._thresholds = Thresholds.of(
            classes=spec.classes,
            model_classes=manifest.classes,
            model_thresholds=manifest.score_threshold,
            min_score=spec.min_score,
        )
        self._tracker = Tracker(self._thresholds.tracker_settings())
        self._rules = RuleSet(
            spec.rules,
            stream_id=spec.stream_id,
            run=1,
            class_names=manifest.classes,
            labels=spec.labels,
            masks=spec.privacy_masks,
        )
        self._glancer = Glancer()
        self._frames = 0
        self._last: Moment | None = None

    def picture(self, image: U8) -> Detections:
        """Normalised detections of a picture by itself."""
        return self._thresholds.keep(self._detect(*self._draw(image)))

    def frame(self, image: U8, time_s: float) -> Found:
        """The next analysed frame of the video; times increase."""
        drawn, letterbox = self._draw(image)
        every = self._detect(drawn, letterbox)
        found = self._thresholds.keep(every)
        moment = Moment(time_s=time_s, utc_s=time_s, captured_s=time_s)
        events = self._judge(drawn, letterbox, moment)
        tracks = () if self._rules.blind else self._tracker.advance(every, time_s=time_s)
        events += self._rules.advance(moment, tracks)
        self._last = moment
        return Found(found, self._thresholds.drop(every), tracks, tuple(events))

    def finish(self) -> tuple[Event, ...]:
        """The video is over: what is still open ends."""
        return tuple(self._rules.finish(self._last)) if self._last is not None else ()

    def _judge(self, drawn: U8, letterbox: Letterbox, moment: Moment) -> list[Event]:
        """What rules say of the picture itself, as `vigil.host.run` asks them."""
        self._frames += 1
        if not self._rules.wants_glances:
            return []
        was_sick = self._rules.sick
        glance = self._glancer.glance(drawn, letterbox, seq=self._frames)
        events = self._rules.judge(moment, glance)
        if was_sick and not self._rules.sick:
            self._tracker.forget()
        return events

    def _draw(self, image: U8) -> tuple[U8, Letterbox]:
        """The net's input, and how the picture lies in it."""
        manifest = self._runner.manifest
        letterbox = Letterbox.fit(image.shape[:2], manifest.input_hw, stretch=manifest.stretch)
        drawn = np.empty((*manifest.input_hw, 3), np.uint8)
        letterbox.draw(image, drawn)
        return drawn, letterbox

    def _detect(self, drawn: U8, letterbox: Letterbox) -> Detections:
        found = self._runner.infer([drawn]).found[0]
        if found is None:
            raise DamagedModel(
                f"{self._runner.manifest.name!r} answered with what is no number; run `vigil models verify`"
            )
        return Detections(
            xyxy=letterbox.to_source_normalised(found.xyxy),
            score=found.score,
            class_id=found.class_id,
        )


class Video:
    """A video file, frame by frame. Use it as a context."""

    def __init__(self, path: Path) -> None:
        configure_process()
        try:
            self._capture = open_capture(Source(uri=path.resolve().as_uri()), _LIMITS)
        except CaptureFailed as failure:
            raise UnreadableSource(f"{path}: {failure.detail}") from failure
        self._path = path

    def __enter__(self) -> "Video":
        return self

    def __exit__(self, *exception: object) -> None:
        self._capture.close()

    @property
    def fps(self) -> float:
        """Frames a second, as the file says; 25 where it does not."""
        return self._capture.fps or 25.0

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height."""
        return self._capture.width_px, self._capture.height_px

    def play(self, *, detect_fps: float, convert_all: bool) -> Iterator[Played]:
        """The frames in order: those that are due at ``detect_fps``, with ``convert_all`` all of them.

        detect_fps 0 makes every frame due.
        """
        sampler = Sampler(detect_fps) if detect_fps else None
        index, last_s = -1, -1.0
        while self._capture.grab():
            index += 1
            time_s = self._capture.pts_s()
            if index and time_s <= last_s:  # some files give no timestamps, or doubtful ones
                time_s = last_s + 1.0 / self.fps
            last_s = time_s
            due = sampler is None or sampler.is_due(time_s)
            if due or convert_all:
                try:
                    image = self._capture.retrieve(None)
                except CaptureFailed as failure:
                    raise UnreadableSource(f"{self._path}: {failure.detail}") from failure
                yield Played(index, time_s, image, due)
