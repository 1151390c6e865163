"""What a client asks for: a stream, where its pictures come from and the rules that watch it.

Pure values. `violations` says which fields cannot be accepted; nothing here opens or resolves
anything. Geometry is normalised: x and y in [0, 1], origin at the picture's top left.
"""

import math
import re
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple, TypeAlias

import msgspec

from vigil.errors import FieldViolation

ID_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
MAX_RULES = 64
MAX_POINTS = 64
MAX_LABELS = 32
MAX_CLASSES = 1000
MAX_NAME_LENGTH = 128  # of a class or a label's key
MAX_LABEL_LENGTH = 1024
MAX_DETECT_FPS = 60.0
MAX_LAPSE_S = 366 * 86400.0  # of dwells and update intervals


class Point(NamedTuple):
    """A place in the picture, normalised."""

    x: float
    y: float


class Pace(StrEnum):
    """How fast a file is played. Live sources play at their own pace whatever this says."""

    REAL_TIME = "real_time"  # by its own timestamps, as a camera would
    FAST = "fast"  # as fast as it is analysed; no frame that is due is dropped


class CaptureBackend(StrEnum):
    """Which library opens and decodes the source."""

    OPENCV = "opencv"
    PYAV = "pyav"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where the pictures of a stream come from.

    ``uri`` is rtsp://, rtsps://, http://, https://, file:///…, folder:///… (pictures in name order) or
    push: (a client sends the frames by AnalyzeFrames). It holds no credentials: those are apart, and
    never returned by any call.
    """

    uri: str
    username: str = ""
    password: str = ""
    pace: Pace = Pace.REAL_TIME
    loop: bool = False
    folder_fps: float = 5.0  # the rate that an image folder is played at
    backend: CaptureBackend = CaptureBackend.OPENCV


class Direction(StrEnum):
    """Across a line from its first point to its last: to the right of that arrow, or to its left."""

    BOTH = "both"
    RIGHT = "right"
    LEFT = "left"


class ZoneRule(msgspec.Struct, frozen=True, kw_only=True, tag="zone"):
    """Objects whose foot point enters, leaves or stays in a polygon.

    Publishes zone.enter and zone.exit (phase new only), and, where ``dwell_s`` is above 0, zone.dwell
    (new after dwell_s inside, update every ``update_s``, end on leaving).
    """

    rule_id: str
    polygon: tuple[Point, ...]
    classes: tuple[str, ...] = ()  # empty: all
    min_score: float = 0.0
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
    hysteresis: float = 0.01


class TrackRule(msgspec.Struct, frozen=True, kw_only=True, tag="track"):
    """Every confirmed track: new when confirmed, update every ``update_s``, end when it is gone."""

    rule_id: str
    classes: tuple[str, ...] = ()
    min_score: float = 0.0
    update_s: float = 10.0


class MarkerRule(msgspec.Struct, frozen=True, kw_only=True, tag="marker"):
    """One instant `marker` event for each analysed frame, so that latency is measured for all."""

    rule_id: str


Rule: TypeAlias = ZoneRule | LineRule | TrackRule | MarkerRule


class StreamSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One camera's definition, as the client gave it."""

    stream_id: str
    source: Source
    enabled: bool = True
    detect_fps: float = 5.0
    priority: int = 1  # weight under overload: 1 to 10, more is served first
    model: str = ""  # empty: the service's model
    classes: tuple[str, ...] = ()  # empty: all that the model knows
    min_score: float = 0.0  # 0: the model's own operating thresholds
    rules: tuple[Rule, ...] = ()
    privacy_masks: tuple[tuple[Point, ...], ...] = ()
    labels: dict[str, str] = msgspec.field(default_factory=dict)


def violations(spec: StreamSpec) -> list[FieldViolation]:
    """Every field of a stream's definition that cannot be accepted; empty if none.

    Paths are those of the message vigil.v1.StreamSpec, which is what a client has written.

    Checks what the definition itself shows. Whether a host or a path is allowed is `vigil.fleet`'s
    policy, and whether the source opens is a stream state.
    """
    return list(_violations(spec))


def _violations(spec: StreamSpec) -> Iterator[FieldViolation]:
    if not ID_PATTERN.fullmatch(spec.stream_id):
        yield FieldViolation(
            "stream_id", "use 1 to 63 of a-z, 0-9, _ and -, beginning with a letter or digit"
        )
    yield from _rate("detect_fps", spec.detect_fps)
    yield from _rate("source.folder_fps", spec.source.folder_fps)
    if not 1 <= spec.priority <= 10:
        yield FieldViolation("priority", "must be from 1 to 10")
    yield from _score("min_score", spec.min_score)
    if len(spec.rules) > MAX_RULES:
        yield FieldViolation("rules", f"at most {MAX_RULES} rules a stream")
    if spec.model and not ID_PATTERN.fullmatch(spec.model):
        yield FieldViolation("model", "is no model's name; see `vigil models list`")
    yield from _classes("classes", spec.classes)
    yield from _labels(spec.labels)
    for index, mask in enumerate(spec.privacy_masks):
        yield from _points(f"privacy_masks[{index}].points", mask, least=3)
    seen: set[str] = set()
    for index, rule in enumerate(spec.rules):
        field = f"rules[{index}]"
        if rule.rule_id in seen:
            yield FieldViolation(
                f"{field}.rule_id", f"{rule.rule_id!r} is used twice in this stream"
            )
        seen.add(rule.rule_id)
        yield from _rule(field, rule)


def _rule(field: str, rule: Rule) -> Iterator[FieldViolation]:
    if not ID_PATTERN.fullmatch(rule.rule_id):
        yield FieldViolation(
            f"{field}.rule_id", "use 1 to 63 of a-z, 0-9, _ and -, beginning with a letter or digit"
        )
    if not isinstance(rule, MarkerRule):
        yield from _score(f"{field}.min_score", rule.min_score)
        yield from _classes(f"{field}.classes", rule.classes)
    if isinstance(rule, ZoneRule):
        yield from _points(f"{field}.zone.polygon", rule.polygon, least=3)
        if _finite_area(rule.polygon) == 0.0:
            yield FieldViolation(
                f"{field}.zone.polygon", "encloses no area; give its corners in order"
            )
        yield from _seconds(f"{field}.zone.dwell", rule.dwell_s, least=0.0)
        yield from _seconds(f"{field}.zone.update_interval", rule.update_s, least=0.1)
    elif isinstance(rule, LineRule):
        yield from _points(f"{field}.line.points", rule.points, least=2)
        if len(set(rule.points)) < 2 <= len(rule.points):
            yield FieldViolation(
                f"{field}.line.points", "all points are the same; give two ends apart"
            )
    elif isinstance(rule, TrackRule):
        yield from _seconds(f"{field}.track.update_interval", rule.update_s, least=0.1)
    if isinstance(rule, ZoneRule | LineRule) and not 0.0 <= rule.hysteresis <= 0.2:
        kind = "zone" if isinstance(rule, ZoneRule) else "line"
        yield FieldViolation(f"{field}.{kind}.hysteresis", "must be from 0 to 0.2 of the picture")


def _points(field: str, points: tuple[Point, ...], *, least: int) -> Iterator[FieldViolation]:
    if not least <= len(points) <= MAX_POINTS:
        yield FieldViolation(field, f"has {len(points)} points; give {least} to {MAX_POINTS}")
    for index, (x, y) in enumerate(points):
        for axis, value in (("x", x), ("y", y)):
            if not 0.0 <= value <= 1.0:  # false for NaN, too
                yield FieldViolation(
                    f"{field}[{index}].{axis}",
                    f"is {value:g}; coordinates are fractions of the picture from 0 to 1",
                )


def _finite_area(polygon: tuple[Point, ...]) -> float | None:
    """Twice the area within a polygon; None where it has too few points or no finite area."""
    if len(polygon) < 3:
        return None
    shifted = (*polygon[1:], polygon[0])
    area = abs(sum(a.x * b.y - b.x * a.y for a, b in zip(polygon, shifted, strict=True)))
    return area if math.isfinite(area) else None


def _labels(labels: dict[str, str]) -> Iterator[FieldViolation]:
    if len(labels) > MAX_LABELS:
        yield FieldViolation("labels", f"at most {MAX_LABELS} labels a stream")
    for key, value in labels.items():
        if not 0 < len(key) <= MAX_NAME_LENGTH or len(value) > MAX_LABEL_LENGTH:
            yield FieldViolation(
                "labels",
                f"keys are 1 to {MAX_NAME_LENGTH} characters, values at most {MAX_LABEL_LENGTH}",
            )


def _classes(field: str, classes: tuple[str, ...]) -> Iterator[FieldViolation]:
    if len(classes) > MAX_CLASSES:
        yield FieldViolation(field, f"at most {MAX_CLASSES} classes")
    if any(not 0 < len(name) <= MAX_NAME_LENGTH for name in classes):
        yield FieldViolation(field, f"a class's name is 1 to {MAX_NAME_LENGTH} characters")


def _rate(field: str, value: float) -> Iterator[FieldViolation]:
    if not (math.isfinite(value) and 0 < value <= MAX_DETECT_FPS):
        yield FieldViolation(field, f"must be above 0 and at most {MAX_DETECT_FPS:g}")


def _score(field: str, value: float) -> Iterator[FieldViolation]:
    if not 0.0 <= value <= 1.0:
        yield FieldViolation(field, f"is {value:g}; scores are from 0 to 1")


def _seconds(field: str, value: float, *, least: float) -> Iterator[FieldViolation]:
    if not least <= value <= MAX_LAPSE_S:  # false for NaN, too
        yield FieldViolation(field, f"is {value:g}; give {least:g} to {MAX_LAPSE_S:g} seconds")
