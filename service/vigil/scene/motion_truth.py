"""What truly happens by rules about how objects move: wrong direction, speed, loitering, parking.

Directions and halts are judged by exact foot points, speeds by the figures' own ways over the ground, in
metres, which no rule sees. Both are measured over several windows of time: something surely holds where all
of them say so with a margin, and possibly where any does without.

A halt surely begins when an object is well within the radius of where it then stands still, and was seen
to be there: one that was hidden as it came to stand is first known to stand when it is seen again. Who
stands so near to an area's edge that boxes of that size do not tell the side is possibly in it.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vigil.scene.area_truth import presence
from vigil.scene.doubt import Doubt, beginnings
from vigil.scene.foot_paths import FootPath, reach, runs
from vigil.scene.journey import Journey
from vigil.spec import DirectionRule, LoiteringRule, ParkingRule, SpeedRule

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
MotionRule = DirectionRule | SpeedRule | LoiteringRule | ParkingRule
Told = tuple[str, float, bool]  # type, time, whether it must be told

WINDOWS_S = ((-1.0, 0.0), (-0.5, 0.5), (-0.2, 0.2))
LEAST_STEP_S = 0.15
DEGREES = 12.0  # margin of a direction
HARDLY = 0.35  # sizes of the box a second: slower ones have no direction
CALM_S = 1.5  # what is wrong again so soon is the same episode, or the next
MEASURED_S = 0.75  # a speed is told of after so long
LEAST_DRIVE_S = 1.2  # what lasts less, to be asked for, may be a swing of the foot
SPEED_MARGIN = 0.15
STILL = 0.004  # of the picture: who moves less in 0.6 s stands
PARKED_RADIUS = 0.3
SURELY_NEAR = 0.7  # of the radius
EDGE_SIZES = (
    0.05  # of the box: nobody can say on which side of an edge that is so near something stands
)
LATEST_HALT_S = 1.8  # when a halt began is doubtful for no longer
VEHICLES = ("bicycle", "car", "motorcycle", "bus", "truck")


def motion_events(
    rule: MotionRule, path: FootPath, times_s: F64, journeys: Mapping[int, Journey]
) -> list[Told]:
    """The events of one object by one rule; ``times_s`` (T,) are the scene's frames."""
    wanted = rule.classes or (VEHICLES if isinstance(rule, ParkingRule) else ())
    if wanted and path.class_name not in wanted:
        return []
    polygon = rule.polygon or (rule.calibration if isinstance(rule, SpeedRule) else ())
    sure, possible, _ = presence(path, polygon, times_s)
    if not possible.any():
        return []
    there = Doubt(sure, possible)
    match rule:
        case DirectionRule():
            return _wrong_ways(rule, path, times_s, there)
        case SpeedRule():
            journey = journeys.get(path.object_id)
            return [] if journey is None else _speeding(rule, path, times_s, there, journey)
        case _:
            return _halts(rule, path, times_s, there)


def _wrong_ways(rule: DirectionRule, path: FootPath, times_s: F64, there: Doubt) -> list[Told]:
    allowed = np.arctan2(rule.end.y - rule.start.y, rule.end.x - rule.start.x)
    surely, perhaps = np.ones(len(path.time_s), bool), np.zeros(len(path.time_s), bool)
    for window_s in WINDOWS_S:
        speed = _speed(path.time_s, path.xy, window_s)
        turn = np.arctan2(speed[:, 1], speed[:, 0]) - allowed
        degrees = np.abs(np.degrees(np.angle(np.exp(1j * turn))))
        pace = np.linalg.norm(speed, axis=1) / np.maximum(path.size, 1e-9)
        surely &= (degrees > rule.tolerance_degrees + DEGREES) & (pace > 1.4 * HARDLY)
        perhaps |= (degrees > rule.tolerance_degrees - DEGREES) & (pace > 0.6 * HARDLY)
    wrong = _within(there, surely, perhaps, path, times_s)
    begun = beginnings(
        wrong, times_s, lasts_s=rule.duration_s, asked_s=LEAST_DRIVE_S, calm_s=CALM_S
    )
    return [("direction.wrong", one.time_s + rule.duration_s, one.sure) for one in begun]


def _speeding(
    rule: SpeedRule, path: FootPath, times_s: F64, there: Doubt, journey: Journey
) -> list[Told]:
    fast, slow = np.zeros(len(path.time_s)), np.full(len(path.time_s), np.inf)
    for begin_s, end_s in WINDOWS_S:
        places = [journey.place(path.time_s + shift_s) for shift_s in (begin_s, end_s)]
        pace = np.linalg.norm(places[1] - places[0], axis=1) / (end_s - begin_s)
        fast, slow = np.maximum(fast, pace), np.minimum(slow, pace)
    found: list[Told] = []
    for kind, limit in (("above", rule.above_m_per_s), ("below", rule.below_m_per_s)):
        if limit <= 0.0:
            continue
        low, high = (1.0 - SPEED_MARGIN) * limit, (1.0 + SPEED_MARGIN) * limit
        surely, perhaps = (
            (slow > high, fast > low) if kind == "above" else (fast < low, slow < high)
        )
        past = _within(there, surely, perhaps, path, times_s)
        found += [
            (f"speed.{kind}", begun.time_s + MEASURED_S, begun.sure)
            for begun in beginnings(
                past, times_s, lasts_s=0.0, asked_s=LEAST_DRIVE_S, calm_s=CALM_S
            )
        ]
    return found


def _halts(
    rule: LoiteringRule | ParkingRule, path: FootPath, times_s: F64, there: Doubt
) -> list[Told]:
    """A halt surely begins where it is seen near its place, and possibly where it begins to linger."""
    kind = "parking" if isinstance(rule, ParkingRule) else "loitering"
    if isinstance(rule, ParkingRule):
        radius = PARKED_RADIUS * path.size
    else:
        radius = np.full(len(path.time_s), rule.radius)
    lingers = _lingers(path, radius, rule.duration_s)
    close = np.zeros(len(path.time_s), bool)
    if rule.polygon:
        close = reach(rule.polygon, path.xy) < EDGE_SIZES * path.size
    halts = _within(there, _stands(path, radius) & ~close, lingers, path, times_s)
    return [
        (kind, begun.time_s + rule.duration_s, begun.sure)
        for begun in beginnings(halts, times_s, lasts_s=rule.duration_s, latest_s=LATEST_HALT_S)
    ]


def _stands(path: FootPath, radius: F64) -> Bool:
    """Where it is near a place at which it stands still, from when it was seen there."""
    still = np.linalg.norm(_speed(path.time_s, path.xy, (-0.3, 0.3)), axis=1) * 0.6 < STILL
    stands = np.zeros(len(path.time_s), bool)
    for low, high, stood in runs(still):
        if not stood:
            continue
        place = path.xy[low:high].mean(axis=0)
        near = np.linalg.norm(path.xy - place, axis=1) < SURELY_NEAR * radius
        for first, end, is_near in runs(near):
            if is_near and first < high and low < end:
                stands[_seen_from(path.hidden, first, low) : end] = True
    return stands


def _seen_from(hidden: Bool, near: int, still: int) -> int:
    """The index from which it was seen at its place: after the last time it was hidden before it stood."""
    seen = near
    for low, high, is_hidden in runs(hidden):
        if is_hidden and low <= still and high > near:
            seen = high
    return seen


def _lingers(path: FootPath, radius: F64, duration_s: float) -> Bool:
    """Where it has been or will be within 2.2 radii of one of its places for about the duration."""
    lingers = np.zeros(len(path.time_s), bool)
    for first in range(len(lingers)):
        away = np.linalg.norm(path.xy[first:] - path.xy[first], axis=1) > 2.2 * radius[first:]
        last = first + (int(away.argmax()) if away.any() else len(away)) - 1
        if path.time_s[last] - path.time_s[first] >= duration_s - LEAST_STEP_S:
            lingers[first : last + 1] = True
    return lingers


def _speed(time_s: F64, xy: F64, window_s: tuple[float, float]) -> F64:
    """Movement a second over a window around each moment, cut at the path's ends, (T, 2)."""
    begin_s = np.clip(time_s + window_s[0], time_s[0], time_s[-1])
    end_s = np.clip(time_s + window_s[1], time_s[0], time_s[-1])
    moved = np.stack(
        [
            np.interp(end_s, time_s, xy[:, axis]) - np.interp(begin_s, time_s, xy[:, axis])
            for axis in (0, 1)
        ],
        axis=1,
    )
    speed: F64 = moved / np.maximum(end_s - begin_s, LEAST_STEP_S)[:, None]
    return speed


def _within(there: Doubt, surely: Bool, perhaps: Bool, path: FootPath, times_s: F64) -> Doubt:
    """What holds of an object on its path while it is there, at each of the scene's frames."""
    at = np.searchsorted(times_s, path.time_s - 1e-9)
    sure, possible = np.zeros(len(times_s), bool), np.zeros(len(times_s), bool)
    sure[at], possible[at] = surely, perhaps | surely
    blurred = Doubt(sure, possible).blurred(times_s)
    return Doubt(blurred.sure & there.sure, blurred.possible & there.possible)
