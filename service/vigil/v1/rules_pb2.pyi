import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from vigil.v1 import geometry_pb2 as _geometry_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Rule(_message.Message):
    __slots__ = ("rule_id", "classes", "min_score", "voted", "zone", "line", "track", "marker", "occupancy", "direction", "speed", "loitering", "stationary", "intrusion", "absence", "parking", "camera_health", "traffic")
    RULE_ID_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    VOTED_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    TRACK_FIELD_NUMBER: _ClassVar[int]
    MARKER_FIELD_NUMBER: _ClassVar[int]
    OCCUPANCY_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    SPEED_FIELD_NUMBER: _ClassVar[int]
    LOITERING_FIELD_NUMBER: _ClassVar[int]
    STATIONARY_FIELD_NUMBER: _ClassVar[int]
    INTRUSION_FIELD_NUMBER: _ClassVar[int]
    ABSENCE_FIELD_NUMBER: _ClassVar[int]
    PARKING_FIELD_NUMBER: _ClassVar[int]
    CAMERA_HEALTH_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_FIELD_NUMBER: _ClassVar[int]
    rule_id: str
    classes: _containers.RepeatedScalarFieldContainer[str]
    min_score: float
    voted: _containers.RepeatedCompositeFieldContainer[Voted]
    zone: ZoneRule
    line: LineRule
    track: TrackRule
    marker: MarkerRule
    occupancy: OccupancyRule
    direction: DirectionRule
    speed: SpeedRule
    loitering: LoiteringRule
    stationary: StationaryRule
    intrusion: IntrusionRule
    absence: AbsenceRule
    parking: ParkingRule
    camera_health: CameraHealthRule
    traffic: TrafficRule
    def __init__(self, rule_id: _Optional[str] = ..., classes: _Optional[_Iterable[str]] = ..., min_score: _Optional[float] = ..., voted: _Optional[_Iterable[_Union[Voted, _Mapping]]] = ..., zone: _Optional[_Union[ZoneRule, _Mapping]] = ..., line: _Optional[_Union[LineRule, _Mapping]] = ..., track: _Optional[_Union[TrackRule, _Mapping]] = ..., marker: _Optional[_Union[MarkerRule, _Mapping]] = ..., occupancy: _Optional[_Union[OccupancyRule, _Mapping]] = ..., direction: _Optional[_Union[DirectionRule, _Mapping]] = ..., speed: _Optional[_Union[SpeedRule, _Mapping]] = ..., loitering: _Optional[_Union[LoiteringRule, _Mapping]] = ..., stationary: _Optional[_Union[StationaryRule, _Mapping]] = ..., intrusion: _Optional[_Union[IntrusionRule, _Mapping]] = ..., absence: _Optional[_Union[AbsenceRule, _Mapping]] = ..., parking: _Optional[_Union[ParkingRule, _Mapping]] = ..., camera_health: _Optional[_Union[CameraHealthRule, _Mapping]] = ..., traffic: _Optional[_Union[TrafficRule, _Mapping]] = ...) -> None: ...

class Voted(_message.Message):
    __slots__ = ("classifier", "classes")
    CLASSIFIER_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    classifier: str
    classes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, classifier: _Optional[str] = ..., classes: _Optional[_Iterable[str]] = ...) -> None: ...

class ZoneRule(_message.Message):
    __slots__ = ("polygon", "dwell", "update_interval", "hysteresis")
    POLYGON_FIELD_NUMBER: _ClassVar[int]
    DWELL_FIELD_NUMBER: _ClassVar[int]
    UPDATE_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    HYSTERESIS_FIELD_NUMBER: _ClassVar[int]
    polygon: _containers.RepeatedCompositeFieldContainer[_geometry_pb2.Point]
    dwell: _duration_pb2.Duration
    update_interval: _duration_pb2.Duration
    hysteresis: float
    def __init__(self, polygon: _Optional[_Iterable[_Union[_geometry_pb2.Point, _Mapping]]] = ..., dwell: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., update_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., hysteresis: _Optional[float] = ...) -> None: ...

class LineRule(_message.Message):
    __slots__ = ("points", "direction", "hysteresis")
    class Direction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DIRECTION_UNSPECIFIED: _ClassVar[LineRule.Direction]
        BOTH: _ClassVar[LineRule.Direction]
        RIGHT: _ClassVar[LineRule.Direction]
        LEFT: _ClassVar[LineRule.Direction]
    DIRECTION_UNSPECIFIED: LineRule.Direction
    BOTH: LineRule.Direction
    RIGHT: LineRule.Direction
    LEFT: LineRule.Direction
    POINTS_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    HYSTERESIS_FIELD_NUMBER: _ClassVar[int]
    points: _containers.RepeatedCompositeFieldContainer[_geometry_pb2.Point]
    direction: LineRule.Direction
    hysteresis: float
    def __init__(self, points: _Optional[_Iterable[_Union[_geometry_pb2.Point, _Mapping]]] = ..., direction: _Optional[_Union[LineRule.Direction, str]] = ..., hysteresis: _Optional[float] = ...) -> None: ...

class TrackRule(_message.Message):
    __slots__ = ("update_interval",)
    UPDATE_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    update_interval: _duration_pb2.Duration
    def __init__(self, update_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class MarkerRule(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Threshold(_message.Message):
    __slots__ = ("value", "learnt")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LEARNT_FIELD_NUMBER: _ClassVar[int]
    value: float
    learnt: LearntThreshold
    def __init__(self, value: _Optional[float] = ..., learnt: _Optional[_Union[LearntThreshold, _Mapping]] = ...) -> None: ...

class LearntThreshold(_message.Message):
    __slots__ = ("deviations", "warm_up")
    DEVIATIONS_FIELD_NUMBER: _ClassVar[int]
    WARM_UP_FIELD_NUMBER: _ClassVar[int]
    deviations: float
    warm_up: _duration_pb2.Duration
    def __init__(self, deviations: _Optional[float] = ..., warm_up: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class OccupancyRule(_message.Message):
    __slots__ = ("polygon", "above", "below", "duration", "update_interval")
    POLYGON_FIELD_NUMBER: _ClassVar[int]
    ABOVE_FIELD_NUMBER: _ClassVar[int]
    BELOW_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    UPDATE_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    polygon: _containers.RepeatedCompositeFieldContainer[_geometry_pb2.Point]
    above: Threshold
    below: Threshold
    duration: _duration_pb2.Duration
    update_interval: _duration_pb2.Duration
    def __init__(self, polygon: _Optional[_Iterable[_Union[_geometry_pb2.Point, _Mapping]]] = ..., above: _Optional[_Union[Threshold, _Mapping]] = ..., below: _Optional[_Union[Threshold, _Mapping]] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., update_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class TrafficRule(_message.Message):
    __slots__ = ("points", "direction", "window", "above", "below")
    POINTS_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    ABOVE_FIELD_NUMBER: _ClassVar[int]
    BELOW_FIELD_NUMBER: _ClassVar[int]
    points: _containers.RepeatedCompositeFieldContainer[_geometry_pb2.Point]
    direction: LineRule.Direction
    window: _duration_pb2.Duration
    above: Threshold
    below: Threshold
    def __init__(self, points: _Optional[_Iterable[_Union[_geometry_pb2.Point, _Mapping]]] = ..., direction: _Optional[_Union[LineRule.Direction, str]] = ..., window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., above: _Optional[_Union[Threshold, _Mapping]] = ..., below: _Optional[_Union[Threshold, _Mapping]] = ...) -> None: ...

class DirectionRule(_message.Message):
    __slots__ = ("polygon", "to", "tolerance_degrees", "duration")
    POLYGON_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    TOLERANCE_DEGREES_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    polygon: _containers.RepeatedCompositeFieldContainer[_geometry_pb2.Point]
    to: _geometry_pb2.Point
    tolerance_degrees: float
    duration: _duration_pb2.Duration
    def __init__(self, polygon: _Optional[_Iterable[_Union[_geometry_pb2.Point, _Mapping]]] = ..., to: _Optional[_Union[_geometry_pb2.Point, _Mapping]] = ..., tolerance_degrees: _Optional[float] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., **kwargs) -> None: ...

class SpeedRule(_message.Message):
    __slots__ = ("polygon", "calibration", "ground", "above_m_per_s", "below_m_per_s")
    POLYGON_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    GROUND_FIELD_NUMBER: _ClassVar[int]
    ABOVE_M_PER_S_FIELD_NUMBER: _ClassVar[int]
    BELOW_M_PER_S_FIELD_NUMBER: _ClassVar[int]
    polygon: _containers.RepeatedCompositeFieldContainer[_geometry_pb2.Point]
    calibration: _containers.RepeatedCompositeFieldContainer[_geometry_pb2.Point]
    ground: _containers.RepeatedCompositeFieldContainer[GroundPoint]
    above_m_per_s: float
    below_m_per_s: float
    def __init__(self, polygon: _Optional[_Iterable[_Union[_geometry_pb2.Point, _Mapping]]] = ..., calibration: _Optional[_Iterable[_Union[_geometry_pb2.Point, _Mapping]]] = ..., ground: _Optional[_Iterable[_Union[GroundPoint, _Mapping]]] = ..., above_m_per_s: _Optional[float] = ..., below_m_per_s: _Optional[float] = ...) -> None: ...

class GroundPoint(_message.Message):
    __slots__ = ("x_m", "y_m")
    X_M_FIELD_NUMBER: _ClassVar[int]
    Y_M_FIELD_NUMBER: _ClassVar[int]
    x_m: float
    y_m: float
    def __init__(self, x_m: _Optional[float] = ..., y_m: _Optional[float] = ...) -> None: ...

class LoiteringRule(_message.Message):
    __slots__ = ("polygon", "duration", "radius")
    POLYGON_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    RADIUS_FIELD_NUMBER: _ClassVar[int]
    polygon: _containers.RepeatedCompositeFieldContainer[_geometry_pb2.Point]
    duration: _duration_pb2.Duration
    radius: float
    def __init__(self, polygon: _Optional[_Iterable[_Union[_geometry_pb2.Point, _Mapping]]] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., radius: _Optional[float] = ...) -> None: ...

class StationaryRule(_message.Message):
    __slots__ = ("polygon", "duration", "left", "removed")
    POLYGON_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    polygon: _containers.RepeatedCompositeFieldContainer[_geometry_pb2.Point]
    duration: _duration_pb2.Duration
    left: bool
    removed: bool
    def __init__(self, polygon: _Optional[_Iterable[_Union[_geometry_pb2.Point, _Mapping]]] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., left: _Optional[bool] = ..., removed: _Optional[bool] = ...) -> None: ...

class Schedule(_message.Message):
    __slots__ = ("time_zone", "windows")
    class Day(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DAY_UNSPECIFIED: _ClassVar[Schedule.Day]
        MONDAY: _ClassVar[Schedule.Day]
        TUESDAY: _ClassVar[Schedule.Day]
        WEDNESDAY: _ClassVar[Schedule.Day]
        THURSDAY: _ClassVar[Schedule.Day]
        FRIDAY: _ClassVar[Schedule.Day]
        SATURDAY: _ClassVar[Schedule.Day]
        SUNDAY: _ClassVar[Schedule.Day]
    DAY_UNSPECIFIED: Schedule.Day
    MONDAY: Schedule.Day
    TUESDAY: Schedule.Day
    WEDNESDAY: Schedule.Day
    THURSDAY: Schedule.Day
    FRIDAY: Schedule.Day
    SATURDAY: Schedule.Day
    SUNDAY: Schedule.Day
    class Window(_message.Message):
        __slots__ = ("days", "start", "end")
        DAYS_FIELD_NUMBER: _ClassVar[int]
        START_FIELD_NUMBER: _ClassVar[int]
        END_FIELD_NUMBER: _ClassVar[int]
        days: _containers.RepeatedScalarFieldContainer[Schedule.Day]
        start: _duration_pb2.Duration
        end: _duration_pb2.Duration
        def __init__(self, days: _Optional[_Iterable[_Union[Schedule.Day, str]]] = ..., start: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., end: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    time_zone: str
    windows: _containers.RepeatedCompositeFieldContainer[Schedule.Window]
    def __init__(self, time_zone: _Optional[str] = ..., windows: _Optional[_Iterable[_Union[Schedule.Window, _Mapping]]] = ...) -> None: ...

class IntrusionRule(_message.Message):
    __slots__ = ("polygon", "schedule")
    POLYGON_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    polygon: _containers.RepeatedCompositeFieldContainer[_geometry_pb2.Point]
    schedule: Schedule
    def __init__(self, polygon: _Optional[_Iterable[_Union[_geometry_pb2.Point, _Mapping]]] = ..., schedule: _Optional[_Union[Schedule, _Mapping]] = ...) -> None: ...

class AbsenceRule(_message.Message):
    __slots__ = ("polygon", "duration", "schedule")
    POLYGON_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    polygon: _containers.RepeatedCompositeFieldContainer[_geometry_pb2.Point]
    duration: _duration_pb2.Duration
    schedule: Schedule
    def __init__(self, polygon: _Optional[_Iterable[_Union[_geometry_pb2.Point, _Mapping]]] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., schedule: _Optional[_Union[Schedule, _Mapping]] = ...) -> None: ...

class ParkingRule(_message.Message):
    __slots__ = ("polygon", "duration")
    POLYGON_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    polygon: _containers.RepeatedCompositeFieldContainer[_geometry_pb2.Point]
    duration: _duration_pb2.Duration
    def __init__(self, polygon: _Optional[_Iterable[_Union[_geometry_pb2.Point, _Mapping]]] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CameraHealthRule(_message.Message):
    __slots__ = ("checks", "duration")
    class Check(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CHECK_UNSPECIFIED: _ClassVar[CameraHealthRule.Check]
        FROZEN: _ClassVar[CameraHealthRule.Check]
        DARK: _ClassVar[CameraHealthRule.Check]
        COVERED: _ClassVar[CameraHealthRule.Check]
        DEFOCUSED: _ClassVar[CameraHealthRule.Check]
        MOVED: _ClassVar[CameraHealthRule.Check]
        SLOW: _ClassVar[CameraHealthRule.Check]
    CHECK_UNSPECIFIED: CameraHealthRule.Check
    FROZEN: CameraHealthRule.Check
    DARK: CameraHealthRule.Check
    COVERED: CameraHealthRule.Check
    DEFOCUSED: CameraHealthRule.Check
    MOVED: CameraHealthRule.Check
    SLOW: CameraHealthRule.Check
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    checks: _containers.RepeatedScalarFieldContainer[CameraHealthRule.Check]
    duration: _duration_pb2.Duration
    def __init__(self, checks: _Optional[_Iterable[_Union[CameraHealthRule.Check, str]]] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
