"""What an engine's classifiers answer, with a real net whose weights are known."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.models import NAME, SHADE_NAME, SHADE_PX, SHADES
from vigil.data import U8
from vigil.engine.classifiers import fastest_classifier, open_classifiers
from vigil.errors import UnknownModel
from vigil.vision.classifier import CropClassifier, load_classifier
from vigil.vision.manifest import load_manifest


def crops(*values: int) -> U8:
    return np.stack([np.full((SHADE_PX, SHADE_PX, 3), value, np.uint8) for value in values])


def test_the_named_classifiers_are_opened(models: Path) -> None:
    opened = open_classifiers((SHADE_NAME,), models_dir=models, device="cpu", max_batch=4)
    chances = opened[SHADE_NAME].classify(crops(20, 250, 60))
    assert chances.dtype == np.float32
    assert [SHADES[i] for i in chances.argmax(1)] == ["dark", "bright", "dark"]
    assert chances.sum(1) == pytest.approx([1.0, 1.0, 1.0], abs=1e-5)


def test_probabilities_are_those_of_the_net_with_its_temperature(models: Path) -> None:
    import torch

    manifest = load_manifest(SHADE_NAME, models_dir=models)
    asked = np.random.default_rng(1).integers(0, 256, (5, SHADE_PX, SHADE_PX, 3), np.uint8)
    with torch.inference_mode():
        expected = load_classifier(manifest).probabilities(
            torch.from_numpy(asked).permute(0, 3, 1, 2)
        )
    folded = CropClassifier(manifest).classify(asked)
    np.testing.assert_allclose(folded, expected.numpy(), atol=1e-5)
    fastest = fastest_classifier(manifest, device="cpu").classify(asked)
    np.testing.assert_allclose(fastest, expected.numpy(), atol=0.03)


def test_a_detector_is_no_classifier(models: Path) -> None:
    with pytest.raises(UnknownModel, match="is for detection"):
        open_classifiers((NAME,), models_dir=models, device="cpu", max_batch=4)


def test_crops_of_another_size_are_refused(models: Path) -> None:
    classifier = CropClassifier(load_manifest(SHADE_NAME, models_dir=models))
    with pytest.raises(ValueError, match="give"):
        classifier.classify(np.zeros((1, 16, 16, 3), np.uint8))
