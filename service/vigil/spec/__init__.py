"""What a client asks for: a stream, where its pictures come from and the rules that watch it.

Pure values. `violations` says which fields cannot be accepted; nothing here opens or resolves
anything. Geometry is normalised: x and y in [0, 1], origin at the picture's top left.
"""

from vigil.spec.checks import ID_PATTERN, MAX_LAPSE_S, MAX_POINTS
from vigil.spec.rules import (
    AbsenceRule,
    AreaRule,
    CameraCheck,
    CameraHealthRule,
    Direction,
    DirectionRule,
    GroundPoint,
    IntrusionRule,
    LineRule,
    LoiteringRule,
    MarkerRule,
    OccupancyRule,
    ParkingRule,
    Point,
    Rule,
    Schedule,
    SpeedRule,
    TrackRule,
    Window,
    ZoneRule,
)
from vigil.spec.stream import (
    MAX_DETECT_FPS,
    MAX_LABELS,
    MAX_RULES,
    CaptureBackend,
    Pace,
    Source,
    StreamSpec,
    violations,
)

__all__ = [
    "ID_PATTERN",
    "MAX_DETECT_FPS",
    "MAX_LABELS",
    "MAX_LAPSE_S",
    "MAX_POINTS",
    "MAX_RULES",
    "AbsenceRule",
    "AreaRule",
    "CameraCheck",
    "CameraHealthRule",
    "CaptureBackend",
    "Direction",
    "DirectionRule",
    "GroundPoint",
    "IntrusionRule",
    "LineRule",
    "LoiteringRule",
    "MarkerRule",
    "OccupancyRule",
    "Pace",
    "ParkingRule",
    "Point",
    "Rule",
    "Schedule",
    "Source",
    "SpeedRule",
    "StreamSpec",
    "TrackRule",
    "Window",
    "ZoneRule",
    "violations",
]
