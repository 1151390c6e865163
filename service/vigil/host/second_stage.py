"""What a stream's second stages do with its tracks: which crop goes to the engine, and what came of it.

A track's crop is sent when it is due, at most once in PERIOD_S: of the frames since the last one, the best.
What the classifier says of its crops is averaged over the track; that is what events carry.
"""

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from vigil.data import F32, U8, Attributes, Track, TrackState
from vigil.host.context import HostContext
from vigil.ipc.messages import ClassifierInfo, CropReady
from vigil.spec import SecondStage
from vigil.vision.crop import cut, draw_square

PERIOD_S: Final = 1.0  # between two crops of a track
FIRST_S: Final = 0.3  # a new track's first crop: so long a better one is waited for
SETTLED_CROPS: Final = 6  # from then on a track is known, and looked at every SETTLED_S only
SETTLED_S: Final = 5.0
SURE_CROPS: Final = 3  # so few settle a track, too, whose mean probability is at least SURE
SURE: Final = 0.9
LEAST_PX: Final = 12.0  # of a box's longer side: less shows no type
BETTER: Final = 1.15  # a frame must be better by so much for another crop to be cut
_AT_EDGE: Final = 0.004  # of the picture: a box that ends there is cut off
_EDGE_FACTOR: Final = 0.5


@dataclass(slots=True)
class Followed:
    """One track under one second stage."""

    due_s: float
    sums: F32  # (classes,) of the probabilities of its crops
    crops: int = 0  # that were classified
    best: U8 | None = None  # the crop that goes next, (input_px, input_px, 3) uint8 BGR
    quality: float = 0.0
    at_engine: bool = False

    @property
    def settled(self) -> bool:
        """Whether it is known what the track is: by many crops, or by some that are sure of one class."""
        sure = self.crops >= SURE_CROPS and float(self.sums.max()) >= SURE * self.crops
        return sure or self.crops >= SETTLED_CROPS


@dataclass(slots=True)
class Stage:
    """One second stage of a run."""

    spec: SecondStage
    info: ClassifierInfo
    class_ids: frozenset[int] | None  # of the detector; None: all
    followed: dict[int, Followed] = field(default_factory=dict)

    def follow(self, track: Track, time_s: float) -> Followed | None:
        """What is kept of a track; None for one that this stage is not about."""
        if self.class_ids is not None and track.class_id not in self.class_ids:
            return None
        followed = self.followed.get(track.track_id)
        if followed is None:
            sums = np.zeros(len(self.info.classes), np.float32)
            followed = self.followed[track.track_id] = Followed(time_s + FIRST_S, sums)
        return followed


@dataclass(frozen=True, slots=True, eq=False)
class TrackCrop:
    """A track's crop at the engine (see `context.CropTransit`)."""

    stages: "SecondStages"
    stage: Stage
    track_id: int

    def classified(self, probabilities: F32) -> None:
        """The engine's answer."""
        self.stages.take(self.stage, self.track_id, probabilities)

    def dropped(self) -> None:
        """No answer: the track's next crop goes when it is due."""
        self.stages.take(self.stage, self.track_id, None)


class SecondStages:
    """The second stages of one run. Belongs to the host's loop.

    ``traits`` are the attributes that events about a track carry, by track id (see `rules.report`).
    """

    def __init__(self, specs: tuple[SecondStage, ...], context: HostContext) -> None:
        self._context = context
        self._stages: list[Stage] = []
        self.traits: dict[int, Attributes] = {}
        self.change(specs)

    @property
    def wanted(self) -> bool:
        """Whether there is a stage that wants to see frames; the reader asks, too."""
        return bool(self._stages)

    def change(self, specs: tuple[SecondStage, ...]) -> None:
        """Take a changed definition; stages that stay as they are keep what they know.

        A classifier that is not installed any more is left out.
        """
        held = {stage.spec: stage for stage in self._stages}
        installed = {info.name: info for info in self._context.settings.classifiers}
        self._stages = [
            held.get(spec) or Stage(spec, installed[spec.classifier], self._ids(spec.classes))
            for spec in specs
            if spec.classifier in installed
        ]
        for track_id in list(self.traits):
            self._tell(track_id)

    def look(self, picture: U8, tracks: tuple[Track, ...], *, time_s: float) -> None:
        """Choose crops of a frame's confirmed tracks, and send those that are due.

        ``picture`` is the frame that they were found in, (H, W, 3) uint8 BGR at full resolution.
        """
        for track in tracks:
            if track.state is not TrackState.CONFIRMED:
                continue
            quality = quality_of(track, picture.shape[1], picture.shape[0])
            for stage in self._stages:
                followed = stage.follow(track, time_s)
                if followed is None or followed.at_engine:
                    continue
                if quality > followed.quality * BETTER:
                    followed.best = self._cut(picture, track, stage.info.input_px)
                    followed.quality = quality
                if followed.best is not None and time_s >= followed.due_s:
                    self._send(stage, track.track_id, followed, followed.best, time_s)

    def forget(self, tracks: tuple[Track, ...]) -> list[int]:
        """Let go of the tracks that are no more; gives the labels that they ended with."""
        present = {track.track_id for track in tracks}
        ended: list[int] = []
        for stage in self._stages:
            for track_id in [known for known in stage.followed if known not in present]:
                followed = stage.followed.pop(track_id)
                if followed.crops:
                    ended.append(stage.info.first_label + int(followed.sums.argmax()))
        for track_id in [known for known in self.traits if known not in present]:
            del self.traits[track_id]
        return ended

    def take(self, stage: Stage, track_id: int, probabilities: F32 | None) -> None:
        """A crop came back; one of a track that is gone, or of a stage that is, changes nothing."""
        followed = stage.followed.get(track_id)
        if followed is None or stage not in self._stages:
            return
        followed.at_engine = False
        if probabilities is not None:
            followed.sums += probabilities
            followed.crops += 1
            if followed.settled:  # PERIOD_S was added as the crop was sent
                followed.due_s += SETTLED_S - PERIOD_S
            self._tell(track_id)

    def _tell(self, track_id: int) -> None:
        """Write down what is known of a track."""
        known: Attributes = {}
        for stage in self._stages:
            followed = stage.followed.get(track_id)
            if followed is not None and followed.crops:
                best = int(followed.sums.argmax())
                known[stage.info.name] = {
                    "class": stage.info.classes[best],
                    "probability": round(float(followed.sums[best]) / followed.crops, 3),
                    "crops": followed.crops,
                }
        self.traits[track_id] = known

    def _ids(self, names: tuple[str, ...]) -> frozenset[int] | None:
        if not names:
            return None
        classes = self._context.settings.classes
        return frozenset(index for index, name in enumerate(classes) if name in names)

    def _cut(self, picture: U8, track: Track, side_px: int) -> U8:
        clock = self._context.clock
        started_s = clock.monotonic_s()
        crop = np.empty((side_px, side_px, 3), np.uint8)
        draw_square(cut(picture, track.xyxy), crop)
        self._context.page.times.observe("crop", clock.monotonic_s() - started_s)
        return crop

    def _send(
        self, stage: Stage, track_id: int, followed: Followed, crop: U8, time_s: float
    ) -> None:
        """Hand a crop to the engine; where no slot is free, the next frame tries again."""
        engine = self._context.engine
        slot = engine.crops.pool.take()
        if slot is None:
            return
        engine.crops.picture(slot, stage.info.input_px)[:] = crop
        followed.due_s = time_s + PERIOD_S
        followed.best, followed.quality, followed.at_engine = None, 0.0, True
        message = CropReady(
            slot=slot,
            classifier=stage.info.name,
            ready_s=self._context.clock.monotonic_s(),
        )
        if not engine.submit_crop(message, carried=TrackCrop(self, stage, track_id)):
            self._context.page.count_crop("dropped_error")
            followed.at_engine = False


def quality_of(track: Track, width_px: int, height_px: int) -> float:
    """How much a frame's box shows of an object: its size in pixels times its score, 0 for too little.

    A box that the picture's edge cuts off counts half.
    """
    x1, y1, x2, y2 = track.xyxy
    box_w, box_h = (x2 - x1) * width_px, (y2 - y1) * height_px
    if max(box_w, box_h) < LEAST_PX or min(box_w, box_h) <= 0:
        return 0.0
    cut_off = min(x1, y1) <= _AT_EDGE or max(x2, y2) >= 1.0 - _AT_EDGE
    return math.sqrt(box_w * box_h) * track.score * (_EDGE_FACTOR if cut_off else 1.0)
