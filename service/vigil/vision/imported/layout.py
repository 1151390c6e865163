"""What every layout of outputs has in common: its protocol, and how boxes are written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vigil.data import F32

Shape = tuple[int | None, ...]  # None: an axis that the graph leaves open
_STRIDES = (8, 16, 32)


@dataclass(frozen=True, slots=True)
class Context:
    """What a layout may need beside the outputs: input size, and priors (N, 2) width, height px."""

    input_hw: tuple[int, int]
    priors_px: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes and scores of one picture before suppression: (N, 4) xyxy input pixels, (N, classes)."""

    xyxy: F32
    scores: F32


class Layout(Protocol):
    """One family's outputs."""

    name: str
    pixels: str  # what its exports usually want, a key of `pixels.PIXELS`
    suppressed: bool  # whether the graph has removed duplicates already
    stretch: bool  # whether its pictures usually fill the input, whatever their aspect

    def fits(self, outputs: Mapping[str, Shape], context: Context) -> bool:
        """Whether outputs of these names and shapes can be this family's."""

    def classes(self, outputs: Mapping[str, Shape]) -> int:
        """How many classes a graph of this family has; 0 where the outputs do not say."""

    def decode(self, outputs: Mapping[str, F32], context: Context) -> Candidates:
        """Boxes and scores from the outputs of one picture, the batch axis kept (1, …)."""


def only(outputs: Mapping[str, Shape]) -> Shape | None:
    """The shape of the only output; None where there are several."""
    return next(iter(outputs.values())) if len(outputs) == 1 else None


def rows(shape: Sequence[int | None]) -> int | None:
    """The rows of a (1, rows, columns) output."""
    return shape[1]


def columns(outputs: Mapping[str, Shape]) -> int:
    """The columns of the only output, 5 where they are open."""
    shape = only(outputs)
    assert shape is not None
    return int(shape[2] or 5)


def cells_of(input_hw: tuple[int, int]) -> int:
    """How many cells strides 8, 16 and 32 have together."""
    return sum((input_hw[0] // s) * (input_hw[1] // s) for s in _STRIDES)


def grid_of(input_hw: tuple[int, int]) -> tuple[F32, F32]:
    """The corner (A, 2) of every cell, in strides, and its stride (A,)."""
    corners, strides = [], []
    for stride in _STRIDES:
        rows, columns = input_hw[0] // stride, input_hw[1] // stride
        y, x = np.mgrid[:rows, :columns]
        corners.append(np.stack([x, y], axis=-1).reshape(-1, 2))
        strides.append(np.full(rows * columns, stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(strides).astype(np.float32)


def from_centre(centre: F32, size: F32) -> F32:
    """Centres and sizes (N, 2) each to xyxy (N, 4)."""
    xyxy: F32 = np.concatenate([centre - size / 2, centre + size / 2], axis=1).astype(np.float32)
    return xyxy


def one_hot(xyxy: F32, score: F32, class_id: np.ndarray) -> Candidates:
    """Boxes of one class each to scores of every class."""
    """Centres and sizes (N, 2) each to xyxy (N, 4)."""
    """The corner (A, 2) of every cell, in strides, and its stride (A,)."""
    """How many cells strides 8, 16 and 32 have together."""
    """The columns of the only output, 5 where they are open."""
    """The rows of a (1, rows, columns) output."""
    """The shape of the only output; None where there are several."""
    count = int(class_id.max(initial=0)) + 1
    scores = np.zeros((len(score), count), np.float32)
    scores[np.arange(len(score)), class_id] = score
    return Candidates(np.asarray(xyxy, np.float32), scores)
