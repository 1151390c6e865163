"""Pictures as rows of numbers: their pixels, or what a net's last layer sees of them."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vigil.data import F32
from vigil.training.classify.loop import logits_of
from vigil.vision.nets.classifier import Classifier


def pixels_of(images: NDArray[np.uint8]) -> F32:
    """Pictures (N, S, S, 3) uint8 as rows (N, S × S × 3), 0 to 1."""
    rows: F32 = images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
    return rows


def features_of(
    net: Classifier, images: NDArray[np.uint8], *, device: torch.device | str = "cpu"
) -> F32:
    """What the net's last layer sees of pictures (N, S, S, 3) uint8 BGR: rows (N, D).

    The net is in evaluation mode.
    """
    parts: list[F32] = []

    def keep(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        parts.append(inputs[0].float().cpu().numpy())

    hook = net.last_layer.register_forward_pre_hook(keep)
    try:
        logits_of(net, images, device=device)
    finally:
        hook.remove()
    return np.concatenate(parts)
