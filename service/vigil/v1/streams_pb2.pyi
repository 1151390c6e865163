import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from vigil.v1 import geometry_pb2 as _geometry_pb2
from vigil.v1 import rules_pb2 as _rules_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Source(_message.Message):
    __slots__ = ("uri", "credentials", "has_credentials", "pace", "loop", "folder_fps", "backend")
    class Pace(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        PACE_UNSPECIFIED: _ClassVar[Source.Pace]
        REAL_TIME: _ClassVar[Source.Pace]
        FAST: _ClassVar[Source.Pace]
    PACE_UNSPECIFIED: Source.Pace
    REAL_TIME: Source.Pace
    FAST: Source.Pace
    class Backend(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        BACKEND_UNSPECIFIED: _ClassVar[Source.Backend]
        OPENCV: _ClassVar[Source.Backend]
        PYAV: _ClassVar[Source.Backend]
    BACKEND_UNSPECIFIED: Source.Backend
    OPENCV: Source.Backend
    PYAV: Source.Backend
    URI_FIELD_NUMBER: _ClassVar[int]
    CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    HAS_CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    PACE_FIELD_NUMBER: _ClassVar[int]
    LOOP_FIELD_NUMBER: _ClassVar[int]
    FOLDER_FPS_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    uri: str
    credentials: Credentials
    has_credentials: bool
    pace: Source.Pace
    loop: bool
    folder_fps: float
    backend: Source.Backend
    def __init__(self, uri: _Optional[str] = ..., credentials: _Optional[_Union[Credentials, _Mapping]] = ..., has_credentials: _Optional[bool] = ..., pace: _Optional[_Union[Source.Pace, str]] = ..., loop: _Optional[bool] = ..., folder_fps: _Optional[float] = ..., backend: _Optional[_Union[Source.Backend, str]] = ...) -> None: ...

class Credentials(_message.Message):
    __slots__ = ("username", "password", "secret_ref")
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    SECRET_REF_FIELD_NUMBER: _ClassVar[int]
    username: str
    password: str
    secret_ref: str
    def __init__(self, username: _Optional[str] = ..., password: _Optional[str] = ..., secret_ref: _Optional[str] = ...) -> None: ...

class MotionGate(_message.Message):
    __slots__ = ("enabled", "max_gap")
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    MAX_GAP_FIELD_NUMBER: _ClassVar[int]
    enabled: bool
    max_gap: _duration_pb2.Duration
    def __init__(self, enabled: _Optional[bool] = ..., max_gap: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class SecondStage(_message.Message):
    __slots__ = ("classifier", "classes")
    CLASSIFIER_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    classifier: str
    classes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, classifier: _Optional[str] = ..., classes: _Optional[_Iterable[str]] = ...) -> None: ...

class EventSnapshots(_message.Message):
    __slots__ = ("enabled", "rule_ids")
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    RULE_IDS_FIELD_NUMBER: _ClassVar[int]
    enabled: bool
    rule_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, enabled: _Optional[bool] = ..., rule_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class StreamSpec(_message.Message):
    __slots__ = ("stream_id", "source", "enabled", "detect_fps", "priority", "model", "classes", "min_score", "class_min_scores", "rules", "privacy_masks", "labels", "motion_gate", "second_stages", "event_snapshots")
    class ClassMinScoresEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    DETECT_FPS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    CLASS_MIN_SCORES_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    PRIVACY_MASKS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MOTION_GATE_FIELD_NUMBER: _ClassVar[int]
    SECOND_STAGES_FIELD_NUMBER: _ClassVar[int]
    EVENT_SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    source: Source
    enabled: bool
    detect_fps: float
    priority: int
    model: str
    classes: _containers.RepeatedScalarFieldContainer[str]
    min_score: float
    class_min_scores: _containers.ScalarMap[str, float]
    rules: _containers.RepeatedCompositeFieldContainer[_rules_pb2.Rule]
    privacy_masks: _containers.RepeatedCompositeFieldContainer[_geometry_pb2.Polygon]
    labels: _containers.ScalarMap[str, str]
    motion_gate: MotionGate
    second_stages: _containers.RepeatedCompositeFieldContainer[SecondStage]
    event_snapshots: EventSnapshots
    def __init__(self, stream_id: _Optional[str] = ..., source: _Optional[_Union[Source, _Mapping]] = ..., enabled: _Optional[bool] = ..., detect_fps: _Optional[float] = ..., priority: _Optional[int] = ..., model: _Optional[str] = ..., classes: _Optional[_Iterable[str]] = ..., min_score: _Optional[float] = ..., class_min_scores: _Optional[_Mapping[str, float]] = ..., rules: _Optional[_Iterable[_Union[_rules_pb2.Rule, _Mapping]]] = ..., privacy_masks: _Optional[_Iterable[_Union[_geometry_pb2.Polygon, _Mapping]]] = ..., labels: _Optional[_Mapping[str, str]] = ..., motion_gate: _Optional[_Union[MotionGate, _Mapping]] = ..., second_stages: _Optional[_Iterable[_Union[SecondStage, _Mapping]]] = ..., event_snapshots: _Optional[_Union[EventSnapshots, _Mapping]] = ...) -> None: ...

class StreamStatus(_message.Message):
    __slots__ = ("state", "since", "reason", "detail", "next_retry", "run", "width_px", "height_px", "source_fps", "analysed_fps", "reconnects")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[StreamStatus.State]
        PENDING: _ClassVar[StreamStatus.State]
        CONNECTING: _ClassVar[StreamStatus.State]
        ONLINE: _ClassVar[StreamStatus.State]
        DEGRADED: _ClassVar[StreamStatus.State]
        OFFLINE: _ClassVar[StreamStatus.State]
        DISABLED: _ClassVar[StreamStatus.State]
    STATE_UNSPECIFIED: StreamStatus.State
    PENDING: StreamStatus.State
    CONNECTING: StreamStatus.State
    ONLINE: StreamStatus.State
    DEGRADED: StreamStatus.State
    OFFLINE: StreamStatus.State
    DISABLED: StreamStatus.State
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[StreamStatus.Reason]
        UNREACHABLE: _ClassVar[StreamStatus.Reason]
        AUTH_FAILED: _ClassVar[StreamStatus.Reason]
        NO_VIDEO: _ClassVar[StreamStatus.Reason]
        UNSUPPORTED: _ClassVar[StreamStatus.Reason]
        REFUSED_BY_POLICY: _ClassVar[StreamStatus.Reason]
        ENDED: _ClassVar[StreamStatus.Reason]
        DECODE_ERROR: _ClassVar[StreamStatus.Reason]
        OVERLOADED: _ClassVar[StreamStatus.Reason]
        ENGINE_UNAVAILABLE: _ClassVar[StreamStatus.Reason]
        QUARANTINED: _ClassVar[StreamStatus.Reason]
    REASON_UNSPECIFIED: StreamStatus.Reason
    UNREACHABLE: StreamStatus.Reason
    AUTH_FAILED: StreamStatus.Reason
    NO_VIDEO: StreamStatus.Reason
    UNSUPPORTED: StreamStatus.Reason
    REFUSED_BY_POLICY: StreamStatus.Reason
    ENDED: StreamStatus.Reason
    DECODE_ERROR: StreamStatus.Reason
    OVERLOADED: StreamStatus.Reason
    ENGINE_UNAVAILABLE: StreamStatus.Reason
    QUARANTINED: StreamStatus.Reason
    STATE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    NEXT_RETRY_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FPS_FIELD_NUMBER: _ClassVar[int]
    ANALYSED_FPS_FIELD_NUMBER: _ClassVar[int]
    RECONNECTS_FIELD_NUMBER: _ClassVar[int]
    state: StreamStatus.State
    since: _timestamp_pb2.Timestamp
    reason: StreamStatus.Reason
    detail: str
    next_retry: _timestamp_pb2.Timestamp
    run: int
    width_px: int
    height_px: int
    source_fps: float
    analysed_fps: float
    reconnects: int
    def __init__(self, state: _Optional[_Union[StreamStatus.State, str]] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[_Union[StreamStatus.Reason, str]] = ..., detail: _Optional[str] = ..., next_retry: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., run: _Optional[int] = ..., width_px: _Optional[int] = ..., height_px: _Optional[int] = ..., source_fps: _Optional[float] = ..., analysed_fps: _Optional[float] = ..., reconnects: _Optional[int] = ...) -> None: ...

class Stream(_message.Message):
    __slots__ = ("spec", "generation", "status")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    spec: StreamSpec
    generation: int
    status: StreamStatus
    def __init__(self, spec: _Optional[_Union[StreamSpec, _Mapping]] = ..., generation: _Optional[int] = ..., status: _Optional[_Union[StreamStatus, _Mapping]] = ...) -> None: ...

class AddStreamRequest(_message.Message):
    __slots__ = ("spec",)
    SPEC_FIELD_NUMBER: _ClassVar[int]
    spec: StreamSpec
    def __init__(self, spec: _Optional[_Union[StreamSpec, _Mapping]] = ...) -> None: ...

class AddStreamResponse(_message.Message):
    __slots__ = ("stream",)
    STREAM_FIELD_NUMBER: _ClassVar[int]
    stream: Stream
    def __init__(self, stream: _Optional[_Union[Stream, _Mapping]] = ...) -> None: ...

class UpdateStreamRequest(_message.Message):
    __slots__ = ("spec", "update_mask", "generation")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    spec: StreamSpec
    update_mask: _field_mask_pb2.FieldMask
    generation: int
    def __init__(self, spec: _Optional[_Union[StreamSpec, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., generation: _Optional[int] = ...) -> None: ...

class UpdateStreamResponse(_message.Message):
    __slots__ = ("stream",)
    STREAM_FIELD_NUMBER: _ClassVar[int]
    stream: Stream
    def __init__(self, stream: _Optional[_Union[Stream, _Mapping]] = ...) -> None: ...

class RemoveStreamRequest(_message.Message):
    __slots__ = ("stream_id",)
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    def __init__(self, stream_id: _Optional[str] = ...) -> None: ...

class RemoveStreamResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStreamRequest(_message.Message):
    __slots__ = ("stream_id",)
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    def __init__(self, stream_id: _Optional[str] = ...) -> None: ...

class GetStreamResponse(_message.Message):
    __slots__ = ("stream",)
    STREAM_FIELD_NUMBER: _ClassVar[int]
    stream: Stream
    def __init__(self, stream: _Optional[_Union[Stream, _Mapping]] = ...) -> None: ...

class ListStreamsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListStreamsResponse(_message.Message):
    __slots__ = ("streams", "next_page_token")
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    streams: _containers.RepeatedCompositeFieldContainer[Stream]
    next_page_token: str
    def __init__(self, streams: _Optional[_Iterable[_Union[Stream, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchStreamsRequest(_message.Message):
    __slots__ = ("stream_ids",)
    STREAM_IDS_FIELD_NUMBER: _ClassVar[int]
    stream_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, stream_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class WatchStreamsResponse(_message.Message):
    __slots__ = ("stream", "removed")
    STREAM_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    stream: Stream
    removed: bool
    def __init__(self, stream: _Optional[_Union[Stream, _Mapping]] = ..., removed: _Optional[bool] = ...) -> None: ...

class GetBaselineRequest(_message.Message):
    __slots__ = ("stream_id", "rule_id", "edge")
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    RULE_ID_FIELD_NUMBER: _ClassVar[int]
    EDGE_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    rule_id: str
    edge: str
    def __init__(self, stream_id: _Optional[str] = ..., rule_id: _Optional[str] = ..., edge: _Optional[str] = ...) -> None: ...

class GetBaselineResponse(_message.Message):
    __slots__ = ("hours", "warm", "warm_at", "edge")
    class Hour(_message.Message):
        __slots__ = ("hour_of_week", "usual", "spread", "samples", "limit")
        HOUR_OF_WEEK_FIELD_NUMBER: _ClassVar[int]
        USUAL_FIELD_NUMBER: _ClassVar[int]
        SPREAD_FIELD_NUMBER: _ClassVar[int]
        SAMPLES_FIELD_NUMBER: _ClassVar[int]
        LIMIT_FIELD_NUMBER: _ClassVar[int]
        hour_of_week: int
        usual: float
        spread: float
        samples: int
        limit: float
        def __init__(self, hour_of_week: _Optional[int] = ..., usual: _Optional[float] = ..., spread: _Optional[float] = ..., samples: _Optional[int] = ..., limit: _Optional[float] = ...) -> None: ...
    HOURS_FIELD_NUMBER: _ClassVar[int]
    WARM_FIELD_NUMBER: _ClassVar[int]
    WARM_AT_FIELD_NUMBER: _ClassVar[int]
    EDGE_FIELD_NUMBER: _ClassVar[int]
    hours: _containers.RepeatedCompositeFieldContainer[GetBaselineResponse.Hour]
    warm: bool
    warm_at: _timestamp_pb2.Timestamp
    edge: str
    def __init__(self, hours: _Optional[_Iterable[_Union[GetBaselineResponse.Hour, _Mapping]]] = ..., warm: _Optional[bool] = ..., warm_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., edge: _Optional[str] = ...) -> None: ...
