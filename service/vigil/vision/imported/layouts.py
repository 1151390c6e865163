"""What the outputs of the common families of detectors mean.

Each layout says from a graph's outputs whether they can be its own, and turns them into boxes and scores
of one picture. Plain numpy; no library of any family is used.
"""

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


class Yolox:
    """YOLOX: (1, cells, 5 + C) raw terms; centre = (term + cell) · stride, size = exp(term) · stride."""

    name = "yolox"
    pixels = "bgr255"
    suppressed = False
    stretch = False

    def fits(self, outputs: Mapping[str, Shape], context: Context) -> bool:
        """One output with one row a cell of strides 8, 16 and 32."""
        shape = _only(outputs)
        return shape is not None and len(shape) == 3 and _rows(shape) == _cells(context.input_hw)

    def classes(self, outputs: Mapping[str, Shape]) -> int:
        """The columns after box and objectness."""
        return _columns(outputs) - 5

    def decode(self, outputs: Mapping[str, F32], context: Context) -> Candidates:
        """Terms and grid to boxes; score = objectness · class."""
        (table,) = (o[0] for o in outputs.values())
        corner, stride = _grid(context.input_hw)
        centre = (table[:, :2] + corner) * stride[:, None]
        size = np.exp(table[:, 2:4]) * stride[:, None]
        return Candidates(_from_centre(centre, size), table[:, 4:5] * table[:, 5:])


class YoloV5:
    """YOLOv5 and its kin: (1, 3 · cells, 5 + C), boxes as centre and size in pixels."""

    name = "yolov5"
    pixels = "rgb1"
    suppressed = False
    stretch = False

    def fits(self, outputs: Mapping[str, Shape], context: Context) -> bool:
        """One output with three rows a cell."""
        shape = _only(outputs)
        return (
            shape is not None and len(shape) == 3 and _rows(shape) == 3 * _cells(context.input_hw)
        )

    def classes(self, outputs: Mapping[str, Shape]) -> int:
        """The columns after box and objectness."""
        return _columns(outputs) - 5

    def decode(self, outputs: Mapping[str, F32], context: Context) -> Candidates:
        """Score = objectness · class."""
        (table,) = (o[0] for o in outputs.values())
        return Candidates(_from_centre(table[:, :2], table[:, 2:4]), table[:, 4:5] * table[:, 5:])


class YoloV8:
    """YOLOv8, v9, 11 and their kin: (1, 4 + C, cells), centre and size in pixels, class scores."""

    name = "yolov8"
    pixels = "rgb1"
    suppressed = False
    stretch = False

    def fits(self, outputs: Mapping[str, Shape], context: Context) -> bool:
        """One output with one column a cell."""
        shape = _only(outputs)
        return shape is not None and len(shape) == 3 and shape[2] == _cells(context.input_hw)

    def classes(self, outputs: Mapping[str, Shape]) -> int:
        """The rows after the box."""
        shape = _only(outputs)
        assert shape is not None
        return (shape[1] or 4) - 4

    def decode(self, outputs: Mapping[str, F32], context: Context) -> Candidates:
        """Columns are cells."""
        (table,) = (o[0].T for o in outputs.values())
        return Candidates(
            _from_centre(table[:, :2], table[:, 2:4]), np.ascontiguousarray(table[:, 4:])
        )


class EndToEnd:
    """YOLOv10 and other exports with suppression built in: (1, N, 6) xyxy pixels, score, class."""

    name = "end2end"
    pixels = "rgb1"
    suppressed = True
    stretch = False

    def fits(self, outputs: Mapping[str, Shape], context: Context) -> bool:
        """One output of few rows of six."""
        shape = _only(outputs)
        if shape is None or len(shape) != 3 or shape[2] != 6:
            return False
        return _rows(shape) is None or _rows(shape) not in (
            _cells(context.input_hw),
            3 * _cells(context.input_hw),
        )

    def classes(self, outputs: Mapping[str, Shape]) -> int:
        """Not said."""
        return 0

    def decode(self, outputs: Mapping[str, F32], context: Context) -> Candidates:
        """One class a row."""
        (table,) = (o[0] for o in outputs.values())
        return _one_hot(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


class Detr:
    """DETR's kin: logits (1, Q, C) and boxes (1, Q, 4), centre and size relative to the input.

    RT-DETR, D-FINE, RF-DETR as exported without post-processing; scores are sigmoids (DETR's own
    softmax with a last class for nothing is not this).
    """

    name = "detr"
    pixels = "rgb1"
    suppressed = True
    stretch = True

    def fits(self, outputs: Mapping[str, Shape], context: Context) -> bool:
        """Two outputs with as many queries, one of them with four columns."""
        return self._names(outputs) is not None

    def classes(self, outputs: Mapping[str, Shape]) -> int:
        """The columns of the logits."""
        names = self._names(outputs)
        assert names is not None
        return int(outputs[names[1]][2] or 0)

    def decode(self, outputs: Mapping[str, F32], context: Context) -> Candidates:
        """Boxes scaled to the input; scores by sigmoid."""
        names = self._names({name: tuple(o.shape) for name, o in outputs.items()})
        assert names is not None
        boxes, logits = outputs[names[0]][0], outputs[names[1]][0]
        height, width = context.input_hw
        scale = np.array([width, height], np.float32)
        xyxy = _from_centre(boxes[:, :2] * scale, boxes[:, 2:] * scale)
        return Candidates(xyxy, (1.0 / (1.0 + np.exp(-logits))).astype(np.float32))

    def _names(self, outputs: Mapping[str, Shape]) -> tuple[str, str] | None:
        three = {name: s for name, s in outputs.items() if len(s) == 3}
        if len(outputs) != 2 or len(three) != 2:
            return None
        named = [name for name in three if "box" in name.lower() or "det" in name.lower()]
        boxes = [name for name in (named or three) if three[name][2] == 4]
        if len(boxes) != 1:
            return None
        (logits,) = (name for name in three if name != boxes[0])
        if three[logits][1] != three[boxes[0]][1]:
            return None
        return boxes[0], logits


class SsdOutput:
    """SSD with its own DetectionOutput: (1, 1, N, 7) image, label, score, xyxy relative."""

    name = "ssd"
    pixels = "bgr255"
    suppressed = True
    stretch = True

    def fits(self, outputs: Mapping[str, Shape], context: Context) -> bool:
        """One output of rows of seven."""
        shape = _only(outputs)
        return shape is not None and len(shape) == 4 and shape[3] == 7

    def classes(self, outputs: Mapping[str, Shape]) -> int:
        """Not said."""
        return 0

    def decode(self, outputs: Mapping[str, F32], context: Context) -> Candidates:
        """Label 0 is the background; a row of image −1 ends the list."""
        (rows,) = (o.reshape(-1, 7) for o in outputs.values())
        ends = np.flatnonzero(rows[:, 0] < 0)
        rows = rows[: ends[0]] if len(ends) else rows
        height, width = context.input_hw
        xyxy = rows[:, 3:7] * np.array([width, height, width, height], np.float32)
        label = rows[:, 1].astype(np.int64) - 1
        return _one_hot(xyxy[label >= 0], rows[label >= 0, 2], label[label >= 0])


class SsdPriors:
    """SSD's raw heads with priors from a file: box terms (1, h, w, 4 P), scores (1, h, w, C P).

    Centre = prior + 0.1 · term · size, size = prior · exp(0.2 · term); softmax over background and
    classes (SSD, arXiv:1512.02325). Priors are centred in each cell.
    """

    name = "ssd_priors"
    pixels = "bgr255"
    suppressed = False
    stretch = True

    def fits(self, outputs: Mapping[str, Shape], context: Context) -> bool:
        """Two grids, one with four columns a prior."""
        return bool(context.priors_px) and self._names(outputs, len(context.priors_px)) is not None

    def classes(self, outputs: Mapping[str, Shape]) -> int:
        """Columns over priors are not known before the priors are; one without more is said."""
        columns = sorted(int(s[3] or 0) for s in outputs.values())
        return max(1, 4 * columns[0] // max(1, columns[1]) - 1)

    def decode(self, outputs: Mapping[str, F32], context: Context) -> Candidates:
        """Every cell and prior."""
        shapes = {name: tuple(o.shape) for name, o in outputs.items()}
        names = self._names(shapes, len(context.priors_px))
        assert names is not None
        terms, scores = outputs[names[0]][0], outputs[names[1]][0]
        rows, columns = terms.shape[:2]
        priors = np.array(context.priors_px, np.float32)  # (P, 2)
        stride_y, stride_x = context.input_hw[0] / rows, context.input_hw[1] / columns
        y = (np.arange(rows, dtype=np.float32) + 0.5) * stride_y
        x = (np.arange(columns, dtype=np.float32) + 0.5) * stride_x
        centre = np.stack(np.meshgrid(x, y), axis=-1)[:, :, None]  # (h, w, 1, 2)
        terms = terms.reshape(rows, columns, len(priors), 4)
        middle = centre + 0.1 * terms[..., :2] * priors
        size = priors * np.exp(0.2 * terms[..., 2:])
        logits = scores.reshape(rows * columns * len(priors), -1)
        logits = np.exp(logits - logits.max(axis=1, keepdims=True))
        chance = logits / logits.sum(axis=1, keepdims=True)
        return Candidates(_from_centre(middle.reshape(-1, 2), size.reshape(-1, 2)), chance[:, 1:])

    def _names(self, outputs: Mapping[str, Shape], priors: int) -> tuple[str, str] | None:
        if len(outputs) != 2 or any(len(s) != 4 for s in outputs.values()):
            return None
        boxes = [name for name, s in outputs.items() if s[3] == 4 * priors]
        others = [n for n, s in outputs.items() if n not in boxes[:1] and (s[3] or 1) % priors == 0]
        return (boxes[0], others[0]) if boxes and others else None


class FastestDet:
    """FastestDet: (1, 5 + C, h, w) objectness, box terms, class scores; score = obj^0.6 · cls^0.4."""

    name = "fastestdet"
    pixels = "bgr1"
    suppressed = False
    stretch = True

    def fits(self, outputs: Mapping[str, Shape], context: Context) -> bool:
        """One grid of stride 16."""
        shape = _only(outputs)
        if shape is None or len(shape) != 4:
            return False
        return shape[2:] == (context.input_hw[0] // 16, context.input_hw[1] // 16)

    def classes(self, outputs: Mapping[str, Shape]) -> int:
        """The channels after objectness and box."""
        shape = _only(outputs)
        assert shape is not None
        return (shape[1] or 5) - 5

    def decode(self, outputs: Mapping[str, F32], context: Context) -> Candidates:
        """Centre offset by tanh within the cell, size by sigmoid of the input."""
        (grid,) = (o[0] for o in outputs.values())
        rows, columns = grid.shape[1:]
        height, width = context.input_hw
        y, x = np.mgrid[:rows, :columns].astype(np.float32)
        centre_x = (np.tanh(grid[1]) + x) / columns * width
        centre_y = (np.tanh(grid[2]) + y) / rows * height
        size_x, size_y = (1.0 / (1.0 + np.exp(-grid[i])) for i in (3, 4))
        centre = np.stack([centre_x, centre_y], axis=-1).reshape(-1, 2)
        size = np.stack([size_x * width, size_y * height], axis=-1).reshape(-1, 2)
        best = grid[5:].argmax(axis=0).reshape(-1)  # a cell is of one class
        surest = grid[5:].max(axis=0)
        score = (np.clip(grid[0], 0, 1) ** 0.6 * np.clip(surest, 0, 1) ** 0.4).reshape(-1)
        scores = np.zeros((len(score), len(grid) - 5), np.float32)
        scores[np.arange(len(score)), best] = score
        return Candidates(_from_centre(centre, size), scores)


LAYOUTS: tuple[Layout, ...] = (
    SsdOutput(), SsdPriors(), FastestDet(), YoloV8(), Yolox(), YoloV5(), EndToEnd(), Detr(),
)  # fmt: skip


def recognise(outputs: Mapping[str, Shape], context: Context) -> list[Layout]:
    """The layouts that outputs of these names and shapes can have, the most particular first."""
    return [layout for layout in LAYOUTS if layout.fits(outputs, context)]


def layout_named(name: str) -> Layout:
    """Raises KeyError on a name that is not a layout's."""
    return {layout.name: layout for layout in LAYOUTS}[name]


def _only(outputs: Mapping[str, Shape]) -> Shape | None:
    return next(iter(outputs.values())) if len(outputs) == 1 else None


def _rows(shape: Sequence[int | None]) -> int | None:
    return shape[1]


def _columns(outputs: Mapping[str, Shape]) -> int:
    shape = _only(outputs)
    assert shape is not None
    return int(shape[2] or 5)


def _cells(input_hw: tuple[int, int]) -> int:
    return sum((input_hw[0] // s) * (input_hw[1] // s) for s in _STRIDES)


def _grid(input_hw: tuple[int, int]) -> tuple[F32, F32]:
    corners, strides = [], []
    for stride in _STRIDES:
        rows, columns = input_hw[0] // stride, input_hw[1] // stride
        y, x = np.mgrid[:rows, :columns]
        corners.append(np.stack([x, y], axis=-1).reshape(-1, 2))
        strides.append(np.full(rows * columns, stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(strides).astype(np.float32)


def _from_centre(centre: F32, size: F32) -> F32:
    xyxy: F32 = np.concatenate([centre - size / 2, centre + size / 2], axis=1).astype(np.float32)
    return xyxy


def _one_hot(xyxy: F32, score: F32, class_id: np.ndarray) -> Candidates:
    count = int(class_id.max(initial=0)) + 1
    scores = np.zeros((len(score), count), np.float32)
    scores[np.arange(len(score)), class_id] = score
    return Candidates(np.asarray(xyxy, np.float32), scores)
