"""Weights of a convolution as our own kernels read them: see `cpp/convolution.h`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LANES = 16  # output channels that a vector of sums holds
GROUP_BYTES = 4  # of input, that one lane multiplies at once
WIDEST = 3  # vectors that a block computes at once: with more, sums leave no register free
_WEIGHT_LEVELS = 127.0


@dataclass(frozen=True, slots=True)
class Filters:
    """A convolution's weights in the kernels' numbers, and what a step of its sums is worth.

    ``values``: (channels out, rows, elements of a row), int8 or bfloat16 as int16; channels out are padded to
    a multiple of 16, rows to four bytes.
    """

    values: NDArray[Any]
    steps: NDArray[np.float32]  # (channels out,)

    def packed(self, first: int, vectors: int) -> NDArray[Any]:
        """Those of ``vectors`` times 16 channels: (rows, groups, vectors, 16, elements of a group)."""
        some = self.values[first * LANES : (first + vectors) * LANES]
        group = GROUP_BYTES // some.itemsize
        split = some.reshape(vectors, LANES, some.shape[1], some.shape[2] // group, group)
        return np.ascontiguousarray(split.transpose(2, 3, 0, 1, 4))

    def evens_first(self) -> "Filters":
        """With the elements of rows in the order that `Halves32` of `cpp/winograd.h` leaves them in."""
        count = self.values.shape[2]
        whole = count - count % 32
        blocks = np.arange(whole).reshape(-1, 16, 2).transpose(0, 2, 1)
        order = np.concatenate([blocks.ravel(), np.arange(whole, count)])
        return Filters(self.values[..., order], self.steps)

    def sums(self) -> NDArray[np.float32]:
        """Of each channel's weights, as numbers: what a constant input adds to its sum."""
        total: NDArray[np.float32] = self.values.astype(np.float32).sum((1, 2)) * self.steps
        return total


def channel_steps(weight: Tensor) -> Tensor:
    """What a step of 8 bits is worth of each output channel's weights (O, I, kh, kw)."""
    return weight.abs().amax((1, 2, 3)).clamp(min=1e-8) / _WEIGHT_LEVELS


def whole_filters(weight: Tensor, *, pixel: int, steps: Tensor) -> Filters:
    """Weights (O, I, kh, kw) in 8 bits, in ``steps`` of each channel, for pixels ``pixel`` elements apart."""
    whole = torch.round(weight / steps[:, None, None, None]).to(torch.int8)
    return Filters(_laid_out(whole, pixel=pixel), pad_channels(steps))


def half_filters(weight: Tensor, *, pixel: int, exact: bool = False) -> Filters:
    """Weights (O, I, kh, kw) in bfloat16; ``exact``: with their remainders as further rows.

    The rows of remainders are for the same input: 16 bits of a weight instead of 8.
    """
    halves = weight.to(torch.bfloat16)
    parts = [halves, (weight - halves.float()).to(torch.bfloat16)] if exact else [halves]
    laid_out = [_laid_out(part.view(torch.int16), pixel=pixel) for part in parts]
    return Filters(np.concatenate(laid_out, axis=1), pad_channels(torch.ones(len(weight))))


def weight_terms(weight: Tensor) -> tuple[Tensor, ...]:
    """The four terms that `cpp/winograd.h` has of 3×3 weights (O, I, 3, 3): (O, I, 3, 1) each."""
    left, middle, right = (weight[..., [column]] for column in range(3))
    return left, (left + middle + right) / 2, (left - middle + right) / 2, -right


def pad_channels(values: Tensor) -> NDArray[np.float32]:
    """(O,) float32, zeros up to a multiple of 16."""
    padded = np.zeros(round_up(len(values), LANES), np.float32)
    padded[: len(values)] = values.detach().numpy()
    return padded


def round_up(count: int, unit: int) -> int:
    """The next multiple of a unit."""
    return -(-count // unit) * unit


def parts_of(vectors: int) -> list[int]:
    """A convolution's vectors as blocks compute them: three at once where that leaves no single one."""
    parts = []
    while vectors:
        part = 2 if vectors == WIDEST + 1 else min(vectors, WIDEST)
        parts.append(part)
        vectors -= part
    return parts


def _laid_out(values: Tensor, *, pixel: int) -> NDArray[Any]:
    out, channels, rows, columns = values.shape
    group = GROUP_BYTES // values.element_size()
    laid = np.zeros(
        (round_up(out, LANES), rows, round_up(columns * pixel, group)), values.numpy().dtype
    )
    for column in range(columns):
        at = column * pixel
        laid[:out, :, at : at + channels] = values[:, :, :, column].permute(0, 2, 1).numpy()
    return laid
