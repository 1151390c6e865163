"""The kinds of rules that a stream can have, and their parameters.

Geometry is normalised: x and y in [0, 1], origin at the picture's top left. What each kind counts is
specified in docs/rules.
"""

from enum import StrEnum
from typing import NamedTuple, TypeAlias

import msgspec

VEHICLES = ("bicycle", "car", "motorcycle", "bus", "truck", "vehicle")


class Point(NamedTuple):
    """A place in the picture, normalised."""

    x: float
    y: float


class Direction(StrEnum):
    """Across a line from its first point to its last: to the right of that arrow, or to its left."""

    BOTH = "both"
    RIGHT = "right"
    LEFT = "left"


class Voted(msgspec.Struct, frozen=True, kw_only=True):
    """What a second stage must have voted an object to be, for a rule to be about it."""

    classifier: str
    classes: tuple[str, ...]  # one of these


class ZoneRule(msgspec.Struct, frozen=True, kw_only=True, tag="zone"):
    """Objects whose foot point enters, leaves or stays in a polygon.

    Publishes zone.enter and zone.exit (phase new only), and, where ``dwell_s`` is above 0, zone.dwell
    (new after dwell_s inside, update every ``update_s``, end on leaving).
    """

    rule_id: str
    polygon: tuple[Point, ...]
    classes: tuple[str, ...] = ()  # empty: all
    min_score: float = 0.0
    voted: tuple[Voted, ...] = ()  # all of these; empty: whatever second stages say
    dwell_s: float = 0.0
    update_s: float = 10.0
    hysteresis: float = 0.01  # how far past the edge the foot point goes before the state turns


class LineRule(msgspec.Struct, frozen=True, kw_only=True, tag="line"):
    """Objects whose foot point crosses a polyline. Publishes line.cross with its direction."""

    rule_id: str
    points: tuple[Point, ...]
    direction: Direction = Direction.BOTH
    classes: tuple[str, ...] = ()
    min_score: float = 0.0
    voted: tuple[Voted, ...] = ()
    hysteresis: float = 0.01


class TrackRule(msgspec.Struct, frozen=True, kw_only=True, tag="track"):
    """Every confirmed track: new when confirmed, update every ``update_s``, end when it is gone."""

    rule_id: str
    classes: tuple[str, ...] = ()
    min_score: float = 0.0
    voted: tuple[Voted, ...] = ()
    update_s: float = 10.0


class MarkerRule(msgspec.Struct, frozen=True, kw_only=True, tag="marker"):
    """One instant `marker` event for each analysed frame, so that latency is measured for all."""

    rule_id: str


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A span of local time, every day or on some.

    An end that is not after the start lies on the next day.
    """

    days: tuple[int, ...] = ()  # 0 is Monday; empty: every day
    start_s: float = 0.0  # since midnight
    end_s: float = 0.0


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """When a rule watches. No windows: always."""

    time_zone: str = "UTC"  # IANA name such as Europe/Berlin
    windows: tuple[Window, ...] = ()


class Edge(StrEnum):
    """Which side of a limit an event is about."""

    ABOVE = "above"
    BELOW = "below"


class Learnt(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that is learnt from the rule's own history, for each hour of the week.

    No event comes before ``warm_up_s`` of history.
    """

    deviations: float = 4.0  # from the usual, in robust standard deviations
    warm_up_s: float = 7 * 86400.0


Limit: TypeAlias = float | Learnt


class OccupancyRule(msgspec.Struct, frozen=True, kw_only=True, tag="occupancy"):
    """How many objects are in a polygon (none: the picture): crowding, queues.

    Publishes occupancy.above and occupancy.below: new once the count has been past its limit for
    ``duration_s``, update every ``update_s``, end. A limit of None is not watched.
    """

    rule_id: str
    polygon: tuple[Point, ...] = ()
    classes: tuple[str, ...] = ()
    min_score: float = 0.0
    voted: tuple[Voted, ...] = ()
    above: Limit | None = None
    below: Limit | None = None
    duration_s: float = 0.0
    update_s: float = 10.0


class TrafficRule(msgspec.Struct, frozen=True, kw_only=True, tag="traffic"):
    """How many cross a polyline within ``window_s``. Publishes traffic.above and traffic.below.

    A limit of None is not watched.
    """

    rule_id: str
    points: tuple[Point, ...]
    direction: Direction = Direction.BOTH
    window_s: float = 300.0
    above: Limit | None = None
    below: Limit | None = None
    classes: tuple[str, ...] = ()
    min_score: float = 0.0
    voted: tuple[Voted, ...] = ()


class DirectionRule(msgspec.Struct, frozen=True, kw_only=True, tag="direction"):
    """Objects in a polygon that do not move the way that is allowed. Publishes direction.wrong."""

    rule_id: str
    polygon: tuple[Point, ...] = ()
    start: Point
    end: Point  # the allowed way is from start to end
    tolerance_degrees: float = 60.0  # half the opening angle of what is allowed
    duration_s: float = 0.0
    classes: tuple[str, ...] = ()
    min_score: float = 0.0
    voted: tuple[Voted, ...] = ()


class GroundPoint(NamedTuple):
    """A place on the ground, in metres from any origin."""

    x_m: float
    y_m: float


class SpeedRule(msgspec.Struct, frozen=True, kw_only=True, tag="speed"):
    """Objects faster or slower than a limit, by four places that are known in picture and on ground.

    Publishes speed.above and speed.below. A limit of 0 is not watched. No polygon: the picture.
    """

    rule_id: str
    polygon: tuple[Point, ...] = ()
    calibration: tuple[Point, ...]
    ground: tuple[GroundPoint, ...]
    above_m_per_s: float = 0.0
    below_m_per_s: float = 0.0
    classes: tuple[str, ...] = ()
    min_score: float = 0.0
    voted: tuple[Voted, ...] = ()


class LoiteringRule(msgspec.Struct, frozen=True, kw_only=True, tag="loitering"):
    """Objects that stay near one place, however they leave and come back. Publishes loitering."""

    rule_id: str
    polygon: tuple[Point, ...] = ()
    duration_s: float
    radius: float = 0.1  # from its mean place, as a fraction of the picture
    classes: tuple[str, ...] = ()
    min_score: float = 0.0
    voted: tuple[Voted, ...] = ()


class ParkingRule(msgspec.Struct, frozen=True, kw_only=True, tag="parking"):
    """Vehicles that stand in a polygon. Publishes parking: new after ``duration_s``, once, and end."""

    rule_id: str
    polygon: tuple[Point, ...] = ()
    duration_s: float
    classes: tuple[str, ...] = ()  # empty: bicycle, car, motorcycle, bus, truck
    min_score: float = 0.0
    voted: tuple[Voted, ...] = ()


class IntrusionRule(msgspec.Struct, frozen=True, kw_only=True, tag="intrusion"):
    """Any object in a polygon while the schedule watches. Publishes intrusion: new, update, end."""

    rule_id: str
    polygon: tuple[Point, ...] = ()
    schedule: Schedule = Schedule()
    classes: tuple[str, ...] = ()
    min_score: float = 0.0
    voted: tuple[Voted, ...] = ()


class AbsenceRule(msgspec.Struct, frozen=True, kw_only=True, tag="absence"):
    """Nobody in a polygon while the schedule watches. Publishes absence: new, update, end."""

    rule_id: str
    polygon: tuple[Point, ...] = ()
    duration_s: float
    schedule: Schedule = Schedule()
    classes: tuple[str, ...] = ()
    min_score: float = 0.0
    voted: tuple[Voted, ...] = ()


class StationaryRule(msgspec.Struct, frozen=True, kw_only=True, tag="stationary"):
    """Things that somebody left or took away. Publishes object.left and object.removed: new, end."""

    rule_id: str
    polygon: tuple[Point, ...] = ()
    duration_s: float
    left: bool = True
    removed: bool = True


class CameraCheck(StrEnum):
    """What can be wrong with a camera's pictures."""

    FROZEN = "frozen"
    DARK = "dark"
    COVERED = "covered"
    DEFOCUSED = "defocused"
    MOVED = "moved"
    SLOW = "slow"  # its frame rate collapsed


class CameraHealthRule(msgspec.Struct, frozen=True, kw_only=True, tag="camera_health"):
    """The camera itself, judged by its pictures. Publishes camera.frozen, camera.dark and so on.

    New after ``duration_s``, update, end. While an event other than camera.slow is open, the stream's
    other rules say nothing.
    """

    rule_id: str
    checks: tuple[CameraCheck, ...] = ()  # empty: all
    duration_s: float = 5.0


AreaRule: TypeAlias = (
    OccupancyRule
    | DirectionRule
    | SpeedRule
    | LoiteringRule
    | ParkingRule
    | IntrusionRule
    | AbsenceRule
)
ObjectRule: TypeAlias = ZoneRule | LineRule | TrafficRule | TrackRule | AreaRule
Rule: TypeAlias = ObjectRule | MarkerRule | CameraHealthRule | StationaryRule


def classes_of(rule: ObjectRule) -> tuple[str, ...]:
    """The classes of the objects that a rule is about; empty: all."""
    return rule.classes or (VEHICLES if isinstance(rule, ParkingRule) else ())
