"""What people and teachers say of the training pictures, as positives and ignore regions.

Human labels are partial: in a picture only the classes of `annotated_classes` are labelled. Teacher
boxes fill the rest, each with the chance ``p`` that an object is there:

* human boxes of annotated classes are positives;
* teacher boxes of other classes are positives from ``positive_p`` and ignore regions from ``ignore_p``;
* teacher boxes of an annotated class that no human box meets are ignore regions;
* a class of which nothing is known (truck in VOC) is ignored in the whole picture.

An ignore region is a box and a class within which a cell is not taught that the class is absent. So
every picture has all classes, and any two may be put into one mosaic.
"""

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vigil.data import F32
from vigil.errors import VigilError

CLASSES = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
VEHICLE = 6  # a vehicle whose type is unknown: a label's class, never a net's
VEHICLE_TYPES = (2, 4, 5)  # car, bus, truck: what a vehicle of unknown type may be
_FULLY_LABELLED = frozenset({"coco_part"})
_NO_TEACHER = frozenset({"coco_part", "voc2007", "voc2012"})
_PARTLY_LABELLED = {"manaus": 0}  # source: the class that people labelled here and there
_MEETS_IOU = 0.4  # a teacher's box and a human's that overlap so are one object


class UnusableDataSet(VigilError):
    """A data set's files are missing or do not fit together."""

    code = "FAILED_PRECONDITION"


@dataclass(frozen=True, slots=True)
class Picture:
    """One training picture and what is known of it. Boxes are normalised xyxy."""

    path: Path
    source: str
    width_px: int
    height_px: int
    boxes: F32  # (N, 4)
    class_id: NDArray[np.int64]  # (N,), VEHICLE where the type is unknown
    weight: F32  # (N,) how much a positive counts, 0 to 1
    ignore_boxes: F32  # (M, 4)
    ignore_class: NDArray[np.int64]  # (M,)


@dataclass(frozen=True, slots=True)
class LabelPolicy:
    """How teacher boxes are used; see the module's text."""

    positive_p: float = 0.4
    ignore_p: float = 0.12
    rights: tuple[str, ...] = ()  # empty: pictures of any rights


@dataclass(frozen=True, slots=True)
class _Teacher:
    class_id: int
    p: float
    xyxy: tuple[float, float, float, float]


def read_pictures(root: Path, policy: LabelPolicy | None = None) -> list[Picture]:
    """Every picture of a data set with its labels, in the manifest's order.

    ``root`` holds images/, labels/, manifest.csv and, perhaps, teacher_boxes.csv.gz. Raises
    UnusableDataSet where the manifest or a label file is missing or cannot be read.
    """
    policy = policy if policy is not None else LabelPolicy()
    manifest = root / "manifest.csv"
    if not manifest.is_file():
        raise UnusableDataSet(f"{manifest} is missing; name a folder with manifest.csv in --data")
    teachers = _read_teachers(root / "teacher_boxes.csv.gz")
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if policy.rights:
        rows = [row for row in rows if row.get("rights", "stated") in policy.rights]
    return [_picture(root, row, teachers.get(row["file"], []), policy) for row in rows]


def read_yolo(path: Path) -> tuple[F32, NDArray[np.int64]]:
    """Boxes (N, 4) normalised xyxy and classes (N,) of a YOLO label file; clipped to the picture."""
    try:
        rows = [[float(part) for part in line.split()] for line in path.read_text().splitlines()]
        table = np.array([row for row in rows if row], np.float32).reshape(-1, 5)
    except (OSError, ValueError) as error:
        raise UnusableDataSet(f"{path}: {error}; expected 'class cx cy w h' a line") from error
    centre, half = table[:, 1:3], table[:, 3:5] / 2
    xyxy = np.clip(np.concatenate([centre - half, centre + half], axis=1), 0.0, 1.0)
    return xyxy.astype(np.float32), table[:, 0].astype(np.int64)


def annotated_ids(names: str) -> frozenset[int]:
    """The class ids of a manifest's annotated_classes, `person+car+vehicle`."""
    known = (*CLASSES, "vehicle")
    return frozenset(known.index(name) for name in names.split("+") if name)


def _read_teachers(path: Path) -> dict[str, list[_Teacher]]:
    found: dict[str, list[_Teacher]] = defaultdict(list)
    if not path.is_file():
        return found
    with gzip.open(path, "rt", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            cx, cy, w, h = (float(row[key]) for key in ("cx", "cy", "w", "h"))
            xyxy = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
            found[row["file"]].append(_Teacher(int(row["class"]), float(row["p"]), xyxy))
    return found


def _picture(
    root: Path, row: dict[str, str], teachers: list[_Teacher], policy: LabelPolicy
) -> Picture:
    source = row["source"]
    boxes, class_id = read_yolo(root / "labels" / Path(row["file"]).with_suffix(".txt").name)
    annotated = annotated_ids(row["annotated_classes"])
    covered = _covered(annotated)
    allowed = set(annotated)
    if source in _PARTLY_LABELLED:
        allowed.add(_PARTLY_LABELLED[source])
    keep = np.isin(class_id, sorted(allowed | {VEHICLE}))
    human, human_class = boxes[keep], class_id[keep]
    positives = [(box, int(label), 1.0) for box, label in zip(human, human_class, strict=True)]
    ignores: list[tuple[Iterable[float], int]] = []
    for teacher in teachers:
        if teacher.p < policy.ignore_p or _meets(teacher, human, human_class):
            continue
        if teacher.class_id not in covered and teacher.p >= policy.positive_p:
            positives.append((np.array(teacher.xyxy, np.float32), teacher.class_id, 1.0))
        else:
            ignores.extend((teacher.xyxy, label) for label in _types(teacher.class_id))
    if source in _NO_TEACHER and source not in _FULLY_LABELLED:
        ignores.extend(((0.0, 0.0, 1.0, 1.0), c) for c in range(len(CLASSES)) if c not in covered)
    return Picture(
        path=root / "images" / row["file"],
        source=source,
        width_px=int(row["width"]),
        height_px=int(row["height"]),
        boxes=np.array([p[0] for p in positives], np.float32).reshape(-1, 4).clip(0, 1),
        class_id=np.array([p[1] for p in positives], np.int64),
        weight=np.array([p[2] for p in positives], np.float32),
        ignore_boxes=np.array([i[0] for i in ignores], np.float32).reshape(-1, 4).clip(0, 1),
        ignore_class=np.array([i[1] for i in ignores], np.int64),
    )


def _types(class_id: int) -> tuple[int, ...]:
    return VEHICLE_TYPES if class_id == VEHICLE else (class_id,)


def _covered(annotated: frozenset[int]) -> frozenset[int]:
    """The classes of which people labelled every object; `vehicle` covers all its types."""
    if VEHICLE in annotated and 2 not in annotated:  # topview: every vehicle, types unknown
        return annotated | set(VEHICLE_TYPES)
    return annotated


def _meets(teacher: _Teacher, human: F32, human_class: NDArray[np.int64]) -> bool:
    """Whether a human box of the same object is there; vehicles meet vehicles of any type."""
    kinds = (
        {VEHICLE, 2, 3, 4, 5} if teacher.class_id in (VEHICLE, 2, 3, 4, 5) else {teacher.class_id}
    )
    same = np.isin(human_class, sorted(kinds))
    if not same.any():
        return False
    x1, y1, x2, y2 = teacher.xyxy
    boxes = human[same]
    width = np.clip(np.minimum(boxes[:, 2], x2) - np.maximum(boxes[:, 0], x1), 0, None)
    height = np.clip(np.minimum(boxes[:, 3], y2) - np.maximum(boxes[:, 1], y1), 0, None)
    inter = width * height
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    union = areas + (x2 - x1) * (y2 - y1) - inter
    return bool((inter / np.maximum(union, 1e-9)).max() > _MEETS_IOU)


@dataclass(frozen=True, slots=True)
class Truth:
    """What people say of a picture that is judged: boxes in its pixels, and the classes they saw to."""

    path: Path
    source: str
    xyxy_px: F32  # (N, 4)
    class_id: NDArray[np.int64]  # (N,)
    annotated: frozenset[int]


def read_truth(root: Path) -> list[Truth]:
    """Human labels of every picture of a data set, in the manifest's order; raises UnusableDataSet."""
    manifest = root / "manifest.csv"
    if not manifest.is_file():
        raise UnusableDataSet(f"{manifest} is missing; name a folder with manifest.csv in --data")
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    truths = []
    for row in rows:
        boxes, class_id = read_yolo(root / "labels" / Path(row["file"]).with_suffix(".txt").name)
        width, height = int(row["width"]), int(row["height"])
        scale = np.array([width, height, width, height], np.float32)
        truths.append(
            Truth(
                path=root / "images" / row["file"],
                source=row["source"],
                xyxy_px=boxes * scale,
                class_id=class_id,
                annotated=annotated_ids(row["annotated_classes"]),
            )
        )
    return truths
