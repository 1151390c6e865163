"""The loss of a classifier: cross entropy, smoothed, weighed by class, over all heads."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_AUXILIARY_WEIGHT = 0.3  # of a head in the middle of the net (arXiv:1409.4842, section 5)


def classification_loss(
    outputs: Tensor | tuple[Tensor, ...],
    labels: Tensor,
    *,
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """The mean loss of logits (B, classes) for labels (B,); of several heads the first is the net's own.

    Smoothing gives every class its share of ``label_smoothing`` (arXiv:1512.00567, section 7).
    """
    heads = outputs if isinstance(outputs, tuple) else (outputs,)
    losses = [
        functional.cross_entropy(
            logits.float(), labels, weight=class_weights, label_smoothing=label_smoothing
        )
        for logits in heads
    ]
    total = losses[0]
    for loss in losses[1:]:
        total = total + _AUXILIARY_WEIGHT * loss
    return total


def own_logits(outputs: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The net's own logits (B, classes), whatever other heads say."""
    return outputs[0] if isinstance(outputs, tuple) else outputs


def balancing_weights(labels: NDArray[np.int64], *, classes: int) -> Tensor:
    """A weight for each class, the inverse of its share: all classes together count alike (classes,)."""
    counts = np.bincount(labels, minlength=classes)
    weights = len(labels) / (classes * np.maximum(counts, 1))
    return torch.from_numpy(weights.astype(np.float32))
