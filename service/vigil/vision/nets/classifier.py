"""A classifier: a net of the family by its name, with what turns pixels into its input."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vigil.errors import UnknownModel
from vigil.vision.nets.alexnet import AlexNet
from vigil.vision.nets.cropnet import CropNet
from vigil.vision.nets.ensemble import Ensemble
from vigil.vision.nets.googlenet import GoogLeNet
from vigil.vision.nets.lenet import LeNet5
from vigil.vision.nets.pyramidnet import PyramidNet
from vigil.vision.nets.resnet import DEPTHS as RESNETS
from vigil.vision.nets.resnet import ResNet
from vigil.vision.nets.resnet9 import ResNet9
from vigil.vision.nets.trunknet import TrunkNet
from vigil.vision.nets.vgg import DEPTHS as VGGS
from vigil.vision.nets.vgg import Vgg

_PIXEL_MEAN = 114.0  # as the detector's: a padded crop's grey becomes zero
_PIXEL_SCALE = 1.0 / 57.0


class Family(NamedTuple):
    """How a net is made, and the inputs that it is for, pixels a side."""

    make: Callable[..., nn.Module]
    input_px: int  # the paper's
    least_px: int
    has_dropout: bool = False


FAMILIES = {
    "lenet5": Family(LeNet5, 32, 20),
    "alexnet": Family(AlexNet, 227, 16, has_dropout=True),
    "alexnet-grouped": Family(partial(AlexNet, groups=2), 227, 16, has_dropout=True),
    **{
        name: Family(partial(Vgg, depths), 224, 32, has_dropout=True)
        for name, depths in VGGS.items()
    },
    "googlenet": Family(GoogLeNet, 224, 16, has_dropout=True),
    **{
        name: Family(partial(ResNet, depths, bottleneck=bottleneck), 224, 16)
        for name, (depths, bottleneck) in RESNETS.items()
    },
    "resnet9": Family(ResNet9, 32, 16),
    "cropnet": Family(CropNet, 64, 16, has_dropout=True),
    "trunknet": Family(TrunkNet, 96, 32, has_dropout=True),
    "pyramidnet-n": Family(partial(PyramidNet, "vigil-det-n"), 160, 32, has_dropout=True),
    "pyramidnet-s": Family(partial(PyramidNet, "vigil-det-s"), 160, 32, has_dropout=True),
}


class Classifier(nn.Module):
    """uint8 pictures to logits; ``temperature`` is fitted after training and divides them in service."""

    temperature: Tensor

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Pictures (B, 3, H, W) uint8 BGR to logits (B, classes), not calibrated.

        In training a net with auxiliary heads gives a tuple, its own logits first.
        """
        x = images.to(self.temperature.dtype).sub(_PIXEL_MEAN).mul(_PIXEL_SCALE)
        logits: Tensor | tuple[Tensor, ...] = self.net(x)
        return logits

    @property
    def last_layer(self) -> nn.Linear:
        """What gives the logits; of an ensemble there is none."""
        head = self.net.head
        assert isinstance(head, nn.Sequential)
        last = head[-1]
        assert isinstance(last, nn.Linear)
        return last

    def probabilities(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) uint8 BGR to calibrated probabilities (B, classes), in evaluation mode."""
        logits = self(images)
        assert isinstance(logits, Tensor)
        return torch.softmax(logits.float() / self.temperature, dim=1)


def build_classifier(
    name: str, *, classes: int, input_px: int | None = None, dropout: float | None = None
) -> Classifier:
    """A net with fresh weights; of names joined by + an ensemble of them.

    ``input_px`` and ``dropout`` are the paper's where not given. Raises UnknownModel where no net has the
    name, or the input is too small for it.
    """
    if "+" in name:
        parts = [
            build_classifier(part, classes=classes, input_px=input_px, dropout=dropout)
            for part in name.split("+")
        ]
        return Classifier(Ensemble([part.net for part in parts]))
    if name not in FAMILIES:
        raise UnknownModel(f"no classifier net {name!r}; there are {', '.join(FAMILIES)}")
    family = FAMILIES[name]
    side = family.input_px if input_px is None else input_px
    if side < family.least_px:
        raise UnknownModel(f"{name} needs inputs of at least {family.least_px} px, not {side}")
    arguments: dict[str, float] = {}
    if dropout is not None and family.has_dropout:
        arguments["dropout"] = dropout
    return Classifier(family.make(classes=classes, input_px=side, **arguments))
