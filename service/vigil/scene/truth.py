"""What truly happens in a scene by zone, line and area rules, from exact foot points at full frame rate.

Written apart from `vigil.rules`, to judge it: geometry here is of exact crossings, without trackers,
scores or hysteresis. Foot points and what is in view: `vigil.scene.foot_paths`; how many are in an area:
`vigil.scene.area_truth`.

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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from vigil.scene.area_truth import GRAZE_S, PLAIN_HYSTERESIS, SEEN_S, SETTLE_S, count_events
from vigil.scene.compose import SceneObject
from vigil.scene.foot_paths import (
    LEAST_VISIBLE,
    FootPath,
    foot_paths,
    inside,
    reach,
    runs,
)
from vigil.scene.journey import Journey
from vigil.scene.luggage import THING
from vigil.scene.motion_truth import MotionRule, motion_events
from vigil.scene.thing_truth import ThingLook, ThingTruth
from vigil.spec import (
    AbsenceRule,
    Direction,
    IntrusionRule,
    LineRule,
    OccupancyRule,
    Point,
    Rule,
    StationaryRule,
    ZoneRule,
)

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
SAME_S = 0.3
NO_JOURNEYS: Mapping[int, Journey] = MappingProxyType({})
NO_THINGS: Mapping[int, ThingLook] = MappingProxyType({})


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


def truth_events(
    moments: Iterable[tuple[float, Sequence[SceneObject]]],
    rules: Sequence[Rule],
    *,
    journeys: Mapping[int, Journey] = NO_JOURNEYS,
    looks: Mapping[int, ThingLook] = NO_THINGS,
) -> list[TruthEvent]:
    """The events of rules about objects and their number, by time.

    ``moments`` are every frame's time and objects; ``journeys`` the ways of objects over the ground, without
    which nothing is known of speeds; ``looks`` what each thing changes, without which nothing is
    known of things left and taken. Schedules are taken for open.
    """
    known = list(moments)
    times_s = np.array([time_s for time_s, _ in known])
    seen, all_paths = foot_paths(known, least_visible=LEAST_VISIBLE), foot_paths(known)
    events = _events(seen, rules, settle_s=SETTLE_S)
    for paths, settle_s in ((all_paths, SETTLE_S), (seen, 0.0), (all_paths, 0.0)):
        told = _Known(events)
        more = _events(paths, rules, settle_s=settle_s)
        events += [replace(event, required=False) for event in more if event not in told]
    events += _counted(all_paths, rules, times_s)
    events += [
        TruthEvent(at_s, rule.rule_id, kind, path.object_id, path.class_name, required=required)
        for rule in rules
        if isinstance(rule, MotionRule)
        for path in all_paths
        for kind, at_s, required in motion_events(rule, path, times_s, journeys)
    ]
    if any(isinstance(rule, StationaryRule) for rule in rules):
        events += _things(known, rules, looks)
    end_s = float(times_s.max(initial=0.0))
    events = [
        replace(event, required=event.required and event.time_s <= end_s - SEEN_S)
        for event in events
    ]
    return sorted(events, key=lambda event: (event.time_s, event.rule_id, event.object_id))


def _counted(paths: Sequence[FootPath], rules: Sequence[Rule], times_s: F64) -> list[TruthEvent]:
    """Events about how many there are, which are about no one object."""
    return [
        TruthEvent(at_s, rule.rule_id, kind, -1, "", required=required)
        for rule in rules
        if isinstance(rule, OccupancyRule | AbsenceRule)
        for kind, at_s, required in count_events(rule, paths, times_s)
    ]


def _things(
    moments: Sequence[tuple[float, Sequence[SceneObject]]],
    rules: Sequence[Rule],
    looks: Mapping[int, ThingLook],
) -> list[TruthEvent]:
    """Events about things, which no detector knows."""
    truth = ThingTruth(moments, looks)
    return [
        TruthEvent(at_s, rule.rule_id, kind, object_id, THING, required=required)
        for rule in rules
        if isinstance(rule, StationaryRule)
        for kind, at_s, object_id, required in truth.events(rule)
    ]


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
    paths: Sequence[FootPath], rules: Sequence[Rule], *, settle_s: float
) -> list[TruthEvent]:
    """The events of these paths; states shorter than ``settle_s`` do not count."""
    events: list[TruthEvent] = []
    for rule in rules:
        if not isinstance(rule, ZoneRule | LineRule | IntrusionRule):
            continue
        for path in paths:
            if rule.classes and path.class_name not in rule.classes:
                continue
            match rule:
                case ZoneRule():
                    events += _zone_events(path, rule, settle_s)
                case LineRule():
                    events += _line_events(path, rule, settle_s)
                case IntrusionRule():
                    events += _intrusions(path, rule, settle_s)
    return events


def _intrusions(path: FootPath, rule: IntrusionRule, settle_s: float) -> list[TruthEvent]:
    within = inside(rule.polygon, path.xy) if rule.polygon else np.ones(len(path.xy), bool)
    first_s, last_s = float(path.time_s[0]), float(path.time_s[-1])
    stays = _stays(path.time_s, within, settle_s)
    clear = _clear(path, rule.polygon, PLAIN_HYSTERESIS, stays)
    return [
        TruthEvent(
            start_s,
            rule.rule_id,
            "intrusion",
            path.object_id,
            path.class_name,
            required=start_s - first_s >= SEEN_S and end_s < last_s and begins and ends,
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
    stays: list[tuple[float, float, bool]] = []
    for low, high, is_in in runs(within):
        end_s = float(time_s[min(high, len(time_s) - 1)])
        stay = (float(time_s[low]), end_s, is_in)
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
    return bool(during.any()) and float(reach(polygon, path.xy[during]).max()) < hysteresis


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
