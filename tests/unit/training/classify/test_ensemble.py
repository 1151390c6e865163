import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from tests.unit.training.classify.crops import CLASSES, labelled, write_folders
from vigil.cli import main
from vigil.errors import InvalidConfig
from vigil.training.classify.ensemble import joined
from vigil.training.classify.export import ClassifierFacts, write_classifier
from vigil.training.classify.judge import judge
from vigil.vision.classifier import CropClassifier, load_classifier
from vigil.vision.manifest import load_manifest
from vigil.vision.nets.classifier import build_classifier


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    judged = judge(np.eye(3), np.arange(3))
    for seed, (name, arch, side) in enumerate(
        (("one", "lenet5", 20), ("two", "cropnet", 20), ("other", "cropnet", 32))
    ):
        torch.manual_seed(seed)
        net = build_classifier(arch, classes=3, input_px=side)
        net.temperature.fill_(0.1 + 0.2 * seed)
        facts = ClassifierFacts(name, arch, CLASSES, side, training_data="none")
        write_classifier(net, facts, judged, folder)
    return folder


def test_an_ensemble_says_the_mean_of_its_members_probabilities(models: Path) -> None:
    manifests = [load_manifest(name, models_dir=models) for name in ("one", "two")]
    asked = labelled(6).images
    each = [
        load_classifier(m).probabilities(torch.from_numpy(asked).permute(0, 3, 1, 2))
        for m in manifests
    ]
    together = joined(manifests).probabilities(torch.from_numpy(asked).permute(0, 3, 1, 2))
    torch.testing.assert_close(together, (each[0] + each[1]) / 2)
    assert not torch.allclose(each[0], each[1], atol=0.05)


def test_it_becomes_a_model_that_is_served_like_any_other(models: Path, tmp_path: Path) -> None:
    write_folders(tmp_path / "held", count=6)
    result = CliRunner().invoke(
        main,
        [
            "train", "ensemble", "--member", "one", "--member", "two", "--name", "both", "--json",
            "--data", str(tmp_path / "held"), "--models-dir", str(models),
        ],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert set(json.loads(result.stdout)["accuracy"]) == {"one", "two", "both"}
    manifest = load_manifest("both", models_dir=models)
    assert manifest.architecture == "lenet5+cropnet"
    chances = CropClassifier(manifest).classify(labelled(4).images)
    assert chances.sum(1) == pytest.approx(np.ones(4), abs=1e-5)


def test_models_of_other_inputs_do_not_answer_together(models: Path) -> None:
    manifests = [load_manifest(name, models_dir=models) for name in ("one", "other")]
    with pytest.raises(InvalidConfig, match="another input size"):
        joined(manifests)
