"""What truly happens in a scene by zone, line and area rules, from exact foot points at full frame rate.

Written apart from `vigil.rules`, to judge it: geometry here is of exact crossings, without trackers,
scores or hysteresis. The foot point of an object is the middle of its box's lower edge. An object is in
view while at least IN_VIEW of its box is inside the picture, whether hidden by others or not.

An event is required of whoever watches where
- the object had been in view for SEEN_S before it, so that a detector had a fair chance to know it;
- the new state lasts for SETTLE_S: a foot that swings over a line and back has not crossed it;
- the scene goes on for SEEN_S, so that there are frames to notice it in.
Optional, neither a miss nor a false alarm, are events too near the beginning or the end, and what
happens by coming into view or leaving it inside a zone (a zone.enter and a zone.exit by the rules), what
happens while less than LEAST_VISIBLE of the object is seen for longer than HIDDEN_S, states shorter than
SETTLE_S, and grazes: visits to the other side of a zone's edge for less than GRAZE_S that never go further
past it than the rule's hysteresis, which its specification does not count.
zone.dwell happens once a stay, where ``dwell_s`` is above 0.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vigil.scene.area_truth import Stay, area_events
from vigil.scene.compose import SceneObject
from vigil.spec import (
    AbsenceRule,
    Direction,
    IntrusionRule,
    LineRule,
    OccupancyRule,
    Point,
    Rule,
    ZoneRule,
)

SEEN_S = 1.0
SETTLE_S = 0.4
IN_VIEW = 0.4
BORDER = 0.005
F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
LEAST_VISIBLE = 0.3  # of an object, to be found
HIDDEN_S = (
    1.0  # an object that less is seen of for longer is out of view; the tracker waits for 3 s
)
SAME_S = 0.3
GRAZE_S = 1.0
PLAIN_HYSTERESIS = 0.01  # of rules that have no such parameter
GAP_S = 0.5  # an object that is out of view for longer has left


@dataclass(frozen=True, slots=True)
class TruthEvent:
    """One thing that truly happened. ``direction`` is right or left for line.cross, else empty.

    Right: to the right-hand side of the arrow from the line's first point to its last, as one sees it in
    the picture (y down): across an arrow that points right, downwards is right.
    One that is not ``required`` may be published or not; see the module.
    """

    time_s: float
    rule_id: str
    type: str
    object_id: int
    class_name: str
    direction: str = ""
    required: bool = True


@dataclass(frozen=True, slots=True)
class FootPath:
    """One object's foot points while it stays in view."""

    object_id: int
    class_name: str
    time_s: F64  # (T,)
    xy: F64  # (T, 2) normalised


def truth_events(
    moments: Iterable[tuple[float, Sequence[SceneObject]]], rules: Sequence[Rule]
) -> list[TruthEvent]:
    """The events of zone, line, occupancy, absence and intrusion rules, by time.

    ``moments`` are every frame's time and objects. Schedules are taken for open.
    """
    known = list(moments)
    start_s = min((time_s for time_s, _ in known), default=0.0)
    end_s = max((time_s for time_s, _ in known), default=0.0)

    def by(paths: Sequence[FootPath], settle_s: float) -> list[TruthEvent]:
        return _events(paths, rules, start_s=start_s, end_s=end_s, settle_s=settle_s)

    seen, all_paths = foot_paths(known, least_visible=LEAST_VISIBLE), foot_paths(known)
    events = by(seen, SETTLE_S)
    for other in (by(all_paths, SETTLE_S), by(seen, 0.0), by(all_paths, 0.0)):
        told = _Known(events)
        events += [replace(event, required=False) for event in other if event not in told]
    return sorted(events, key=lambda event: (event.time_s, event.rule_id, event.object_id))


class _Known:
    """Events by what makes one the same as another: its kind and object, and its time to SAME_S."""

    def __init__(self, events: Sequence[TruthEvent]) -> None:
        self._times: dict[tuple[str, str, int, str], list[float]] = {}
        for event in events:
            self._times.setdefault(self._key(event), []).append(event.time_s)

    def __contains__(self, event: TruthEvent) -> bool:
        times = self._times.get(self._key(event), ())
        return any(abs(event.time_s - time_s) <= SAME_S for time_s in times)

    @staticmethod
    def _key(event: TruthEvent) -> tuple[str, str, int, str]:
        return event.type, event.rule_id, event.object_id, event.direction


def _events(
    paths: Sequence[FootPath],
    rules: Sequence[Rule],
    *,
    start_s: float,
    end_s: float,
    settle_s: float,
) -> list[TruthEvent]:
    """The events of these paths; states shorter than ``settle_s`` do not count."""
    events: list[TruthEvent] = []
    for rule in rules:
        if isinstance(rule, OccupancyRule | AbsenceRule | IntrusionRule):
            stays = [stay for path in paths for stay in _area_stays(path, rule, settle_s)]
            events += [
                TruthEvent(
                    e.time_s, rule.rule_id, e.type, e.object_id, e.class_name, "", e.required
                )
                for e in area_events(rule, stays, start_s=start_s, end_s=end_s)
            ]
            continue
        if not isinstance(rule, ZoneRule | LineRule):
            continue
        for path in paths:
            if rule.classes and path.class_name not in rule.classes:
                continue
            if isinstance(rule, ZoneRule):
                events += _zone_events(path, rule, settle_s)
            else:
                events += _line_events(path, rule, settle_s)
    return [
        replace(event, required=event.required and event.time_s <= end_s - SEEN_S)
        for event in events
    ]


def foot_paths(
    moments: Iterable[tuple[float, Sequence[SceneObject]]], *, least_visible: float = 0.0
) -> list[FootPath]:
    """Each object's path, cut where it is out of view for over half a second.

    With ``least_visible``, where so much of it is hidden by others that less is left is out of view,
    too, and paths are cut after a second of that.
    """
    gap_s = HIDDEN_S if least_visible else GAP_S
    rows: dict[int, list[tuple[float, float, float]]] = {}
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
            x0, _, x1, y1 = thing.xyxy
            path.append((time_s, (x0 + x1) / 2, y1))
    done += [_path(object_id, names, path) for object_id, path in rows.items()]
    return done


def _path(
    object_id: int, names: dict[int, str], rows: list[tuple[float, float, float]]
) -> FootPath:
    table = np.array(rows, np.float64)
    return FootPath(object_id, names[object_id], table[:, 0], table[:, 1:])


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


def _area_stays(
    path: FootPath, rule: OccupancyRule | AbsenceRule | IntrusionRule, settle_s: float
) -> list[Stay]:
    """When an object is in a rule's area, if the rule is about it."""
    if rule.classes and path.class_name not in rule.classes:
        return []
    within = inside(rule.polygon, path.xy) if rule.polygon else np.ones(len(path.xy), bool)
    first_s, last_s = float(path.time_s[0]), float(path.time_s[-1])
    stays = _stays(path.time_s, within, settle_s)
    clear = _clear(path, rule.polygon, PLAIN_HYSTERESIS, stays)
    return [
        Stay(
            object_id=path.object_id,
            class_name=path.class_name,
            start_s=start_s,
            end_s=end_s,
            known=start_s - first_s >= SEEN_S and end_s < last_s and begins and ends,
        )
        for (start_s, end_s, is_in), begins, ends in zip(stays, clear, clear[1:], strict=False)
        if is_in
    ]


def _zone_events(path: FootPath, rule: ZoneRule, settle_s: float) -> list[TruthEvent]:
    events: list[TruthEvent] = []
    first_s, last_s = float(path.time_s[0]), float(path.time_s[-1])

    def happen(kind: str, at_s: float, *, required: bool) -> None:
        events.append(
            TruthEvent(at_s, rule.rule_id, kind, path.object_id, path.class_name, "", required)
        )

    stays = _stays(path.time_s, inside(rule.polygon, path.xy), settle_s)
    clear = _clear(path, rule.polygon, rule.hysteresis, stays)
    for (start_s, end_s, within), begins in zip(stays, clear, strict=False):
        known = start_s - first_s >= SEEN_S and begins
        if within:
            happen("zone.enter", start_s, required=known)
            if 0 < rule.dwell_s <= end_s - start_s:
                at_s = start_s + rule.dwell_s
                happen("zone.dwell", at_s, required=known and end_s - at_s >= SETTLE_S)
            if end_s == last_s:
                happen("zone.exit", end_s, required=False)
        elif start_s > first_s:
            happen("zone.exit", start_s, required=known)
    return events


def _stays(time_s: F64, within: Bool, settle_s: float) -> list[tuple[float, float, bool]]:
    """Runs of one state as (start, end, state); those shorter than settle_s join the run before.

    A first run that is too short takes the state of the next.
    """
    edges = [0, *(np.flatnonzero(np.diff(within)) + 1).tolist(), len(within)]
    stays: list[tuple[float, float, bool]] = []
    for low, high in pairwise(edges):
        end_s = float(time_s[min(high, len(time_s) - 1)])
        stay = (float(time_s[low]), end_s, bool(within[low]))
        if stays and stays[-1][1] - stays[-1][0] < settle_s:
            stays[-1] = (stays[-1][0], end_s, stay[2])  # only the first run can be so short
        elif stays and (end_s - stay[0] < settle_s or stays[-1][2] == stay[2]):
            stays[-1] = (stays[-1][0], end_s, stays[-1][2])
        else:
            stays.append(stay)
    return stays


def _clear(
    path: FootPath,
    polygon: Sequence[Point],
    hysteresis: float,
    stays: Sequence[tuple[float, float, bool]],
) -> list[bool]:
    """Of each turn into a stay, and of the end of the last one, whether no graze is on either side of it."""
    real = [not _is_graze(path, polygon, hysteresis, stay) for stay in stays]
    return [a and b for a, b in pairwise([True, *real, True])]


def _is_graze(
    path: FootPath, polygon: Sequence[Point], hysteresis: float, stay: tuple[float, float, bool]
) -> bool:
    start_s, end_s, _ = stay
    if not polygon or end_s - start_s >= GRAZE_S:
        return False
    during = (path.time_s >= start_s) & (path.time_s < end_s)
    return bool(during.any()) and float(_reach(polygon, path.xy[during]).max()) < hysteresis


def _reach(polygon: Sequence[Point], xy: F64) -> F64:
    """How far each of the (T, 2) points is from the polygon's nearest edge, (T,)."""
    corners = np.array([(p.x, p.y) for p in polygon])
    along = np.roll(corners, -1, axis=0) - corners
    to = xy[:, None] - corners
    part = (to * along).sum(axis=2) / np.maximum((along**2).sum(axis=1), 1e-12)
    nearest = corners + part.clip(0.0, 1.0)[..., None] * along
    distances: F64 = np.linalg.norm(xy[:, None] - nearest, axis=2).min(axis=1)
    return distances


def _line_events(path: FootPath, rule: LineRule, settle_s: float) -> list[TruthEvent]:
    crossings: list[tuple[float, int]] = []
    for at_s, sign in _crossings(path, rule.points):
        if crossings and at_s - crossings[-1][0] < settle_s and sign != crossings[-1][1]:
            crossings.pop()
        else:
            crossings.append((at_s, sign))
    events = []
    for at_s, sign in crossings:
        way = Direction.RIGHT if sign > 0 else Direction.LEFT
        if rule.direction in (Direction.BOTH, way):
            known = at_s - float(path.time_s[0]) >= SEEN_S
            known &= float(path.time_s[-1]) - at_s >= SETTLE_S
            who = (path.object_id, path.class_name)
            events.append(
                TruthEvent(at_s, rule.rule_id, "line.cross", *who, way.value, required=known)
            )
    return events


def _crossings(path: FootPath, points: Sequence[Point]) -> list[tuple[float, int]]:
    """(time, sign) of every crossing of the polyline; sign 1 is to the arrow's right, -1 to its left."""
    found = []
    before, after = path.xy[:-1], path.xy[1:]
    for a, b in pairwise(points):
        arrow = np.array([b.x - a.x, b.y - a.y])
        # y points down, so a positive cross product is to the arrow's right in the picture.
        side0 = arrow[0] * (before[:, 1] - a.y) - arrow[1] * (before[:, 0] - a.x)
        side1 = arrow[0] * (after[:, 1] - a.y) - arrow[1] * (after[:, 0] - a.x)
        for i in np.flatnonzero((side0 > 0) != (side1 > 0)):
            part = side0[i] / (side0[i] - side1[i])
            at = before[i] + (after[i] - before[i]) * part
            along = float((at - (a.x, a.y)) @ arrow / (arrow @ arrow))
            if 0 <= along <= 1:
                at_s = float(path.time_s[i] + (path.time_s[i + 1] - path.time_s[i]) * part)
                found.append((at_s, 1 if side1[i] > 0 else -1))
    return sorted(found)
