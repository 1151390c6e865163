"""Stream definitions and states: messages to values and back."""

from collections.abc import Callable, Iterable

from google.protobuf.duration_pb2 import Duration

from vigil.api.secrets import shown_uri, split_user
from vigil.api.times import duration, duration_s, timestamp
from vigil.errors import FieldViolation, InvalidRequest, NotServedYet
from vigil.fleet.contract import Stream, StreamStatus
from vigil.spec import (
    CaptureBackend,
    Direction,
    LineRule,
    MarkerRule,
    Pace,
    Point,
    Rule,
    Source,
    StreamSpec,
    TrackRule,
    ZoneRule,
)
from vigil.v1 import geometry_pb2, rules_pb2, streams_pb2

DEFAULT_DETECT_FPS = 5.0
DEFAULT_PRIORITY = 1
DEFAULT_FOLDER_FPS = 5.0
DEFAULT_UPDATE_S = 10.0
DEFAULT_HYSTERESIS = 0.01

_PACES = {
    streams_pb2.Source.PACE_UNSPECIFIED: Pace.REAL_TIME,
    streams_pb2.Source.REAL_TIME: Pace.REAL_TIME,
    streams_pb2.Source.FAST: Pace.FAST,
}
_BACKENDS = {
    streams_pb2.Source.OPENCV: CaptureBackend.OPENCV,
    streams_pb2.Source.PYAV: CaptureBackend.PYAV,
}
_DIRECTIONS = {
    rules_pb2.LineRule.DIRECTION_UNSPECIFIED: Direction.BOTH,
    rules_pb2.LineRule.BOTH: Direction.BOTH,
    rules_pb2.LineRule.RIGHT: Direction.RIGHT,
    rules_pb2.LineRule.LEFT: Direction.LEFT,
}


def spec_from_message(
    message: streams_pb2.StreamSpec, *, default_backend: CaptureBackend
) -> StreamSpec:
    """A stream's definition; what is left out gets the default that the contract names.

    Raises NotServedYet for parts of the contract that this version does not serve and InvalidRequest
    for what has no value at all; whether the values are acceptable is `vigil.spec.violations`'.
    """
    for field in ("class_min_scores", "motion_gate", "second_stages"):
        if field in {present.name for present, _ in message.ListFields()}:
            raise NotServedYet(f"{field} is not served by this version; leave it out")
    return StreamSpec(
        stream_id=message.stream_id,
        source=_source(message.source, default_backend),
        enabled=message.enabled if message.HasField("enabled") else True,
        detect_fps=message.detect_fps or DEFAULT_DETECT_FPS,
        priority=message.priority or DEFAULT_PRIORITY,
        model=message.model,
        classes=tuple(message.classes),
        min_score=message.min_score,
        rules=tuple(_rule(index, rule) for index, rule in enumerate(message.rules)),
        privacy_masks=tuple(_points(mask.points) for mask in message.privacy_masks),
        labels=dict(message.labels),
    )


def gives_credentials(message: streams_pb2.Source) -> bool:
    """Whether a source says anything about credentials, be it that there are none."""
    return message.HasField("credentials") or split_user(message.uri)[0] != message.uri


def spec_message(spec: StreamSpec) -> streams_pb2.StreamSpec:
    """A definition as it may be shown: credentials left out."""
    source = spec.source
    return streams_pb2.StreamSpec(
        stream_id=spec.stream_id,
        source=streams_pb2.Source(
            uri=shown_uri(source.uri),
            has_credentials=bool(source.username or source.password),
            pace=source.pace.name,
            loop=source.loop,
            folder_fps=source.folder_fps,
            backend=source.backend.name,
        ),
        enabled=spec.enabled,
        detect_fps=spec.detect_fps,
        priority=spec.priority,
        model=spec.model,
        classes=spec.classes,
        min_score=spec.min_score,
        rules=[_rule_message(rule) for rule in spec.rules],
        privacy_masks=[
            geometry_pb2.Polygon(points=_point_messages(mask)) for mask in spec.privacy_masks
        ],
        labels=spec.labels,
    )


def stream_message(stream: Stream) -> streams_pb2.Stream:
    """A stream with its state."""
    return streams_pb2.Stream(
        spec=spec_message(stream.spec),
        generation=stream.generation,
        status=_status_message(stream.status),
    )


def _source(message: streams_pb2.Source, default_backend: CaptureBackend) -> Source:
    given = message.credentials
    if given.secret_ref:
        raise NotServedYet(
            "source.credentials.secret_ref is not served by this version; give username and password"
        )
    if message.pace not in _PACES:
        raise InvalidRequest([FieldViolation("source.pace", "is no pace; use REAL_TIME or FAST")])
    if message.backend and message.backend not in _BACKENDS:
        raise InvalidRequest([FieldViolation("source.backend", "use OPENCV or PYAV")])
    uri, username, password = split_user(message.uri)
    if uri != message.uri and (given.username or given.password):
        raise InvalidRequest(
            [
                FieldViolation(
                    "source.credentials", "credentials are in the URI, too; give them once"
                )
            ]
        )
    return Source(
        uri=uri,
        username=username or given.username,
        password=password or given.password,
        pace=_PACES[message.pace],
        loop=message.loop,
        folder_fps=message.folder_fps or DEFAULT_FOLDER_FPS,
        backend=_BACKENDS.get(message.backend, default_backend),
    )


def _zone(message: rules_pb2.Rule) -> Rule:
    zone = message.zone
    return ZoneRule(
        rule_id=message.rule_id,
        polygon=_points(zone.polygon),
        classes=tuple(message.classes),
        min_score=message.min_score,
        dwell_s=duration_s(zone.dwell),
        update_s=_update_s(zone.HasField("update_interval"), zone.update_interval),
        hysteresis=zone.hysteresis if zone.HasField("hysteresis") else DEFAULT_HYSTERESIS,
    )


def _line(message: rules_pb2.Rule) -> Rule:
    line = message.line
    return LineRule(
        rule_id=message.rule_id,
        points=_points(line.points),
        direction=_DIRECTIONS[line.direction],
        classes=tuple(message.classes),
        min_score=message.min_score,
        hysteresis=line.hysteresis if line.HasField("hysteresis") else DEFAULT_HYSTERESIS,
    )


def _track(message: rules_pb2.Rule) -> Rule:
    track = message.track
    return TrackRule(
        rule_id=message.rule_id,
        classes=tuple(message.classes),
        min_score=message.min_score,
        update_s=_update_s(track.HasField("update_interval"), track.update_interval),
    )


def _marker(message: rules_pb2.Rule) -> Rule:
    return MarkerRule(rule_id=message.rule_id)


_RULES: dict[str, Callable[[rules_pb2.Rule], Rule]] = {
    "zone": _zone,
    "line": _line,
    "track": _track,
    "marker": _marker,
}


def _rule(index: int, message: rules_pb2.Rule) -> Rule:
    kind = message.WhichOneof("kind")
    if kind is None:
        raise InvalidRequest(
            [FieldViolation(f"rules[{index}]", f"has no kind; set one of {', '.join(_RULES)}")]
        )
    if kind not in _RULES:
        raise NotServedYet(
            f"rules[{index}].{kind} is not served by this version; {', '.join(_RULES)} are"
        )
    if kind == "line" and message.line.direction not in _DIRECTIONS:
        raise InvalidRequest(
            [FieldViolation(f"rules[{index}].line.direction", "use BOTH, RIGHT or LEFT")]
        )
    return _RULES[kind](message)


def _rule_message(rule: Rule) -> rules_pb2.Rule:
    if isinstance(rule, MarkerRule):
        return rules_pb2.Rule(rule_id=rule.rule_id, marker=rules_pb2.MarkerRule())
    message = rules_pb2.Rule(rule_id=rule.rule_id, classes=rule.classes, min_score=rule.min_score)
    if isinstance(rule, ZoneRule):
        message.zone.CopyFrom(
            rules_pb2.ZoneRule(
                polygon=_point_messages(rule.polygon),
                dwell=duration(rule.dwell_s),
                update_interval=duration(rule.update_s),
                hysteresis=rule.hysteresis,
            )
        )
    elif isinstance(rule, LineRule):
        message.line.CopyFrom(
            rules_pb2.LineRule(
                points=_point_messages(rule.points),
                direction=rule.direction.name,
                hysteresis=rule.hysteresis,
            )
        )
    else:
        message.track.CopyFrom(rules_pb2.TrackRule(update_interval=duration(rule.update_s)))
    return message


def _status_message(status: StreamStatus) -> streams_pb2.StreamStatus:
    message = streams_pb2.StreamStatus(
        state=status.state.name,
        since=timestamp(status.since_s),
        reason=status.reason.name if status.reason is not None else None,
        detail=status.detail,
        run=status.run,
        width_px=status.width_px,
        height_px=status.height_px,
        source_fps=status.source_fps,
        analysed_fps=status.analysed_fps,
        reconnects=status.reconnects,
    )
    if status.next_retry_s is not None:
        message.next_retry.CopyFrom(timestamp(status.next_retry_s))
    return message


def _points(messages: Iterable[geometry_pb2.Point]) -> tuple[Point, ...]:
    return tuple(Point(message.x, message.y) for message in messages)


def _point_messages(points: Iterable[Point]) -> list[geometry_pb2.Point]:
    return [geometry_pb2.Point(x=point.x, y=point.y) for point in points]


def _update_s(present: bool, message: Duration) -> float:
    return duration_s(message) if present else DEFAULT_UPDATE_S
