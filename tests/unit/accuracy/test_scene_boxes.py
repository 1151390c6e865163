"""Boxes against a scene's truth."""

import math

import numpy as np
import pytest

from vigil.accuracy.scene_boxes import FoundBox, iou, score_boxes
from vigil.scene.compose import SceneObject

BOX = (0.1, 0.1, 0.2, 0.5)


def thing(xyxy: tuple[float, float, float, float], visible: float = 1.0) -> SceneObject:
    return SceneObject(1, "person", xyxy, visible, 1.0)


def test_iou_of_halves_and_of_nothing() -> None:
    a = np.array([[0.0, 0.0, 1.0, 1.0]])
    b = np.array([[0.0, 0.0, 0.5, 1.0], [2.0, 2.0, 3.0, 3.0], [0.0, 0.0, 0.0, 0.0]])
    assert iou(a, b)[0] == pytest.approx([0.5, 0.0, 0.0])


def test_found_missed_and_invented_boxes_are_counted() -> None:
    truth = {0: [thing(BOX), thing((0.5, 0.1, 0.6, 0.5))]}
    found = {0: [FoundBox("person", BOX), FoundBox("person", (0.8, 0.1, 0.9, 0.5))]}
    scores = score_boxes(truth, found)["person"]
    assert (scores.recall.count, scores.recall.of) == (1, 2)
    assert (scores.precision.count, scores.precision.of) == (1, 2)
    assert scores.mean_iou == pytest.approx(1.0)


def test_a_hidden_object_may_be_found_or_not() -> None:
    truth = {0: [thing(BOX, visible=0.1)], 1: [thing(BOX, visible=0.1)]}
    scores = score_boxes(truth, {0: [FoundBox("person", BOX)], 1: []})["person"]
    assert scores.recall.of == scores.precision.of == 0
    assert math.isnan(scores.mean_iou)


def test_a_box_of_another_class_is_false_and_the_object_missed() -> None:
    scores = score_boxes({0: [thing(BOX)]}, {0: [FoundBox("car", BOX)]})
    assert scores["person"].recall.value == 0.0
    assert scores["car"].precision.value == 0.0


def test_only_analysed_frames_count() -> None:
    scores = score_boxes({0: [thing(BOX)], 1: [thing(BOX)]}, {1: [FoundBox("person", BOX)]})
    assert scores["person"].recall.of == 1
