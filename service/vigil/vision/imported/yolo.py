"""The outputs of YOLOX, YOLOv5 and v8 and their kin, and of FastestDet."""

from collections.abc import Mapping

import numpy as np

from vigil.data import F32
from vigil.vision.imported.layout import (
    Candidates,
    Context,
    Shape,
    cells_of,
    columns,
    from_centre,
    grid_of,
    one_hot,
    only,
    rows,
)


class Yolox:
    """YOLOX: (1, cells, 5 + C) raw terms; centre = (term + cell) · stride, size = exp(term) · stride."""

    name = "yolox"
    pixels = "bgr255"
    suppressed = False
    stretch = False

    def fits(self, outputs: Mapping[str, Shape], context: Context) -> bool:
        """One output with one row a cell of strides 8, 16 and 32."""
        shape = only(outputs)
        return shape is not None and len(shape) == 3 and rows(shape) == cells_of(context.input_hw)

    def classes(self, outputs: Mapping[str, Shape]) -> int:
        """The columns after box and objectness."""
        return columns(outputs) - 5

    def decode(self, outputs: Mapping[str, F32], context: Context) -> Candidates:
        """Terms and grid to boxes; score = objectness · class."""
        (table,) = (o[0] for o in outputs.values())
        corner, stride = grid_of(context.input_hw)
        centre = (table[:, :2] + corner) * stride[:, None]
        size = np.exp(table[:, 2:4]) * stride[:, None]
        return Candidates(from_centre(centre, size), table[:, 4:5] * table[:, 5:])


class YoloV5:
    """YOLOv5 and its kin: (1, 3 · cells, 5 + C), boxes as centre and size in pixels."""

    name = "yolov5"
    pixels = "rgb1"
    suppressed = False
    stretch = False

    def fits(self, outputs: Mapping[str, Shape], context: Context) -> bool:
        """One output with three rows a cell."""
        shape = only(outputs)
        return (
            shape is not None and len(shape) == 3 and rows(shape) == 3 * cells_of(context.input_hw)
        )

    def classes(self, outputs: Mapping[str, Shape]) -> int:
        """The columns after box and objectness."""
        return columns(outputs) - 5

    def decode(self, outputs: Mapping[str, F32], context: Context) -> Candidates:
        """Score = objectness · class."""
        (table,) = (o[0] for o in outputs.values())
        return Candidates(from_centre(table[:, :2], table[:, 2:4]), table[:, 4:5] * table[:, 5:])


class YoloV8:
    """YOLOv8, v9, 11 and their kin: (1, 4 + C, cells), centre and size in pixels, class scores."""

    name = "yolov8"
    pixels = "rgb1"
    suppressed = False
    stretch = False

    def fits(self, outputs: Mapping[str, Shape], context: Context) -> bool:
        """One output with one column a cell."""
        shape = only(outputs)
        return shape is not None and len(shape) == 3 and shape[2] == cells_of(context.input_hw)

    def classes(self, outputs: Mapping[str, Shape]) -> int:
        """The rows after the box."""
        shape = only(outputs)
        assert shape is not None
        return (shape[1] or 4) - 4

    def decode(self, outputs: Mapping[str, F32], context: Context) -> Candidates:
        """Columns are cells."""
        (table,) = (o[0].T for o in outputs.values())
        return Candidates(
            from_centre(table[:, :2], table[:, 2:4]), np.ascontiguousarray(table[:, 4:])
        )


class EndToEnd:
    """YOLOv10 and other exports with suppression built in: (1, N, 6) xyxy pixels, score, class."""

    name = "end2end"
    pixels = "rgb1"
    suppressed = True
    stretch = False

    def fits(self, outputs: Mapping[str, Shape], context: Context) -> bool:
        """One output of few rows of six."""
        shape = only(outputs)
        if shape is None or len(shape) != 3 or shape[2] != 6:
            return False
        return rows(shape) is None or rows(shape) not in (
            cells_of(context.input_hw),
            3 * cells_of(context.input_hw),
        )

    def classes(self, outputs: Mapping[str, Shape]) -> int:
        """Not said."""
        return 0

    def decode(self, outputs: Mapping[str, F32], context: Context) -> Candidates:
        """One class a row."""
        (table,) = (o[0] for o in outputs.values())
        return one_hot(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


class FastestDet:
    """FastestDet: (1, 5 + C, h, w) objectness, box terms, class scores; score = obj^0.6 · cls^0.4."""

    name = "fastestdet"
    pixels = "bgr1"
    suppressed = False
    stretch = True

    def fits(self, outputs: Mapping[str, Shape], context: Context) -> bool:
        """One grid of stride 16."""
        shape = only(outputs)
        if shape is None or len(shape) != 4:
            return False
        return shape[2:] == (context.input_hw[0] // 16, context.input_hw[1] // 16)

    def classes(self, outputs: Mapping[str, Shape]) -> int:
        """The channels after objectness and box."""
        shape = only(outputs)
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
        return Candidates(from_centre(centre, size), scores)
