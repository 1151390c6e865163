"""Crops to calibrated probabilities: the classifier of a manifest, as it is in service."""

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vigil.data import F32, U8
from vigil.errors import DamagedModel
from vigil.vision.detector import Precision
from vigil.vision.manifest import Manifest, expect_classifier, verify
from vigil.vision.nets.blocks import fold_norms
from vigil.vision.nets.classifier import Classifier, build_classifier


class CropClassifier:
    """A classifier on a device, in a precision, its norms folded. Not to be shared between threads."""

    def __init__(
        self, manifest: Manifest, *, device: str = "cpu", precision: Precision = "float32"
    ) -> None:
        self.manifest = manifest
        self.precision = precision
        self.device = torch.device(device)
        net = load_classifier(manifest)
        self._temperature = float(net.temperature)  # in float32, whatever the net computes in
        fold_norms(net)
        # type and layout at once is what torch's overloads do not know
        net = net.to(getattr(torch, precision)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.net: nn.Module = net.to(self.device).eval()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of a crop."""
        return (*self.manifest.input_hw, 3)

    def classify(self, crops: U8) -> F32:
        """Calibrated probabilities (N, classes) float32 of crops (N, S, S, 3) uint8 BGR.

        `vision.crop` makes such crops. Raises ValueError on another shape.
        """
        if crops.ndim != 4 or crops.shape[1:] != self.shape or crops.dtype != np.uint8:
            raise ValueError(f"{crops.shape} {crops.dtype}: give (N, {self.shape}) uint8")
        with torch.inference_mode():
            images = torch.from_numpy(crops).to(self.device, non_blocking=True).permute(0, 3, 1, 2)
            logits: Tensor = self.net(images)
            chances: F32 = torch.softmax(logits.float() / self._temperature, dim=1).cpu().numpy()
        return chances


def load_classifier(manifest: Manifest) -> Classifier:
    """The manifest's classifier with its weights and temperature, float32, evaluation mode.

    Raises DamagedModel where the weights are missing, are not the manifest's or do not fit the net, and
    UnknownModel where the manifest is no classifier's, or its net none of ours.
    """
    expect_classifier(manifest)
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
