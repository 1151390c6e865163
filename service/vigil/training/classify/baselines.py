"""What a net has to beat: nearest neighbours, a linear SVM and softmax regression, in numpy.

They are given pixels, or what a net's last layer sees: `features_of` in `classify.features`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.data import F32

I64 = NDArray[np.int64]
_CHUNK = 512  # rows of distances at a time: 40 MB against 20,000 pictures


@dataclass(frozen=True, slots=True)
class Settings:
    """How the baselines are fitted."""

    neighbours: int = 5
    epochs: int = 20
    batch: int = 100
    rate: float = 0.01
    l2: float = 1e-3
    seed: int = 1


def compare(
    training: tuple[F32, I64], validation: tuple[F32, I64], settings: Settings | None = None
) -> dict[str, float]:
    """The accuracy of each baseline on features (N, D) and labels (N,), standardised by training's."""
    (known, labels), (asked, truth) = training, validation
    known, asked = standardised(known, asked)
    return {
        name: accuracy(answer(known, labels, asked, settings or Settings()), truth)
        for name, answer in BASELINES.items()
    }


def standardised(known: F32, asked: F32) -> tuple[F32, F32]:
    """Features of both sets (N, D) and (M, D), less the mean and over the spread of the first."""
    mean, spread = known.mean(axis=0), known.std(axis=0) + np.float32(1e-4)
    return (known - mean) / spread, (asked - mean) / spread


def accuracy(answers: I64, truth: I64) -> float:
    """The share of right answers."""
    return round(float((answers == truth).mean()), 4)


def nearest(known: F32, labels: I64, asked: F32, *, neighbours: int) -> I64:
    """The commonest label among the nearest known points (Euclidean) of each asked one (N,).

    Of labels that are as common, the first.
    """
    classes = int(labels.max()) + 1
    neighbours = min(neighbours, len(known))
    norms = (known**2).sum(axis=1)
    answers = []
    for start in range(0, len(asked), _CHUNK):
        chunk = asked[start : start + _CHUNK]
        distances = norms - 2.0 * chunk @ known.T  # (n, known), less what is the same in a row
        near = np.argpartition(distances, neighbours - 1, axis=1)[:, :neighbours]
        votes = np.eye(classes, dtype=np.int64)[labels[near]].sum(axis=1)  # (n, classes)
        answers.append(votes.argmax(axis=1))
    return np.concatenate(answers)


def hinge(scores: F32, labels: I64) -> tuple[float, F32]:
    """The multi-class hinge loss of scores (N, C) and its gradient (Weston, Watkins, 1999).

    Every wrong class is to stay below the right one by a margin of 1.
    """
    rows = np.arange(len(labels))
    margins = np.maximum(0.0, scores - scores[rows, labels][:, None] + 1.0)
    margins[rows, labels] = 0.0
    gradient = (margins > 0).astype(scores.dtype)
    gradient[rows, labels] = -gradient.sum(axis=1)
    return float(margins.sum() / len(labels)), gradient / np.float32(len(labels))


def cross_entropy(scores: F32, labels: I64) -> tuple[float, F32]:
    """The cross entropy of scores (N, C) and its gradient."""
    rows = np.arange(len(labels))
    shifted = scores - scores.max(axis=1, keepdims=True)
    chances = np.exp(shifted)
    chances /= chances.sum(axis=1, keepdims=True)
    loss = float(-np.log(chances[rows, labels] + 1e-12).mean())
    gradient = chances.copy()
    gradient[rows, labels] -= 1.0
    return loss, gradient / np.float32(len(labels))


def linear(
    known: F32,
    labels: I64,
    asked: F32,
    *,
    loss: Callable[[F32, I64], tuple[float, F32]],
    how: Settings,
) -> I64:
    """The answers (N,) of a linear classifier, fitted by gradient descent whose rate falls to zero."""
    rng = np.random.default_rng(how.seed)
    classes = int(labels.max()) + 1
    known = np.hstack([known, np.ones((len(known), 1), known.dtype)])  # the last weight is the bias
    asked = np.hstack([asked, np.ones((len(asked), 1), asked.dtype)])
    weights = np.zeros((known.shape[1], classes), np.float32)
    speed = np.zeros_like(weights)
    scale = np.float32(how.rate / max(1.0, np.sqrt(known.shape[1] / 100)))
    for epoch in range(how.epochs):
        rate = scale * np.float32(1.0 - epoch / how.epochs)
        order = rng.permutation(len(known))
        for start in range(0, len(order), how.batch):
            batch = order[start : start + how.batch]
            _, gradient = loss(known[batch] @ weights, labels[batch])
            slope = known[batch].T @ gradient + how.l2 * weights
            speed = (0.9 * speed - rate * slope).astype(np.float32)
            weights = weights + speed
    answers: I64 = (asked @ weights).argmax(axis=1)
    return answers


# Labels of what is asked (M, D), learnt from what is known (N, D) with its labels (N,).
BASELINES: dict[str, Callable[[F32, I64, F32, Settings], I64]] = {
    "nearest_neighbours": lambda known, labels, asked, how: nearest(
        known, labels, asked, neighbours=how.neighbours
    ),
    "linear_svm": lambda known, labels, asked, how: linear(
        known, labels, asked, loss=hinge, how=how
    ),
    "softmax_regression": lambda known, labels, asked, how: linear(
        known, labels, asked, loss=cross_entropy, how=how
    ),
}
