"""The values that flow through vigil: frames, detections, tracks, events.

All are frozen and do no I/O. Those that carry arrays are dataclasses; those that cross a process
border as messages, or are made for every object of every frame, are msgspec structs.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal, NamedTuple, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

JsonScalar: TypeAlias = bool | int | float | str | None
Attributes: TypeAlias = dict[str, JsonScalar | dict[str, JsonScalar]]

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Detections:
    """The objects found in one frame, as a struct of arrays of one length, best score first.

    xyxy is in pixels of the picture that the producer names; class_id indexes the model's classes.
    """

    xyxy: F32  # (N, 4)
    score: F32  # (N,)
    class_id: I64  # (N,)

    def __post_init__(self) -> None:
        count = len(self.xyxy)
        if (
            self.xyxy.shape != (count, 4)
            or self.score.shape != (count,)
            or self.class_id.shape != (count,)
        ):
            raise ValueError(
                f"shapes disagree: xyxy {self.xyxy.shape}, score {self.score.shape}, "
                f"class_id {self.class_id.shape}"
            )

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, keep: NDArray[np.bool_] | I64) -> "Detections":
        """The detections that a mask or index array picks."""
        return Detections(
            xyxy=self.xyxy[keep], score=self.score[keep], class_id=self.class_id[keep]
        )

    @classmethod
    def empty(cls) -> "Detections":
        """Nothing found."""
        return cls(
            xyxy=np.zeros((0, 4), np.float32),
            score=np.zeros(0, np.float32),
            class_id=np.zeros(0, np.int64),
        )


GRID_HW = (72, 128)
"""Cells that a picture is divided into, whatever its size: 4 px wide in a net's input of 512."""


@dataclass(frozen=True, slots=True)
class Glance:
    """What one picture looks like, cell by cell.

    ``change`` is how much the cell that differs most from the picture before differs, in grey levels;
    255 for a first picture. ``edges`` is the mean of half the sum of both slopes (Sobel), at most 255.
    """

    seq: int  # of the frame in its run, those that were not analysed counted
    colour: U8  # (72, 128, 3) BGR
    edges: U8  # (72, 128)
    change: float


class TrackState(StrEnum):
    """How sure the tracker is of a track."""

    TENTATIVE = "tentative"  # seen too few times to act upon
    CONFIRMED = "confirmed"  # matched in this frame
    LOST = "lost"  # confirmed before, not matched in this frame; its box is predicted


class Track(msgspec.Struct, frozen=True):
    """One object over frames. Its id is unique within a stream's run."""

    track_id: int
    xyxy: tuple[float, float, float, float]  # normalised to [0, 1] of the picture
    class_id: int
    score: float
    state: TrackState
    velocity: tuple[float, float]  # of the box centre, normalised units a second
    age_frames: int  # analysed frames since its first detection


class Phase(StrEnum):
    """Where an event stands in its episode. Instant events have NEW only."""

    NEW = "new"
    UPDATE = "update"
    END = "end"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a rule or a camera check has to say. Published at least once.

    `event_seq` and `published_at` are not here: the outbox and the publisher add them.
    """

    event_id: str
    episode_id: str
    type: str
    phase: Phase
    stream_id: str
    run: int
    rule_id: str | None
    track_id: int | None
    class_name: str | None
    score: float | None
    bbox: tuple[float, float, float, float] | None  # normalised xyxy
    occurred_at_s: float  # UTC
    captured_s: float  # monotonic; latency is measured from here, it is not published
    labels: dict[str, str]
    attributes: Attributes
    snapshot: str | None = None  # the name of its picture, see SnapshotName


_SNAPSHOT_NAME = re.compile(
    r"([a-z0-9][a-z0-9_-]{0,62})/(\d{8}T\d{9}Z)-(\d{1,19})-(\d{1,19})\.jpg", re.ASCII
)
_SNAPSHOT_TIME = "%Y%m%dT%H%M%S"


class SnapshotName(NamedTuple):
    """What `Event.snapshot` says: gate/20260131T081500250Z-7-1200.jpg, in the order of time by stream."""

    stream_id: str
    captured_at_s: float  # UTC, to the millisecond
    run: int
    seq: int

    def __str__(self) -> str:
        whole_ms = round(self.captured_at_s * 1000)
        when = datetime.fromtimestamp(whole_ms // 1000, UTC)
        time = f"{when:{_SNAPSHOT_TIME}}{whole_ms % 1000:03d}Z"
        return f"{self.stream_id}/{time}-{self.run}-{self.seq}.jpg"

    @classmethod
    def parse(cls, text: str) -> "SnapshotName | None":
        """Read one; None for any other text, whatever it leads to."""
        found = _SNAPSHOT_NAME.fullmatch(text)
        if found is None:
            return None
        try:
            when = datetime.strptime(found[2][:15], _SNAPSHOT_TIME).replace(tzinfo=UTC)
        except ValueError:
            return None
        at_s = when.timestamp() + int(found[2][15:18]) / 1000
        return cls(found[1], at_s, int(found[3]), int(found[4]))


class Occurrence(msgspec.Struct, frozen=True):
    """What makes an event the same event when it is sent twice.

    ``rule`` is a rule's id or a camera check's name, ``track`` None where the rule is not about one
    track, ``edge`` the change that happened (enter, exit, forward …), ``occurrence`` counts repeats of
    that edge, so that a second entry is a second event, ``step`` numbers an episode's updates.
    """

    stream_id: str
    run: int
    rule: str
    track: int | None
    edge: str
    occurrence: int

    def episode_id(self) -> str:
        """The same for the new, update and end of one event."""
        return self._digest()

    def event_id(self, phase: Phase, step: int = 0) -> str:
        """The same however often this very event is produced or sent."""
        return self._digest(phase.value, step)

    def _digest(self, *more: str | int) -> str:
        parts = (self.stream_id, self.run, self.rule, self.track, self.edge, self.occurrence, *more)
        return hashlib.blake2b(msgspec.json.encode(parts), digest_size=16).hexdigest()


class CompiledState(StrEnum):
    """What became of a model's form that was compiled ahead of time."""

    USED = "used"
    SLOWER = "slower"  # than another form, measured at start
    DISAGREES = "disagrees"  # with float32
    ABSENT = "absent"
    FOREIGN = "foreign"  # made for another processor, torch, input size or other weights
    UNUSABLE = "unusable"  # damaged, or others could have changed it


class StreamState(StrEnum):
    """What a stream is doing."""

    PENDING = "pending"
    CONNECTING = "connecting"
    ONLINE = "online"  # a frame of this run was decoded
    DEGRADED = "degraded"
    OFFLINE = "offline"
    DISABLED = "disabled"

    @property
    def has_pictures(self) -> bool:
        """Whether frames come."""
        return self in (StreamState.ONLINE, StreamState.DEGRADED)


class OfflineReason(StrEnum):
    """Why a stream is OFFLINE or DEGRADED: QUARANTINED either, the two after it the latter."""

    UNREACHABLE = "unreachable"
    AUTH_FAILED = "auth_failed"
    NO_VIDEO = "no_video"
    UNSUPPORTED = "unsupported"
    REFUSED_BY_POLICY = "refused_by_policy"
    ENDED = "ended"
    DECODE_ERROR = "decode_error"
    QUARANTINED = "quarantined"
    OVERLOADED = "overloaded"
    ENGINE_UNAVAILABLE = "engine_unavailable"


CropOutcome: TypeAlias = Literal["classified", "dropped_stale", "dropped_error"]
Outcome: TypeAlias = Literal[
    "analysed",
    "skipped_rate",
    "skipped_motion",
    "dropped_newer",
    "dropped_stale",
    "dropped_error",
    "corrupt",
]
