"""What the rest of the service asks of a fleet: the narrow door that a cluster can stand behind, too.

`vigil.fleet.local` serves it on one machine. Nothing here knows processes, sockets or gRPC.
"""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Protocol

import msgspec

from vigil.data import Event, OfflineReason, StreamState
from vigil.rules.usual import Baseline
from vigil.spec import StreamSpec


class StreamStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream is doing now. Times are UTC seconds."""

    state: StreamState
    since_s: float  # of OFFLINE and CONNECTING by turns: since the first of them
    reason: OfflineReason | None = None
    detail: str = ""  # for people: never holds a credential
    next_retry_s: float | None = None
    run: int = 0  # 0: no run yet
    width_px: int = 0
    height_px: int = 0
    source_fps: float = 0.0
    analysed_fps: float = 0.0
    reconnects: int = 0


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """A registered stream: its definition, the definition's generation and its state."""

    spec: StreamSpec
    generation: int
    status: StreamStatus
    removed: bool = False  # set in the last message of a watch about it


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One object in a picture; xyxy normalised."""

    xyxy: tuple[float, float, float, float]
    score: float
    class_name: str
    track_id: int | None = None


class PictureResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in one picture that a client sent."""

    width_px: int
    height_px: int
    found: tuple[Found, ...]
    model: str
    infer_s: float


class ClassResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a picture shows, the most probable class first: names and calibrated probabilities."""

    classes: tuple[tuple[str, float], ...]
    model: str


class FrameResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a pushed frame gave: its objects with their tracks, and the events that it caused."""

    seq: int
    run: int
    picture: PictureResult
    events: tuple[Event, ...]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A stream's newest analysed picture as JPEG, with what was found in it."""

    jpeg: bytes
    width_px: int
    height_px: int
    captured_at_s: float  # UTC
    run: int
    seq: int
    found: tuple[Found, ...]


class ExplainTarget(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be explained: of ``track_id`` and ``xyxy`` (normalised) at most one names the object.

    ``class_name`` is the class that is asked about, the surest if empty. ``classifier`` is a second stage's
    model, asked about the object's crop; the detector if empty.
    """

    track_id: int | None = None
    xyxy: tuple[float, float, float, float] | None = None
    class_name: str = ""
    classifier: str = ""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A heat map on a stream's newest analysed picture as JPEG, and what it speaks for."""

    jpeg: bytes
    class_name: str
    score: float


class PushSession(Protocol):
    """Frames that a client pushes into one stream; leaving the context ends its run."""

    async def __aenter__(self) -> "PushSession": ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    async def push(self, encoded: bytes, *, captured_at_s: float | None) -> FrameResult:
        """Analyse one encoded picture; every one is answered.

        ``captured_at_s`` (UTC seconds) places it in time: it must increase within a session, None means
        now. Raises UnreadableImage, Busy or Unavailable.
        """


class Fleet(Protocol):
    """Where streams run."""

    async def add(self, spec: StreamSpec) -> Stream:
        """Register and start a stream; the same definition twice is success.

        Raises InvalidRequest, StreamExists (another definition has this id), Busy.
        """

    async def update(self, spec: StreamSpec, *, fields: frozenset[str], generation: int) -> Stream:
        """Replace the named top-level fields of a stream's definition (all, if none is named).

        ``generation`` 0 means whatever it is now. Raises UnknownStream, StaleGeneration, InvalidRequest.
        A change that leaves the source as it is does not restart its capture.
        """

    async def remove(self, stream_id: str) -> None:
        """Stop and forget a stream. Raises UnknownStream."""

    def get(self, stream_id: str) -> Stream:
        """One stream. Raises UnknownStream."""

    def list(self, *, after: str, limit: int) -> list[Stream]:
        """Up to ``limit`` streams in id order, those after ``after`` ("" for the first page)."""

    def watch(self) -> AsyncIterator[Stream]:
        """Every stream as it is, then each as it changes. A slow reader sees only the newest of each."""

    async def detect_image(
        self, encoded: bytes, *, min_score: float, classes: tuple[str, ...]
    ) -> PictureResult:
        """Find the objects in one encoded picture. Raises UnreadableImage, Busy, Unavailable."""

    async def classify_image(
        self,
        encoded: bytes,
        *,
        classifier: str,
        part: tuple[float, float, float, float] | None,
        top_k: int,
    ) -> ClassResult:
        """What one encoded picture shows, or the ``part`` of it within a normalised box.

        ``classifier`` is one that is loaded. Raises UnreadableImage, Busy, Unavailable.
        """

    async def snapshot(self, stream_id: str, *, annotated: bool, max_width_px: int) -> Snapshot:
        """The newest analysed picture of a stream. Raises UnknownStream, NoFrame, Unavailable."""

    async def baseline(self, stream_id: str, rule_id: str, edge: str) -> Baseline:
        """The curve that a rule with a learnt limit goes by; no edge: above where that is learnt.

        Raises UnknownStream, UnknownBaseline.
        """

    async def explain(self, stream_id: str, target: ExplainTarget) -> Explanation:
        """What in a stream's newest analysed picture made the model say so.

        Raises UnknownStream, InvalidRequest (a class or classifier that is not there), NoFrame, Busy,
        Unavailable.
        """

    async def open_push(self, spec: StreamSpec) -> PushSession:
        """Frames of a client into a stream whose source is ``push:``.

        Attaches to the registered stream of that id, or, where there is none, makes one that lives as
        long as the session. Raises InvalidRequest, StreamExists (registered with another source), Busy.
        """
