"""A detector's net as steps of our own kernels: where each map lies, and the weights as they are read.

The kernels and what a step's fields mean: `native/net.cpp`, `cpp/convolution.h`.
"""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from vigil.vision.native.filters import (
    LANES,
    Filters,
    half_filters,
    pad_channels,
    parts_of,
    round_up,
    whole_filters,
)
from vigil.vision.nets.blocks import Bottleneck, ConvNorm, PyramidPool
from vigil.vision.nets.detector_net import PIXEL_MEAN, PIXEL_SCALE, STRIDES, DetectorNet

_LEVELS = 255.0
_LINE = 64  # bytes, of a cache's line


class Ending(IntEnum):
    """What becomes of a convolution's sums, see `cpp/convolution.h`."""

    STORE = 0
    ADD_TO = 1
    ONTO_BELOW = 2
    FLOATS = 3
    BOXES = 4


class _Does(IntEnum):
    CONVOLVE_BYTES = 0
    CONVOLVE_HALVES = 1
    POOL_BYTES = 2
    POOL_HALVES = 3


class _Convolution(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in (
            "input", "input_row", "input_down", "input_right",
            "output", "output_down", "output_right",
            "below", "below_down", "below_right",
            "weights", "scale", "bias",
        )),
        *((name, ctypes.c_int32) for name in (
            "height", "width", "rows", "run", "vectors", "ending", "cells",
        )),
        ("stride", ctypes.c_float),
    ]  # fmt: skip


class _Pool(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("map", "down", "right", "scratch")),
        *((name, ctypes.c_int32) for name in ("height", "width", "quarter", "unused")),
    ]


class Step(ctypes.Structure):
    """One step of a picture's way."""

    _fields_ = [
        ("does", ctypes.c_int32),
        ("unused", ctypes.c_int32),
        ("convolution", _Convolution),
        ("pool", _Pool),
    ]


class Picture(ctypes.Structure):
    """Where a picture lies in a workspace."""

    _fields_ = [
        ("first", ctypes.c_int64),
        ("down", ctypes.c_int64),
        *((name, ctypes.c_int32) for name in ("height", "width", "mean", "does")),
    ]


@dataclass(frozen=True, slots=True)
class Map:
    """A map of features in the workspace: pixels row after row, each with its channels, all in bytes.

    A border of one pixel, always zero, lies around it: the convolutions' padding.
    """

    first: int  # the first byte of the first pixel
    down: int
    right: int
    height: int
    width: int
    scale: float  # what a step is worth; 1 where elements are no bytes
    zero: int = 0  # the element that stands for nothing


class Plan:
    """The steps of one net for one input shape.

    In 8 bits with ``ranges`` of its activations, else in bfloat16; ``net`` is folded. Raises ValueError on a
    net that the kernels cannot run.
    """

    def __init__(
        self, net: DetectorNet, *, input_hw: tuple[int, int], ranges: Mapping[str, float] | None
    ) -> None:
        if net.classes + 4 > LANES:
            raise ValueError(f"{net.classes} classes: the kernels take up to {LANES - 4}")
        self.classes = net.classes
        self.cells = 0
        self.space_bytes = 0
        self.steps: list[Step] = []
        self._ranges = ranges
        self._element = 1 if ranges else 2  # bytes
        self._kept: list[NDArray[Any]] = []  # what steps point at
        self.picture = self._picture(*input_hw)
        self._lay_out(net)

    def _lay_out(self, net: DetectorNet) -> None:
        x, features = self._stem(net.stem.conv), []
        for index, stage in enumerate(net.stages):
            for place, part in enumerate(stage.children()):
                if isinstance(part, Bottleneck):
                    within = self._convolved(part.reduce, x, f"stages.{index}.{place}.reduce")
                    self._convolve(part.expand.conv, within, x, ending=Ending.ADD_TO)
                else:
                    x = self._convolved(part, x, f"stages.{index}")
            features.append(x)
        features[3] = self._pooled(net.context, features[3])
        merged: list[Map] = []
        below: Map | None = None
        for level in (2, 1, 0):
            joined = self._joined(net.laterals[level], features[level + 1], level, below)
            merged.insert(0, self._convolved(net.merges[level], joined, f"merges.{level}"))
            if level:
                below = self._coarse(net.reductions[level - 1], merged[0], level - 1)
        for level, (head, x) in enumerate(zip(net.heads, merged, strict=True)):
            self._head(head, x, level)

    def _picture(self, height: int, width: int) -> Picture:
        """Two pixels above and to the left are read, too: the stem's padding."""
        pixel = 3 * self._element
        down = round_up((width + 4) * pixel, _LINE)
        first = self._place(down * (height + 4)) + 2 * down + 2 * pixel
        does = _Does.CONVOLVE_BYTES if self._ranges else _Does.CONVOLVE_HALVES
        return Picture(first, down, height, width, PIXEL_MEAN, does)

    def _stem(self, conv: nn.Conv2d) -> Map:
        picture = self.picture
        source = Map(
            first=picture.first,
            down=picture.down,
            right=3 * self._element,
            height=picture.height,
            width=picture.width,
            scale=PIXEL_SCALE,
            zero=PIXEL_MEAN if self._ranges else 0,
        )
        height, width = picture.height // 4, picture.width // 4
        target = self._map(height, width, conv.out_channels, "stages.0")
        self._convolve(conv, source, target)
        return target

    def _pooled(self, pool: PyramidPool, x: Map) -> Map:
        half = pool.reduce.conv.out_channels
        quarter = half * self._element
        if half % LANES:
            raise ValueError(f"{half} pooled channels: the kernels take multiples of {LANES}")
        whole = self._map(x.height, x.width, 4 * half, "context.reduce")
        self._convolve(pool.reduce.conv, x, whole)
        scratch = self._place(x.height * x.width * quarter)
        step = Step(does=_Does.POOL_BYTES if self._ranges else _Does.POOL_HALVES)
        step.pool = _Pool(whole.first, whole.down, whole.right, scratch, x.height, x.width, quarter)
        self.steps.append(step)
        return self._convolved(pool.join, whole, "context.join")

    def _joined(self, lateral: nn.Module, feature: Map, level: int, below: Map | None) -> Map:
        conv = _conv_of(lateral)
        target = self._map(feature.height, feature.width, conv.out_channels, f"pyramid.{level}")
        ending = Ending.ONTO_BELOW if below else Ending.STORE
        self._convolve(conv, feature, target, ending=ending, below=below)
        return target

    def _coarse(self, reduction: nn.Module, x: Map, level: int) -> Map:
        """What is added to a finer level: floats, in the steps of the sum."""
        conv = _conv_of(reduction)
        right = round_up(conv.out_channels, LANES) * 4
        down = right * x.width
        scale = self._scale(f"pyramid.{level}")
        target = Map(
            self._place(down * x.height), down, right, height=x.height, width=x.width, scale=scale
        )
        self._convolve(conv, x, target, ending=Ending.FLOATS)
        return target

    def _head(self, head: nn.Module, x: Map, level: int) -> None:
        for place, part in enumerate(head.children()):
            if isinstance(part, ConvNorm):
                x = self._convolved(part, x, f"heads.{level}.{place}")
            else:
                self._convolve(_conv_of(part), x, replace(x, scale=1.0), ending=Ending.BOXES)
                stride, count = float(STRIDES[level]), x.height * x.width
                self.steps[-1].convolution.stride = stride
                self.steps[-1].convolution.cells = self.cells
                self.cells += count

    def _convolved(self, part: nn.Module, x: Map, name: str) -> Map:
        """A convolution and ReLU, to a map of its own."""
        conv = _conv_of(part)
        stride = int(conv.stride[0])
        target = self._map(x.height // stride, x.width // stride, conv.out_channels, name)
        self._convolve(conv, x, target)
        return target

    def _convolve(
        self,
        conv: nn.Conv2d,
        x: Map,
        target: Map,
        *,
        ending: Ending = Ending.STORE,
        below: Map | None = None,
    ) -> None:
        """Steps for as many vectors of output channels at a time as a block computes."""
        filters, bias = self._numbers(conv, x, target, exact=ending is Ending.BOXES)
        stride, pad = int(conv.stride[0]), int(conv.padding[0])
        out = 4 if ending is Ending.FLOATS else self._element
        rows, run = filters.values.shape[1], filters.values.shape[2] * self._element
        first = 0
        for vectors in parts_of(len(bias) // LANES):
            part = slice(first * LANES, (first + vectors) * LANES)
            step = Step(
                does=_Does.CONVOLVE_BYTES if self._ranges else _Does.CONVOLVE_HALVES,
                convolution=_Convolution(
                    input=x.first - pad * (x.down + x.right),
                    input_row=0 if rows > conv.kernel_size[0] else x.down,
                    input_down=x.down * stride,
                    input_right=x.right * stride,
                    output=target.first + part.start * out,
                    output_down=target.down,
                    output_right=target.right,
                    weights=self._keep(filters.packed(first, vectors)),
                    scale=self._keep(filters.steps[part] * (x.scale / target.scale)),
                    bias=self._keep(bias[part]),
                    height=target.height,
                    width=target.width,
                    rows=rows,
                    run=run,
                    vectors=vectors,
                    ending=ending,
                ),
            )
            if below:
                step.convolution.below = below.first + part.start * 4
                step.convolution.below_down = below.down
                step.convolution.below_right = below.right
            self.steps.append(step)
            first += vectors

    def _numbers(
        self, conv: nn.Conv2d, x: Map, target: Map, *, exact: bool
    ) -> tuple[Filters, NDArray[np.float32]]:
        """Weights and biases, these in steps of the target."""
        pixel = x.right // self._element
        assert conv.bias is not None
        bias = pad_channels(conv.bias)
        if self._ranges is None:
            weight = conv.weight * x.scale
            return half_filters(weight, pixel=pixel, exact=exact), bias
        filters = whole_filters(conv.weight, pixel=pixel)
        constant = (x.zero * x.scale) * filters.sums()
        return filters, ((bias - constant) / target.scale).astype(np.float32)

    def _map(self, height: int, width: int, channels: int, name: str) -> Map:
        """A place for a map of elements, with a border of one pixel."""
        right = round_up(channels, LANES) * self._element
        down = right * (width + 2)
        first = self._place(down * (height + 2)) + down + right
        return Map(first, down, right, height=height, width=width, scale=self._scale(name))

    def _scale(self, name: str) -> float:
        return self._ranges[name] / _LEVELS if self._ranges else 1.0

    def _place(self, count: int) -> int:
        """Bytes of the workspace."""
        place = self.space_bytes
        self.space_bytes = round_up(place + count, _LINE)
        return place

    def _keep(self, values: NDArray[Any]) -> int:
        """The address of numbers that are kept as long as the plan."""
        raw = values.view(np.uint8).reshape(-1)
        room = np.empty(len(raw) + _LINE, np.uint8)
        start = -room.ctypes.data % _LINE
        room[start : start + len(raw)] = raw
        self._kept.append(room)
        return int(room.ctypes.data) + start


def _conv_of(part: nn.Module) -> nn.Conv2d:
    conv = part.conv if isinstance(part, ConvNorm) else part
    assert isinstance(conv, nn.Conv2d)
    return conv
