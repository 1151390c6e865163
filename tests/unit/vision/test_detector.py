from pathlib import Path

import numpy as np
import pytest
import torch

from vigil.errors import DamagedModel
from vigil.training.export import ModelFacts, write_model
from vigil.vision.detector import Detector, probe
from vigil.vision.manifest import Manifest
from vigil.vision.nets.detector_net import ARCHITECTURES, boxes_xyxy, build, cells
from vigil.vision.nets.packed import pack
from vigil.vision.weights import load_net

HW = (64, 96)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    torch.manual_seed(0)
    net = build("vigil-det-n", classes=6)
    net.train()
    with torch.no_grad():  # norms that are not the identity, scores that are not all alike
        for _ in range(5):
            net(torch.randint(0, 256, (4, 3, *HW), dtype=torch.uint8))
        for head in net.heads:
            head[-1].weight.normal_(std=0.3)  # type: ignore[index, union-attr]
    facts = ModelFacts("tiny", "vigil-det-n", HW)
    return write_model(net, facts, tmp_path_factory.mktemp("models"))


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, *HW, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_cell_of_every_level_is_predicted(name: str) -> None:
    net = build(name, classes=6).eval()
    with torch.no_grad():
        out = net(torch.zeros(2, 3, 64, 96, dtype=torch.uint8))
    count = 8 * 12 + 4 * 6 + 2 * 3
    assert out.logits.shape == (2, count, 6)
    assert out.distances.shape == (2, count, 4)
    assert (out.distances > 0).all()
    assert len(cells(64, 96).strides) == count


def test_cells_follow_the_order_of_the_heads() -> None:
    places = cells(64, 96)
    assert places.centres[0].tolist() == [4.0, 4.0]
    assert places.centres[1].tolist() == [12.0, 4.0]
    assert places.centres[12].tolist() == [4.0, 12.0]
    assert places.centres[96].tolist() == [8.0, 8.0]
    boxes = boxes_xyxy(torch.ones(1, len(places.strides), 4), places)
    assert boxes[0, 0].tolist() == [-4.0, -4.0, 12.0, 12.0]


def test_folding_the_norms_changes_nothing(manifest: Manifest) -> None:
    net = load_net(manifest)
    images = torch.from_numpy(pictures(2)).permute(0, 3, 1, 2)
    with torch.no_grad():
        plain, folded = net(images), net.for_inference()(images)
    assert torch.allclose(plain.logits, folded.logits, atol=1e-3)
    assert torch.allclose(plain.distances, folded.distances, rtol=1e-3, atol=1e-3)


def test_one_and_many_agree(manifest: Manifest) -> None:
    detector = Detector(manifest, score_floor=0.1)
    many = detector.detect(pictures(16))
    for index in (0, 7, 15):
        (one,) = detector.detect(pictures(16)[index : index + 1])
        assert len(one) == len(many[index]) > 0
        assert np.allclose(one.xyxy, many[index].xyxy, atol=1.0)
        assert np.allclose(one.score, many[index].score, atol=0.01)


def test_bfloat16_is_compared_with_float32(manifest: Manifest) -> None:
    exact = Detector(manifest)
    agreement = probe(Detector(manifest, precision="bfloat16"), exact, pictures(2))
    assert agreement.compared > 0
    assert agreement.score < 0.1
    assert probe(exact, exact, pictures(2)).good("bfloat16")


def test_a_probe_sees_a_spoilt_net(manifest: Manifest) -> None:
    net = load_net(manifest)
    with torch.no_grad():
        net.stem.conv.weight.mul_(1.5)
    assert not probe(Detector(manifest, net=net), Detector(manifest), pictures(2)).good("bfloat16")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_packing_changes_no_number(manifest: Manifest, precision: str) -> None:
    plain = load_net(manifest).for_inference().to(getattr(torch, precision))
    packed = load_net(manifest).for_inference().to(getattr(torch, precision))
    pack(packed, input_hw=HW)
    images = torch.from_numpy(pictures(3)).permute(0, 3, 1, 2)
    with torch.inference_mode():
        expected, found = plain(images), packed(images)
    tolerance = {"float32": 1e-4, "bfloat16": 0.02}[precision]
    assert torch.allclose(expected.logits.float(), found.logits.float(), atol=tolerance)
    assert torch.allclose(expected.distances, found.distances, rtol=tolerance)


def test_another_shape_is_refused(manifest: Manifest) -> None:
    with pytest.raises(ValueError, match="uint8"):
        Detector(manifest).detect(np.zeros((1, 32, 32, 3), np.uint8))


def test_weights_of_another_net_are_refused(tmp_path: Path) -> None:
    net = build("vigil-det-n", classes=6)
    broken = write_model(net, ModelFacts("x", "vigil-det-s", HW), tmp_path)
    with pytest.raises(DamagedModel, match="does not fit"):
        load_net(broken)
    unknown = write_model(net, ModelFacts("y", "vigil-det-z", HW), tmp_path)
    with pytest.raises(DamagedModel, match="this version knows"):
        load_net(unknown)
