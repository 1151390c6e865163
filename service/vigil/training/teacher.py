"""A teacher: a detector whose answer in every cell is taught beside the boxes of people.

It is a net of our own, larger than the pupil, or an imported one that speaks of the same cells (strides
8, 16 and 32, one box a cell): YOLOX and its kin do. It sees the very canvas that the pupil sees.
"""

import threading
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from vigil.training.labels import CLASSES, UnusableDataSet
from vigil.training.recipe import TeacherChoice
from vigil.vision.imported.layouts import Context, layout_named
from vigil.vision.imported.pixels import PIXELS
from vigil.vision.imported.runtime import OpenVino
from vigil.vision.manifest import Manifest, load_manifest
from vigil.vision.nets.detector_net import boxes_xyxy, cells
from vigil.vision.weights import load_net


class Lessons(NamedTuple):
    """What the teacher says of P cells of a batch: those in which it sees something."""

    image: Tensor  # (P,) int64
    cell: Tensor  # (P,) int64
    scores: Tensor  # (P, K) float32, of the classes that are taught
    xyxy: Tensor  # (P, 4) float32, canvas pixels


class Teacher:
    """Answers for batches; what it said of a batch that comes again is kept. For several threads.

    Raises UnusableDataSet where the model cannot teach cells or does not know a class.
    """

    def __init__(self, choice: TeacherChoice) -> None:
        manifest = load_manifest(choice.model, models_dir=Path(choice.models_dir))
        unknown = [name for name in choice.classes if name not in manifest.classes]
        if unknown:
            raise UnusableDataSet(
                f"{choice.model!r} knows no {', '.join(unknown)}; it can teach "
                f"{', '.join(name for name in manifest.classes if name in CLASSES)}"
            )
        self.weight = choice.weight
        self.class_ids = tuple(CLASSES.index(name) for name in choice.classes)
        self._theirs = [manifest.classes.index(name) for name in choice.classes]
        self._net: _Net = _Own(manifest) if manifest.imported is None else _Imported(manifest)
        self._least = choice.least_score
        self._said: dict[tuple[int, int], Lessons] = {}

    def lessons(self, images: Tensor, batch: tuple[int, int] | None = None) -> Lessons:
        """What it says of canvases (B, H, W, 3) uint8 BGR; ``batch`` names one that comes again."""
        if batch is not None and batch in self._said:
            return self._said[batch]
        scores, xyxy = self._net.answers(images)
        scores = scores[..., self._theirs]
        image, cell = (scores.amax(dim=2) >= self._least).nonzero(as_tuple=True)
        said = Lessons(image, cell, scores[image, cell], xyxy[image, cell])
        if batch is not None:
            self._said[batch] = said
        return said


class _Net(Protocol):
    def answers(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Canvases (B, H, W, 3) to scores (B, A, classes) and boxes (B, A, 4) in their pixels."""
        ...


class _Own:
    """A detector of `vigil.vision.nets`, in bfloat16."""

    def __init__(self, manifest: Manifest) -> None:
        self._net = load_net(manifest).for_inference()
        self._net.to_precision(torch.bfloat16)

    @torch.inference_mode()
    def answers(self, images: Tensor) -> tuple[Tensor, Tensor]:
        said = self._net(images.permute(0, 3, 1, 2))
        height, width = images.shape[1:3]
        return said.logits.float().sigmoid(), boxes_xyxy(said.distances, cells(height, width))


class _Imported:
    """A YOLOX in OpenVINO; each thread has graphs of its own, by canvas shape."""

    def __init__(self, manifest: Manifest) -> None:
        if manifest.imported is None or manifest.imported.layout != "yolox":
            raise UnusableDataSet(
                f"{manifest.name!r} cannot teach cells; name a vigil-det or an imported model of the "
                "family yolox"
            )
        self._path = manifest.weights_path
        self._layout = layout_named(manifest.imported.layout)
        self._pixels = PIXELS[manifest.imported.pixels]
        self._own = threading.local()

    def answers(self, images: Tensor) -> tuple[Tensor, Tensor]:
        hw = (images.shape[1], images.shape[2])
        graph = self._graph(hw)
        found = [
            self._layout.decode(graph.run(self._pixels.of(canvas[None])), Context(hw))
            for canvas in images.numpy()
        ]
        return (
            torch.stack([torch.from_numpy(one.scores) for one in found]),
            torch.stack([torch.from_numpy(one.xyxy) for one in found]),
        )

    def _graph(self, hw: tuple[int, int]) -> OpenVino:
        graphs: dict[tuple[int, int], OpenVino] = self._own.__dict__.setdefault("graphs", {})
        if hw not in graphs:
            graphs[hw] = OpenVino(self._path, input_hw=hw, threads=1, precision="bfloat16")
        return graphs[hw]
