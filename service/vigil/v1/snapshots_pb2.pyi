import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from vigil.v1 import analysis_pb2 as _analysis_pb2
from vigil.v1 import events_pb2 as _events_pb2
from vigil.v1 import geometry_pb2 as _geometry_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetSnapshotRequest(_message.Message):
    __slots__ = ("stream_id", "annotated", "max_width_px")
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    ANNOTATED_FIELD_NUMBER: _ClassVar[int]
    MAX_WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    annotated: bool
    max_width_px: int
    def __init__(self, stream_id: _Optional[str] = ..., annotated: _Optional[bool] = ..., max_width_px: _Optional[int] = ...) -> None: ...

class GetSnapshotResponse(_message.Message):
    __slots__ = ("jpeg", "width_px", "height_px", "captured_at", "run", "seq", "detections")
    JPEG_FIELD_NUMBER: _ClassVar[int]
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_AT_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    DETECTIONS_FIELD_NUMBER: _ClassVar[int]
    jpeg: bytes
    width_px: int
    height_px: int
    captured_at: _timestamp_pb2.Timestamp
    run: int
    seq: int
    detections: _containers.RepeatedCompositeFieldContainer[_analysis_pb2.Detection]
    def __init__(self, jpeg: _Optional[bytes] = ..., width_px: _Optional[int] = ..., height_px: _Optional[int] = ..., captured_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., run: _Optional[int] = ..., seq: _Optional[int] = ..., detections: _Optional[_Iterable[_Union[_analysis_pb2.Detection, _Mapping]]] = ...) -> None: ...

class GetEventSnapshotRequest(_message.Message):
    __slots__ = ("episode_id",)
    EPISODE_ID_FIELD_NUMBER: _ClassVar[int]
    episode_id: str
    def __init__(self, episode_id: _Optional[str] = ...) -> None: ...

class GetEventSnapshotResponse(_message.Message):
    __slots__ = ("jpeg", "event")
    JPEG_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    jpeg: bytes
    event: _events_pb2.Event
    def __init__(self, jpeg: _Optional[bytes] = ..., event: _Optional[_Union[_events_pb2.Event, _Mapping]] = ...) -> None: ...

class ExplainDetectionRequest(_message.Message):
    __slots__ = ("stream_id", "track_id", "bbox", "class_name", "classifier")
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    BBOX_FIELD_NUMBER: _ClassVar[int]
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    CLASSIFIER_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    track_id: int
    bbox: _geometry_pb2.Box
    class_name: str
    classifier: str
    def __init__(self, stream_id: _Optional[str] = ..., track_id: _Optional[int] = ..., bbox: _Optional[_Union[_geometry_pb2.Box, _Mapping]] = ..., class_name: _Optional[str] = ..., classifier: _Optional[str] = ...) -> None: ...

class ExplainDetectionResponse(_message.Message):
    __slots__ = ("jpeg", "class_name", "score")
    JPEG_FIELD_NUMBER: _ClassVar[int]
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    jpeg: bytes
    class_name: str
    score: float
    def __init__(self, jpeg: _Optional[bytes] = ..., class_name: _Optional[str] = ..., score: _Optional[float] = ...) -> None: ...
