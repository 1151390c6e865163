"""The convolutions of a plan: numbers as the kernels read them, and the steps for some of the rows."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import nn

from vigil.vision.native.filters import (
    LANES,
    Filters,
    channel_steps,
    half_filters,
    pad_channels,
    parts_of,
    whole_filters,
)
from vigil.vision.native.maps import Map, Workspace
from vigil.vision.native.steps import Convolution, Does, Ending, Step

_LINE = 64


class Constants:
    """Numbers that steps point at, for as long as they are kept."""

    def __init__(self) -> None:
        self._rooms: list[NDArray[np.uint8]] = []

    def keep(self, values: NDArray[Any]) -> int:
        """The address of a copy."""
        raw = np.ascontiguousarray(values).view(np.uint8).reshape(-1)
        room = np.empty(len(raw) + _LINE, np.uint8)
        start = -int(room.ctypes.data) % _LINE
        room[start : start + len(raw)] = raw
        self._rooms.append(room)
        return int(room.ctypes.data) + start


class Part(NamedTuple):
    """As many output channels as a block computes; addresses of their numbers."""

    channel: int  # the first
    vectors: int
    weights: int
    scale: int
    bias: int


class Whole:
    """A convolution whose outputs are computed one by one."""

    def __init__(
        self,
        conv: nn.Conv2d,
        x: Map,
        target: Map,
        *,
        space: Workspace,
        constants: Constants,
        ending: Ending,
        below: Map | None = None,
        cells: tuple[int, int] = (0, 0),
    ) -> None:
        """``cells``, for `Ending.BOXES`: the first cell's number, and pixels from one to the next."""
        self._space, self._x, self._target, self._below = space, x, target, below
        self._cells = cells
        self._stride, self._pad = int(conv.stride[0]), int(conv.padding[0])
        self._ending = ending
        filters, bias = _numbers(conv, x, target, space, exact=ending is Ending.BOXES)
        self._rows, self._run = filters.values.shape[1], filters.values.shape[2] * space.element
        self._twice = self._rows > conv.kernel_size[0]  # remainders' rows are for the same input
        self._parts = parts_with([filters], bias, scale=x.scale / target.scale, constants=constants)

    def steps(self) -> Iterator[Step]:
        """A step for each part of the output's channels."""
        x, target, below = self._x, self._target, self._below
        out = 4 if self._ending is Ending.FLOATS else self._space.element
        for part in self._parts:
            convolution = Convolution(
                input=x.first - self._pad * (x.down + x.right),
                input_row=0 if self._twice else x.down,
                input_down=x.down * self._stride,
                input_right=x.right * self._stride,
                output=target.first + part.channel * out,
                output_down=target.down,
                output_right=target.right,
                weights=part.weights,
                scale=part.scale,
                bias=part.bias,
                height=target.height,
                width=target.width,
                rows=self._rows,
                run=self._run,
                vectors=part.vectors,
                ending=self._ending,
                most=target.levels,
                cells=self._cells[0],
                stride=self._cells[1],
            )
            if below:
                convolution.below = below.first + part.channel * 4
                convolution.below_down = below.down
                convolution.below_right = below.right
            does = Does.CONVOLVE_BYTES if self._space.whole else Does.CONVOLVE_HALVES
            yield Step(does=does, convolution=convolution)


def parts_with(
    filters: Sequence[Filters],
    bias: NDArray[np.float32],
    *,
    scale: float,
    constants: Constants,
) -> list[Part]:
    """The numbers of each part: weights one after another, of the same steps; biases (…, channels out)."""
    found, first = [], 0
    for vectors in parts_of(bias.shape[-1] // LANES):
        part = slice(first, first + vectors * LANES)
        packed = [one.packed(first // LANES, vectors) for one in filters]
        weights = constants.keep(np.concatenate(packed))
        steps = constants.keep(filters[0].steps[part] * scale)
        found.append(Part(first, vectors, weights, steps, constants.keep(bias[..., part])))
        first = part.stop
    return found


def _numbers(
    conv: nn.Conv2d, x: Map, target: Map, space: Workspace, *, exact: bool
) -> tuple[Filters, NDArray[np.float32]]:
    """Weights, and biases (channels out,) in the output's steps."""
    assert conv.bias is not None
    bias, pixel = pad_channels(conv.bias), x.right // space.element
    if not space.whole:
        return half_filters(conv.weight * x.scale, pixel=pixel, exact=exact), bias
    filters = whole_filters(conv.weight, pixel=pixel, steps=channel_steps(conv.weight))
    constant = (x.zero * x.scale) * filters.sums()
    return filters, ((bias - constant) / target.scale).astype(np.float32)
