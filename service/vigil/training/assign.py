"""Which cells answer for which objects: task-aligned assignment (TOOD, arXiv:2108.07755).

A cell that lies in an object's box is the better a candidate the higher its score for the object's
class and the better its box; the best ``top`` of each object are taught it. Small objects, in which no
centre may lie, have their box grown for this choice.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from vigil.training.batches import TargetBatch
from vigil.training.labels import VEHICLE, VEHICLE_TYPES
from vigil.vision.nets.detector_net import Cells

_SCORE_POWER = 0.5
_IOU_POWER = 6.0
_LEAST_SIDE_PX = 16.0  # two cells of the finest stride


class Assignment(NamedTuple):
    """P pairs of a cell and the object that it is taught."""

    image: Tensor  # (P,)
    cell: Tensor  # (P,)
    target: Tensor  # (P,) index of the object in the batch's targets
    class_id: Tensor  # (P,) a class of the net: unknown types are settled here
    quality: Tensor  # (P,) float32, the score that the cell is taught, 0 to 1


@torch.no_grad()
def assign(
    logits: Tensor, boxes: Tensor, cells: Cells, targets: TargetBatch, *, top: int = 10
) -> Assignment:
    """Pairs of cells and objects for predictions logits (B, A, C) and boxes (B, A, 4) xyxy pixels.

    A cell that several objects want goes to the one that its box fits best.
    """
    metric, iou = _alignment(logits, boxes, cells, targets)
    count_cells = boxes.shape[1]
    values, cell = metric.topk(min(top, count_cells), dim=1)  # (G, top)
    target = torch.arange(len(metric), device=metric.device)[:, None].expand_as(cell)
    taken = values > 1e-9
    values, cell, target = values[taken], cell[taken], target[taken]
    image = targets.image[target]
    slot = image * count_cells + cell
    pair_iou = iou[target, cell]
    best = torch.zeros(len(boxes) * count_cells, device=iou.device)
    best.scatter_reduce_(0, slot, pair_iou, reduce="amax")
    won = pair_iou >= best[slot]
    values, cell, target, image, pair_iou = (
        part[won] for part in (values, cell, target, image, pair_iou)
    )
    quality = _quality(values, pair_iou, target, len(metric))
    class_id = targets.class_id[target]
    unknown = class_id == VEHICLE
    if unknown.any():
        types = torch.tensor(VEHICLE_TYPES, device=class_id.device)
        likeliest = logits[image[unknown], cell[unknown]][:, types].argmax(dim=1)
        class_id = class_id.clone()
        class_id[unknown] = types[likeliest]
    return Assignment(image, cell, target, class_id, quality)


def _alignment(
    logits: Tensor, boxes: Tensor, cells: Cells, targets: TargetBatch
) -> tuple[Tensor, Tensor]:
    """The metric, 0 outside the object's grown box, and the IoU: both (G, A)."""
    xyxy = targets.xyxy
    centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    half = (xyxy[:, 2:] - xyxy[:, :2]).clamp(min=_LEAST_SIDE_PX) / 2
    away = (cells.centres[None] - centre[:, None]).abs()  # (G, A, 2)
    inside = (away < half[:, None]).all(dim=2)
    known = targets.class_id.clamp(max=logits.shape[2] - 1)
    score = logits[targets.image, :, known].float()  # (G, A)
    unknown = targets.class_id == VEHICLE
    if unknown.any():
        types = torch.tensor(VEHICLE_TYPES, device=logits.device)
        score[unknown] = logits[targets.image[unknown]][:, :, types].amax(dim=2).float()
    iou = pair_iou(boxes[targets.image], xyxy[:, None])
    metric = score.sigmoid().pow(_SCORE_POWER) * iou.pow(_IOU_POWER)
    return metric * inside, iou


def pair_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of boxes (..., 4) xyxy with boxes that broadcast against them."""
    top_left = torch.maximum(a[..., :2], b[..., :2])
    bottom_right = torch.minimum(a[..., 2:], b[..., 2:])
    inter = (bottom_right - top_left).clamp(min=0).prod(dim=-1)
    area_a = (a[..., 2:] - a[..., :2]).prod(dim=-1)
    area_b = (b[..., 2:] - b[..., :2]).prod(dim=-1)
    return inter / (area_a + area_b - inter).clamp(min=1e-6)


def _quality(metric: Tensor, iou: Tensor, target: Tensor, count: int) -> Tensor:
    """The metric, scaled so that an object's best cell is taught the object's best IoU."""
    most_metric = torch.zeros(count, device=metric.device)
    most_metric.scatter_reduce_(0, target, metric, reduce="amax")
    most_iou = torch.zeros(count, device=metric.device)
    most_iou.scatter_reduce_(0, target, iou, reduce="amax")
    return metric / most_metric[target].clamp(min=1e-9) * most_iou[target]
