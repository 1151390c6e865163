from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import models as grid
from vigil.data import U8
from vigil.engine.runner import Runner
from vigil.vision.manifest import load_manifest


def picture(value: int) -> U8:
    return np.full((*grid.INPUT_HW, 3), value, np.uint8)


@pytest.fixture(scope="module")
def runner(models: Path) -> Runner:
    manifest = load_manifest(grid.NAME, models_dir=models)
    runner = Runner(manifest, device="cpu", max_batch=6, threads=1)
    runner.warm()
    return runner


def test_buckets_are_powers_of_two_and_the_largest(runner: Runner, models: Path) -> None:
    assert runner.buckets == [1, 2, 4, 6]
    manifest = load_manifest(grid.NAME, models_dir=models)
    assert Runner(manifest, device="cpu", max_batch=1, threads=1).buckets == [1]
    assert Runner(manifest, device="cpu", max_batch=8, threads=1).buckets == [1, 2, 4, 8]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6])
def test_each_picture_of_a_batch_has_its_own_answer(runner: Runner, count: int) -> None:
    inferred = runner.infer([picture(20 * index) for index in range(count)])
    for found in inferred.found:
        assert found is not None
        assert len(found) == grid.BOXES
        assert found.score == pytest.approx([grid.SCORE] * grid.BOXES, abs=0.01)
        assert set(found.class_id) == {0}
    assert inferred.infer_s > 0
    assert inferred.postprocess_s > 0


def test_a_batch_gives_what_single_pictures_give(runner: Runner) -> None:
    batch = [picture(value) for value in (0, 90, 255)]
    together = runner.infer(batch).found
    for one, found in zip(batch, together, strict=True):
        (alone,) = runner.infer([one]).found
        assert alone is not None
        assert found is not None
        assert alone.xyxy == pytest.approx(found.xyxy, abs=0.1)


def test_threads_share_a_runner_and_get_the_same(runner: Runner) -> None:
    batches = [[picture(value + step) for step in range(6)] for value in (10, 60, 110, 160)]
    alone = [runner.infer(batch).found for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        shared = list(pool.map(lambda batch: runner.infer(batch).found, batches * 10))
    for place, together in enumerate(shared):
        for one, other in zip(alone[place % 4], together, strict=True):
            assert one is not None
            assert other is not None
            assert np.array_equal(one.xyxy, other.xyxy)
            assert np.array_equal(one.score, other.score)


@pytest.mark.parametrize("where", [0, 1])
def test_what_is_no_number_is_no_answer_and_costs_the_others_nothing(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, where: int
) -> None:
    raw = runner._detector.raw

    def spoiled(batch: U8) -> Any:
        answer = [part.clone() for part in raw(batch)]
        answer[where][1, 3, 0] = float("nan")
        return answer

    monkeypatch.setattr(runner._detector, "raw", spoiled)
    found = runner.infer([picture(value) for value in (1, 2, 3)]).found
    assert [one is None for one in found] == [False, True, False]


def test_one_vehicle_of_two_likely_types_is_one_object(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = load_manifest(grid.NAME, models_dir=models)
    runner = Runner(
        replace(manifest, classes=("car", "truck", "person")), device="cpu", max_batch=1, threads=1
    )
    raw = runner._detector.raw

    def undecided(batch: U8) -> Any:
        logits, boxes = (part.clone() for part in raw(batch))
        logits[..., 1:] = logits[..., :1] - 0.5  # a truck and a person where there is a car
        return logits, boxes

    monkeypatch.setattr(runner._detector, "raw", undecided)
    (found,) = runner.infer([picture(0)]).found
    assert found is not None
    assert sorted(found.class_id) == [0] * grid.BOXES + [2] * grid.BOXES
