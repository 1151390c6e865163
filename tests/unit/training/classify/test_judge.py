import numpy as np
import pytest

from vigil.training.classify.judge import fit_temperature, judge


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
