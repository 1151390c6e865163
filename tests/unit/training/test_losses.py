import torch

from vigil.training.assign import assign, pair_iou
from vigil.training.batches import TargetBatch
from vigil.training.losses import class_weights, detection_loss, giou
from vigil.vision.nets.detector_net import Predictions, boxes_xyxy, cells

PLACES = cells(64, 64)
COUNT = len(PLACES.strides)


def targets(
    boxes: list[list[float]],
    classes: list[int],
    *,
    images: list[int] | None = None,
    ignore: list[tuple[int, list[float], int]] | None = None,
) -> TargetBatch:
    ignore = ignore or []
    return TargetBatch(
        xyxy=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        class_id=torch.tensor(classes, dtype=torch.int64),
        weight=torch.ones(len(classes)),
        image=torch.tensor(images or [0] * len(classes), dtype=torch.int64),
        ignore_xyxy=torch.tensor([r[1] for r in ignore], dtype=torch.float32).reshape(-1, 4),
        ignore_class=torch.tensor([r[2] for r in ignore], dtype=torch.int64),
        ignore_image=torch.tensor([r[0] for r in ignore], dtype=torch.int64),
    )


def plain(batch: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    logits = torch.full((batch, COUNT, 6), -4.0)
    return logits, torch.full((batch, COUNT, 4), 2.0)


def test_cells_in_the_box_answer_for_it() -> None:
    logits, distances = plain()
    boxes = boxes_xyxy(distances, PLACES)
    pairs = assign(logits, boxes, PLACES, targets([[8, 8, 40, 40]], [3]))
    centres = PLACES.centres[pairs.cell]
    assert len(centres) == 10
    assert ((centres > 8) & (centres < 40)).all()
    assert set(pairs.class_id.tolist()) == {3}
    assert 0 < pairs.quality.max() <= 1


def test_the_best_cell_is_taught_the_best_iou() -> None:
    logits, distances = plain()
    boxes = boxes_xyxy(distances, PLACES)
    wanted = targets([[8, 8, 40, 40]], [0])
    pairs = assign(logits, boxes, PLACES, wanted)
    iou = pair_iou(boxes[0, pairs.cell], wanted.xyxy)
    assert torch.isclose(pairs.quality.max(), iou.max())


def test_a_cell_answers_for_one_object() -> None:
    logits, distances = plain()
    boxes = boxes_xyxy(distances, PLACES)
    wanted = targets([[8, 8, 40, 40], [8, 8, 44, 44]], [0, 2])
    pairs = assign(logits, boxes, PLACES, wanted)
    assert len(pairs.cell.unique()) == len(pairs.cell)


def test_a_tiny_object_finds_a_cell() -> None:
    logits, distances = plain()
    distances[:] = 0.4
    pairs = assign(logits, boxes_xyxy(distances, PLACES), PLACES, targets([[6, 6, 10, 10]], [0]))
    assert len(pairs.cell) > 0


def test_objects_stay_with_their_pictures() -> None:
    logits, distances = plain(2)
    wanted = targets([[8, 8, 40, 40]], [0], images=[1])
    pairs = assign(logits, boxes_xyxy(distances, PLACES), PLACES, wanted)
    assert set(pairs.image.tolist()) == {1}


def test_an_unknown_vehicle_takes_the_likeliest_type_and_denies_none() -> None:
    logits, distances = plain()
    logits[..., 4] = -2.0
    wanted = targets([[8, 8, 40, 40]], [6])
    pairs = assign(logits, boxes_xyxy(distances, PLACES), PLACES, wanted)
    assert set(pairs.class_id.tolist()) == {4}
    counts = class_weights(logits.shape, PLACES, wanted, pairs)
    at = counts[0, pairs.cell]
    assert (at[:, [2, 5]] == 0).all()
    assert (at[:, [0, 1, 3, 4]] == 1).all()


def test_ignore_regions_count_for_their_class_and_picture_only() -> None:
    logits, distances = plain(2)
    wanted = targets([], [], ignore=[(1, [0, 0, 32, 32], 5)])
    pairs = assign(logits, boxes_xyxy(distances, PLACES), PLACES, wanted)
    counts = class_weights(logits.shape, PLACES, wanted, pairs)
    inside = ((PLACES.centres > 0) & (PLACES.centres < 32)).all(dim=1)
    assert (counts[1, inside, 5] == 0).all()
    assert counts.sum() == counts.numel() - inside.sum()


def test_an_object_in_an_ignore_region_is_still_taught() -> None:
    logits, distances = plain()
    wanted = targets([[8, 8, 40, 40]], [0], ignore=[(0, [0, 0, 64, 64], 0)])
    pairs = assign(logits, boxes_xyxy(distances, PLACES), PLACES, wanted)
    counts = class_weights(logits.shape, PLACES, wanted, pairs)
    assert (counts[0, pairs.cell, 0] == 1).all()


def test_a_batch_without_objects_has_a_loss() -> None:
    logits, distances = plain()
    logits.requires_grad_()
    losses = detection_loss(Predictions(logits, distances), PLACES, targets([], []))
    losses.total.backward()
    assert losses.pairs == 0
    assert torch.isfinite(losses.total)
    assert logits.grad is not None
    assert (logits.grad > 0).all()


def test_giou_of_known_pairs() -> None:
    a = torch.tensor([[0.0, 0, 2, 2], [0, 0, 1, 1]])
    b = torch.tensor([[0.0, 0, 2, 2], [2, 0, 3, 1]])
    assert torch.allclose(giou(a, b), torch.tensor([1.0, -1 / 3]))


def test_learning_lowers_the_loss_of_a_fixed_batch() -> None:
    logits, distances = plain()
    raw = distances.log().requires_grad_()
    logits.requires_grad_()
    optimiser = torch.optim.Adam([logits, raw], lr=0.1)
    wanted = targets([[8, 8, 40, 40], [40, 40, 60, 60]], [0, 2])
    seen = []
    for _ in range(60):
        losses = detection_loss(Predictions(logits, raw.exp()), PLACES, wanted)
        seen.append(float(losses.boxes))
        optimiser.zero_grad()
        losses.total.backward()
        optimiser.step()
    assert seen[-1] < 0.2 * seen[0]
