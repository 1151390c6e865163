"""Labels as MOTChallenge has them: a box a line, in pixels, by frame number from 1."""

import csv
import math
from pathlib import Path
from typing import NamedTuple

from vigil.errors import VigilError

_LEAST_CELLS = 6  # frame to height
_COLUMNS = "frame,id,left,top,width,height,flag,class,visible; the last three may be left out"


class UnreadableBoxes(VigilError):
    """A file of labelled boxes is missing, or has a line that says nothing."""

    code = "INVALID_ARGUMENT"


class MotBox(NamedTuple):
    """One labelled box, xywh in pixels."""

    frame: int  # from 1
    number: int  # of the object; -1: unknown
    left: float
    top: float
    width: float
    height: float
    counts: bool  # false: the file marks it as to be left out
    kind: int  # MOT16's class; -1: the file has none
    visible: float  # share of it; 1 where the file does not say


def read_boxes(path: Path) -> list[MotBox]:
    """The boxes of a file, in its order. Raises UnreadableBoxes with the line; a file without any, too."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = csv.reader(lines)
            boxes = [_box(row, f"{path}:{rows.line_num}") for row in rows if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnreadableBoxes(f"{path}: {error}; expected {_COLUMNS}") from error
    if not boxes:
        raise UnreadableBoxes(f"{path} labels nothing; expected {_COLUMNS}")
    return boxes


def _box(row: list[str], place: str) -> MotBox:
    try:
        cells = [float(cell) for cell in row]
    except ValueError as error:
        raise UnreadableBoxes(f"{place}: {error}; expected {_COLUMNS}") from error
    if len(cells) < _LEAST_CELLS or not all(map(math.isfinite, cells)):
        raise UnreadableBoxes(f"{place}: expected numbers, {_COLUMNS}")
    frame, number, left, top, width, height, *more = cells
    flag, kind, visible = (*more, *(1.0, -1.0, -1.0)[len(more) :])[:3]
    if frame < 1 or width <= 0 or height <= 0:
        raise UnreadableBoxes(f"{place}: frames count from 1, and a box is wider and higher than 0")
    return MotBox(
        frame=int(frame),
        number=int(number),
        left=left,
        top=top,
        width=width,
        height=height,
        counts=flag != 0.0,
        kind=int(kind),
        visible=visible if visible >= 0 else 1.0,
    )
