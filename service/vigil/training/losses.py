"""What the net is taught: quality as the class's score, and boxes by GIoU.

Class: binary cross entropy against the assigned quality (TOOD), except in ignore regions, where a cell
is not taught that the class is absent. Boxes: 1 − GIoU (arXiv:1902.09630), weighted by quality.
A teacher's lessons are taught by the same two losses, its score in place of the quality.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vigil.training.assign import Assignment, assign
from vigil.training.batches import TargetBatch
from vigil.training.labels import VEHICLE, VEHICLE_TYPES
from vigil.training.teacher import Lessons
from vigil.vision.nets.detector_net import Cells, Predictions, boxes_xyxy

BOX_GAIN = 8.0


class Losses(NamedTuple):
    """The parts of the loss, scalars, already normalised by the sum of qualities."""

    total: Tensor
    classes: Tensor
    boxes: Tensor
    pairs: int  # cells that answer for an object


def detection_loss(predictions: Predictions, cells: Cells, targets: TargetBatch) -> Losses:
    """The loss of a batch; predictions as the net gives them."""
    logits = predictions.logits.float()
    boxes = boxes_xyxy(predictions.distances, cells)
    pairs = assign(logits.detach(), boxes.detach(), cells, targets)
    weight_of_pair = targets.weight[pairs.target] * pairs.quality
    norm = weight_of_pair.sum().clamp(min=1.0)

    taught = torch.zeros_like(logits)
    taught[pairs.image, pairs.cell, pairs.class_id] = pairs.quality
    counts = class_weights(logits.shape, cells, targets, pairs)
    classes = functional.binary_cross_entropy_with_logits(
        logits, taught, weight=counts, reduction="sum"
    )
    overlap = giou(boxes[pairs.image, pairs.cell], targets.xyxy[pairs.target])
    box = ((1.0 - overlap) * weight_of_pair).sum()
    total = (classes + BOX_GAIN * box) / norm
    return Losses(total, classes.detach() / norm, box.detach() / norm, len(pairs.cell))


def lesson_loss(
    predictions: Predictions, cells: Cells, lessons: Lessons, class_ids: tuple[int, ...]
) -> Tensor:
    """What the net says against what a teacher says, in the cells in which the teacher sees something.

    A scalar, normalised by the sum of the teacher's best scores.
    """
    logits = predictions.logits[lessons.image, lessons.cell].float()[:, list(class_ids)]
    boxes = boxes_xyxy(predictions.distances, cells)[lessons.image, lessons.cell]
    sureness = lessons.scores.amax(dim=1)
    # Cross entropy less the teacher's own entropy: what is left is 0 where they agree.
    classes = functional.binary_cross_entropy_with_logits(logits, lessons.scores, reduction="sum")
    classes = classes - functional.binary_cross_entropy(
        lessons.scores, lessons.scores, reduction="sum"
    )
    box = ((1.0 - giou(boxes, lessons.xyxy)) * sureness).sum()
    loss: Tensor = (classes + BOX_GAIN * box) / sureness.sum().clamp(min=1.0)
    return loss


@torch.no_grad()
def class_weights(
    shape: torch.Size, cells: Cells, targets: TargetBatch, pairs: Assignment
) -> Tensor:
    """How much each cell's word on each class counts, (B, A, C): 0 where nothing is known."""
    counts = torch.ones(shape, device=cells.centres.device)
    region = targets.ignore_xyxy[:, None]  # (R, 1, 4)
    inside = ((cells.centres >= region[..., :2]) & (cells.centres <= region[..., 2:])).all(dim=2)
    which, cell = inside.nonzero(as_tuple=True)
    counts[targets.ignore_image[which], cell, targets.ignore_class[which]] = 0.0
    unknown = targets.class_id[pairs.target] == VEHICLE
    for vehicle_type in VEHICLE_TYPES:
        counts[pairs.image[unknown], pairs.cell[unknown], vehicle_type] = 0.0
    counts[pairs.image, pairs.cell, pairs.class_id] = targets.weight[pairs.target]
    return counts


def giou(a: Tensor, b: Tensor) -> Tensor:
    """Generalised IoU of pairs of boxes, (P, 4) xyxy each, to (P,) in −1 to 1."""
    top_left = torch.maximum(a[:, :2], b[:, :2])
    bottom_right = torch.minimum(a[:, 2:], b[:, 2:])
    inter = (bottom_right - top_left).clamp(min=0).prod(dim=1)
    union = (a[:, 2:] - a[:, :2]).prod(dim=1) + (b[:, 2:] - b[:, :2]).prod(dim=1) - inter
    hull = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    hull_area = hull.prod(dim=1).clamp(min=1e-6)
    return inter / union.clamp(min=1e-6) - (hull_area - union) / hull_area
