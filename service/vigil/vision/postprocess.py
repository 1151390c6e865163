"""From what the net says of its cells to boxes: threshold, best first, non-maximum suppression.

Outside the net, so that the net is convolutions alone. What is above the score floor is gathered on the
device; the rest is a few hundred boxes at most and done in numpy.
"""

import itertools
import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vigil.data import F32, I64, Detections

RIVAL_CLASSES = frozenset({"car", "bus", "truck"})  # one vehicle is often said to be several
MOST_CANDIDATES = 1000  # a picture, before suppression
MOST_DETECTIONS = 300  # a picture, after


def detections_of(
    logits: Tensor, boxes: Tensor, *, score_floor: float, nms_iou: float
) -> list[Detections]:
    """Detections of each picture, best first, from logits (B, A, C) and boxes (B, A, 4) xyxy.

    A cell may give a box to several classes. Suppression is within a class. Boxes keep their unit.
    """
    batch = len(logits)
    floor = math.log(score_floor / (1.0 - score_floor))
    image, cell, class_id = (logits > floor).nonzero(as_tuple=True)
    score = logits[image, cell, class_id].float().sigmoid().cpu().numpy()
    xyxy = boxes[image, cell].float().cpu().numpy()
    classes = class_id.cpu().numpy()
    bounds = np.searchsorted(image.cpu().numpy(), np.arange(batch + 1))
    found = []
    for start, end in itertools.pairwise(bounds):
        one = slice(int(start), int(end))
        found.append(best_of(xyxy[one], score[one], classes[one], nms_iou=nms_iou))
    return found


def best_of(xyxy: F32, score: F32, class_id: I64, *, nms_iou: float) -> Detections:
    """One picture's detections, best first, from boxes (N, 4), scores (N,) and classes (N,)."""
    if len(score) < 2:  # of most pictures of most cameras
        return Detections(xyxy=xyxy, score=score, class_id=class_id)
    order = np.argsort(-score, kind="stable")[:MOST_CANDIDATES]
    xyxy, score, class_id = xyxy[order], score[order], class_id[order]
    keep = nms(xyxy, class_id, iou=nms_iou)[:MOST_DETECTIONS]
    return Detections(xyxy=xyxy[keep], score=score[keep], class_id=class_id[keep])


def nms(xyxy: F32, class_id: I64, *, iou: float) -> NDArray[np.int64]:
    """The indices that greedy suppression keeps, in order; boxes (N, 4) must be sorted, best first.

    A box goes if a better one of its class that stays overlaps it by more than ``iou``.
    """
    count = len(xyxy)
    if count == 0:
        return np.zeros(0, np.int64)
    x1, y1, x2, y2 = xyxy.T
    area = (x2 - x1) * (y2 - y1)
    width = np.minimum(x2[:, None], x2) - np.maximum(x1[:, None], x1)
    height = np.minimum(y2[:, None], y2) - np.maximum(y1[:, None], y1)
    inter = np.maximum(width, 0.0) * np.maximum(height, 0.0)
    # inter / (a + b - inter) > iou, without the division
    beats = inter * (1.0 + iou) > iou * (area[:, None] + area)
    beats &= class_id[:, None] == class_id
    stays = np.ones(count, bool)
    # only boxes that overlap another one so much; each overlaps itself
    for index in np.flatnonzero(np.count_nonzero(beats, axis=1) > 1):
        if stays[index]:
            stays[index + 1 :] &= ~beats[index, index + 1 :]
    return np.flatnonzero(stays)


def rivals_of(classes: tuple[str, ...]) -> tuple[int, ...]:
    """Which of a model's classes are types of vehicles, of which an object has one."""
    return tuple(index for index, name in enumerate(classes) if name in RIVAL_CLASSES)


def surest_types(found: Detections, types: tuple[int, ...], *, iou: float = 0.7) -> Detections:
    """Of boxes of several ``types`` in one place keep the surest, so that one object is one track."""
    if not types or len(found) < 2:
        return found
    group = found.class_id.copy()
    for one in types:
        group[found.class_id == one] = -1
    return found[nms(found.xyxy, group, iou=iou)]


def merge_types(found: Detections, types: tuple[int, ...], *, iou: float) -> Detections:
    """The detections of some classes as one class, the first of ``types``, suppressed together."""
    some = found[np.isin(found.class_id, types)]
    one = np.full(len(some), types[0], np.int64)
    keep = nms(some.xyxy, one, iou=iou)
    return Detections(xyxy=some.xyxy[keep], score=some.score[keep], class_id=one[keep])
