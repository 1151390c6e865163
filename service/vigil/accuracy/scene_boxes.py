"""Boxes against a rendered scene's truth, at IoU 0.5."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment  # type: ignore[attr-defined]

from vigil.accuracy.interval import Share
from vigil.scene.compose import SceneObject

Box = tuple[float, float, float, float]
LEAST_IOU = 0.5
LEAST_VISIBLE = 0.3
LEAST_HEIGHT = 0.03  # of the picture


@dataclass(frozen=True, slots=True)
class FoundBox:
    """A box that was reported for a frame, normalised xyxy."""

    class_name: str
    xyxy: Box


@dataclass(frozen=True, slots=True)
class BoxScores:
    """Figures of one class. Objects that are mostly hidden, cut off or tiny need not be found."""

    precision: Share
    recall: Share
    mean_iou: float  # of the matches; NaN without any


def score_boxes(
    truth: Mapping[int, Sequence[SceneObject]], found: Mapping[int, Sequence[FoundBox]]
) -> dict[str, BoxScores]:
    """Figures by class over the frames in ``found``; both map a frame's index to its boxes.

    One to one within a frame and class, so that the sum of IoU is greatest.
    """
    hits: dict[str, int] = defaultdict(int)
    due: dict[str, int] = defaultdict(int)
    claims: dict[str, int] = defaultdict(int)
    overlaps: dict[str, list[float]] = defaultdict(list)
    for frame, boxes in found.items():
        objects = truth.get(frame, ())
        for name in {thing.class_name for thing in objects} | {box.class_name for box in boxes}:
            named = [thing for thing in objects if thing.class_name == name]
            mine = [box for box in boxes if box.class_name == name]
            pairs = _pairs([thing.xyxy for thing in named], [box.xyxy for box in mine])
            needed = [must_be_found(thing) for thing in named]
            true = [overlap for row, overlap in pairs if needed[row]]
            hits[name] += len(true)
            due[name] += sum(needed)
            claims[name] += len(mine) - (len(pairs) - len(true))
            overlaps[name] += true
    return {
        name: BoxScores(
            precision=Share(hits[name], claims[name]),
            recall=Share(hits[name], due[name]),
            mean_iou=float(np.mean(overlaps[name])) if overlaps[name] else float("nan"),
        )
        for name in sorted(due)
    }


def must_be_found(thing: SceneObject) -> bool:
    """Whether an object is large enough and seen well enough to be asked for."""
    tall = thing.xyxy[3] - thing.xyxy[1] >= LEAST_HEIGHT
    return tall and thing.visible >= LEAST_VISIBLE


def _pairs(objects: Sequence[Box], boxes: Sequence[Box]) -> list[tuple[int, float]]:
    """(row of the object, IoU) of each match."""
    if not objects or not boxes:
        return []
    overlap = iou(np.array(objects, np.float64), np.array(boxes, np.float64))
    gain = np.where(overlap >= LEAST_IOU, overlap, 0.0)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    return [
        (int(row), float(gain[row, column]))
        for row, column in zip(rows, columns, strict=True)
        if gain[row, column] > 0
    ]


def iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of every pair: (N, 4) and (M, 4) xyxy to (N, M). Empty boxes give 0."""
    top_left = np.maximum(a[:, None, :2], b[:, :2])  # (N, M, 2)
    bottom_right = np.minimum(a[:, None, 2:], b[:, 2:])
    common: NDArray[np.float64] = np.prod(np.clip(bottom_right - top_left, 0, None), axis=2)
    area_a = np.prod(np.clip(a[:, 2:] - a[:, :2], 0, None), axis=1)
    area_b = np.prod(np.clip(b[:, 2:] - b[:, :2], 0, None), axis=1)
    union = area_a[:, None] + area_b - common
    ratio: NDArray[np.float64] = np.divide(
        common, union, out=np.zeros_like(common), where=union > 0
    )
    return ratio
