import numpy as np
import pytest
import torch

from vigil.training.classify.losses import balancing_weights, classification_loss, own_logits


def test_auxiliary_heads_count_three_tenths() -> None:
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    one = classification_loss(logits, labels)
    three = classification_loss((logits, logits, logits), labels)
    assert float(three) == pytest.approx(1.6 * float(one), rel=1e-5)
    assert own_logits((logits, logits * 2)) is logits


def test_smoothing_by_its_definition() -> None:
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    log_p = torch.log_softmax(logits, 1)
    target = 0.9 * torch.eye(3)[labels] + 0.1 / 3
    expected = -(target * log_p).sum(1).mean()
    found = classification_loss(logits, labels, label_smoothing=0.1)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_balanced_classes_weigh_alike_in_all() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    weights = balancing_weights(labels, classes=2).numpy()
    assert weights[0] * 90 == pytest.approx(weights[1] * 10)
    assert (weights[labels]).mean() == pytest.approx(1.0)
