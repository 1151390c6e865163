"""What a golden clip's frames gave against its labels: the figures behind ``vigil_accuracy``.

The same figures come from the live path (`vigil.fleet.golden`) and from `vigil evaluate golden`, which
has no service: they differ only where the two paths do.

Objects that are mostly hidden, cut off or tiny need not be found (`vigil.accuracy.scene_boxes`): boxes on
them are neither right nor wrong. A class is judged where the clip's labels have it.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from vigil.accuracy.events import EventScores, score_events
from vigil.accuracy.golden_clips import ClipTruth
from vigil.accuracy.interval import Share
from vigil.accuracy.scene_boxes import LEAST_IOU, FoundBox, iou, must_be_found, score_boxes
from vigil.accuracy.tracking import Identified, score_tracks
from vigil.errors import InvalidConfig
from vigil.fleet.golden import GoldenBox, GoldenFrame, PlayedClip
from vigil.scene.compose import SceneObject

ALL = "all"  # the class of what is not of one class
FEWEST = 20  # objects, boxes or events: a share of fewer says little
_APART = 1_000_000  # between the frames and ids of one clip and those of the next


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of a round; ``of`` is how many objects or events it is a figure of."""

    metric: str
    class_name: str
    value: float
    of: int


@dataclass(frozen=True, slots=True)
class _Judgement:
    """One frame of one clip: what had to be found, and what was."""

    truth: Sequence[SceneObject]
    frame: GoldenFrame


def figures_of(played: Sequence[tuple[ClipTruth, PlayedClip]]) -> list[Figure]:
    """Every figure of a round, over all of its clips together.

    precision and recall of boxes at the operating thresholds and map50 (IoU 0.5), mota, idf1 and hota,
    each by class; event_precision and event_recall of the clips' rules. A figure of fewer than 20
    objects, boxes or events is left out.
    """
    classes = sorted({name for truth, _ in played for name in truth.classes})
    figures = list(_boxes(played, classes))
    for name in classes:
        figures += _tracks(played, name)
    figures += _events(played)
    return [figure for figure in figures if figure.of >= FEWEST and np.isfinite(figure.value)]


def _frames(played: Sequence[tuple[ClipTruth, PlayedClip]]) -> Iterator[tuple[int, _Judgement]]:
    """Every judged frame with a number that no frame of another clip has."""
    for number, (truth, clip) in enumerate(played):
        for frame in clip.frames:
            if frame.index in truth.objects:
                yield (
                    number * _APART + frame.index,
                    _Judgement(truth.objects[frame.index], frame),
                )


def _boxes(
    played: Sequence[tuple[ClipTruth, PlayedClip]], classes: Sequence[str]
) -> Iterator[Figure]:
    truth, found = {}, {}
    for key, each in _frames(played):
        truth[key] = each.truth
        found[key] = [
            FoundBox(box.class_name, box.xyxy)
            for box in each.frame.found
            if box.class_name in classes
        ]
    scores = score_boxes(truth, found)
    curves = {name: _average_precision(played, name) for name in classes}
    for name in classes:
        if name in scores:
            recall, precision = scores[name].recall, scores[name].precision
            yield _share("precision", name, precision)
            yield _share("recall", name, recall)
            yield Figure(metric="map50", class_name=name, value=curves[name], of=recall.of)
    known = [scores[name] for name in classes if name in scores]
    yield _share("precision", ALL, _sum([each.precision for each in known]))
    yield _share("recall", ALL, _sum([each.recall for each in known]))
    rated = [curves[name] for name in classes if np.isfinite(curves[name])]
    if rated:
        objects = sum(each.recall.of for each in known)
        yield Figure(metric="map50", class_name=ALL, value=float(np.mean(rated)), of=objects)


def _average_precision(played: Sequence[tuple[ClipTruth, PlayedClip]], name: str) -> float:
    """AP50 by pycocotools; NaN where that is not installed."""
    try:
        from vigil.accuracy.matching import Judged, match
    except ImportError:
        return math.nan
    judged = []
    for _, each in _frames(played):
        boxes = [b for b in (*each.frame.found, *each.frame.below) if b.class_name == name]
        due, counted = _fair(each.truth, boxes, name)
        judged.append(
            Judged(
                objects=np.array([thing.xyxy for thing in due], np.float32).reshape(-1, 4),
                boxes=np.array([box.xyxy for box in counted], np.float32).reshape(-1, 4),
                score=np.array([box.score for box in counted], np.float32),
            )
        )
    (curve,) = match(judged, [LEAST_IOU])
    return curve.average_precision()


def _tracks(played: Sequence[tuple[ClipTruth, PlayedClip]], name: str) -> Iterator[Figure]:
    happened, claimed = [], []
    for key, each in _frames(played):
        clip = key // _APART
        tracks = [track for track in each.frame.tracks if track.class_name == name]
        due, counted = _fair(each.truth, tracks, name)
        happened.append(_identified([(thing.object_id, thing.xyxy) for thing in due], clip))
        claimed.append(_identified([(track.track_id, track.xyxy) for track in counted], clip))
    if not any(len(frame.number) for frame in happened):
        return
    try:
        scores = score_tracks(happened, claimed)
    except InvalidConfig:  # without TrackEval the other figures are still worth having
        return
    for metric in ("mota", "idf1", "hota"):
        value = getattr(scores, metric)
        yield Figure(metric=metric, class_name=name, value=value, of=scores.truth_boxes)


def _identified(
    rows: Sequence[tuple[int, tuple[float, float, float, float]]], clip: int
) -> Identified:
    return Identified(
        number=np.array([clip * _APART + number for number, _ in rows], np.int64),
        xyxy=np.array([xyxy for _, xyxy in rows], np.float64).reshape(-1, 4),
    )


def _fair(
    objects: Sequence[SceneObject], boxes: Sequence[GoldenBox], name: str
) -> tuple[list[SceneObject], list[GoldenBox]]:
    """What must be found, and the boxes but for those on objects that need not be."""
    named = [thing for thing in objects if thing.class_name == name]
    due = [thing for thing in named if must_be_found(thing)]
    excused = [thing for thing in named if not must_be_found(thing)]
    if not excused or not boxes:
        return due, list(boxes)
    xyxy = np.array([box.xyxy for box in boxes], np.float64)
    on_excused = iou(xyxy, np.array([thing.xyxy for thing in excused], np.float64)).max(axis=1)
    on_due = np.zeros(len(boxes))
    if due:
        on_due = iou(xyxy, np.array([thing.xyxy for thing in due], np.float64)).max(axis=1)
    counts = (on_excused < LEAST_IOU) | (on_due >= on_excused)
    return due, [box for box, keep in zip(boxes, counts, strict=True) if keep]


def _events(played: Sequence[tuple[ClipTruth, PlayedClip]]) -> Iterator[Figure]:
    scores: list[EventScores] = []
    for truth, clip in played:
        if truth.rules:
            told = [e for e in clip.events if e.occurred_at_s - clip.start_s <= truth.until_s]
            scores.append(score_events(truth.events, told, start_s=clip.start_s))
    yield _share("event_precision", ALL, _sum([score.precision for score in scores]))
    yield _share("event_recall", ALL, _sum([score.recall for score in scores]))


def _sum(shares: Sequence[Share]) -> Share:
    return Share(sum(share.count for share in shares), sum(share.of for share in shares))


def _share(metric: str, name: str, share: Share) -> Figure:
    return Figure(metric=metric, class_name=name, value=share.value, of=share.of)


def by_metric(figures: Sequence[Figure]) -> Mapping[str, Mapping[str, float]]:
    """Figures by metric and class, rounded, for people and for JSON."""
    table: dict[str, dict[str, float]] = defaultdict(dict)
    for figure in figures:
        table[figure.metric][figure.class_name] = round(figure.value, 4)
    return table
