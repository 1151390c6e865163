"""Average precision and error from the matches of a maintained evaluator.

pycocotools matches boxes to objects (COCO's rules: best score first, each object once); from its matches
come all-point average precision, where COCO's own sums 101 points, and the F1 of every threshold.
"""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pycocotools.coco
import pycocotools.cocoeval
from numpy.typing import NDArray

from vigil.data import F32

_MOST_DETECTIONS = 300
_COCO: Any = pycocotools.coco.COCO  # untyped, and says so of every call
_COCO_EVAL: Any = pycocotools.cocoeval.COCOeval


@dataclass(frozen=True, slots=True)
class Judged:
    """One picture and one class: objects, and boxes with scores. All xyxy pixels of the picture."""

    objects: F32  # (N, 4)
    boxes: F32  # (M, 4)
    score: F32  # (M,)


@dataclass(frozen=True, slots=True)
class Curve:
    """The matches of a set at one IoU: scores, best first, whether each is true, and all objects."""

    score: NDArray[np.float64]  # (M,)
    true: NDArray[np.bool_]  # (M,)
    objects: int

    def average_precision(self) -> float:
        """The area under the precision envelope, over all points."""
        if self.objects == 0:
            return float("nan")
        hits = np.cumsum(self.true)
        precision = hits / np.arange(1, len(hits) + 1)
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        return float((envelope * self.true).sum() / self.objects)

    def f1(self) -> NDArray[np.float64]:
        """(M,): F1 with each score as the threshold."""
        hits = np.cumsum(self.true)
        return 2.0 * hits / (np.arange(1, len(hits) + 1) + self.objects)

    def best_threshold(self) -> float:
        """The score at which F1 is highest; 1 where nothing was found."""
        return float(self.score[int(np.argmax(self.f1()))]) if len(self.score) else 1.0

    def at(self, threshold: float) -> "Operating":
        """What boxes of at least this score give."""
        taken = self.score >= threshold
        count, hits = int(taken.sum()), int(self.true[taken].sum())
        return Operating(
            precision=hits / count if count else 0.0,
            recall=hits / self.objects if self.objects else 0.0,
            error=1.0 - (2.0 * hits / (count + self.objects) if count + self.objects else 0.0),
        )


@dataclass(frozen=True, slots=True)
class Operating:
    """Figures at one threshold; ``error`` is 1 − F1."""

    precision: float
    recall: float
    error: float


def match(judged: Sequence[Judged], ious: Sequence[float]) -> list[Curve]:
    """The curve of a set of pictures at each IoU, matched by pycocotools."""
    evaluator = _evaluate(judged, ious)
    results = [result for result in evaluator.evalImgs if result is not None]
    objects = sum(len(one.objects) for one in judged)
    if not results:
        nothing = Curve(np.zeros(0), np.zeros(0, bool), objects)
        return [nothing for _ in ious]
    score = np.concatenate([np.asarray(result["dtScores"], np.float64) for result in results])
    order = np.argsort(-score, kind="mergesort")  # as COCO's accumulation does
    curves = []
    for index in range(len(ious)):
        matched = np.concatenate([result["dtMatches"][index] > 0 for result in results])
        curves.append(Curve(score=score[order], true=matched[order], objects=objects))
    return curves


def _evaluate(judged: Sequence[Judged], ious: Sequence[float]) -> Any:
    objects: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for image, one in enumerate(judged, start=1):
        for xyxy in one.objects:
            row = _row(image, xyxy)
            objects.append({**row, "id": len(objects) + 1, "area": row["area"], "iscrowd": 0})
        for xyxy, score in zip(one.boxes, one.score, strict=True):
            row = _row(image, xyxy)
            boxes.append({**row, "id": len(boxes) + 1, "score": float(score)})
    images = [{"id": image} for image in range(1, len(judged) + 1)]
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints as it goes
        evaluator = _COCO_EVAL(_coco(images, objects), _coco(images, boxes), iouType="bbox")
        evaluator.params.iouThrs = np.asarray(ious, np.float64)
        evaluator.params.maxDets = [_MOST_DETECTIONS]
        evaluator.params.areaRng = [[0.0, 1e10]]
        evaluator.params.areaRngLbl = ["all"]
        evaluator.evaluate()
    return evaluator


def _coco(images: list[dict[str, int]], annotations: list[dict[str, Any]]) -> Any:
    coco = _COCO()
    coco.dataset = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "object"}],
    }
    coco.createIndex()
    return coco


def _row(image: int, xyxy: F32) -> dict[str, Any]:
    x1, y1, x2, y2 = (float(value) for value in xyxy)
    return {
        "image_id": image,
        "category_id": 1,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
    }
