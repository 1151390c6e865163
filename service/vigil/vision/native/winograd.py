"""3×3 convolutions of pairs and of squares of outputs, by Winograd's terms: see `cpp/winograd.h`."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vigil.vision.native.convolutions import Constants, parts_with
from vigil.vision.native.filters import (
    Filters,
    channel_steps,
    half_filters,
    pad_channels,
    weight_terms,
    whole_filters,
)
from vigil.vision.native.maps import Map, Workspace
from vigil.vision.native.steps import Convolution, Does, Ending, Spread, Step

_MIDDLE = 128  # what stands for zero in terms that are bytes
# Of terms that are made before they are multiplied: they stay in the L2 cache.
_BAND_BYTES = 1 << 17
_TERMS = 4  # in a direction
_ORDER = (1, 2, 0, 3)  # in which the kernels take the terms


class Pairs:
    """A convolution of bytes whose outputs are computed two at a time, beside each other."""

    def __init__(
        self,
        conv: nn.Conv2d,
        x: Map,
        target: Map,
        *,
        constants: Constants,
        ending: Ending,
    ) -> None:
        self._x, self._target, self._ending = x, target, ending
        self._pairs = -(-x.width // 2)
        self._right = _TERMS * x.right  # from pair to pair of terms
        self._down = self._pairs * self._right
        self._band = max(1, _BAND_BYTES // self._down - 2)  # rows of outputs
        terms, bias = _byte_terms(conv, x, target)
        in_order = [terms[m] for m in _ORDER]
        self._parts = parts_with(in_order, bias, scale=x.scale / target.scale, constants=constants)

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
        x, target = self._x, self._target
        spread = Spread(
            input=x.first + (top - 1) * x.down - x.right,
            down=x.down,
            right=x.right,
            output=terms,
            rows=end - top + 2,
            pairs=self._pairs,
            channels=x.right,
        )
        yield Step(does=Does.SPREAD_BYTES, spread=spread)
        for part in self._parts:
            convolution = Convolution(
                input=terms,
                input_row=self._down,
                input_down=self._down,
                input_right=self._right,
                output=target.first + top * target.down + part.channel,
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
                odd_width=x.width % 2,
            )
            yield Step(does=Does.CONVOLVE_TERMS_OF_BYTES, convolution=convolution)


class Squares:
    """A convolution in bfloat16 whose outputs are computed four at a time, in squares."""

    def __init__(
        self,
        conv: nn.Conv2d,
        x: Map,
        target: Map,
        *,
        constants: Constants,
        ending: Ending,
    ) -> None:
        self._x, self._target, self._ending = x, target, ending
        self._rows, self._columns = -(-x.height // 2), -(-x.width // 2)  # of squares
        self._right = _TERMS * _TERMS * x.right  # from square to square of terms
        self._down = self._columns * self._right
        # rows of squares; 2 % better than half of it
        self._band = max(1, 2 * _BAND_BYTES // self._down)
        assert conv.bias is not None
        terms = _half_terms(conv, x)
        self._parts = parts_with(terms, pad_channels(conv.bias), scale=1.0, constants=constants)

    @property
    def terms_bytes(self) -> int:
        """Room that the terms need."""
        return min(self._band, self._rows) * self._down

    def steps(self, terms: int) -> Iterator[Step]:
        """Steps for some rows at a time, with their terms at a place of the workspace."""
        for top in range(0, self._rows, self._band):
            yield from self._band_steps(top, min(self._rows, top + self._band), terms)

    def _band_steps(self, top: int, end: int, terms: int) -> Iterator[Step]:
        x, target = self._x, self._target
        spread = Spread(
            input=x.first + (2 * top - 1) * x.down - x.right,
            down=x.down,
            right=x.right,
            output=terms,
            rows=end - top,
            pairs=self._columns,
            channels=x.right,
        )
        yield Step(does=Does.SPREAD_HALVES, spread=spread)
        for part in self._parts:
            convolution = Convolution(
                input=terms,
                input_down=self._down,
                input_right=self._right,
                output=target.first + 2 * top * target.down + part.channel * 2,
                output_down=2 * target.down,
                output_right=2 * target.right,
                weights=part.weights,
                bias=part.bias,
                scale=part.scale,
                height=end - top,
                width=self._columns,
                rows=1,
                run=x.right,
                vectors=part.vectors,
                ending=self._ending,
                odd_width=x.width % 2,
                odd_height=x.height % 2 if end == self._rows else 0,
            )
            yield Step(does=Does.CONVOLVE_TERMS_OF_HALVES, convolution=convolution)


def winograd(
    conv: nn.Conv2d,
    x: Map,
    target: Map,
    *,
    space: Workspace,
    constants: Constants,
    ending: Ending,
) -> Pairs | Squares:
    """A 3×3 convolution of stride 1, as its numbers allow."""
    form = Pairs if space.whole else Squares
    return form(conv, x, target, constants=constants, ending=ending)


def _byte_terms(conv: nn.Conv2d, x: Map, target: Map) -> tuple[list[Filters], NDArray[np.float32]]:
    """Weights of m0 to m3, and biases of a pair's outputs (2, channels out) in the output's steps."""
    assert conv.bias is not None
    bias = np.stack([pad_channels(conv.bias)] * 2)
    terms = weight_terms(conv.weight)
    steps = channel_steps(torch.cat(terms, dim=1))
    filters = [whole_filters(term, pixel=x.right, steps=steps) for term in terms]
    m0, _, m2, m3 = (_MIDDLE * x.scale * one.sums() for one in filters)
    bias -= np.stack([m0 + m2, m3 - m2])
    return filters, (bias / target.scale).astype(np.float32)


def _half_terms(conv: nn.Conv2d, x: Map) -> list[Filters]:
    """Weights of the terms of rows, and of those in columns, in the kernels' order."""
    of_rows = weight_terms(conv.weight.transpose(2, 3))
    terms = [weight_terms(of_rows[m].transpose(2, 3)) for m in _ORDER]
    pixel = x.right // 2
    return [half_filters(row[m], pixel=pixel).evens_first() for row in terms for m in _ORDER]
