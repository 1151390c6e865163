import numpy as np
import pytest

from vigil.training.classify.judge import fit_biases, fit_temperature, judge


def test_the_confusion_matrix_has_the_truth_in_rows() -> None:
    logits = np.array([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    judged = judge(logits, np.array([0, 0, 1, 1]))
    assert judged.confusion.tolist() == [[2, 0], [1, 1]]
    assert judged.accuracy == 0.75
    assert judged.recalls.tolist() == [1.0, 0.5]
    assert judged.balanced_accuracy == 0.75


def test_balanced_accuracy_is_not_bought_with_the_common_class() -> None:
    labels = np.array([0] * 99 + [1])
    judged = judge(np.tile([1.0, 0.0], (100, 1)), labels)
    assert judged.accuracy == 0.99
    assert judged.balanced_accuracy == 0.5


def test_a_class_without_pictures_does_not_count() -> None:
    judged = judge(np.array([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0]]), np.array([0, 1]))
    assert judged.balanced_accuracy == 1.0


def test_the_temperature_undoes_what_sharpened_honest_logits() -> None:
    rng = np.random.default_rng(1)
    honest = rng.normal(0, 2, (8000, 4))
    chances = np.exp(honest) / np.exp(honest).sum(1, keepdims=True)
    labels = np.array([rng.choice(4, p=p) for p in chances])
    assert fit_temperature(honest * 3.0, labels) == pytest.approx(3.0, rel=0.1)
    sharp = judge(honest * 3.0, labels)
    calibrated = judge(honest * 3.0, labels, temperature=3.0)
    assert calibrated.calibration_error < 0.02 < 0.1 < sharp.calibration_error
    assert calibrated.accuracy == sharp.accuracy


def test_biases_undo_what_a_common_class_taught_and_the_temperature_with_them() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], [6000, 600, 300])
    honest = rng.normal(0, 1, (len(labels), 3))
    honest[np.arange(len(labels)), labels] += 2.0  # log-odds: 2 of a difference of variance 2
    honest *= 2.0
    prior = np.log(np.array([6000, 600, 300]) / 2300)
    biases, temperature = fit_biases((honest + prior) * 3.0, labels)
    assert biases.sum() == pytest.approx(0.0, abs=1e-9)
    assert biases / 3.0 == pytest.approx(-(prior - prior.mean()), abs=0.25)
    assert temperature == pytest.approx(3.0, rel=0.1)
    moved = (honest + prior) * 3.0 + biases
    recalls = judge(moved, labels).recalls
    assert recalls.max() - recalls.min() < 0.06
    assert judge((honest + prior) * 3.0, labels).recalls.min() < recalls.min() - 0.1


def test_balanced_logits_want_no_biases() -> None:
    rng = np.random.default_rng(2)
    labels = np.tile([0, 1, 2, 3], 500)
    logits = rng.normal(0, 1, (2000, 4))
    logits[np.arange(2000), labels] += 2.0
    biases, _ = fit_biases(logits, labels)
    assert np.abs(biases).max() < 0.25
