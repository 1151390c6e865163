import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from vigil.accuracy.matching import Curve, Judged, match

F32 = np.float32


def boxes(*rows: list[float]) -> np.ndarray:
    return np.array(rows, F32).reshape(-1, 4)


def random_set(seed: int, pictures: int = 12) -> list[Judged]:
    """Objects, boxes near some of them, and boxes anywhere."""
    rng = np.random.default_rng(seed)
    judged = []
    for _ in range(pictures):
        corner = rng.uniform(0, 200, (rng.integers(0, 6), 2))
        objects = np.concatenate([corner, corner + rng.uniform(20, 60, corner.shape)], 1)
        near = objects[rng.random(len(objects)) < 0.8] + rng.normal(0, 4, (1, 4))
        stray = rng.uniform(0, 200, (rng.integers(0, 4), 2))
        found = np.concatenate([near, np.concatenate([stray, stray + 40], 1)]).astype(F32)
        judged.append(Judged(objects.astype(F32), found, rng.random(len(found)).astype(F32)))
    return judged


def coco_average_precision(judged: list[Judged], iou: float, points: int) -> float:
    """The evaluator's own figure, with so many recall points in place of its 101."""
    gt, dt = COCO(), COCO()
    rows: tuple[list[dict[str, object]], list[dict[str, object]]] = ([], [])
    for image, one in enumerate(judged, start=1):
        for side, some in enumerate((one.objects, one.boxes)):
            for i, (x1, y1, x2, y2) in enumerate(some.tolist()):
                row = {
                    "id": len(rows[side]) + 1, "image_id": image, "category_id": 1, "iscrowd": 0,
                    "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1),
                }  # fmt: skip
                rows[side].append(row | ({"score": float(one.score[i])} if side else {}))
    with contextlib.redirect_stdout(io.StringIO()):
        for coco, annotations in ((gt, rows[0]), (dt, rows[1])):
            coco.dataset = {
                "images": [{"id": i + 1} for i in range(len(judged))],
                "annotations": annotations,
                "categories": [{"id": 1}],
            }
            coco.createIndex()
        evaluator = COCOeval(gt, dt, "bbox")
        evaluator.params.iouThrs = np.array([iou])
        evaluator.params.maxDets = [300]
        evaluator.params.recThrs = np.linspace(0, 1, points)
        evaluator.evaluate()
        evaluator.accumulate()
    precision = evaluator.eval["precision"][0, :, 0, 0, 0]
    return float(precision.mean())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("iou", [0.5, 0.75])
def test_the_evaluators_own_figure_is_reached(seed: int, iou: float) -> None:
    judged = random_set(seed)
    (curve,) = match(judged, [iou])
    dense = coco_average_precision(judged, iou, 20001)
    assert curve.average_precision() == pytest.approx(dense, abs=2e-3)
    coco = coco_average_precision(judged, iou, 101)
    assert curve.average_precision() == pytest.approx(coco, abs=0.012)


def test_a_case_worked_by_hand() -> None:
    judged = [
        Judged(
            objects=boxes([0, 0, 10, 10], [20, 0, 30, 10]),
            boxes=boxes([0, 0, 10, 10], [50, 50, 60, 60], [20, 0, 30, 10]),
            score=np.array([0.9, 0.8, 0.7], F32),
        )
    ]
    (curve,) = match(judged, [0.5])
    # true, false, true of two objects: 1/2 · 1 + 1/2 · 2/3
    assert curve.average_precision() == pytest.approx(0.5 + 1 / 3)
    assert curve.best_threshold() == pytest.approx(0.7)
    there = curve.at(curve.best_threshold())
    assert (there.precision, there.recall) == (pytest.approx(2 / 3), 1.0)
    assert there.error == pytest.approx(1 - 0.8)
    assert curve.at(0.85).recall == 0.5


def test_an_object_counts_once() -> None:
    twice = Judged(
        boxes([0, 0, 10, 10]), boxes([0, 0, 10, 10], [0, 0, 10, 10]), np.array([0.9, 0.8], F32)
    )
    (curve,) = match([twice], [0.5])
    assert curve.true.tolist() == [True, False]


def test_nothing_found_is_no_precision() -> None:
    (curve,) = match([Judged(boxes([0, 0, 10, 10]), boxes(), np.zeros(0, F32))], [0.5])
    assert curve.average_precision() == 0.0
    assert curve.at(curve.best_threshold()).error == 1.0


def test_no_objects_have_no_figure() -> None:
    assert np.isnan(Curve(np.zeros(0), np.zeros(0, bool), 0).average_precision())
