"""The detector: batches of letterboxed pictures in, boxes out. The only door to the net."""

import time
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from vigil.data import U8, Detections
from vigil.errors import DamagedModel, UnknownModel
from vigil.vision.compiled import CompiledNet
from vigil.vision.inferred import Inferred
from vigil.vision.manifest import Manifest
from vigil.vision.native.net import NativeNet
from vigil.vision.nets.detector_net import Cells, DetectorNet, Predictions, boxes_xyxy, cells
from vigil.vision.nets.packed import can_pack, pack
from vigil.vision.nets.quantised import QuantisedNet
from vigil.vision.postprocess import detections_of, rivals_of, surest_types
from vigil.vision.ranges import load_ranges
from vigil.vision.weights import load_net

Precision: TypeAlias = Literal["float32", "bfloat16", "float16", "int8"]
DEFAULT_SCORE_FLOOR = 0.05  # below every operating threshold; trackers want the weak ones too


class InferenceNet(nn.Module):
    """A folded net with its cells: uint8 pictures (B, H, W, 3) to logits and boxes.

    A plain module of one input shape, so that whoever owns the device may compile it.
    """

    centres: Tensor
    strides: Tensor

    def __init__(self, net: DetectorNet | QuantisedNet, *, input_hw: tuple[int, int]) -> None:
        super().__init__()
        self.net: DetectorNet | QuantisedNet = net
        places = cells(*input_hw)
        self.register_buffer("centres", places.centres, persistent=False)
        self.register_buffer("strides", places.strides, persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 BGR to logits (B, A, C), in the net's precision, and boxes (B, A, 4) float32 xyxy px."""
        predictions: Predictions = self.net(images.permute(0, 3, 1, 2))
        places = Cells(self.centres, self.strides)
        return predictions.logits, boxes_xyxy(predictions.distances, places)


class Detector:
    """A net on a device, in a precision. Threads may share it once it has inferred a batch.

    On a CPU the convolutions are packed for oneDNN at once, and ``int8`` needs the model's ranges: without
    them UnknownModel is raised. A ``compiled`` form of the net takes the place of all that.
    """

    def __init__(
        self,
        manifest: Manifest,
        *,
        device: str = "cpu",
        precision: Precision = "float32",
        score_floor: float = DEFAULT_SCORE_FLOOR,
        net: DetectorNet | None = None,
        compiled: CompiledNet | NativeNet | None = None,
        every_type: bool = False,
    ) -> None:
        self.manifest = manifest
        self._rivals = () if every_type else rivals_of(manifest.classes)
        self.precision = precision
        self.score_floor = score_floor
        self.device = torch.device(device)
        self.form = compiled.form if compiled else "packed" if self._packs() else "plain"
        self.net: nn.Module = compiled or self._laid_out(net or load_net(manifest))

    def _packs(self) -> bool:
        return self.device.type == "cpu" and can_pack()

    def _laid_out(self, net: DetectorNet) -> nn.Module:
        """The net in its precision, as the device wants it."""
        plain = net.for_inference()
        module = InferenceNet(plain, input_hw=self.manifest.input_hw)
        if self.precision == "int8":
            module.net = _quantised(plain, self.manifest)
        else:
            plain.to_precision(getattr(torch, self.precision))
            if self._packs():
                pack(plain, input_hw=self.manifest.input_hw)
        return module.to(self.device).eval()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an input picture."""
        return (*self.manifest.input_hw, 3)

    def detect(self, batch: U8) -> list[Detections]:
        """Detections of each of (B, H, W, 3) uint8 BGR letterboxed pictures, in input pixels.

        All with at least the score floor, best first, suppressed within each class and, unless
        ``every_type`` was asked for, between types of vehicles; the model's operating thresholds are for
        the caller to apply. Raises ValueError on another shape, DamagedModel where the net answers with
        what is no number.
        """
        found = self.infer(batch).found
        answers = [one for one in found if one is not None]
        if len(answers) < len(found):
            raise DamagedModel(
                f"{self.manifest.name!r} answered with what is no number; run `vigil models verify`"
            )
        return answers

    def infer(self, batch: U8, *, count: int | None = None) -> Inferred:
        """As `detect`, with the time that it took, and None for a picture whose answer is no number.

        Only of the first ``count`` pictures: what pads a batch is not looked at.
        """
        if batch.ndim != 4 or batch.shape[1:] != self.shape or batch.dtype != np.uint8:
            raise ValueError(f"{batch.shape} {batch.dtype}: give (B, {self.shape}) uint8")
        started_s = time.monotonic()
        logits, boxes = (part[:count] for part in self.raw(batch))
        if self.device.type != "cpu":
            torch.cuda.synchronize(self.device)  # else the device's time would count as ours below
        forwarded_s = time.monotonic()
        found = detections_of(
            logits, boxes, score_floor=self.score_floor, nms_iou=self.manifest.nms_iou
        )
        found = [surest_types(one, self._rivals) for one in found]
        answers = [
            one if good else None for one, good in zip(found, sound(logits, boxes), strict=True)
        ]
        return Inferred(answers, forwarded_s - started_s, time.monotonic() - forwarded_s)

    def raw(self, batch: U8) -> tuple[Tensor, Tensor]:
        """What the net says, on the device: logits (B, A, C) and boxes (B, A, 4) input pixels."""
        with torch.inference_mode():
            images = torch.from_numpy(batch).to(self.device, non_blocking=True)
            logits, boxes = self.net(images)
        return logits, boxes


def sound(logits: Tensor, boxes: Tensor) -> list[bool]:
    """Whether each picture's answer is numbers: a NaN would pass for nothing detected.

    A sum shows it, at a fifth of what looking at each number costs.
    """
    sums = logits.sum((1, 2), dtype=torch.float32) + boxes.sum((1, 2))
    return [bool(one) for one in sums.isfinite().cpu()]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a precision is from float32, over cells that score 0.1 or more in either."""

    score: float  # the largest difference
    mean_score: float
    box_px: float  # the largest difference
    compared: int

    def good(self, precision: Precision) -> bool:
        """Within what a precision may differ: 0.03 of score and 2 px; 8 bits 0.02 of score in the mean.

        8 bits move single cells by more than that; what it costs is measured on labelled pictures.
        """
        if precision == "int8":
            return self.mean_score <= 0.02
        return self.score <= 0.03 and self.box_px <= 2.0


def probe(detector: Detector, reference: Detector, batch: U8) -> Agreement:
    """Compare a detector with one of the same model in float32 on a batch of pictures.

    Cell by cell, before suppression, so that a tie broken otherwise does not count.
    """
    logits, boxes = (t.float().cpu() for t in detector.raw(batch))
    true_logits, true_boxes = (t.float().cpu() for t in reference.raw(batch))
    score, true_score = logits.sigmoid(), true_logits.sigmoid()
    seen = torch.maximum(score, true_score).amax(dim=2) >= 0.1  # (B, A)
    if not seen.any():
        apart = (score - true_score).abs()
        return Agreement(float(apart.max()), float(apart.mean()), box_px=0.0, compared=0)
    apart = (score[seen] - true_score[seen]).abs()
    return Agreement(
        score=float(apart.max()),
        mean_score=float(apart.mean()),
        box_px=float((boxes[seen] - true_boxes[seen]).abs().max()),
        compared=int(seen.sum()),
    )


def _quantised(net: DetectorNet, manifest: Manifest) -> QuantisedNet:
    ranges = load_ranges(manifest)
    if ranges is None:
        raise UnknownModel(
            f"no ranges of {manifest.name!r} for 8 bits; measure them with "
            f"`vigil models quantise {manifest.name}`"
        )
    return QuantisedNet(net, ranges)
