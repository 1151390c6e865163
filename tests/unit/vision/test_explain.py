"""Heat maps: where they are hot, and that nothing of a net's memory is left behind."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vigil.data import U8
from vigil.errors import DamagedModel
from vigil.scene.palette import TEST_SEEDS
from vigil.scene.still import render_still
from vigil.vision.crop import Box, cut, square
from vigil.vision.explain import ClassifierExplainer, DetectorExplainer, Heat
from vigil.vision.letterbox import Letterbox
from vigil.vision.manifest import Imported, Manifest, load_manifest
from vigil.vision.view import View

Bool = NDArray[np.bool_]
LEAST_PX = 40  # of a figure's height that is explained


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Two threads on a busy machine wait for each other at every operation."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return load_manifest("vigil-det-n")


@pytest.fixture(scope="module")
def explainer(manifest: Manifest) -> DetectorExplainer:
    return DetectorExplainer(manifest)


def cells_within(heat: Heat, xyxy_px: Box, hw: tuple[int, int], *, room: float) -> Bool:
    """The map's cells in a box of the input's pixels, made larger by a part of its size on every side."""
    rows, columns = heat.map.shape
    y = (np.arange(rows) + 0.5) * hw[0] / rows
    x = (np.arange(columns) + 0.5) * hw[1] / columns
    x1, y1, x2, y2 = xyxy_px
    wide, high = room * (x2 - x1), room * (y2 - y1)
    inside: Bool = ((y > y1 - high) & (y < y2 + high))[:, None] & (
        (x > x1 - wide) & (x < x2 + wide)
    )
    return inside


def test_the_heat_of_an_object_lies_in_its_box(
    explainer: DetectorExplainer, manifest: Manifest
) -> None:
    pointed, shares, chances, named = [], [], [], []
    for seed in range(TEST_SEEDS.start + 40, TEST_SEEDS.start + 43):
        still = render_still(seed, width_px=640, height_px=360)
        letterbox = Letterbox.fit((360, 640), manifest.input_hw)
        view = View.of_picture(still.image, letterbox)
        for thing in still.objects:
            box = letterbox.to_input_px(np.array([thing.xyxy], np.float32))[0]
            whole = thing.visible > 0.9 and box.min() > 4 and box[3] - box[1] >= LEAST_PX
            if whole and thing.class_name in ("person", "car", "bus", "truck"):
                x1, y1, x2, y2 = (float(v) for v in box)
                heat = explainer.explain(view.pixels, xyxy_px=(x1, y1, x2, y2))
                assert heat.map.max() == pytest.approx(1.0)
                assert heat.map.min() >= 0.0
                inside = cells_within(heat, (x1, y1, x2, y2), manifest.input_hw, room=0.0)
                near = cells_within(heat, (x1, y1, x2, y2), manifest.input_hw, room=0.25)
                pointed.append(bool(heat.map[inside].max() == 1.0))
                shares.append(float(heat.map[near].sum() / heat.map.sum()))
                chances.append(float(near.mean()))
                named.append(manifest.classes[heat.class_id] == thing.class_name)
    print(
        f"{len(shares)} objects: hottest within {np.mean(pointed):.2f}, share {np.median(shares):.2f}"
    )
    assert len(shares) >= 8
    assert np.mean(pointed) > 0.8, "the hottest cell is one of the object's"
    assert np.median(shares) > 0.4
    assert np.median(np.array(shares) / np.array(chances)) > 10, "against heat anywhere"
    assert np.mean(named) > 0.7


def test_another_class_or_place_has_another_heat(
    explainer: DetectorExplainer, manifest: Manifest
) -> None:
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (*manifest.input_hw, 3), np.uint8)
    left = explainer.explain(picture, xyxy_px=(32, 100, 96, 200))
    right = explainer.explain(picture, xyxy_px=(400, 100, 464, 200))
    columns = left.map.shape[1]
    assert left.map[:, : columns // 2].sum() > 3 * left.map[:, columns // 2 :].sum()
    assert right.map[:, columns // 2 :].sum() > 3 * right.map[:, : columns // 2].sum()
    person = explainer.explain(picture, class_id=0)
    bus = explainer.explain(picture, class_id=4)
    assert (person.class_id, bus.class_id) == (0, 4)
    assert not np.allclose(person.map, bus.map)
    again = explainer.explain(picture, class_id=0)
    assert np.allclose(person.map, again.map), "nothing is left of the one before"


def test_a_classifier_goes_by_what_it_was_made_for(models: Path) -> None:
    shade = ClassifierExplainer(load_manifest("shade", models_dir=models))
    crop: U8 = np.full((32, 32, 3), 20, np.uint8)
    crop[:16, :16] = 250
    heat = shade.explain(crop, class_id=1)
    rows, columns = heat.map.shape
    assert heat.map[: rows // 2, : columns // 2].sum() > heat.map[rows // 2 :, columns // 2 :].sum()
    assert 0.5 < heat.score <= 1.0
    surest = shade.explain(np.full((32, 32, 3), 250, np.uint8))
    assert surest.class_id == 1


def test_a_crop_s_heat_is_on_the_vehicle_and_its_mirror_image_s_is_the_mirrored_one() -> None:
    """The shipped classifier looks at a crop both ways: what speaks in either view is one map."""
    types = load_manifest("vigil-vehicle-type")
    explainer = ClassifierExplainer(types)
    picture, box = next(
        (still.image, thing.xyxy)
        for seed in range(TEST_SEEDS.start + 40, TEST_SEEDS.start + 60)
        for still in [render_still(seed, width_px=640, height_px=360)]
        for thing in still.objects
        if thing.class_name in types.classes and thing.visible > 0.9
    )
    side = types.input_height_px
    crop: U8 = np.full((side, side, 3), 114, np.uint8)
    vehicle = square(cut(picture, box), side_px=side)
    crop[:, : side // 2] = vehicle[:, side // 4 : side // 4 + side // 2]
    heat = explainer.explain(crop)
    columns = heat.map.shape[1]
    assert heat.map[:, : columns // 2].sum() > heat.map[:, columns // 2 :].sum()
    mirrored = explainer.explain(np.ascontiguousarray(crop[:, ::-1]))
    assert mirrored.class_id == heat.class_id
    assert mirrored.score == pytest.approx(heat.score, abs=1e-4)
    np.testing.assert_allclose(mirrored.map, heat.map[:, ::-1], atol=1e-3)


def test_an_imported_graph_is_refused(manifest: Manifest) -> None:
    graph = replace(manifest, imported=Imported(runtime="onnxruntime", layout="yolo", pixels="rgb"))
    with pytest.raises(DamagedModel, match="no gradients"):
        DetectorExplainer(graph)
