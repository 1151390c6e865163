"""A detector's figures on a labelled set of pictures, by source and class.

Labels are partial: a class is judged only in the pictures in which people labelled it. An object of
unknown type (class 6) is nobody's: a typed box on it counts as false; where the set labels vehicles only
as such, car, bus and truck boxes are judged as one class.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from vigil.accuracy.finder import Finder
from vigil.accuracy.matching import Judged, match
from vigil.data import U8, Detections
from vigil.errors import UnreadableImage
from vigil.training.labels import (
    CLASSES,
    VEHICLE,
    VEHICLE_TYPES,
    Truth,
    read_truth,
)
from vigil.vision.postprocess import merge_types

IOUS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
SCORE_FLOOR = 0.02
_FEWEST_OBJECTS = 20
_CAR = CLASSES.index("car")
_NAMES = (*CLASSES, "vehicle")


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class of one source; ``error`` is 1 − F1 at the best threshold on this very set."""

    ap50: float
    ap50_95: float
    error: float
    error_operating: float | None  # at the model's threshold; none where a model has none
    n: int  # objects
    threshold: float  # the best one


@dataclass(frozen=True, slots=True)
class SetFigures:
    """The table: source, then class."""

    sources: dict[str, dict[str, ClassFigures]]

    def mean_ap50(self) -> float:
        """Unweighted, over all rows with at least 70 objects: the rows of the yardsticks' table."""
        rows = [
            f.ap50 for by_class in self.sources.values() for f in by_class.values() if f.n >= 70
        ]
        return float(np.mean(rows)) if rows else math.nan

    def as_json(self) -> dict[str, dict[str, dict[str, float | int | None]]]:
        """Plain values, rounded."""
        return {
            source: {name: _rounded(figures) for name, figures in by_class.items()}
            for source, by_class in self.sources.items()
        }


def evaluate_set(
    finder: Finder,
    root: Path,
    *,
    thresholds: Sequence[float] | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> SetFigures:
    """Judge a finder on every picture of a data set (images/, labels/, manifest.csv).

    ``thresholds`` are the operating thresholds of the six classes. ``advance`` is told of each picture.
    """
    truths = read_truth(root)
    found = []
    for truth in truths:
        found.append(finder.find(read_image(truth.path)))
        advance(1)
    return figures_of(truths, found, thresholds=thresholds)


def figures_of(
    truths: Sequence[Truth],
    found: Sequence[Detections],
    *,
    thresholds: Sequence[float] | None = None,
) -> SetFigures:
    """The table of detections (pixels of each picture) against what people labelled."""
    rows: dict[tuple[str, int], list[Judged]] = defaultdict(list)
    for truth, detections in zip(truths, found, strict=True):
        for class_id in _judged_classes(truth):
            rows[truth.source, class_id].append(judge(truth, detections, class_id))
    sources: dict[str, dict[str, ClassFigures]] = defaultdict(dict)
    for (source, class_id), judged in sorted(rows.items()):
        if any(len(one.objects) for one in judged):
            operating = None
            if thresholds is not None:
                operating = thresholds[_CAR if class_id == VEHICLE else class_id]
            sources[source][_NAMES[class_id]] = _figures(judged, operating)
    return SetFigures(dict(sources))


def operating_thresholds(
    truths: Sequence[Truth], found: Sequence[Detections], *, otherwise: float = 0.3
) -> tuple[float, ...]:
    """The threshold of each class at which F1 is highest over all sources together.

    A class with fewer than 20 objects gets ``otherwise``: too few to choose by.
    """
    chosen = []
    for class_id in range(len(CLASSES)):
        judged = [
            judge(truth, detections, class_id)
            for truth, detections in zip(truths, found, strict=True)
            if class_id in truth.annotated
        ]
        if sum(len(one.objects) for one in judged) < _FEWEST_OBJECTS:
            chosen.append(otherwise)
        else:
            chosen.append(match(judged, [0.5])[0].best_threshold())
    return tuple(chosen)


def read_image(path: Path) -> U8:
    """A picture (H, W, 3) BGR. Raises UnreadableImage."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise UnreadableImage(f"{path} does not decode to a picture; check the file")
    return np.asarray(image, np.uint8)


def _judged_classes(truth: Truth) -> list[int]:
    known = set(truth.annotated)
    if _CAR in known:
        known.discard(VEHICLE)
    return sorted(known)


def judge(truth: Truth, detections: Detections, class_id: int) -> Judged:
    """One picture and class, ready to be matched; class 6 stands for every vehicle type."""
    if class_id == VEHICLE:
        some = merge_types(detections, VEHICLE_TYPES, iou=0.5)
    else:
        some = detections[detections.class_id == class_id]
    some = some[some.score >= SCORE_FLOOR]
    return Judged(
        objects=truth.xyxy_px[truth.class_id == class_id], boxes=some.xyxy, score=some.score
    )


def _figures(judged: list[Judged], operating: float | None) -> ClassFigures:
    curves = match(judged, IOUS)
    precisions = [curve.average_precision() for curve in curves]
    half = curves[0]
    threshold = half.best_threshold()
    return ClassFigures(
        ap50=precisions[0],
        ap50_95=float(np.mean(precisions)),
        error=half.at(threshold).error,
        error_operating=None if operating is None else half.at(operating).error,
        n=half.objects,
        threshold=threshold,
    )


def _rounded(figures: ClassFigures) -> dict[str, float | int | None]:
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(figures).items()}
