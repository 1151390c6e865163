"""A model whose answers are known: in every picture the same boxes, of the class person."""

import math
from pathlib import Path

import torch

from vigil.vision.nets.classifier import build_classifier
from vigil.vision.nets.detector_net import build
from vigil.vision.weights import save_weights

NAME = "grid"
CLASSES = ("person", "car", "dog")
INPUT_HW = (64, 96)
BOXES = 6  # one in each cell of stride 32
SCORE = 1.0 / (1.0 + math.exp(-2.0))
_REACH = (
    0.4  # of a cell, from its centre to each side: boxes of 25.6 input pixels, none overlapping
)

_MANIFEST = """\
name = "{name}"
architecture = "vigil-det-n"
classes = ["person", "car", "dog"]
input_height_px = {height}
input_width_px = {width}
score_threshold = [0.3, 0.3, 0.3]
nms_iou = 0.6
weights = "weights.safetensors"
weights_sha256 = "{sha256}"
licence = "made for a test"
"""


def install_grid_model(folder: Path) -> Path:
    """The real architecture, with a head that says the same whatever it sees. Returns the folder."""
    net = build("vigil-det-n", classes=len(CLASSES))
    with torch.no_grad():
        for head in net.heads:
            last = head[-1]  # type: ignore[index]
            last.weight.zero_()
            last.bias[: len(CLASSES)] = -12.0
            last.bias[len(CLASSES) :] = math.log(_REACH)
        net.heads[2][-1].bias[0] = 2.0  # type: ignore[index]
    sha256 = save_weights(net, folder / NAME / "weights.safetensors")
    height, width = INPUT_HW
    (folder / NAME / "model.toml").write_text(
        _MANIFEST.format(name=NAME, height=height, width=width, sha256=sha256)
    )
    return folder


SHADES = ("dark", "bright")
SHADE_NAME = "shade"
SHADE_PX = 32
_SHADE_TEMPERATURE = 2.0
_SHADE_MANIFEST = """\
name = "{name}"
architecture = "cropnet"
task = "classification"
classes = ["dark", "bright"]
input_height_px = {side}
input_width_px = {side}
score_threshold = [0.0, 0.0]
nms_iou = 1.0
weights = "weights.safetensors"
weights_sha256 = "{sha256}"
licence = "made for a test"
"""


def install_shade_classifier(folder: Path, *, name: str = SHADE_NAME) -> Path:
    """The real net for crops, with weights that tell bright crops from dark ones. Returns the folder.

    Every convolution takes a mean, so that what is left of a crop is how far it is above grey.
    """
    net = build_classifier("cropnet", classes=len(SHADES), input_px=SHADE_PX)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.weight.fill_(1.0 / module.weight[0].numel())
        last = net.net.head[-1]  # type: ignore[index,union-attr]
        last.weight.zero_()  # type: ignore[union-attr,operator]
        last.weight[1] = 0.05  # type: ignore[union-attr,index]
        last.bias.copy_(torch.tensor([2.0, -2.0]))  # type: ignore[union-attr,operator]
        net.temperature.fill_(_SHADE_TEMPERATURE)
    sha256 = save_weights(net, folder / name / "weights.safetensors")
    (folder / name / "model.toml").write_text(
        _SHADE_MANIFEST.format(name=name, side=SHADE_PX, sha256=sha256)
    )
    return folder
