from pathlib import Path

import pytest
import torch

from tests.unit.training.classify.crops import labelled
from vigil.errors import DamagedModel
from vigil.training.checkpoint import take_weights
from vigil.training.classify.loop import ClassifierTrainer
from vigil.training.classify.recipe import ClassifierRecipe
from vigil.training.classify.transfer import freeze
from vigil.vision.nets.classifier import build_classifier
from vigil.vision.nets.detector_net import build
from vigil.vision.weights import save_weights


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(5)
    path = tmp_path / "weights.safetensors"
    save_weights(build_classifier("cropnet", classes=7, input_px=20), path)
    return path


def test_all_but_the_last_layer_is_taken(weights: Path) -> None:
    net = build_classifier("cropnet", classes=3, input_px=20)
    taken = take_weights(net, weights)
    tensors = len(net.state_dict())
    assert taken == tensors - 3  # weight and bias of the last layer, and the temperature


def test_a_run_can_begin_with_what_another_left_behind(tmp_path: Path) -> None:
    recipe = ClassifierRecipe(architecture="cropnet", input_px=20, epochs=1, batch=6)
    run = ClassifierTrainer(recipe, ("a", "b", "c"), tmp_path / "run")
    run.run(labelled(12), labelled(6))
    expected = run.average.net.state_dict()
    for source in (tmp_path / "run", tmp_path / "run" / "checkpoint.safetensors"):
        net = build_classifier("cropnet", classes=3, input_px=20)
        assert take_weights(net, source) == len(expected) - 1  # the temperature is another's
        for name, value in net.state_dict().items():
            torch.testing.assert_close(value, expected[name])


def test_frozen_stages_keep_weights_and_statistics_while_the_others_learn(
    weights: Path, tmp_path: Path
) -> None:
    recipe = ClassifierRecipe(
        architecture="cropnet", input_px=20, epochs=1, batch=6, start_from=str(weights),
        frozen=("stages.0", "stages.1"),
    )  # fmt: skip
    run = ClassifierTrainer(recipe, ("a", "b", "c"), tmp_path / "run")
    before = {name: value.clone() for name, value in run.net.state_dict().items()}
    run.run(labelled(12), labelled(6))
    for name, value in run.net.state_dict().items():
        same = torch.equal(value, before[name])
        held = name.startswith(("net.stages.0", "net.stages.1")) or name == "temperature"
        assert same == held, name


def test_a_frozen_run_resumes(weights: Path, tmp_path: Path) -> None:
    recipe = ClassifierRecipe(
        architecture="cropnet", input_px=20, epochs=2, batch=6, start_from=str(weights),
        frozen=("stages.0",),
    )  # fmt: skip
    first = ClassifierTrainer(recipe, ("a", "b", "c"), tmp_path / "run")
    assert not first.run(labelled(12), labelled(6), stopping=lambda: first.step == 3)
    second = ClassifierTrainer(recipe, ("a", "b", "c"), tmp_path / "run")
    assert second.resume()
    assert second.run(labelled(12), labelled(6))


def test_what_does_not_fit_is_said(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(DamagedModel, match="same architecture"):
        take_weights(build_classifier("lenet5", classes=3), weights)
    (tmp_path / "other").write_bytes(b"other")
    with pytest.raises(DamagedModel, match="cannot be read"):
        take_weights(build_classifier("lenet5", classes=3), tmp_path / "other")
    with pytest.raises(DamagedModel, match="no part 'stage'"):
        freeze(build_classifier("cropnet", classes=3), ["stage"])


@pytest.mark.parametrize(
    ("architecture", "deepest"),
    [
        ("trunknet", "stages.2.1.expand.conv.weight"),
        ("pyramidnet-n", "heads.0.0.conv.weight"),
    ],
)
def test_a_classifier_begins_with_what_the_detector_learnt(
    architecture: str, deepest: str, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    detector = build("vigil-det-n", classes=6)
    save_weights(detector, tmp_path / "detector.safetensors")
    net = build_classifier(architecture, classes=3, input_px=64)
    taken = take_weights(net, tmp_path / "detector.safetensors")
    assert taken == len(net.state_dict()) - 3  # all but the last layer and the temperature
    ours, theirs = net.state_dict(), detector.state_dict()
    assert torch.equal(ours[f"net.{deepest}"], theirs[deepest].half().float())
