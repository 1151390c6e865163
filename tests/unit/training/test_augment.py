import numpy as np
import pytest

from tests.unit.training.tiny import recipe, write_set
from vigil.training.augment import AugmentPolicy
from vigil.training.batches import CanvasPlan, Source, make_batch
from vigil.training.loop import RunPlace, open_source

PLAIN = {
    "colour_chance": 0.0,
    "grey_chance": 0.0,
    "blur_chance": 0.0,
    "noise_chance": 0.0,
    "jpeg_chance": 0.0,
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("tiny")
    root = write_set(folder / "set")
    return open_source(recipe(root, steps=2), RunPlace(folder / "run", folder / "cache"))


def plan(**policy: float) -> CanvasPlan:
    return CanvasPlan(
        shapes_hw=((96, 128), (128, 96)),
        pixels_per_batch=16 * 96 * 128,
        policy=AugmentPolicy(test_hw=(96, 128), **policy),  # type: ignore[arg-type]
        seed=5,
    )


@pytest.mark.parametrize("mosaic", [0.0, 1.0])
def test_boxes_lie_on_what_was_drawn(source: Source, mosaic: float) -> None:
    batch = make_batch(source, plan(mosaic_chance=mosaic, **PLAIN), 0)
    compared = 0
    for xyxy, image in zip(batch.targets.xyxy.numpy(), batch.targets.image.numpy(), strict=True):
        x1, y1, x2, y2 = np.round(xyxy).astype(int)
        if min(x2 - x1, y2 - y1) < 8:
            continue
        inner = batch.images[image, y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].numpy()
        assert inner.mean() > 235, "the white box is where its label says"
        compared += 1
    assert compared > 8


def test_a_batch_is_a_function_of_seed_and_number(source: Source) -> None:
    first, again, other = (make_batch(source, plan(), step) for step in (3, 3, 4))
    assert (first.images == again.images).all()
    assert (first.targets.xyxy == again.targets.xyxy).all()
    assert first.images.shape != other.images.shape or (first.images != other.images).any()


def test_cut_objects_are_ignored_not_denied(source: Source) -> None:
    batch = make_batch(source, plan(scale_low=3.0, scale_high=4.0, fit_chance=0.0, **PLAIN), 1)
    assert len(batch.targets.ignore_class) > 0
    assert set(batch.targets.ignore_class.tolist()) == {0}


def test_the_cache_gives_what_was_decoded(source: Source) -> None:
    full, half = source.pixels(2, half=False), source.pixels(2, half=True)
    assert full.shape == (48, 64, 3)
    assert half.shape == (24, 32, 3)
    assert (full[20, 20] == 250).all()
    assert not full.flags.writeable
