"""Every message that crosses between service, hosts and engine.

Who sends what to whom stands in the four unions at the end. Times ending in ``_s`` are monotonic
seconds unless a comment says UTC.
"""

from typing import Literal, TypeAlias

import msgspec

from vigil.config import SourcesConfig
from vigil.data import CompiledState, CropOutcome, Event, OfflineReason, Outcome, StreamState
from vigil.rules.usual import Baseline, Sample
from vigil.spec import StreamSpec

RefusalKind: TypeAlias = Literal["unreadable", "unavailable", "invalid"]
ExplainRefusal: TypeAlias = Literal["no_picture", "busy", "unavailable"]


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all messages: the tag is the class's name."""


class ClassifierInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A classifier that is installed, as hosts know it.

    Its classes are counted from ``first_label`` on among the labels of all classifiers.
    """

    name: str
    classes: tuple[str, ...]
    input_px: int  # of its square input, a side
    first_label: int


# service to host


class HostSettings(Message, frozen=True, kw_only=True):
    """First message to a host.

    Descriptors: slots, counters, slots of crops, what it writes when it crashes.
    """

    host_id: str
    model: str
    classes: tuple[str, ...]
    class_thresholds: tuple[float, ...]
    input_height_px: int
    input_width_px: int
    stretch: bool  # pictures fill the input, whatever their aspect
    streams: int  # how many cameras this host has room for
    open_timeout_s: float
    read_timeout_s: float
    max_staleness_s: float
    memory_limit_bytes: int
    classifiers: tuple[ClassifierInfo, ...] = ()
    crop_px: int = 64  # a side of a crop's slot: the largest input of a classifier
    trace_ratio: float = 0.0  # of the frames that go to the engine
    snapshot_px: int = 0  # at most so wide are pictures of events; 0: none are taken
    sources: SourcesConfig = SourcesConfig()  # by which sources are judged again, when opened
    allow_loopback: bool = False


class AttachEngine(Message, frozen=True, kw_only=True):
    """The engine is ready. Descriptor: this host's end of the socket to it."""


class DetachEngine(Message, frozen=True, kw_only=True):
    """The engine is gone; what it held is lost."""


class StartStream(Message, frozen=True, kw_only=True):
    """Open a camera. ``record`` is its place among the counters. Descriptor: a golden clip's file."""

    record: int
    spec: StreamSpec


class UpdateStream(Message, frozen=True, kw_only=True):
    """A stream's definition changed."""

    spec: StreamSpec


class TakeBaselines(Message, frozen=True, kw_only=True):
    """Limits that were learnt anew, of some of a stream's rules."""

    stream_id: str
    baselines: tuple[Baseline, ...]


class StopStream(Message, frozen=True, kw_only=True):
    """Close a camera; answered with StreamStopped when nothing of it is left."""

    stream_id: str


class RunGranted(Message, frozen=True, kw_only=True):
    """Answer to RunWanted: the number is on disk."""

    stream_id: str
    run: int


class LoginGranted(Message, frozen=True, kw_only=True):
    """Answer to LoginWanted: the password, or why there is none."""

    stream_id: str
    password: str = ""
    problem: str = ""


class AnalysePicture(Message, frozen=True, kw_only=True):
    """Find the objects in an encoded picture, beside the message."""

    request_id: int
    min_score: float
    classes: tuple[str, ...]


class ClassifyPicture(Message, frozen=True, kw_only=True):
    """Say what an encoded picture shows, beside the message, or the part of it within a normalised box."""

    request_id: int
    classifier: str
    part: tuple[float, float, float, float] | None = None  # xyxy


class PushFrame(Message, frozen=True, kw_only=True):
    """One encoded frame, beside the message, of a stream whose source is push."""

    request_id: int
    stream_id: str
    captured_at_s: float | None  # UTC; None: now


class EndPush(Message, frozen=True, kw_only=True):
    """A client's session of pushed frames is over: so is the stream's run."""

    stream_id: str


class TakeSnapshot(Message, frozen=True, kw_only=True):
    """Encode the newest analysed picture of a stream."""

    request_id: int
    stream_id: str
    annotated: bool
    max_width_px: int  # 0: as it is


class ExplainSnapshot(Message, frozen=True, kw_only=True):
    """Draw what speaks for an object, or a class, onto the next analysed picture of a stream.

    Of ``track_id`` and ``xyxy`` (normalised) one names the object, or neither. A classifier's answer is about
    the object's crop, the detector's (an empty name) about the picture.
    """

    request_id: int
    stream_id: str
    track_id: int | None = None
    xyxy: tuple[float, float, float, float] | None = None
    class_name: str = ""
    classifier: str = ""


class StopProcess(Message, frozen=True, kw_only=True):
    """Finish what is in hand and exit."""


# host to service


class HostReady(Message, frozen=True, kw_only=True):
    """The host has its settings and takes streams."""


class RunWanted(Message, frozen=True, kw_only=True):
    """A connection is up, and asks which run it is."""

    stream_id: str


class LoginWanted(Message, frozen=True, kw_only=True):
    """A source is about to be opened whose password is only named: asks what it is now."""

    stream_id: str


class StreamReport(Message, frozen=True, kw_only=True):
    """A stream's state changed."""

    stream_id: str
    state: StreamState
    reason: OfflineReason | None = None
    detail: str = ""
    retry_in_s: float | None = None  # from now
    width_px: int = 0
    height_px: int = 0
    source_fps: float = 0.0
    reconnects: int = 0


class StreamEvents(Message, frozen=True, kw_only=True):
    """Events of one stream, in order."""

    stream_id: str
    events: tuple[Event, ...]


class EventPicture(Message, frozen=True, kw_only=True):
    """The picture that StreamEvents named, beside the message, or why there is none. It comes after them."""

    stream_id: str
    name: str  # Event.snapshot; empty where the events went without
    lost: Literal["", "busy", "encoding"] = ""


class ReaderHangs(Message, frozen=True, kw_only=True):
    """A library that reads this stream does not return: only the process's end ends it."""

    stream_id: str


class ModelFails(Message, frozen=True, kw_only=True):
    """The model failed on this stream's pictures again and again, so that few are tried; or no longer."""

    stream_id: str
    fails: bool


class StreamHistory(Message, frozen=True, kw_only=True):
    """What rules with learnt limits have seen."""

    stream_id: str
    samples: tuple[Sample, ...]


class TracksEnded(Message, frozen=True, kw_only=True):
    """What a camera's last tracks were like (see `vigil.host.track_tally.TrackBlock`)."""

    stream_id: str
    score: float
    fragments: float


class StreamStopped(Message, frozen=True, kw_only=True):
    """Nothing of the stream is left in this host; its counters are final."""

    stream_id: str


class EngineTimes(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """When a traced frame was where in the engine."""

    arrived_s: float
    done_s: float  # its detections were there, after infer_s and postprocess_s
    infer_s: float
    postprocess_s: float
    frames: int  # of its batch


class FrameTraced(Message, frozen=True, kw_only=True):
    """Where the time of a sampled frame went. Its events, if it made any, are sent after it."""

    stream_id: str
    run: int
    seq: int
    outcome: Outcome
    captured_at_s: float  # UTC
    captured_s: float
    began_s: float  # its picture was there, to be drawn into a slot
    ready_s: float  # it was on its way to the engine
    returned_s: float
    engine: EngineTimes | None = None
    tracked_s: float | None = None  # the following of analysed frames
    ruled_s: float | None = None
    found: int = 0  # objects
    event_ids: tuple[str, ...] = ()


class FoundObject(msgspec.Struct, frozen=True, kw_only=True):
    """One object: xyxy normalised."""

    xyxy: tuple[float, float, float, float]
    score: float
    class_id: int
    track_id: int | None = None


class FrameWitnessed(Message, frozen=True, kw_only=True):
    """What an analysed frame of a golden clip gave. Boxes are float32 xyxy, normalised, as bytes."""

    stream_id: str
    seq: int  # the frame's index in the clip
    captured_at_s: float  # UTC
    xyxy: bytes
    score: bytes  # float32, down to the engine's floor
    class_id: bytes  # int64
    tracks: tuple[FoundObject, ...]  # the confirmed ones


class PictureAnalysed(Message, frozen=True, kw_only=True):
    """Answer to AnalysePicture and PushFrame. Exactly one of found and error counts."""

    request_id: int
    width_px: int = 0
    height_px: int = 0
    infer_s: float = 0.0
    found: tuple[FoundObject, ...] = ()
    run: int = 0
    seq: int = 0
    events: tuple[Event, ...] = ()
    error: str = ""
    error_kind: RefusalKind | Literal[""] = ""


class PictureClassified(Message, frozen=True, kw_only=True):
    """Answer to ClassifyPicture. Exactly one of probabilities and error counts."""

    request_id: int
    probabilities: tuple[float, ...] = ()  # of the classifier's classes, calibrated
    error: str = ""
    error_kind: RefusalKind | Literal[""] = ""


class SnapshotTaken(Message, frozen=True, kw_only=True):
    """Answer to TakeSnapshot; the JPEG is beside the message unless ``error`` says why not."""

    request_id: int
    width_px: int = 0
    height_px: int = 0
    captured_at_s: float = 0.0  # UTC
    run: int = 0
    seq: int = 0
    found: tuple[FoundObject, ...] = ()
    error: str = ""


class SnapshotExplained(Message, frozen=True, kw_only=True):
    """Answer to ExplainSnapshot; the JPEG is beside the message unless ``error`` says why not."""

    request_id: int
    class_name: str = ""
    score: float = 0.0
    error: str = ""
    error_kind: ExplainRefusal | Literal[""] = ""


# service to engine


class EngineSettings(Message, frozen=True, kw_only=True):
    """First message to an engine. Descriptor: counters."""

    model: str
    models_dir: str
    device: str  # cpu, cuda, cuda:1 or auto
    max_batch: int
    linger_s: float
    max_staleness_s: float
    threads: int  # of a CPU; 0: as many as it has, see config
    classifiers: tuple[str, ...] = ()  # models


class AttachHost(Message, frozen=True, kw_only=True):
    """A host's frames come here. Descriptors: the engine's end of the socket, slots, slots of crops."""

    host_id: str
    input_height_px: int
    input_width_px: int
    crop_px: int


class DetachHost(Message, frozen=True, kw_only=True):
    """A host is gone."""

    host_id: str


# engine to service


class EngineReady(Message, frozen=True, kw_only=True):
    """The model is warm; ``device``, ``precision`` and ``form`` for people. ``threads`` of a CPU compute."""

    device: str
    precision: str
    form: str = "plain"  # packed, compiled, native or imported
    compiled: dict[str, CompiledState] = {}  # by form, of those that the device could run
    model: str
    threads: int = 1
    load_s: float


class EngineFailed(Message, frozen=True, kw_only=True):
    """The engine cannot serve and exits; ``detail`` says what to do."""

    detail: str


# host to engine


class FrameReady(Message, frozen=True, kw_only=True, array_like=True):
    """A slot holds a frame."""

    slot: int
    camera: int  # record of its stream; pictures of clients have -1
    captured_s: float
    ready_s: float
    priority: int  # 0: of a golden clip, only inferred while nothing else waits
    keep: bool  # True: never replaced by a newer one, never stale
    traced: bool = False  # its times come back with it


class CropReady(Message, frozen=True, kw_only=True, array_like=True):
    """A crop's slot holds one, at its top left, of the classifier's input size."""

    slot: int
    classifier: str
    ready_s: float


class ExplainReady(Message, frozen=True, kw_only=True, array_like=True):
    """Explain an answer on the picture beside the message, (H, W, 3) uint8 BGR of the net's input size."""

    request_id: int
    classifier: str  # empty: the detector
    class_name: str = ""  # empty: the surest one
    xyxy_px: tuple[float, float, float, float] | None = None  # of the object, for the detector


# engine to host


class FrameDone(Message, frozen=True, kw_only=True, array_like=True):
    """The slot is the host's again. Boxes are float32 xyxy in input pixels, as bytes."""

    slot: int
    outcome: Literal["analysed", "dropped_newer", "dropped_stale", "dropped_error"]
    xyxy: bytes = b""
    score: bytes = b""
    class_id: bytes = b""  # int64
    infer_s: float = 0.0
    times: EngineTimes | None = None  # of a traced frame
    quarantined: bool = False  # the model failed on this camera's frames again and again


class CropDone(Message, frozen=True, kw_only=True, array_like=True):
    """The crop's slot is the host's again."""

    slot: int
    outcome: CropOutcome
    probabilities: bytes = b""  # float32, calibrated, of the classifier's classes


class ExplainDone(Message, frozen=True, kw_only=True, array_like=True):
    """The heat map, (height, width) float32 of 0 to 1 over the net's input, unless ``error`` says why not."""

    request_id: int
    height: int = 0
    width: int = 0
    heat: bytes = b""
    class_name: str = ""
    score: float = 0.0
    error: str = ""
    error_kind: ExplainRefusal | Literal[""] = ""


HostToEngine: TypeAlias = FrameReady | CropReady | ExplainReady
EngineToHost: TypeAlias = FrameDone | CropDone | ExplainDone
ToHost: TypeAlias = (
    HostSettings
    | AttachEngine
    | DetachEngine
    | StartStream
    | UpdateStream
    | StopStream
    | TakeBaselines
    | RunGranted
    | LoginGranted
    | AnalysePicture
    | ClassifyPicture
    | PushFrame
    | EndPush
    | TakeSnapshot
    | ExplainSnapshot
    | StopProcess
)
FromHost: TypeAlias = (
    HostReady
    | RunWanted
    | LoginWanted
    | StreamReport
    | StreamEvents
    | EventPicture
    | ReaderHangs
    | ModelFails
    | StreamStopped
    | StreamHistory
    | TracksEnded
    | FrameWitnessed
    | FrameTraced
    | PictureAnalysed
    | PictureClassified
    | SnapshotTaken
    | SnapshotExplained
)
ToEngine: TypeAlias = EngineSettings | AttachHost | DetachHost | StopProcess
FromEngine: TypeAlias = EngineReady | EngineFailed
