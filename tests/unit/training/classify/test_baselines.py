import numpy as np
import pytest

from tests.unit.training.classify.crops import labelled
from vigil.training.classify.baselines import Settings, compare, cross_entropy, hinge, nearest
from vigil.training.classify.features import features_of, pixels_of
from vigil.vision.nets.classifier import FAMILIES, build_classifier


@pytest.mark.parametrize("loss", [hinge, cross_entropy])
def test_gradients_are_the_numerical_ones(loss) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(1)
    scores, labels = rng.normal(size=(5, 4)), rng.integers(0, 4, 5)
    _, gradient = loss(scores, labels)
    numerical = np.zeros_like(scores)
    for place in np.ndindex(*scores.shape):
        step = np.zeros_like(scores)
        step[place] = 1e-6
        numerical[place] = (loss(scores + step, labels)[0] - loss(scores - step, labels)[0]) / 2e-6
    assert np.allclose(gradient, numerical, atol=1e-6)


def test_neighbours_vote() -> None:
    known = np.array([[0.0], [0.1], [0.2], [1.0], [1.1]], np.float32)
    labels = np.array([0, 1, 0, 1, 1])
    asked = np.array([[0.1], [1.05]], np.float32)
    assert nearest(known, labels, asked, neighbours=1).tolist() == [1, 1]
    assert nearest(known, labels, asked, neighbours=3).tolist() == [0, 1]
    assert nearest(known, labels, asked, neighbours=99).tolist() == [1, 1]


def test_all_learn_an_easy_set_from_pixels_and_from_features() -> None:
    training, validation = labelled(60), labelled(30, seed=2)
    net = build_classifier("cropnet", classes=3, input_px=20).eval()
    for of in (pixels_of, lambda images: features_of(net, images)):
        found = compare(
            (of(training.images), training.labels),
            (of(validation.images), validation.labels),
            Settings(epochs=10, batch=20),
        )
        assert set(found) == {"nearest_neighbours", "linear_svm", "softmax_regression"}
        assert min(found.values()) > 0.9, found


@pytest.mark.parametrize("name", FAMILIES)
def test_every_net_gives_features(name: str) -> None:
    net = build_classifier(name, classes=3, input_px=32).eval()
    assert features_of(net, labelled(2, side=32).images).shape[0] == 2
