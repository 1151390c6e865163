"""The convolutions of a plan: numbers as the kernels read them, and the steps for some of the rows."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vigil.vision.native.filters import (
    LANES,
    Filters,
    channel_steps,
    half_filters,
    pad_channels,
    parts_of,
    weight_terms,
    whole_filters,
)
from vigil.vision.native.maps import Map, Workspace
from vigil.vision.native.steps import Convolution, Does, Ending, Spread, Step

_MIDDLE = 128  # what stands for zero in terms that are bytes
_BAND_BYTES = (
    1 << 17
)  # of terms that are made before they are multiplied: they stay in the L2 cache
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


class _Part(NamedTuple):
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
        self._parts = _parts([filters], bias, scale=x.scale / target.scale, constants=constants)

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


class Pairs:
    """A 3×3 convolution whose outputs are computed two at a time: see `cpp/winograd.h`."""

    def __init__(
        self,
        conv: nn.Conv2d,
        x: Map,
        target: Map,
        *,
        space: Workspace,
        constants: Constants,
        ending: Ending,
    ) -> None:
        self._space, self._x, self._target, self._ending = space, x, target, ending
        self._pairs = -(-x.width // 2)
        self._right = 4 * x.right  # from pair to pair of terms
        self._down = self._pairs * self._right
        self._band = max(1, _BAND_BYTES // self._down - 2)
        terms, bias = _pair_numbers(conv, x, target, space)
        in_order = [terms[m] for m in (1, 2, 0, 3)]  # as `cpp/winograd.h` takes them
        self._parts = _parts(in_order, bias, scale=x.scale / target.scale, constants=constants)

    @property
    def terms_bytes(self) -> int:
        """Room that the terms need."""
        return (min(self._band, self._x.height) + 2) * self._down

    def steps(self, terms: int) -> Iterator[Step]:
        """Steps for some rows at a time, with their terms at a place of the workspace."""
        height = self._target.height
        for top in range(0, height, self._band):
            yield from self._band_steps(top, min(height, top + self._band), terms)

    def _band_steps(self, top: int, end: int, terms: int) -> Iterator[Step]:
        x, target, whole = self._x, self._target, self._space.whole
        spread = Spread(
            input=x.first + (top - 1) * x.down - x.right,
            down=x.down,
            right=x.right,
            output=terms,
            rows=end - top + 2,
            pairs=self._pairs,
            channels=x.right,
        )
        yield Step(does=Does.SPREAD_BYTES if whole else Does.SPREAD_HALVES, spread=spread)
        for part in self._parts:
            convolution = Convolution(
                input=terms,
                input_row=self._down,
                input_down=self._down,
                input_right=self._right,
                output=target.first + top * target.down + part.channel * self._space.element,
                output_down=target.down,
                output_right=2 * target.right,
                weights=part.weights,
                scale=part.scale,
                bias=part.bias,
                height=end - top,
                width=self._pairs,
                rows=3,
                run=x.right,
                vectors=part.vectors,
                ending=self._ending,
                most=target.levels,
                odd=x.width % 2,
            )
            does = Does.CONVOLVE_PAIRS_OF_BYTES if whole else Does.CONVOLVE_PAIRS_OF_HALVES
            yield Step(does=does, convolution=convolution)


def _parts(
    filters: Sequence[Filters],
    bias: NDArray[np.float32],
    *,
    scale: float,
    constants: Constants,
) -> list[_Part]:
    """The numbers of each part: weights one after another, of the same steps; biases (…, channels out)."""
    found, first = [], 0
    for vectors in parts_of(bias.shape[-1] // LANES):
        part = slice(first, first + vectors * LANES)
        packed = [one.packed(first // LANES, vectors) for one in filters]
        weights = constants.keep(np.concatenate(packed))
        steps = constants.keep(filters[0].steps[part] * scale)
        found.append(_Part(first, vectors, weights, steps, constants.keep(bias[..., part])))
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


def _pair_numbers(
    conv: nn.Conv2d, x: Map, target: Map, space: Workspace
) -> tuple[list[Filters], NDArray[np.float32]]:
    """Weights of m0 to m3, and biases of a pair's outputs (2, channels out) in the output's steps."""
    assert conv.bias is not None
    bias, pixel = np.stack([pad_channels(conv.bias)] * 2), x.right // space.element
    terms = weight_terms(conv.weight)
    if not space.whole:
        return [half_filters(term, pixel=pixel).evens_first() for term in terms], bias
    steps = channel_steps(torch.cat(terms, dim=1))
    filters = [whole_filters(term, pixel=pixel, steps=steps) for term in terms]
    m0, _, m2, m3 = (_MIDDLE * x.scale * one.sums() for one in filters)
    bias -= np.stack([m0 + m2, m3 - m2])
    return filters, (bias / target.scale).astype(np.float32)
