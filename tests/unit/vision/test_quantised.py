from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support import models as grid
from vigil.data import U8
from vigil.engine.precision import probe_pictures
from vigil.errors import DamagedModel, UnknownModel
from vigil.vision.detector import Detector, probe
from vigil.vision.manifest import Manifest, load_manifest
from vigil.vision.nets.detector_net import DetectorNet, Predictions
from vigil.vision.nets.quantised import QuantisedNet, can_quantise
from vigil.vision.ranges import load_ranges, measure_ranges, ranges_path, save_ranges
from vigil.vision.weights import load_net

SHIPPED = "vigil-det-n"
needs_vnni = pytest.mark.skipif(not can_quantise(), reason="this processor has no AVX512-VNNI")


@pytest.fixture(scope="module")
def net() -> DetectorNet:
    return load_net(load_manifest(SHIPPED))


@pytest.fixture(scope="module")
def pictures() -> U8:
    return probe_pictures(64, 96)


@pytest.fixture(scope="module")
def ranges(net: DetectorNet, pictures: U8) -> dict[str, float]:
    return measure_ranges(net, [pictures])


def answers(net: torch.nn.Module, pictures: U8) -> Predictions:
    with torch.inference_mode():
        said = net(torch.from_numpy(pictures).permute(0, 3, 1, 2))
    assert isinstance(said, Predictions)
    return said


def apart(quantised: Predictions, exact: Predictions) -> float:
    """The root mean square of the differences of all logits, in standard deviations of the logits."""
    return float((quantised.logits - exact.logits).square().mean().sqrt() / exact.logits.std())


@needs_vnni
def test_eight_bits_say_what_float_says(
    net: DetectorNet, pictures: U8, ranges: dict[str, float]
) -> None:
    folded = net.for_inference()
    exact, quantised = answers(folded, pictures), answers(QuantisedNet(folded, ranges), pictures)
    assert quantised.logits.shape == exact.logits.shape
    assert apart(quantised, exact) < 0.1
    assert torch.median((quantised.distances - exact.distances).abs()) < 0.05


@needs_vnni
@pytest.mark.parametrize("place", ["stages.1", "reductions.0", "context.join", "heads.1.0"])
def test_a_wrong_range_is_seen(
    net: DetectorNet, pictures: U8, ranges: dict[str, float], place: str
) -> None:
    folded = net.for_inference()
    wrong = {**ranges, place: ranges[place] / 8}
    assert apart(answers(QuantisedNet(folded, wrong), pictures), answers(folded, pictures)) > 0.1


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return load_manifest(grid.NAME, models_dir=grid.install_grid_model(tmp_path))


def test_ranges_are_of_these_weights_or_of_none(manifest: Manifest) -> None:
    assert load_ranges(manifest) is None
    measured = measure_ranges(load_net(manifest), [np.zeros((2, *grid.INPUT_HW, 3), np.uint8)])
    save_ranges(manifest, measured)
    assert load_ranges(manifest) == measured
    path = ranges_path(manifest)
    path.write_text(path.read_text().replace(manifest.weights_sha256, "another"))
    assert load_ranges(manifest) is None
    with pytest.raises(UnknownModel, match="vigil models quantise grid"):
        Detector(manifest, precision="int8")
    path.write_text("[]")
    with pytest.raises(DamagedModel, match="vigil models quantise grid"):
        load_ranges(manifest)


@needs_vnni
def test_a_detector_runs_in_eight_bits_and_agrees(manifest: Manifest) -> None:
    pictures = probe_pictures(*grid.INPUT_HW)
    save_ranges(manifest, measure_ranges(load_net(manifest), [pictures]))
    quantised, exact = Detector(manifest, precision="int8"), Detector(manifest)
    agreement = probe(quantised, exact, pictures)
    assert agreement.good("int8")
    assert agreement.compared
    (found, *_) = quantised.detect(pictures)
    assert len(found) == grid.BOXES
