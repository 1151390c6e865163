"""Weights on disk: half precision safetensors, checked against the manifest before they are read."""

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from vigil.errors import DamagedModel
from vigil.vision.manifest import Manifest, verify
from vigil.vision.nets.detector_net import ARCHITECTURES, DetectorNet, build


def load_net(manifest: Manifest) -> DetectorNet:
    """The manifest's net with its weights, float32, evaluation mode, norms not folded yet.

    Raises DamagedModel where the weights are missing, are not the manifest's or do not fit the net.
    """
    if manifest.architecture not in ARCHITECTURES:
        raise DamagedModel(
            f"{manifest.name!r} names the architecture {manifest.architecture!r}; this version knows "
            f"{', '.join(ARCHITECTURES)}"
        )
    verify(manifest)
    net = build(manifest.architecture, classes=len(manifest.classes))
    try:
        tensors = load_file(manifest.weights_path)
        net.load_state_dict(
            {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
        )
    except (SafetensorError, RuntimeError) as error:
        raise DamagedModel(
            f"{manifest.weights_path} does not fit {manifest.architecture} ({error}); "
            "restore it from the release"
        ) from error
    return net.eval()


def save_weights(net: nn.Module, path: Path) -> str:
    """Write a net's weights in half precision; gives the file's sha256."""
    tensors = {
        key: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for key, value in net.state_dict().items()
    }
    if not all(torch.isfinite(t).all() for t in tensors.values() if t.is_floating_point()):
        raise DamagedModel("a weight is not finite in half precision; train with a lower rate")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file(tensors, partial)
    partial.chmod(0o644)  # safetensors makes files that their owner alone may read
    sha256 = hashlib.sha256(partial.read_bytes()).hexdigest()
    partial.replace(path)
    return sha256
