"""Where foot points are: inside polygons, on which side of lines, how far, crossed when.

Everything is in normalised coordinates, y down. Each frame asks the arrays of `ZoneField` and
`LineField` about all objects and rules at once; the plain functions answer for one object and are
called when something changed.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vigil.spec import Point

F64 = NDArray[np.float64]

BORDER = 0.005  # a zone's edge this near the picture's border is the border
NEAR = 1e-9  # more than rounding moves a point across a line
Segment = tuple[Point, Point]


@dataclass(frozen=True, slots=True)
class Crossing:
    """One passage of a path through a segment."""

    part: float  # of the path, 0 to 1
    sign: int  # +1 to the right-hand side of the segment as seen in the picture, -1 to its left


class ZoneField:
    """Polygons by even-odd rule, all together."""

    def __init__(self, polygons: Sequence[tuple[Point, ...]]) -> None:
        edges = [edge for polygon in polygons for edge in closed(polygon)]
        ends = np.array(edges, np.float64).reshape(-1, 2, 2)
        self._x, self._y = ends[:, 0, 0], ends[:, 0, 1]
        self._end_y = ends[:, 1, 1]
        rise = self._end_y - self._y
        self._slope = (ends[:, 1, 0] - self._x) / np.where(rise == 0.0, 1.0, rise)
        sizes = [len(polygon) for polygon in polygons]
        self._first = np.cumsum([0, *sizes[:-1]]) if sizes else np.zeros(0, np.int64)

    def inside(self, feet: F64) -> list[list[bool]]:
        """For each polygon whether each of the (S, 2) points, moved off the border, is in it."""
        if not len(self._first):
            return []
        kept = np.minimum(np.maximum(feet, BORDER), 1.0 - BORDER)  # a third of np.clip's time
        x, y = kept[:, :1], kept[:, 1:]
        passes = (self._y > y) != (self._end_y > y)  # (S, E): the edge is level with the point
        passes &= x < self._x + (y - self._y) * self._slope  # and to its right
        answer: list[list[bool]] = np.logical_xor.reduceat(passes, self._first, axis=1).T.tolist()
        return answer


class LineField:
    """Polylines, all together."""

    def __init__(self, lines: Sequence[tuple[Point, ...]]) -> None:
        segments = [segment for line in lines for segment in pairwise(line)]
        ends = np.array(segments, np.float64).reshape(-1, 2, 2)
        along = ends[:, 1] - ends[:, 0]
        self._normal = np.stack((-along[:, 1], along[:, 0]))  # (2, E), towards the right-hand side
        self._level = (ends[:, 0] * self._normal.T).sum(axis=1)
        sizes = [len(line) - 1 for line in lines]
        self._first = np.cumsum([0, *sizes[:-1]]) if sizes else np.zeros(0, np.int64)

    def changed(self, before: F64, after: F64) -> list[list[bool]]:
        """For each line whether each path, (S, 2) to (S, 2), may have crossed it.

        True where the path's ends are on different sides of a segment prolonged for ever, or near
        it; whether it went through the segment itself is for `crossings` to say.
        """
        if not len(self._first):
            return []
        old, new = before @ self._normal - self._level, after @ self._normal - self._level
        flips = (np.minimum(old, new) <= NEAR) & (np.maximum(old, new) >= -NEAR)
        answer: list[list[bool]] = np.logical_or.reduceat(flips, self._first, axis=1).T.tolist()
        return answer


def closed(polygon: Sequence[Point]) -> list[Segment]:
    """A polygon's edges."""
    return [*pairwise(polygon), (polygon[-1], polygon[0])]


def inner_edges(polygon: Sequence[Point]) -> list[Segment]:
    """A polygon's edges without those along the picture's border.

    Over those nobody leaves the zone: who goes there leaves the picture.
    """
    return [edge for edge in closed(polygon) if not _on_border(*edge)]


def _on_border(a: Point, b: Point) -> bool:
    return any(
        max(abs(a[axis] - side), abs(b[axis] - side)) <= BORDER
        for axis in (0, 1)
        for side in (0.0, 1.0)
    )


def off_border(point: Point) -> Point:
    """The point moved off the picture's border, as `ZoneField.inside` does."""
    least, most = BORDER, 1.0 - BORDER
    return Point(min(max(point.x, least), most), min(max(point.y, least), most))


def crossings(before: Point, after: Point, segments: Sequence[Segment]) -> Iterator[Crossing]:
    """Every passage of the straight path through the segments, in the segments' order.

    Where a path touches a segment or a corner, it is judged as if it lay a hair further right and a
    hair's hair further down (Edelsbrunner and Mücke, Simulation of Simplicity, 1990): so a path in
    pieces crosses as often as the whole, and one through a corner crosses once.
    """
    path_x, path_y = after.x - before.x, after.y - before.y
    path_tie = path_y < 0.0 or (path_y == 0.0 and path_x > 0.0)
    for a, b in segments:
        along_x, along_y = b.x - a.x, b.y - a.y
        tie = along_y < 0.0 or (along_y == 0.0 and along_x > 0.0)
        from_side = along_x * (before.y - a.y) - along_y * (before.x - a.x)  # above 0: right
        to_side = along_x * (after.y - a.y) - along_y * (after.x - a.x)
        from_right = from_side > 0.0 or (from_side == 0.0 and tie)
        to_right = to_side > 0.0 or (to_side == 0.0 and tie)
        if from_right == to_right:
            continue
        a_side = path_x * (a.y - before.y) - path_y * (a.x - before.x)
        b_side = path_x * (b.y - before.y) - path_y * (b.x - before.x)
        a_right = a_side > 0.0 or (a_side == 0.0 and not path_tie)
        b_right = b_side > 0.0 or (b_side == 0.0 and not path_tie)
        if a_right != b_right:
            yield Crossing(part=from_side / (from_side - to_side), sign=1 if to_right else -1)


def distance(point: Point, segments: Sequence[Segment]) -> float:
    """How far it is to the nearest of the segments; infinite where there is none."""
    nearest = math.inf
    for a, b in segments:
        along_x, along_y = b.x - a.x, b.y - a.y
        to_x, to_y = point.x - a.x, point.y - a.y
        squared = along_x**2 + along_y**2
        part = (to_x * along_x + to_y * along_y) / squared if squared > 0.0 else 0.0
        part = min(max(part, 0.0), 1.0)
        nearest = min(nearest, math.hypot(to_x - part * along_x, to_y - part * along_y))
    return nearest


def most_hysteresis(polygon: Sequence[Point]) -> float:
    """The greatest hysteresis that leaves a zone enterable: half its area over its outline.

    A polygon holds a circle of radius area / outline at least if it is convex; a zone narrower than
    twice the hysteresis could otherwise never be entered.
    """
    edges = closed(polygon)
    area = 0.5 * abs(sum(a.x * b.y - b.x * a.y for a, b in edges))
    outline = sum(math.dist(a, b) for a, b in edges)
    return 0.5 * area / outline if outline > 0.0 else 0.0
