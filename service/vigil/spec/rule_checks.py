"""Which parameters of a rule cannot be accepted."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from vigil.errors import FieldViolation
from vigil.spec.checks import (
    ID_PATTERN,
    check_classes,
    check_number,
    check_points,
    check_polygon,
    check_score,
    check_seconds,
)
from vigil.spec.rules import (
    AbsenceRule,
    CameraHealthRule,
    DirectionRule,
    IntrusionRule,
    Learnt,
    Limit,
    LineRule,
    LoiteringRule,
    MarkerRule,
    OccupancyRule,
    ParkingRule,
    Point,
    Rule,
    Schedule,
    SpeedRule,
    StationaryRule,
    TrackRule,
    TrafficRule,
    Voted,
    ZoneRule,
)

MAX_HYSTERESIS = 0.2
MAX_COUNT = 1e6
MAX_SPEED_M_PER_S = 1000.0
MAX_GROUND_M = 1e6
MAX_WINDOWS = 64
DAY_S = 86400.0
HOUR_S = 3600.0  # of the least warm-up
LEAST_WINDOW_S, MOST_WINDOW_S = 10.0, 3600.0
MOST_DEVIATIONS = 100.0
LEAST_STAND_S = 3.0  # of a thing: who sets a bag down has to step aside first
# of a thing: the scene takes what has stood for an hour for its own (rules/things.py)
MOST_STAND_S = 3600.0
LEAST_FAULT_S = 1.0  # a lorry in front of the lens is no fault
MOST_FAULT_S = 240.0  # after 300 another view is the camera's own (rules/camera_health.py)
LEAST_TURN = 0.01  # sine of the angle at a corner of a calibration: less are three places in a line


def rule_violations(field: str, rule: Rule) -> Iterator[FieldViolation]:
    """What cannot be accepted of the rule at this path of the message."""
    if not ID_PATTERN.fullmatch(rule.rule_id):
        yield FieldViolation(
            f"{field}.rule_id", "use 1 to 63 of a-z, 0-9, _ and -, beginning with a letter or digit"
        )
    if isinstance(rule, MarkerRule):
        return
    if isinstance(rule, CameraHealthRule):
        yield from check_seconds(
            f"{field}.camera_health.duration",
            rule.duration_s,
            least=LEAST_FAULT_S,
            most=MOST_FAULT_S,
        )
        return
    if isinstance(rule, StationaryRule):
        yield from _stationary(f"{field}.stationary", rule)
        return
    yield from check_score(f"{field}.min_score", rule.min_score)
    yield from check_classes(f"{field}.classes", rule.classes)
    yield from _voted(f"{field}.voted", rule.voted)
    kind, check = _CHECKS[type(rule)]
    yield from check(f"{field}.{kind}", rule)


def _voted(field: str, all_voted: tuple[Voted, ...]) -> Iterator[FieldViolation]:
    seen: set[str] = set()
    for index, voted in enumerate(all_voted):
        at = f"{field}[{index}]"
        if not ID_PATTERN.fullmatch(voted.classifier):
            yield FieldViolation(f"{at}.classifier", "is no model's name; see `vigil models list`")
        if voted.classifier in seen:
            yield FieldViolation(
                f"{at}.classifier", f"{voted.classifier!r} is used twice; name all its classes once"
            )
        seen.add(voted.classifier)
        if not voted.classes:
            yield FieldViolation(
                f"{at}.classes", "names none of the classifier's classes; give one"
            )
        yield from check_classes(f"{at}.classes", voted.classes)


def _zone(field: str, rule: ZoneRule) -> Iterator[FieldViolation]:
    yield from check_polygon(f"{field}.polygon", rule.polygon)
    yield from check_seconds(f"{field}.dwell", rule.dwell_s, least=0.0)
    yield from check_seconds(f"{field}.update_interval", rule.update_s, least=0.1)
    yield from _hysteresis(field, rule.hysteresis)


def _line(field: str, rule: LineRule) -> Iterator[FieldViolation]:
    yield from _polyline(field, rule.points)
    yield from _hysteresis(field, rule.hysteresis)


def _polyline(field: str, points: tuple[Point, ...]) -> Iterator[FieldViolation]:
    yield from check_points(f"{field}.points", points, least=2)
    if len(set(points)) < 2 <= len(points):
        yield FieldViolation(f"{field}.points", "all points are the same; give two ends apart")


def _track(field: str, rule: TrackRule) -> Iterator[FieldViolation]:
    yield from check_seconds(f"{field}.update_interval", rule.update_s, least=0.1)


def _occupancy(field: str, rule: OccupancyRule) -> Iterator[FieldViolation]:
    yield from _area(field, rule)
    yield from _limits(field, rule.above, rule.below)
    yield from check_seconds(f"{field}.duration", rule.duration_s, least=0.0)
    yield from check_seconds(f"{field}.update_interval", rule.update_s, least=0.1)


def _traffic(field: str, rule: TrafficRule) -> Iterator[FieldViolation]:
    yield from _polyline(field, rule.points)
    yield from _limits(field, rule.above, rule.below)
    window = f"{field}.window"
    yield from check_number(window, rule.window_s, least=LEAST_WINDOW_S, most=MOST_WINDOW_S)


def _limits(field: str, above: Limit | None, below: Limit | None) -> Iterator[FieldViolation]:
    if above is None and below is None:
        yield FieldViolation(f"{field}.above", "set above, below or both")
    for name, limit in (("above", above), ("below", below)):
        at = f"{field}.{name}"
        if isinstance(limit, Learnt):
            yield from check_number(
                f"{at}.learnt.deviations", limit.deviations, least=1.0, most=MOST_DEVIATIONS
            )
            yield from check_seconds(f"{at}.learnt.warm_up", limit.warm_up_s, least=HOUR_S)
        elif limit is not None:
            yield from check_number(at, limit, least=0.0, most=MAX_COUNT)
            if name == "below" and limit == 0.0:
                yield FieldViolation(at, "is 0, and no count is below that; give more")


def _direction(field: str, rule: DirectionRule) -> Iterator[FieldViolation]:
    yield from _area(field, rule)
    yield from check_points(f"{field}.from", (rule.start,), least=1)
    yield from check_points(f"{field}.to", (rule.end,), least=1)
    if rule.start == rule.end:
        yield FieldViolation(f"{field}.to", "is the same place as from; give a way")
    yield from check_number(
        f"{field}.tolerance_degrees", rule.tolerance_degrees, least=1.0, most=179.0
    )
    yield from check_seconds(f"{field}.duration", rule.duration_s, least=0.0)


def _speed(field: str, rule: SpeedRule) -> Iterator[FieldViolation]:
    yield from _area(field, rule)
    for name, places in (("calibration", rule.calibration), ("ground", rule.ground)):
        if len(places) != 4:
            yield FieldViolation(f"{field}.{name}", f"has {len(places)} places; give 4")
    yield from check_points(f"{field}.calibration", rule.calibration, least=0)
    for index, place in enumerate(rule.ground):
        for axis, value in zip(("x_m", "y_m"), place, strict=True):
            at = f"{field}.ground[{index}].{axis}"
            yield from check_number(at, value, least=-MAX_GROUND_M, most=MAX_GROUND_M)
    for name, places in (("calibration", rule.calibration), ("ground", rule.ground)):
        if len(places) == 4 and not _is_convex(places):
            yield FieldViolation(
                f"{field}.{name}",
                "is no quadrangle without a dent; give its four corners in order around it, no three of"
                " them in a line",
            )
    for name in ("above_m_per_s", "below_m_per_s"):
        limit = getattr(rule, name)
        yield from check_number(f"{field}.{name}", limit, least=0.0, most=MAX_SPEED_M_PER_S)
    if rule.above_m_per_s == rule.below_m_per_s == 0.0:
        yield FieldViolation(f"{field}.above_m_per_s", "set above, below or both")


def _is_convex(corners: Sequence[tuple[float, float]]) -> bool:
    """Whether the way around these corners always turns to the same side, and clearly."""
    sides = [
        (b[0] - a[0], b[1] - a[1]) for a, b in zip(corners, (*corners[1:], corners[0]), strict=True)
    ]
    turns = [
        (a[0] * b[1] - a[1] * b[0], math.hypot(*a) * math.hypot(*b))
        for a, b in zip(sides, (*sides[1:], sides[0]), strict=True)
    ]
    return all(turn > LEAST_TURN * size for turn, size in turns) or all(
        -turn > LEAST_TURN * size for turn, size in turns
    )


def _loitering(field: str, rule: LoiteringRule) -> Iterator[FieldViolation]:
    yield from _area(field, rule)
    yield from check_seconds(f"{field}.duration", rule.duration_s, least=1.0)
    yield from check_number(f"{field}.radius", rule.radius, least=0.001, most=1.0)


def _parking(field: str, rule: ParkingRule) -> Iterator[FieldViolation]:
    yield from _area(field, rule)
    yield from check_seconds(f"{field}.duration", rule.duration_s, least=1.0)


def _stationary(field: str, rule: StationaryRule) -> Iterator[FieldViolation]:
    yield from _area(field, rule)
    yield from check_seconds(
        f"{field}.duration", rule.duration_s, least=LEAST_STAND_S, most=MOST_STAND_S
    )


def _intrusion(field: str, rule: IntrusionRule) -> Iterator[FieldViolation]:
    yield from _area(field, rule)
    yield from _schedule(f"{field}.schedule", rule.schedule)


def _absence(field: str, rule: AbsenceRule) -> Iterator[FieldViolation]:
    yield from _area(field, rule)
    yield from check_seconds(f"{field}.duration", rule.duration_s, least=0.0)
    yield from _schedule(f"{field}.schedule", rule.schedule)


def _area(field: str, rule: Any) -> Iterator[FieldViolation]:
    if rule.polygon:
        yield from check_polygon(f"{field}.polygon", rule.polygon)


def _hysteresis(field: str, value: float) -> Iterator[FieldViolation]:
    if not 0.0 <= value <= MAX_HYSTERESIS:
        yield FieldViolation(f"{field}.hysteresis", "must be from 0 to 0.2 of the picture")


def _schedule(field: str, schedule: Schedule) -> Iterator[FieldViolation]:
    try:
        ZoneInfo(schedule.time_zone)
    except (KeyError, ValueError, OSError):  # as unknown, malformed and odd names raise
        yield FieldViolation(f"{field}.time_zone", "is no time zone; use a name as Europe/Berlin")
    if len(schedule.windows) > MAX_WINDOWS:
        yield FieldViolation(f"{field}.windows", f"at most {MAX_WINDOWS} windows")
    for index, window in enumerate(schedule.windows):
        at = f"{field}.windows[{index}]"
        if not set(window.days) <= set(range(7)):
            yield FieldViolation(f"{at}.days", "use MONDAY to SUNDAY")
        yield from check_number(f"{at}.start", window.start_s, least=0.0, most=DAY_S)
        yield from check_number(f"{at}.end", window.end_s, least=0.0, most=DAY_S)
        if window.start_s == DAY_S:
            yield FieldViolation(f"{at}.start", "is the day's end; give 0 on the next day")


_CHECKS: dict[type, tuple[str, Callable[[str, Any], Iterator[FieldViolation]]]] = {
    ZoneRule: ("zone", _zone),
    LineRule: ("line", _line),
    TrackRule: ("track", _track),
    OccupancyRule: ("occupancy", _occupancy),
    TrafficRule: ("traffic", _traffic),
    DirectionRule: ("direction", _direction),
    SpeedRule: ("speed", _speed),
    LoiteringRule: ("loitering", _loitering),
    ParkingRule: ("parking", _parking),
    IntrusionRule: ("intrusion", _intrusion),
    AbsenceRule: ("absence", _absence),
}
