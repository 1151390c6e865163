"""Crops of a labelled set's own boxes: what a second stage learns from."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vigil.data import F32, U8
from vigil.training.labels import CLASSES, Truth, UnusableDataSet, read_truth
from vigil.vision.crop import MARGIN, Box, cut

TABLE = "crops.csv"
_FIELDS = ("file", "class", "group")
_KEPT_PX = 320  # the longer side of a crop on disk, at most: half as much again as the largest input of ours
_QUALITY = 92


@dataclass(frozen=True, slots=True)
class CropPolicy:
    """Which boxes become crops."""

    classes: tuple[str, ...]
    margin: float = MARGIN
    least_px: int = 24  # of a box's longer side
    most_a_class: int = 0  # drawn by lot; 0: all


def cut_crops(
    data: Path,
    out: Path,
    policy: CropPolicy,
    *,
    seed: int = 1,
) -> Counter[str]:
    """Cut the boxes that people labelled into ``out``/CLASS/, and list them in ``out``/crops.csv.

    The group of a crop is its picture, so that no picture is on both sides of a split. A folder that holds
    crops of another set gets these beside them. Returns the crops by class. Raises UnusableDataSet.
    """
    unknown = sorted(set(policy.classes) - set(CLASSES))
    if unknown:
        raise UnusableDataSet(f"no class {unknown[0]!r}; there are {', '.join(CLASSES)}")
    truths = read_truth(data)
    chosen = _chosen(truths, policy, np.random.default_rng(seed))
    rows: list[tuple[str, str, str]] = []
    for truth, boxes in _by_picture(truths, chosen):
        picture = cv2.imread(str(truth.path), cv2.IMREAD_COLOR)
        if picture is None:
            raise UnusableDataSet(f"{truth.path} cannot be read; restore the data set")
        rows += _write(np.asarray(picture, np.uint8), truth, boxes, out=out, margin=policy.margin)
    _list(out / TABLE, rows)
    return Counter(name for _, name, _ in rows)


def _chosen(
    truths: Sequence[Truth], policy: CropPolicy, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """The pictures and boxes that are cut, by index."""
    chosen: list[tuple[int, int]] = []
    for name in policy.classes:
        class_id = CLASSES.index(name)
        places = [
            (number, int(box))
            for number, truth in enumerate(truths)
            if class_id in truth.annotated
            for box in np.flatnonzero(truth.class_id == class_id)
            if _longer_side_px(truth.xyxy_px[box]) >= policy.least_px
        ]
        if policy.most_a_class and len(places) > policy.most_a_class:
            drawn = rng.choice(len(places), policy.most_a_class, replace=False)
            places = [places[i] for i in drawn]
        chosen += places
    return sorted(chosen)


def _longer_side_px(xyxy_px: F32) -> float:
    return float(max(xyxy_px[2] - xyxy_px[0], xyxy_px[3] - xyxy_px[1]))


def _by_picture(
    truths: Sequence[Truth], chosen: list[tuple[int, int]]
) -> Iterator[tuple[Truth, list[int]]]:
    boxes: dict[int, list[int]] = {}
    for number, box in chosen:
        boxes.setdefault(number, []).append(box)
    for number, of_picture in boxes.items():
        yield truths[number], of_picture


def _write(
    picture: U8, truth: Truth, boxes: list[int], *, out: Path, margin: float
) -> Iterator[tuple[str, str, str]]:
    height, width = picture.shape[:2]
    for box in boxes:
        name = CLASSES[int(truth.class_id[box])]
        x1, y1, x2, y2 = (float(v) for v in truth.xyxy_px[box])
        normalised: Box = (x1 / width, y1 / height, x2 / width, y2 / height)
        crop = _at_most(cut(picture, normalised, margin=margin), _KEPT_PX)
        file = Path(name) / f"{truth.source}_{truth.path.stem}_{box}.webp"
        (out / name).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(out / file), crop, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
        yield str(file), name, truth.path.stem


def _at_most(crop: U8, side_px: int) -> U8:
    scale = side_px / max(crop.shape[:2])
    if scale >= 1.0:
        return crop
    size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
    return np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8)


def _list(table: Path, rows: list[tuple[str, str, str]]) -> None:
    """Add rows to the table; those of a crop that was cut again take the place of its old ones."""
    known: dict[str, tuple[str, ...]] = {}
    if table.is_file():
        with table.open(newline="", encoding="utf-8") as file:
            known = {row["file"]: tuple(row[f] for f in _FIELDS) for row in csv.DictReader(file)}
    known.update({row[0]: row for row in rows})
    table.parent.mkdir(parents=True, exist_ok=True)
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([_FIELDS, *known.values()])
