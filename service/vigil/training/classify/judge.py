"""How good a classifier's answers are: confusion matrix, recalls, calibration."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

F64 = NDArray[np.float64]
_BINS = 15  # of the calibration error, as in arXiv:1706.04599


@dataclass(frozen=True, slots=True)
class Judgement:
    """A classifier on a labelled set."""

    confusion: NDArray[np.int64]  # (classes, classes): rows are the truth, columns the answer
    log_loss: float
    calibration_error: float

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return float(np.trace(self.confusion) / max(1, self.confusion.sum()))

    @property
    def recalls(self) -> F64:
        """The share of right answers of each class; nan for a class without pictures (classes,)."""
        totals = self.confusion.sum(axis=1)
        with np.errstate(invalid="ignore"):
            recalls: F64 = np.diag(self.confusion) / np.where(totals > 0, totals, np.nan)
        return recalls

    @property
    def balanced_accuracy(self) -> float:
        """The mean of the recalls: every class counts alike, however rare."""
        return float(np.nanmean(self.recalls))


def judge(logits: F64, labels: NDArray[np.int64], *, temperature: float = 1.0) -> Judgement:
    """Judge logits (N, classes) of pictures with labels (N,)."""
    classes = logits.shape[1]
    answers = logits.argmax(axis=1)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, answers), 1)
    chances = np.exp(_log_softmax(logits / temperature))
    return Judgement(
        confusion=confusion,
        log_loss=_log_loss(logits, labels, temperature),
        calibration_error=_calibration_error(chances, labels),
    )


def fit_temperature(logits: F64, labels: NDArray[np.int64]) -> float:
    """What logits are to be divided by so that probabilities are honest, between 0.05 and 20.

    The temperature of least log loss on pictures that were not learnt from (arXiv:1706.04599).
    """
    found = minimize_scalar(  # type: ignore[no-untyped-call]
        lambda log_t: _log_loss(logits, labels, float(np.exp(log_t))),
        bounds=(np.log(0.05), np.log(20.0)),
        method="bounded",
    )
    return float(np.exp(found.x))


def fit_biases(logits: F64, labels: NDArray[np.int64]) -> tuple[F64, float]:
    """What to add to logits (classes,), and then the temperature, where all classes are alike likely.

    Of least log loss on pictures that were not learnt from, each class counting alike however rare
    (bias-corrected temperature scaling, arXiv:1901.06852, to a uniform prior). The biases' mean is 0.
    """
    classes = logits.shape[1]
    weight = 1.0 / np.maximum(np.bincount(labels, minlength=classes), 1)[labels]

    def loss(parameters: F64) -> float:
        moved = (logits + np.append(parameters[:-1], 0.0)) * np.exp(-parameters[-1])
        chosen = _log_softmax(moved)[np.arange(len(labels)), labels]
        return float(-(weight * chosen).sum() / weight.sum())

    found = minimize(
        loss,
        np.zeros(classes),
        method="L-BFGS-B",
        bounds=[(-20.0, 20.0)] * (classes - 1) + [(-3.0, 3.0)],
    )  # type: ignore[no-untyped-call]
    biases = np.append(found.x[:-1], 0.0)
    return biases - biases.mean(), float(np.exp(found.x[-1]))


def _log_softmax(logits: F64) -> F64:
    shifted = logits - logits.max(axis=1, keepdims=True)
    out: F64 = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return out


def _log_loss(logits: F64, labels: NDArray[np.int64], temperature: float) -> float:
    chosen = _log_softmax(logits / temperature)[np.arange(len(labels)), labels]
    return float(-chosen.mean())


def reliability(logits: F64, labels: NDArray[np.int64], *, temperature: float = 1.0) -> F64:
    """Answers by how sure they were: rows of mean probability, accuracy and share of pictures (bins, 3)."""
    return _reliability(np.exp(_log_softmax(logits / temperature)), labels)


def _reliability(chances: F64, labels: NDArray[np.int64]) -> F64:
    sure = chances.max(axis=1)
    right = chances.argmax(axis=1) == labels
    bins = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    rows = [
        (sure[bins == b].mean(), right[bins == b].mean(), (bins == b).mean())
        for b in np.unique(bins)
    ]
    return np.array(rows, np.float64).reshape(-1, 3)


def _calibration_error(chances: F64, labels: NDArray[np.int64]) -> float:
    """The mean distance of probability and accuracy over bins of the probability of the answer."""
    sure, right, share = _reliability(chances, labels).T
    return float((np.abs(sure - right) * share).sum())
