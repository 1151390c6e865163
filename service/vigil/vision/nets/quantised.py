"""The detector's net in 8-bit integers, as oneDNN's convolutions run them on a CPU.

Activations are uint8 with one scale a tensor, weights int8 with one a channel, sums int32. What is measured
beforehand, the activations' ranges, comes from `vision.ranges`. Everything between stem and
heads stays uint8: additions saturate, pooling and upsampling move bytes. The normalisation of pictures is
the stem's scale and zero point, so a picture's bytes go into the first convolution as they are.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from vigil.vision.nets.blocks import Bottleneck, ConvNorm, PyramidPool
from vigil.vision.nets.detector_net import (
    PIXEL_MEAN,
    PIXEL_SCALE,
    DetectorNet,
    Predictions,
    predictions_of,
)

_LEVELS = 255.0
_WEIGHT_LEVELS = 127.0
_MIDDLE = 128  # what stands for zero where there is no ReLU


def can_quantise() -> bool:
    """Whether this processor multiplies bytes faster than halves, and this torch knows how to ask it."""
    vnni = torch.cpu._is_vnni_supported() and torch.cpu._is_avx512_supported()
    return vnni and hasattr(torch.ops.onednn, "qconv2d_pointwise")


class QuantisedConv(nn.Module):
    """A convolution from uint8 to uint8, with or without ReLU, or to float32 where no scale is given.

    ``x_scale`` and ``scale`` say what one step of the input and of the output is worth.
    """

    def __init__(
        self, conv: nn.Conv2d, *, x_scale: float, x_zero: int = 0, scale: float | None, relu: bool
    ) -> None:
        super().__init__()
        self._zero = 0 if relu or scale is None else _MIDDLE
        self._padding = [int(number) for number in conv.padding]
        self._stride = [int(number) for number in conv.stride]
        self._x_scale, self._x_zero, self.scale = x_scale, x_zero, scale
        self._relu = "relu" if relu else "none"
        self._bias = conv.bias
        steps = conv.weight.abs().amax((1, 2, 3)).clamp(min=1e-8) / _WEIGHT_LEVELS
        self._steps = steps
        self._zeros = torch.zeros(len(steps), dtype=torch.int64)
        self._whole = torch.round(conv.weight / steps[:, None, None, None]).to(torch.int8)
        self._packed: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) uint8 to (B, C_out, H / stride, W / stride)."""
        y: Tensor = torch.ops.onednn.qconv2d_pointwise(
            x, self._x_scale, self._x_zero, self._weight(x), self._steps, self._zeros, self._bias,
            self._stride, self._padding, [1, 1], 1,
            self.scale or 1.0, self._zero, torch.uint8 if self.scale else torch.float32, self._relu, [], "",
        )  # fmt: skip
        return y

    def onto(self, x: Tensor, below: Tensor, *, below_scale: float) -> Tensor:
        """relu(convolution of x + below), both uint8, ``below`` signed; it is overwritten."""
        y: Tensor = torch.ops.onednn.qconv2d_pointwise.binary(
            x, self._x_scale, self._x_zero, self._weight(x), self._steps, self._zeros, below, self._bias,
            self._stride, self._padding, [1, 1], 1,
            self.scale, 0, torch.uint8, below_scale, _MIDDLE, "sum", 1.0, "relu", [], "",
        )  # fmt: skip
        return y

    def _weight(self, x: Tensor) -> Tensor:
        """The weights as oneDNN lays them out for inputs of this size, known with the first of them.

        Packed for no size, one of vigil-det-n's convolutions would be laid out anew at every call, at 2 ms.
        """
        if self._packed is None:
            self._packed = torch.ops.onednn.qconv_prepack(
                self._whole, self._steps, self._x_scale, self._x_zero,
                self._stride, self._padding, [1, 1], 1, list(x.shape),
            )  # fmt: skip
        return self._packed


class _Block(nn.Module):
    """x + expand(reduce(x)), all of one scale, where the sum stops at 255."""

    def __init__(
        self, block: Bottleneck, ranges: Mapping[str, float], name: str, *, scale: float
    ) -> None:
        super().__init__()
        within = ranges[f"{name}.reduce"] / _LEVELS
        self.reduce = QuantisedConv(block.reduce.conv, x_scale=scale, scale=within, relu=True)
        self.expand = QuantisedConv(block.expand.conv, x_scale=within, scale=scale, relu=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) uint8 to the same."""
        added: Tensor = self.expand(self.reduce(x))
        torch.minimum(added, ~x, out=added)  # ~x is 255 - x
        return added.add_(x)


class _Pool(nn.Module):
    """`PyramidPool`; its pools are maxima of shifted maps, at a tenth of what torch's own pools cost."""

    def __init__(self, pool: PyramidPool, ranges: Mapping[str, float], *, x_scale: float) -> None:
        super().__init__()
        within, scale = ranges["context.reduce"] / _LEVELS, ranges["context.join"] / _LEVELS
        self.reduce = QuantisedConv(pool.reduce.conv, x_scale=x_scale, scale=within, relu=True)
        self.join = QuantisedConv(pool.join.conv, x_scale=within, scale=scale, relu=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) uint8 to the same."""
        levels = [self.reduce(x)]
        for _ in range(3):
            padded = functional.pad(levels[-1], (2, 2, 2, 2))  # zero is the least there is
            levels.append(_five_wide(_five_wide(padded, dim=2), dim=3))
        y: Tensor = self.join(torch.cat(levels, dim=1))
        return y


def _five_wide(x: Tensor, *, dim: int) -> Tensor:
    """The largest of every five neighbours along a dimension, which gets four shorter."""
    count = x.shape[dim] - 4
    two = torch.maximum(x.narrow(dim, 0, count + 3), x.narrow(dim, 1, count + 3))
    four = torch.maximum(two.narrow(dim, 0, count + 1), two.narrow(dim, 2, count + 1))
    return torch.maximum(four.narrow(dim, 0, count), x.narrow(dim, 4, count))


class QuantisedNet(nn.Module):
    """A folded `DetectorNet` in 8 bits: the same pictures in, the same `Predictions` out.

    ``ranges`` holds the largest value of each activation, see `vision.ranges`.
    """

    def __init__(self, net: DetectorNet, ranges: Mapping[str, float]) -> None:
        super().__init__()
        self.classes = net.classes
        steps = [ranges[f"stages.{index}"] / _LEVELS for index in range(4)]
        self.stem = QuantisedConv(
            net.stem.conv, x_scale=PIXEL_SCALE, x_zero=PIXEL_MEAN, scale=steps[0], relu=True
        )
        self.stages = nn.ModuleList(
            _stage(stage, ranges, index, x_scale=steps[max(0, index - 1)], scale=steps[index])
            for index, stage in enumerate(net.stages)
        )
        self.context = _Pool(net.context, ranges, x_scale=steps[3])
        top = ranges["context.join"] / _LEVELS
        merged = [ranges[f"merges.{index}"] / _LEVELS for index in range(3)]
        joined = [ranges[f"pyramid.{index}"] / _LEVELS for index in range(3)]
        self._reduced = [ranges[f"reductions.{index}"] / _MIDDLE for index in range(2)]
        self.laterals = nn.ModuleList(
            # ReLU comes after what is added, and that is part of the convolution, too: see `onto`
            QuantisedConv(_folded(lateral), x_scale=x_scale, scale=scale, relu=True)
            for lateral, x_scale, scale in zip(
                net.laterals, (steps[1], steps[2], top), joined, strict=True
            )
        )
        self.reductions = nn.ModuleList(
            QuantisedConv(_folded(reduction), x_scale=x_scale, scale=scale, relu=False)
            for reduction, x_scale, scale in zip(
                net.reductions, merged[1:], self._reduced, strict=True
            )
        )
        self.merges = nn.ModuleList(
            QuantisedConv(_folded(merge), x_scale=x_scale, scale=scale, relu=True)
            for merge, x_scale, scale in zip(net.merges, joined, merged, strict=True)
        )
        self.heads = nn.ModuleList(
            _head(head, ranges, f"heads.{index}", x_scale=merged[index])
            for index, head in enumerate(net.heads)
        )

    def forward(self, images: Tensor) -> Predictions:
        """Pictures (B, 3, H, W) uint8 BGR, H and W multiples of 32, to predictions of every cell."""
        x, features = self.stem(images), []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        levels = [self.merges[2](self.laterals[2](self.context(x)))]
        for i in (1, 0):
            up = functional.interpolate(self.reductions[i](levels[0]), scale_factor=2.0)
            lateral = self.laterals[i]
            assert isinstance(lateral, QuantisedConv)
            joined = lateral.onto(features[i + 1], up, below_scale=self._reduced[i])
            levels.insert(0, self.merges[i](joined))
        return predictions_of(
            [head(level) for head, level in zip(self.heads, levels, strict=True)], self.classes
        )


def _folded(part: nn.Module) -> nn.Conv2d:
    assert isinstance(part, ConvNorm)
    return part.conv


def _stage(
    stage: nn.Module, ranges: Mapping[str, float], index: int, *, x_scale: float, scale: float
) -> nn.Sequential:
    parts: list[nn.Module] = []
    for place, part in enumerate(stage.children()):
        if isinstance(part, Bottleneck):
            parts.append(_Block(part, ranges, f"stages.{index}.{place}", scale=scale))
        else:
            parts.append(QuantisedConv(_folded(part), x_scale=x_scale, scale=scale, relu=True))
    return nn.Sequential(*parts)


def _head(
    head: nn.Module, ranges: Mapping[str, float], name: str, *, x_scale: float
) -> nn.Sequential:
    parts: list[nn.Module] = []
    for place, part in enumerate(head.children()):
        if isinstance(part, ConvNorm):
            scale = ranges[f"{name}.{place}"] / _LEVELS
            parts.append(QuantisedConv(part.conv, x_scale=x_scale, scale=scale, relu=True))
            x_scale = scale
        else:
            assert isinstance(part, nn.Conv2d)
            parts.append(QuantisedConv(part, x_scale=x_scale, scale=None, relu=False))
    return nn.Sequential(*parts)
