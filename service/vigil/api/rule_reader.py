"""Rules as clients write them: messages to values."""

from collections.abc import Callable, Iterable
from typing import Any

from vigil.api.times import duration_s
from vigil.errors import FieldViolation, InvalidRequest, NotServedYet
from vigil.spec import (
    AbsenceRule,
    CameraCheck,
    CameraHealthRule,
    Direction,
    DirectionRule,
    GroundPoint,
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
    Window,
    ZoneRule,
)
from vigil.v1 import geometry_pb2, rules_pb2

DEFAULT_UPDATE_S = 10.0
DEFAULT_HYSTERESIS = 0.01
DEFAULT_TOLERANCE_DEGREES = 60.0
DEFAULT_RADIUS = 0.1
DEFAULT_TIME_ZONE = "UTC"
DEFAULT_FAULT_S = 5.0
DEFAULT_WINDOW_S = 300.0

_WITHOUT_OBJECTS = ("marker", "camera_health", "stationary")  # class and score do not apply
_DIRECTIONS = {
    rules_pb2.LineRule.DIRECTION_UNSPECIFIED: Direction.BOTH,
    rules_pb2.LineRule.BOTH: Direction.BOTH,
    rules_pb2.LineRule.RIGHT: Direction.RIGHT,
    rules_pb2.LineRule.LEFT: Direction.LEFT,
}


def rule_from_message(field: str, message: rules_pb2.Rule) -> Rule:
    """The rule at this path of a request; what is left out gets the default that the contract names.

    Raises InvalidRequest for a rule without a kind and NotServedYet for a kind that is not served.
    """
    kind = message.WhichOneof("kind")
    if kind is None:
        raise InvalidRequest(
            [FieldViolation(field, f"has no kind; set one of {', '.join(_READERS)}")]
        )
    if kind not in _READERS:
        raise NotServedYet(
            f"{field}.{kind} is not served by this version; {', '.join(_READERS)} are"
        )
    path = f"{field}.{kind}"
    make, parameters = _READERS[kind]
    common = (
        {}
        if kind in _WITHOUT_OBJECTS
        else {
            "classes": tuple(message.classes),
            "min_score": message.min_score,
            "voted": tuple(
                Voted(classifier=voted.classifier, classes=tuple(voted.classes))
                for voted in message.voted
            ),
        }
    )
    return make(rule_id=message.rule_id, **common, **parameters(path, getattr(message, kind)))


def points_from_messages(messages: Iterable[geometry_pb2.Point]) -> tuple[Point, ...]:
    """Places in the picture."""
    return tuple(Point(message.x, message.y) for message in messages)


def _zone(path: str, zone: rules_pb2.ZoneRule) -> dict[str, Any]:
    return {
        "polygon": points_from_messages(zone.polygon),
        "dwell_s": duration_s(zone.dwell),
        "update_s": _update_s(zone),
        "hysteresis": zone.hysteresis if zone.HasField("hysteresis") else DEFAULT_HYSTERESIS,
    }


def _line(path: str, line: rules_pb2.LineRule) -> dict[str, Any]:
    return {
        "points": points_from_messages(line.points),
        "direction": _line_direction(path, line.direction),
        "hysteresis": line.hysteresis if line.HasField("hysteresis") else DEFAULT_HYSTERESIS,
    }


def _line_direction(path: str, given: Any) -> Direction:
    if given not in _DIRECTIONS:
        raise InvalidRequest([FieldViolation(f"{path}.direction", "use BOTH, RIGHT or LEFT")])
    return _DIRECTIONS[given]


def _track(path: str, track: rules_pb2.TrackRule) -> dict[str, Any]:
    return {"update_s": _update_s(track)}


def _marker(path: str, marker: rules_pb2.MarkerRule) -> dict[str, Any]:
    return {}


def _occupancy(path: str, occupancy: rules_pb2.OccupancyRule) -> dict[str, Any]:
    return {
        "polygon": points_from_messages(occupancy.polygon),
        "above": _limit(occupancy.above),
        "below": _limit(occupancy.below),
        "duration_s": duration_s(occupancy.duration),
        "update_s": _update_s(occupancy),
    }


def _traffic(path: str, traffic: rules_pb2.TrafficRule) -> dict[str, Any]:
    given = traffic.HasField("window")
    return {
        "points": points_from_messages(traffic.points),
        "direction": _line_direction(path, traffic.direction),
        "window_s": duration_s(traffic.window) if given else DEFAULT_WINDOW_S,
        "above": _limit(traffic.above),
        "below": _limit(traffic.below),
    }


def _direction(path: str, direction: rules_pb2.DirectionRule) -> dict[str, Any]:
    start = getattr(direction, "from")  # the contract's name, a keyword of Python's
    absent = [name for name in ("from", "to") if not direction.HasField(name)]
    if absent:
        raise InvalidRequest(
            [FieldViolation(f"{path}.{name}", "is absent; give a point") for name in absent]
        )
    return {
        "polygon": points_from_messages(direction.polygon),
        "start": Point(start.x, start.y),
        "end": Point(direction.to.x, direction.to.y),
        "tolerance_degrees": direction.tolerance_degrees or DEFAULT_TOLERANCE_DEGREES,
        "duration_s": duration_s(direction.duration),
    }


def _speed(path: str, speed: rules_pb2.SpeedRule) -> dict[str, Any]:
    return {
        "polygon": points_from_messages(speed.polygon),
        "calibration": points_from_messages(speed.calibration),
        "ground": tuple(GroundPoint(place.x_m, place.y_m) for place in speed.ground),
        "above_m_per_s": speed.above_m_per_s,
        "below_m_per_s": speed.below_m_per_s,
    }


def _loitering(path: str, loitering: rules_pb2.LoiteringRule) -> dict[str, Any]:
    return {
        "polygon": points_from_messages(loitering.polygon),
        "duration_s": duration_s(loitering.duration),
        "radius": loitering.radius or DEFAULT_RADIUS,
    }


def _parking(path: str, parking: rules_pb2.ParkingRule) -> dict[str, Any]:
    return {
        "polygon": points_from_messages(parking.polygon),
        "duration_s": duration_s(parking.duration),
    }


def _stationary(path: str, stationary: rules_pb2.StationaryRule) -> dict[str, Any]:
    either = stationary.left or stationary.removed
    return {
        "polygon": points_from_messages(stationary.polygon),
        "duration_s": duration_s(stationary.duration),
        "left": stationary.left or not either,
        "removed": stationary.removed or not either,
    }


def _intrusion(path: str, intrusion: rules_pb2.IntrusionRule) -> dict[str, Any]:
    return {
        "polygon": points_from_messages(intrusion.polygon),
        "schedule": _schedule(intrusion.schedule),
    }


def _absence(path: str, absence: rules_pb2.AbsenceRule) -> dict[str, Any]:
    return {
        "polygon": points_from_messages(absence.polygon),
        "duration_s": duration_s(absence.duration),
        "schedule": _schedule(absence.schedule),
    }


def _camera_health(path: str, health: rules_pb2.CameraHealthRule) -> dict[str, Any]:
    names = rules_pb2.CameraHealthRule.Check
    known = {getattr(names, check.name): check for check in CameraCheck}
    if not set(health.checks) <= set(known):
        raise InvalidRequest(
            [FieldViolation(f"{path}.checks", f"use {', '.join(CameraCheck.__members__)}")]
        )
    given = health.HasField("duration")
    return {
        "checks": tuple(known[check] for check in health.checks),
        "duration_s": duration_s(health.duration) if given else DEFAULT_FAULT_S,
    }


def _update_s(message: Any) -> float:
    """The update interval of a kind that has one."""
    given = message.HasField("update_interval")
    return duration_s(message.update_interval) if given else DEFAULT_UPDATE_S


def _limit(threshold: rules_pb2.Threshold) -> Limit | None:
    match threshold.WhichOneof("kind"):
        case "value":
            return threshold.value
        case "learnt":
            given, usual = threshold.learnt, Learnt()
            return Learnt(
                deviations=given.deviations or usual.deviations,
                warm_up_s=duration_s(given.warm_up)
                if given.HasField("warm_up")
                else usual.warm_up_s,
            )
    return None


def _schedule(message: rules_pb2.Schedule) -> Schedule:
    return Schedule(
        time_zone=message.time_zone or DEFAULT_TIME_ZONE,
        windows=tuple(
            Window(
                days=tuple(day - 1 for day in window.days),  # MONDAY is 1 there, 0 here
                start_s=duration_s(window.start),
                end_s=duration_s(window.end),
            )
            for window in message.windows
        ),
    )


_READERS: dict[str, tuple[Callable[..., Rule], Callable[[str, Any], dict[str, Any]]]] = {
    "zone": (ZoneRule, _zone),
    "line": (LineRule, _line),
    "track": (TrackRule, _track),
    "marker": (MarkerRule, _marker),
    "traffic": (TrafficRule, _traffic),
    "occupancy": (OccupancyRule, _occupancy),
    "direction": (DirectionRule, _direction),
    "speed": (SpeedRule, _speed),
    "loitering": (LoiteringRule, _loitering),
    "parking": (ParkingRule, _parking),
    "stationary": (StationaryRule, _stationary),
    "intrusion": (IntrusionRule, _intrusion),
    "absence": (AbsenceRule, _absence),
    "camera_health": (CameraHealthRule, _camera_health),
}
