"""Crops to calibrated probabilities: the classifier of a manifest, as it is in service."""

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from vigil.data import F32
from vigil.errors import DamagedModel
from vigil.vision.manifest import Manifest, verify
from vigil.vision.nets.classifier import Classifier, build_classifier


def load_classifier(manifest: Manifest) -> Classifier:
    """The manifest's classifier with its weights and temperature, float32, evaluation mode.

    Raises DamagedModel where the weights are missing, are not the manifest's or do not fit the net, and
    UnknownModel where the manifest's net is none of ours.
    """
    if manifest.task != "classification":
        raise DamagedModel(f"{manifest.name!r} is for {manifest.task}; name a classifier")
    verify(manifest)
    net = build_classifier(
        manifest.architecture,
        classes=len(manifest.classes),
        input_px=manifest.input_height_px,
    )
    try:
        tensors = load_file(manifest.weights_path)
        net.load_state_dict(
            {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
        )
    except (SafetensorError, RuntimeError) as error:
        raise DamagedModel(
            f"{manifest.weights_path} does not fit {manifest.architecture} ({error}); train it again"
        ) from error
    return net.eval()


def classify(net: Classifier, crops: NDArray[np.uint8]) -> F32:
    """Probabilities (N, classes) float32 of square crops (N, S, S, 3) uint8 BGR of the net's input size."""
    with torch.inference_mode():
        images = torch.from_numpy(crops).permute(0, 3, 1, 2)
        chances: F32 = net.probabilities(images).numpy()
    return chances
