"""Rules as calls return them: values to messages, defaults filled in."""

from collections.abc import Callable, Iterable
from typing import Any

from vigil.api.times import duration
from vigil.spec import (
    AbsenceRule,
    CameraHealthRule,
    DirectionRule,
    IntrusionRule,
    Learnt,
    Limit,
    LineRule,
    LoiteringRule,
    MarkerRule,
    ObjectRule,
    OccupancyRule,
    ParkingRule,
    Point,
    Rule,
    Schedule,
    SpeedRule,
    StationaryRule,
    TrackRule,
    TrafficRule,
    ZoneRule,
)
from vigil.v1 import geometry_pb2, rules_pb2


def rule_message(rule: Rule) -> rules_pb2.Rule:
    """A rule as calls return it, defaults filled in."""
    kind, parameters = _WRITERS[type(rule)]
    common: dict[str, Any] = {"rule_id": rule.rule_id}
    if isinstance(rule, ObjectRule):
        common |= {
            "classes": rule.classes,
            "min_score": rule.min_score,
            "voted": [
                rules_pb2.Voted(classifier=voted.classifier, classes=voted.classes)
                for voted in rule.voted
            ],
        }
    return rules_pb2.Rule(**common, **{kind: parameters(rule)})


def point_messages(points: Iterable[Point]) -> list[geometry_pb2.Point]:
    """The same as messages."""
    return [geometry_pb2.Point(x=point.x, y=point.y) for point in points]


def _schedule_message(schedule: Schedule) -> rules_pb2.Schedule:
    windows = [
        rules_pb2.Schedule.Window(
            days=[rules_pb2.Schedule.Day.Name(day + 1) for day in window.days],
            start=duration(window.start_s),
            end=duration(window.end_s),
        )
        for window in schedule.windows
    ]
    return rules_pb2.Schedule(time_zone=schedule.time_zone, windows=windows)


def _threshold(limit: Limit | None) -> rules_pb2.Threshold | None:
    if isinstance(limit, Learnt):
        learnt = rules_pb2.LearntThreshold(
            deviations=limit.deviations, warm_up=duration(limit.warm_up_s)
        )
        return rules_pb2.Threshold(learnt=learnt)
    return None if limit is None else rules_pb2.Threshold(value=limit)


_WRITERS: dict[type, tuple[str, Callable[[Any], Any]]] = {
    ZoneRule: (
        "zone",
        lambda rule: rules_pb2.ZoneRule(
            polygon=point_messages(rule.polygon),
            dwell=duration(rule.dwell_s),
            update_interval=duration(rule.update_s),
            hysteresis=rule.hysteresis,
        ),
    ),
    LineRule: (
        "line",
        lambda rule: rules_pb2.LineRule(
            points=point_messages(rule.points),
            direction=rule.direction.name,
            hysteresis=rule.hysteresis,
        ),
    ),
    TrackRule: (
        "track",
        lambda rule: rules_pb2.TrackRule(update_interval=duration(rule.update_s)),
    ),
    MarkerRule: ("marker", lambda rule: rules_pb2.MarkerRule()),
    OccupancyRule: (
        "occupancy",
        lambda rule: rules_pb2.OccupancyRule(
            polygon=point_messages(rule.polygon),
            above=_threshold(rule.above),
            below=_threshold(rule.below),
            duration=duration(rule.duration_s),
            update_interval=duration(rule.update_s),
        ),
    ),
    TrafficRule: (
        "traffic",
        lambda rule: rules_pb2.TrafficRule(
            points=point_messages(rule.points),
            direction=rule.direction.name,
            window=duration(rule.window_s),
            above=_threshold(rule.above),
            below=_threshold(rule.below),
        ),
    ),
    DirectionRule: (
        "direction",
        lambda rule: rules_pb2.DirectionRule(
            polygon=point_messages(rule.polygon),
            to=geometry_pb2.Point(x=rule.end.x, y=rule.end.y),
            tolerance_degrees=rule.tolerance_degrees,
            duration=duration(rule.duration_s),
            **{"from": geometry_pb2.Point(x=rule.start.x, y=rule.start.y)},
        ),
    ),
    SpeedRule: (
        "speed",
        lambda rule: rules_pb2.SpeedRule(
            polygon=point_messages(rule.polygon),
            calibration=point_messages(rule.calibration),
            ground=[rules_pb2.GroundPoint(x_m=place.x_m, y_m=place.y_m) for place in rule.ground],
            above_m_per_s=rule.above_m_per_s,
            below_m_per_s=rule.below_m_per_s,
        ),
    ),
    LoiteringRule: (
        "loitering",
        lambda rule: rules_pb2.LoiteringRule(
            polygon=point_messages(rule.polygon),
            duration=duration(rule.duration_s),
            radius=rule.radius,
        ),
    ),
    ParkingRule: (
        "parking",
        lambda rule: rules_pb2.ParkingRule(
            polygon=point_messages(rule.polygon), duration=duration(rule.duration_s)
        ),
    ),
    StationaryRule: (
        "stationary",
        lambda rule: rules_pb2.StationaryRule(
            polygon=point_messages(rule.polygon),
            duration=duration(rule.duration_s),
            left=rule.left,
            removed=rule.removed,
        ),
    ),
    IntrusionRule: (
        "intrusion",
        lambda rule: rules_pb2.IntrusionRule(
            polygon=point_messages(rule.polygon), schedule=_schedule_message(rule.schedule)
        ),
    ),
    CameraHealthRule: (
        "camera_health",
        lambda rule: rules_pb2.CameraHealthRule(
            checks=[check.name for check in rule.checks], duration=duration(rule.duration_s)
        ),
    ),
    AbsenceRule: (
        "absence",
        lambda rule: rules_pb2.AbsenceRule(
            polygon=point_messages(rule.polygon),
            duration=duration(rule.duration_s),
            schedule=_schedule_message(rule.schedule),
        ),
    ),
}
