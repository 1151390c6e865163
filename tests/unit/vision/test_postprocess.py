import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from vigil.data import Detections
from vigil.vision.postprocess import MOST_DETECTIONS, detections_of, merge_types, nms, surest_types


def slow_nms(xyxy: np.ndarray, class_id: np.ndarray, iou: float) -> list[int]:
    """The textbook: take the best, drop what overlaps it, repeat."""
    kept: list[int] = []
    for i in range(len(xyxy)):
        for j in kept:
            if class_id[i] != class_id[j]:
                continue
            a, b = xyxy[i].astype(np.float64), xyxy[j].astype(np.float64)
            width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
            height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
            inter = width * height
            union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
            if union > 0 and inter / union > iou:
                break
        else:
            kept.append(i)
    return kept


@given(seed=st.integers(0, 2**31), count=st.integers(0, 60), iou=st.sampled_from([0.3, 0.5, 0.65]))
def test_nms_keeps_what_the_textbook_keeps(seed: int, count: int, iou: float) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 60, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 40, (count, 2))], 1).astype(np.float32)
    class_id = rng.integers(0, 3, count)
    assert nms(boxes, class_id, iou=iou).tolist() == slow_nms(boxes, class_id, iou)


def test_a_suppressed_box_suppresses_nothing() -> None:
    boxes = np.array([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]], np.float32)
    assert nms(boxes, np.zeros(3, np.int64), iou=0.4).tolist() == [0, 2]


def test_pictures_of_a_batch_do_not_mix() -> None:
    logits = torch.full((3, 4, 2), -10.0)
    logits[0, 1, 0] = 2.0
    logits[2, 3, 1] = 1.0
    boxes = torch.arange(48.0).reshape(3, 4, 4)
    found = detections_of(logits, boxes, score_floor=0.1, nms_iou=0.5)
    assert [len(one) for one in found] == [1, 0, 1]
    assert found[0].xyxy.tolist() == [boxes[0, 1].tolist()]
    assert found[2].class_id.tolist() == [1]
    assert np.isclose(found[2].score[0], 1 / (1 + np.exp(-1.0)))


def test_detections_come_best_first_and_bounded() -> None:
    cells = 2000
    logits = torch.linspace(-1, 1, cells).reshape(1, cells, 1)
    corner = torch.arange(cells, dtype=torch.float32)[:, None] * 20
    boxes = torch.cat([corner, corner, corner + 10, corner + 10], dim=1)[None]
    (found,) = detections_of(logits, boxes, score_floor=0.02, nms_iou=0.5)
    assert len(found) == MOST_DETECTIONS
    assert (np.diff(found.score) <= 0).all()
    assert found.xyxy[0, 0] == (cells - 1) * 20


def test_types_merge_into_one_class() -> None:
    found = Detections(
        xyxy=np.array([[0, 0, 10, 10], [0, 0, 10, 11], [50, 0, 60, 10]], np.float32),
        score=np.array([0.9, 0.8, 0.7], np.float32),
        class_id=np.array([5, 2, 0], np.int64),
    )
    merged = merge_types(found, (2, 4, 5), iou=0.5)
    assert merged.class_id.tolist() == [2]
    assert merged.score.tolist() == [np.float32(0.9)]


def test_one_vehicle_is_of_one_type() -> None:
    found = Detections(
        xyxy=np.array(
            [[0, 0, 10, 10], [0, 0, 10, 10.5], [0, 0, 10, 10], [50, 0, 60, 9]], np.float32
        ),
        score=np.array([0.9, 0.8, 0.75, 0.7], np.float32),
        class_id=np.array([5, 2, 0, 2], np.int64),
    )
    kept = surest_types(found, (2, 4, 5))
    assert kept.class_id.tolist() == [5, 0, 2]  # the person in the same place stays
