"""A teacher: an imported detector whose answer in every cell is taught beside the boxes of people.

It must speak of the same cells as our nets (strides 8, 16 and 32, one box a cell): YOLOX and its kin do.
It sees the very canvas that the net sees.
"""

import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vigil.data import U8
from vigil.training.labels import CLASSES, UnusableDataSet
from vigil.training.recipe import TeacherChoice
from vigil.vision.imported.layouts import Context, layout_named
from vigil.vision.imported.pixels import PIXELS
from vigil.vision.imported.runtime import OpenVino
from vigil.vision.manifest import load_manifest


class Lessons(NamedTuple):
    """What the teacher says of P cells of a batch: those in which it sees something."""

    image: Tensor  # (P,) int64
    cell: Tensor  # (P,) int64
    scores: Tensor  # (P, K) float32, of the classes that are taught
    xyxy: Tensor  # (P, 4) float32, canvas pixels


class Teacher:
    """Answers for batches; what it said of a batch that comes again is kept. For several threads."""

    def __init__(self, choice: TeacherChoice) -> None:
        manifest = load_manifest(choice.model, models_dir=Path(choice.models_dir))
        if manifest.imported is None or manifest.imported.layout != "yolox":
            raise UnusableDataSet(
                f"{choice.model!r} cannot teach cells; name an imported model of the family yolox"
            )
        self.weight = choice.weight
        self.class_ids = tuple(CLASSES.index(name) for name in choice.classes)
        self._theirs = [manifest.classes.index(name) for name in choice.classes]
        self._manifest = manifest
        self._layout = layout_named(manifest.imported.layout)
        self._pixels = PIXELS[manifest.imported.pixels]
        self._least = choice.least_score
        self._own = threading.local()  # a thread's graphs, by canvas shape
        self._said: dict[tuple[int, int], Lessons] = {}

    def lessons(self, images: Tensor, batch: tuple[int, int] | None = None) -> Lessons:
        """What it says of canvases (B, H, W, 3) uint8 BGR; ``batch`` names one that comes again."""
        if batch is not None and batch in self._said:
            return self._said[batch]
        hw = (images.shape[1], images.shape[2])
        pixels = images.numpy()
        parts = [self._of_one(index, pixels[index], hw) for index in range(len(pixels))]
        said = Lessons(*(torch.cat(column) for column in zip(*parts, strict=True)))
        if batch is not None:
            self._said[batch] = said
        return said

    def _of_one(self, index: int, canvas: U8, hw: tuple[int, int]) -> Lessons:
        outputs = self._graph(hw).run(self._pixels.of(canvas[None]))
        found = self._layout.decode(outputs, Context(hw))
        scores = found.scores[:, self._theirs]
        cell = np.flatnonzero(scores.max(axis=1) >= self._least)
        return Lessons(
            image=torch.full((len(cell),), index, dtype=torch.int64),
            cell=torch.from_numpy(cell),
            scores=torch.from_numpy(scores[cell]),
            xyxy=torch.from_numpy(found.xyxy[cell]),
        )

    def _graph(self, hw: tuple[int, int]) -> OpenVino:
        graphs: dict[tuple[int, int], OpenVino] = self._own.__dict__.setdefault("graphs", {})
        if hw not in graphs:
            path = self._manifest.weights_path
            graphs[hw] = OpenVino(path, input_hw=hw, threads=1, precision="bfloat16")
        return graphs[hw]
