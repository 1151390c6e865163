"""A detector's figures on a video whose people are labelled, beside classical analytics.

Frames 1, 6, 11, … are judged; the classical baselines see every frame, because they need to.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vigil.accuracy.finder import Finder
from vigil.accuracy.matching import Judged, match
from vigil.accuracy.mot import read_boxes
from vigil.accuracy.motion_blobs import MotionBlobs
from vigil.data import F32, U8
from vigil.errors import UnreadableImage

EVERY = 5
_PERSON = 0


@dataclass(frozen=True, slots=True)
class VideoFigures:
    """What a finder reaches on a video; precision and recall are at ``threshold``, the best one."""

    ap50: float
    error: float
    precision: float
    recall: float
    threshold: float
    error_operating: float | None = None
    ms_per_frame: float | None = None

    def as_json(self) -> dict[str, float]:
        """Plain values, rounded; what was not measured is left out."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: round(value, 4) for name, value in values.items() if value is not None}


def evaluate_video(
    finder: Finder,
    video: Path,
    truth: Path,
    *,
    threshold: float | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> VideoFigures:
    """Judge a finder's people on a video with MOTChallenge truth."""
    objects = read_mot(truth)
    judged = []
    for number, image in judged_frames(video):
        found = finder.find(image)
        people = found[found.class_id == _PERSON]
        judged.append(Judged(objects=objects[number], boxes=people.xyxy, score=people.score))
        advance(1)
    return figures_of(judged, threshold=threshold)


def evaluate_motion_blobs(video: Path, truth: Path) -> VideoFigures:
    """The same for MOG2 blobs, which see every frame."""
    objects = read_mot(truth)
    blobs = MotionBlobs()
    judged = []
    for number, image in frames(video):
        found = blobs.find(image)
        if number % EVERY == 1:
            judged.append(Judged(objects=objects[number], boxes=found.xyxy, score=found.score))
    return figures_of(judged)


def figures_of(judged: Sequence[Judged], *, threshold: float | None = None) -> VideoFigures:
    """The figures of judged frames; ``threshold`` is the operating one."""
    (curve,) = match(judged, [0.5])
    best = curve.best_threshold()
    there = curve.at(best)
    return VideoFigures(
        ap50=curve.average_precision(),
        error=there.error,
        precision=there.precision,
        recall=there.recall,
        threshold=best,
        error_operating=None if threshold is None else curve.at(threshold).error,
    )


def read_mot(path: Path) -> dict[int, F32]:
    """Boxes (N, 4) xyxy pixels by frame number, from 1, of a MOTChallenge file; none: (0, 4).

    Raises UnreadableBoxes.
    """
    rows: dict[int, list[tuple[float, ...]]] = defaultdict(list)
    for box in read_boxes(path):
        if box.counts:
            right, bottom = box.left + box.width, box.top + box.height
            rows[box.frame].append((box.left, box.top, right, bottom))
    boxes: dict[int, F32] = defaultdict(lambda: np.zeros((0, 4), np.float32))
    boxes.update({frame: np.array(of, np.float32) for frame, of in rows.items()})
    return boxes


def judged_frames(video: Path) -> Iterator[tuple[int, U8]]:
    """Frames 1, 6, 11, … with their numbers."""
    return ((number, image) for number, image in frames(video) if number % EVERY == 1)


def frames(video: Path) -> Iterator[tuple[int, U8]]:
    """Every frame (H, W, 3) BGR, numbered from 1. Raises UnreadableImage where it does not open."""
    capture = cv2.VideoCapture(str(video))  # noqa: TID251  # a labelled file of ours, offline
    try:
        if not capture.isOpened():
            raise UnreadableImage(f"{video} does not open as a video; check the file")
        number = 0
        while True:
            read, image = capture.read()
            if not read:
                return
            number += 1
            yield number, np.asarray(image, np.uint8)
    finally:
        capture.release()
