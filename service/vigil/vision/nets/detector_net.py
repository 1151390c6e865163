"""The detector's net: a plain convolutional backbone, a top-down pyramid, one light head a level.

Anchor-free, one stage: every cell of strides 8, 16 and 32 says a logit for each class and the distances
from its centre to the four sides of a box (FCOS, arXiv:1904.01355). Dense 3×3 and 1×1 convolutions with
channels in multiples of 16, batch norm that folds away, ReLU: nothing that a compiler cannot fuse.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vigil.vision.nets.blocks import Bottleneck, ConvNorm, InFloat32, PyramidPool, channels_last

STRIDES = (8, 16, 32)
PIXEL_MEAN = 114  # the letterbox's grey becomes zero, as the convolutions' own padding
PIXEL_SCALE = 1.0 / 57.0
_PRIOR = 0.01  # a cell's chance of holding an object of a class before training


@dataclass(frozen=True, slots=True)
class Architecture:
    """The sizes of a net: channels and blocks at strides 4, 8, 16, 32, and of pyramid and head."""

    channels: tuple[int, int, int, int]
    blocks: tuple[int, int, int, int]
    pyramid_channels: tuple[int, int, int]  # at strides 8, 16, 32
    head_blocks: int


ARCHITECTURES = {
    "vigil-det-n": Architecture((32, 64, 96, 160), (1, 1, 2, 2), (48, 64, 96), 1),
    "vigil-det-s": Architecture((48, 96, 192, 256), (1, 1, 2, 2), (64, 96, 128), 1),
}


class Predictions(NamedTuple):
    """What the net says of every cell, cells in the order of `cells`."""

    logits: Tensor  # (B, A, classes)
    distances: Tensor  # (B, A, 4): left, top, right, bottom from the cell's centre, in strides


class Cells(NamedTuple):
    """The cells of an input shape, level after level, row after row."""

    centres: Tensor  # (A, 2) float32: x, y in input pixels
    strides: Tensor  # (A,) float32, pixels


class DetectorNet(nn.Module):
    """uint8 pictures to `Predictions`. Train it as it is; `for_inference` gives the folded copy."""

    pixel_scale: Tensor  # its type is the net's precision

    def __init__(self, architecture: Architecture, *, classes: int) -> None:
        super().__init__()
        self.register_buffer("pixel_scale", torch.tensor(PIXEL_SCALE), persistent=False)
        self.architecture = architecture
        self.classes = classes
        widths, blocks = architecture.channels, architecture.blocks
        # 6×6 at stride 4 at once: a stage at stride 2 is a third of training's time (DECISIONS.md).
        self.stem = ConvNorm(3, widths[0], kernel=6, stride=4)
        self.stages = nn.ModuleList(
            nn.Sequential(
                *([ConvNorm(widths[i - 1], widths[i], stride=2)] if i else []),
                *(Bottleneck(widths[i]) for _ in range(blocks[i])),
            )
            for i in range(4)
        )
        self.context = PyramidPool(widths[3])
        pyramid = architecture.pyramid_channels
        self.laterals = nn.ModuleList(
            ConvNorm(widths[1 + i], pyramid[i], kernel=1, act=False) for i in range(3)
        )
        self.reductions = nn.ModuleList(
            ConvNorm(pyramid[i + 1], pyramid[i], kernel=1, act=False) for i in range(2)
        )
        self.merges = nn.ModuleList(ConvNorm(pyramid[i], pyramid[i]) for i in range(3))
        self.heads = nn.ModuleList(
            _head(pyramid[i], classes, architecture.head_blocks) for i in range(3)
        )
        self._initialise()

    def forward(self, images: Tensor) -> Predictions:
        """Pictures (B, 3, H, W) uint8 BGR, H and W multiples of 32, to predictions of every cell."""
        kind = images.device.type
        autocast = torch.is_autocast_enabled(kind)
        dtype = torch.get_autocast_dtype(kind) if autocast else self.pixel_scale.dtype
        x = images.to(dtype).sub_(PIXEL_MEAN).mul_(PIXEL_SCALE)  # 0..255 is exact in bfloat16
        levels = self.pyramid(x)
        outputs = [head(level) for head, level in zip(self.heads, levels, strict=True)]
        return predictions_of(outputs, self.classes)

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """Scaled pixels (B, 3, H, W) to the features of strides 8, 16 and 32."""
        x = self.stages[0](self.stem(x))
        features = []
        for stage in self.stages[1:]:
            x = stage(x)
            features.append(x)
        features[-1] = self.context(features[-1])
        laterals = [lateral(f) for lateral, f in zip(self.laterals, features, strict=True)]
        top = self.merges[2](functional.relu(laterals[2]))
        levels = [top]
        for i in (1, 0):
            up = functional.interpolate(self.reductions[i](levels[0]), scale_factor=2.0)
            levels.insert(0, self.merges[i](functional.relu(laterals[i] + up)))
        return levels

    def for_inference(self) -> "DetectorNet":
        """A copy in evaluation mode, norms folded, channels last."""
        net = copy.deepcopy(self).eval()
        for module in net.modules():
            if isinstance(module, ConvNorm):
                module.fuse()
        for parameter in net.parameters():
            parameter.requires_grad_(False)
        return channels_last(net)

    def to_precision(self, dtype: torch.dtype) -> None:
        """Change the type of everything but the heads' last convolutions, which stay float32."""
        self.to(dtype)
        for head in self.heads:
            assert isinstance(head, nn.Sequential)
            last = head[-1]
            if dtype != torch.float32 and isinstance(last, nn.Conv2d):
                head[-1] = InFloat32(last)

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for head in self.heads:
            assert isinstance(head, nn.Sequential)
            last = head[-1]
            assert isinstance(last, nn.Conv2d)
            assert last.bias is not None
            nn.init.normal_(last.weight, std=0.01)
            nn.init.zeros_(last.bias)
            nn.init.constant_(last.bias[: self.classes], -math.log((1.0 - _PRIOR) / _PRIOR))
            nn.init.constant_(last.bias[self.classes :], math.log(2.0))
        for module in self.modules():
            if isinstance(module, Bottleneck):
                norm = module.expand.norm
                assert isinstance(norm, nn.BatchNorm2d)
                nn.init.constant_(norm.weight, 0.5)


def cells(height_px: int, width_px: int, *, device: torch.device | str = "cpu") -> Cells:
    """The cells of an input of this shape, in the order of the net's predictions."""
    centres, strides = [], []
    for stride in STRIDES:
        rows, columns = height_px // stride, width_px // stride
        y = (torch.arange(rows, device=device, dtype=torch.float32) + 0.5) * stride
        x = (torch.arange(columns, device=device, dtype=torch.float32) + 0.5) * stride
        centres.append(torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2))
        strides.append(torch.full((rows * columns,), float(stride), device=device))
    return Cells(torch.cat(centres), torch.cat(strides))


def predictions_of(outputs: Sequence[Tensor], classes: int) -> Predictions:
    """What the heads say, (B, classes + 4, H, W) a level, as predictions of every cell."""
    joined = torch.cat([one.flatten(2).transpose(1, 2) for one in outputs], dim=1)
    logits, distances = torch.split(joined, [classes, 4], dim=2)
    return Predictions(logits, torch.exp(distances.float().clamp(max=6.0)))


def boxes_xyxy(distances: Tensor, of: Cells) -> Tensor:
    """Distances (B, A, 4) in strides to boxes (B, A, 4) in input pixels."""
    reach = distances * of.strides[:, None]
    return torch.cat([of.centres - reach[..., :2], of.centres + reach[..., 2:]], dim=-1)


def build(architecture: str, *, classes: int) -> DetectorNet:
    """A net with fresh weights. Raises KeyError on an architecture that is not in ARCHITECTURES."""
    return DetectorNet(ARCHITECTURES[architecture], classes=classes)


def _head(channels: int, classes: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(
        *(ConvNorm(channels, channels) for _ in range(blocks)), nn.Conv2d(channels, classes + 4, 1)
    )
