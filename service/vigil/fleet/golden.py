"""Golden clips: labelled clips played once through a host and the engine, as a camera's frames would be.

A clip goes the live path: opened, decoded, sampled, letterboxed, batched, inferred, tracked, ruled. It
differs in three things: each frame waits for the result of the one before, its frames are inferred only
while no other frame waits, and its events are kept from the outbox.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from vigil.data import Event, OfflineReason
from vigil.errors import Unavailable
from vigil.fleet.host import HostKeeper
from vigil.fleet.hosts import Hosts
from vigil.ipc.messages import (
    FrameWitnessed,
    FromHost,
    RunGranted,
    RunWanted,
    StreamEvents,
    StreamReport,
)
from vigil.spec import Pace, Rule, Source, StreamSpec

STREAM_ID = "~golden"  # no client can choose it
SLACK = 3.0  # a clip may take so many times its length, while live cameras leave little
SLACK_S = 60.0  # and so long to be opened and closed


class GoldenClip(msgspec.Struct, frozen=True, kw_only=True):
    """A labelled clip, as far as whoever plays it needs to know it."""

    name: str
    video: str
    duration_s: float
    detect_fps: float = 5.0
    rules: tuple[Rule, ...] = ()


class GoldenBox(msgspec.Struct, frozen=True, array_like=True):
    """A detection or a track; xyxy normalised. ``track_id`` is -1 for a detection."""

    class_name: str
    score: float
    xyxy: tuple[float, float, float, float]
    track_id: int = -1


class GoldenFrame(msgspec.Struct, frozen=True, kw_only=True):
    """What one analysed frame gave. ``index`` is its place in the clip, from 0."""

    index: int
    found: tuple[GoldenBox, ...]  # at the operating thresholds
    below: tuple[GoldenBox, ...]  # the others that the engine gave
    tracks: tuple[GoldenBox, ...]  # confirmed ones


class PlayedClip(msgspec.Struct, frozen=True, kw_only=True):
    """A clip's analysed frames, in order, and the events of its rules."""

    name: str
    start_s: float  # UTC of the clip's first frame, in the time of its events
    frames: tuple[GoldenFrame, ...]
    events: tuple[Event, ...]


class Interrupted(Unavailable):
    """A clip was not played whole; the reason is in the text."""


class VirtualCamera:
    """Plays golden clips on the hosts, one at a time."""

    def __init__(
        self, hosts: Hosts, *, classes: tuple[str, ...], thresholds: tuple[float, ...]
    ) -> None:
        self._hosts = hosts
        self._classes = classes
        self._thresholds = np.array(thresholds, np.float32)

    async def play(self, clip: GoldenClip) -> PlayedClip:
        """Play a clip to its end. Raises Interrupted where not every due frame of it was analysed."""
        hearing = _Hearing(self._frame)
        spec = StreamSpec(
            stream_id=STREAM_ID,
            source=Source(uri=Path(clip.video).as_uri(), pace=Pace.WAITED),
            detect_fps=clip.detect_fps,
            priority=0,
            rules=clip.rules,
        )
        accounts = self._hosts.accounts
        try:
            self._place(clip, spec, hearing)
            async with asyncio.timeout(clip.duration_s * SLACK + SLACK_S):
                await hearing.ended.wait()
        except TimeoutError:
            hearing.problem = "live cameras left too little capacity"
        except Unavailable as error:
            hearing.problem = str(error)
        finally:
            await self._hosts.take_away(STREAM_ID)
            account = accounts.account(STREAM_ID)
            accounts.forget(STREAM_ID)
        outcomes = account.outcomes
        lost = account.read - outcomes["analysed"] - outcomes["skipped_rate"]
        if not hearing.problem and (lost or not hearing.frames):
            hearing.problem = f"{lost} of {account.read} frames were lost"
        if hearing.problem:
            raise Interrupted(f"golden clip {clip.name!r} was not played whole: {hearing.problem}")
        return PlayedClip(
            name=clip.name,
            start_s=hearing.start_s,
            frames=tuple(hearing.frames),
            events=tuple(hearing.events),
        )

    def _place(self, clip: GoldenClip, spec: StreamSpec, hearing: "_Hearing") -> None:
        # handed over open: a host may neither reach the state folder nor be its owner
        try:
            clip_fd = os.open(clip.video, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise Unavailable(f"{clip.video} cannot be read: {error.strerror}") from error
        try:
            self._hosts.place_clip(spec, clip_fd, hear=hearing)
        finally:
            os.close(clip_fd)

    def _frame(self, told: FrameWitnessed) -> GoldenFrame:
        score = np.frombuffer(told.score, np.float32)
        class_id = np.frombuffer(told.class_id, np.int64)
        xyxy = np.frombuffer(told.xyxy, np.float32).reshape(-1, 4)
        boxes = [
            GoldenBox(self._classes[of], float(sure), tuple(map(float, box)))  # type: ignore[arg-type]
            for of, sure, box in zip(class_id, score, xyxy, strict=True)
        ]
        counts = score >= self._thresholds[class_id]
        return GoldenFrame(
            index=told.seq,
            found=tuple(box for box, keep in zip(boxes, counts, strict=True) if keep),
            below=tuple(box for box, keep in zip(boxes, counts, strict=True) if not keep),
            tracks=tuple(
                GoldenBox(
                    self._classes[track.class_id],
                    track.score,
                    track.xyxy,
                    -1 if track.track_id is None else track.track_id,
                )
                for track in told.tracks
            ),
        )


class _Hearing:
    """What the host says of the clip that is being played."""

    def __init__(self, read: Callable[[FrameWitnessed], GoldenFrame]) -> None:
        self._read = read
        self.frames: list[GoldenFrame] = []
        self.events: list[Event] = []
        self.start_s = 0.0
        self.problem = ""
        self.ended = asyncio.Event()

    def __call__(self, host: HostKeeper, message: FromHost | None) -> None:
        """A message about the clip; None: its host is gone."""
        match message:
            case RunWanted():
                host.send(RunGranted(stream_id=STREAM_ID, run=1))
            case FrameWitnessed():
                if not self.frames:
                    self.start_s = message.captured_at_s
                self.frames.append(self._read(message))
            case StreamEvents():
                self.events += message.events
            case StreamReport(reason=reason) if reason is not None:
                if reason is not OfflineReason.ENDED:
                    self.problem = message.detail
                self.ended.set()
            case None:
                self.problem = "its host process ended"
                self.ended.set()
