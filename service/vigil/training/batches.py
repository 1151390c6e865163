"""Batches of canvases and what is known of them.

Batch k is a function of the seed and k alone, so a run that resumes at step k sees what it would have
seen.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vigil.data import U8
from vigil.training.augment import AugmentPolicy, Targets, draw_canvas
from vigil.training.cache import PictureCache
from vigil.training.labels import Picture


@dataclass(frozen=True, slots=True)
class TargetBatch:
    """The targets of B canvases, flat: each row says whose it is. Pixels of the canvas."""

    xyxy: Tensor  # (G, 4) float32
    class_id: Tensor  # (G,) int64, 6 where a vehicle's type is unknown
    weight: Tensor  # (G,) float32
    image: Tensor  # (G,) int64
    ignore_xyxy: Tensor  # (R, 4)
    ignore_class: Tensor  # (R,)
    ignore_image: Tensor  # (R,)

    def to(self, device: torch.device) -> "TargetBatch":
        """The same on a device."""
        return TargetBatch(*(getattr(self, name).to(device) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Batch:
    """Canvases (B, H, W, 3) uint8 BGR and their targets."""

    images: Tensor
    targets: TargetBatch


@dataclass(frozen=True, slots=True)
class Source:
    """Pictures, their pixels, and how often each is drawn. The caches' pictures follow each other."""

    pictures: list[Picture]
    caches: tuple[PictureCache, ...]
    chance: NDArray[np.float64]  # (N,), sums to 1

    def pixels(self, index: int, *, half: bool) -> U8:
        """A picture (H, W, 3), as it is or at half its size."""
        for cache in self.caches:
            if index < len(cache):
                return cache.half(index) if half else cache.full(index)
            index -= len(cache)
        raise IndexError("past the last picture")


@dataclass(frozen=True, slots=True)
class CanvasPlan:
    """What one stage's batches are: shapes are taken in turn, by chance."""

    shapes_hw: tuple[tuple[int, int], ...]
    pixels_per_batch: int  # a batch of a shape has as many canvases as fit, a multiple of 8
    policy: AugmentPolicy
    seed: int

    def shape_and_count(self, step: int) -> tuple[tuple[int, int], int]:
        """The canvas shape of a step and how many canvases it has."""
        rng = np.random.default_rng((self.seed, step, 1))
        shape = self.shapes_hw[int(rng.integers(len(self.shapes_hw)))]
        count = self.pixels_per_batch // (shape[0] * shape[1])
        return shape, max(8, count // 8 * 8)


def make_batch(source: Source, plan: CanvasPlan, step: int) -> Batch:
    """Batch number ``step``."""
    (height, width), count = plan.shape_and_count(step)
    rng = np.random.default_rng((plan.seed, step))
    images: U8 = np.empty((count, height, width, 3), np.uint8)
    total = len(source.pictures)
    chosen = rng.choice(total, size=(count, 4), p=source.chance)
    mosaic = rng.random(count) < plan.policy.mosaic_chance
    targets = []
    for i in range(count):
        indices = tuple(int(j) for j in (chosen[i] if mosaic[i] else chosen[i, :1]))
        targets.append(
            draw_canvas(
                images[i],
                indices,
                pictures=source.pictures,
                pixels=source.pixels,
                policy=plan.policy,
                rng=rng,
            )
        )
    return Batch(images=torch.from_numpy(images), targets=collate(targets))


def collate(targets: list[Targets]) -> TargetBatch:
    """Targets of a batch's canvases, flat."""
    counts = [len(t.class_id) for t in targets]
    ignored = [len(t.ignore_class) for t in targets]
    numbers = np.arange(len(targets))
    return TargetBatch(
        xyxy=torch.from_numpy(np.concatenate([t.xyxy for t in targets])),
        class_id=torch.from_numpy(np.concatenate([t.class_id for t in targets])),
        weight=torch.from_numpy(np.concatenate([t.weight for t in targets])),
        image=torch.from_numpy(np.repeat(numbers, counts)),
        ignore_xyxy=torch.from_numpy(np.concatenate([t.ignore_xyxy for t in targets])),
        ignore_class=torch.from_numpy(np.concatenate([t.ignore_class for t in targets])),
        ignore_image=torch.from_numpy(np.repeat(numbers, ignored)),
    )
