"""Where objects stand, frame by frame, and where that is towards a polygon; exact, for truth.

The foot point of an object is the middle of its box's lower edge. An object is in view while at least
IN_VIEW of its box is inside the picture, whether hidden by others or not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vigil.scene.compose import SceneObject
from vigil.spec import Point

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

IN_VIEW = 0.4
GAP_S = 0.5  # an object that is out of view for longer has left
LEAST_VISIBLE = 0.3  # of an object, to be found
HIDDEN_S = 1.0  # one that less is seen of for longer is out of view; the tracker waits for 3 s
BORDER = 0.005


@dataclass(frozen=True, slots=True)
class FootPath:
    """One object's foot points while it stays in view."""

    object_id: int
    class_name: str
    time_s: F64  # (T,)
    xy: F64  # (T, 2) normalised
    size: F64  # (T,) square root of the box's area, normalised
    hidden: Bool  # (T,) less than LEAST_VISIBLE of it is seen


def foot_paths(
    moments: Iterable[tuple[float, Sequence[SceneObject]]], *, least_visible: float = 0.0
) -> list[FootPath]:
    """Each object's path, cut where it is out of view for over half a second.

    With ``least_visible``, where so much of it is hidden by others that less is left is out of view,
    too, and paths are cut after a second of that.
    """
    gap_s = HIDDEN_S if least_visible else GAP_S
    rows: dict[int, list[tuple[float, ...]]] = {}
    names: dict[int, str] = {}
    done: list[FootPath] = []
    for time_s, objects in moments:
        for thing in objects:
            if thing.in_view < IN_VIEW or thing.visible < least_visible:
                continue
            path = rows.setdefault(thing.object_id, [])
            names[thing.object_id] = thing.class_name
            if path and time_s - path[-1][0] > gap_s:
                done.append(_path(thing.object_id, names, path))
                path.clear()
            x0, y0, x1, y1 = thing.xyxy
            area = max(x1 - x0, 0.0) * max(y1 - y0, 0.0)
            path.append((time_s, (x0 + x1) / 2, y1, area**0.5, thing.visible < LEAST_VISIBLE))
    done += [_path(object_id, names, path) for object_id, path in rows.items()]
    return done


def _path(object_id: int, names: dict[int, str], rows: list[tuple[float, ...]]) -> FootPath:
    table = np.array(rows, np.float64)
    return FootPath(
        object_id, names[object_id], table[:, 0], table[:, 1:3], table[:, 3], table[:, 4] > 0.0
    )


def inside(polygon: Sequence[Point], xy: F64) -> Bool:
    """Which of the (T, 2) points lie in the polygon, by the even-odd rule; edges count as they fall.

    Points on the picture's border, where boxes are cut off, are moved off it: who stands below the picture
    is in a zone that reaches its lower border.
    """
    x, y = np.clip(xy, BORDER, 1.0 - BORDER).T
    odd = np.zeros(len(xy), bool)
    for a, b in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        if a.y != b.y:
            crosses = (a.y > y) != (b.y > y)
            odd ^= crosses & (x < (b.x - a.x) * (y - a.y) / (b.y - a.y) + a.x)
    return odd


def reach(polygon: Sequence[Point], xy: F64) -> F64:
    """How far each of the (T, 2) points is from the polygon's nearest edge, (T,)."""
    corners = np.array([(p.x, p.y) for p in polygon])
    along = np.roll(corners, -1, axis=0) - corners
    to = xy[:, None] - corners
    part = (to * along).sum(axis=2) / np.maximum((along**2).sum(axis=1), 1e-12)
    nearest = corners + part.clip(0.0, 1.0)[..., None] * along
    distances: F64 = np.linalg.norm(xy[:, None] - nearest, axis=2).min(axis=1)
    return distances


def runs(states: Bool) -> list[tuple[int, int, bool]]:
    """Runs of one state as (first index, index after the last, state)."""
    if not len(states):
        return []
    edges = [0, *(np.flatnonzero(np.diff(states)) + 1).tolist(), len(states)]
    return [(low, high, bool(states[low])) for low, high in pairwise(edges)]
