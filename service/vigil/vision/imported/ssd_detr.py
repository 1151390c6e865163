"""The outputs of SSD, with and without its own DetectionOutput, and of DETR's kin."""

from collections.abc import Mapping

import numpy as np

from vigil.data import F32
from vigil.vision.imported.layout import Candidates, Context, Shape, from_centre, one_hot, only


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
        xyxy = from_centre(boxes[:, :2] * scale, boxes[:, 2:] * scale)
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
        shape = only(outputs)
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
        return one_hot(xyxy[label >= 0], rows[label >= 0, 2], label[label >= 0])


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
        return Candidates(from_centre(middle.reshape(-1, 2), size.reshape(-1, 2)), chance[:, 1:])

    def _names(self, outputs: Mapping[str, Shape], priors: int) -> tuple[str, str] | None:
        if len(outputs) != 2 or any(len(s) != 4 for s in outputs.values()):
            return None
        boxes = [name for name, s in outputs.items() if s[3] == 4 * priors]
        others = [n for n, s in outputs.items() if n not in boxes[:1] and (s[3] or 1) % priors == 0]
        return (boxes[0], others[0]) if boxes and others else None
