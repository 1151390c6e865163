import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from vigil.v1 import events_pb2 as _events_pb2
from vigil.v1 import geometry_pb2 as _geometry_pb2
from vigil.v1 import streams_pb2 as _streams_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Detection(_message.Message):
    __slots__ = ("bbox", "score", "class_name", "track_id")
    BBOX_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    bbox: _geometry_pb2.Box
    score: float
    class_name: str
    track_id: int
    def __init__(self, bbox: _Optional[_Union[_geometry_pb2.Box, _Mapping]] = ..., score: _Optional[float] = ..., class_name: _Optional[str] = ..., track_id: _Optional[int] = ...) -> None: ...

class PictureAnalysis(_message.Message):
    __slots__ = ("detections", "width_px", "height_px", "model", "infer_time")
    DETECTIONS_FIELD_NUMBER: _ClassVar[int]
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    INFER_TIME_FIELD_NUMBER: _ClassVar[int]
    detections: _containers.RepeatedCompositeFieldContainer[Detection]
    width_px: int
    height_px: int
    model: str
    infer_time: _duration_pb2.Duration
    def __init__(self, detections: _Optional[_Iterable[_Union[Detection, _Mapping]]] = ..., width_px: _Optional[int] = ..., height_px: _Optional[int] = ..., model: _Optional[str] = ..., infer_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class DetectImageRequest(_message.Message):
    __slots__ = ("image", "model", "classes", "min_score")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    image: bytes
    model: str
    classes: _containers.RepeatedScalarFieldContainer[str]
    min_score: float
    def __init__(self, image: _Optional[bytes] = ..., model: _Optional[str] = ..., classes: _Optional[_Iterable[str]] = ..., min_score: _Optional[float] = ...) -> None: ...

class DetectImageResponse(_message.Message):
    __slots__ = ("analysis",)
    ANALYSIS_FIELD_NUMBER: _ClassVar[int]
    analysis: PictureAnalysis
    def __init__(self, analysis: _Optional[_Union[PictureAnalysis, _Mapping]] = ...) -> None: ...

class ClassifyImageRequest(_message.Message):
    __slots__ = ("image", "model", "top_k", "bbox")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    BBOX_FIELD_NUMBER: _ClassVar[int]
    image: bytes
    model: str
    top_k: int
    bbox: _geometry_pb2.Box
    def __init__(self, image: _Optional[bytes] = ..., model: _Optional[str] = ..., top_k: _Optional[int] = ..., bbox: _Optional[_Union[_geometry_pb2.Box, _Mapping]] = ...) -> None: ...

class ClassifyImageResponse(_message.Message):
    __slots__ = ("classes", "model")
    class Class(_message.Message):
        __slots__ = ("class_name", "probability")
        CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
        PROBABILITY_FIELD_NUMBER: _ClassVar[int]
        class_name: str
        probability: float
        def __init__(self, class_name: _Optional[str] = ..., probability: _Optional[float] = ...) -> None: ...
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    classes: _containers.RepeatedCompositeFieldContainer[ClassifyImageResponse.Class]
    model: str
    def __init__(self, classes: _Optional[_Iterable[_Union[ClassifyImageResponse.Class, _Mapping]]] = ..., model: _Optional[str] = ...) -> None: ...

class AnalyzeFramesRequest(_message.Message):
    __slots__ = ("stream", "frame")
    STREAM_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    stream: _streams_pb2.StreamSpec
    frame: PushedFrame
    def __init__(self, stream: _Optional[_Union[_streams_pb2.StreamSpec, _Mapping]] = ..., frame: _Optional[_Union[PushedFrame, _Mapping]] = ...) -> None: ...

class PushedFrame(_message.Message):
    __slots__ = ("image", "captured_at")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_AT_FIELD_NUMBER: _ClassVar[int]
    image: bytes
    captured_at: _timestamp_pb2.Timestamp
    def __init__(self, image: _Optional[bytes] = ..., captured_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AnalyzeFramesResponse(_message.Message):
    __slots__ = ("index", "analysis", "error")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ANALYSIS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    index: int
    analysis: FrameAnalysis
    error: FrameError
    def __init__(self, index: _Optional[int] = ..., analysis: _Optional[_Union[FrameAnalysis, _Mapping]] = ..., error: _Optional[_Union[FrameError, _Mapping]] = ...) -> None: ...

class FrameAnalysis(_message.Message):
    __slots__ = ("run", "seq", "picture", "events")
    RUN_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    run: int
    seq: int
    picture: PictureAnalysis
    events: _containers.RepeatedCompositeFieldContainer[_events_pb2.Event]
    def __init__(self, run: _Optional[int] = ..., seq: _Optional[int] = ..., picture: _Optional[_Union[PictureAnalysis, _Mapping]] = ..., events: _Optional[_Iterable[_Union[_events_pb2.Event, _Mapping]]] = ...) -> None: ...

class FrameError(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...
