"""The tracks of one run as a struct of arrays."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from vigil.data import Detections, Track, TrackState
from vigil.tracking.motion import PLACE, SPEED

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(slots=True)
class TrackTable:
    """T tracks, oldest first: one row a track in every array."""

    track_id: I64  # (T,)
    state: F64  # (5, T, 4), see motion.py
    votes: F64  # (T, C), scores summed by class, fading
    score: F64  # (T,), of the last detection
    hits: I64  # (T,), detections so far
    born_frame: I64  # (T,)
    born_s: F64  # (T,)
    seen_s: F64  # (T,), when last detected
    confirmed: Bool  # (T,)

    def __len__(self) -> int:
        return len(self.track_id)

    @classmethod
    def begin(
        cls, detections: Detections, state: F64, *, first_id: int, frame: int, time_s: float
    ) -> "TrackTable":
        """New tracks, one for each detection, numbered from ``first_id``."""
        count = len(detections)
        votes = np.zeros((count, int(detections.class_id.max(initial=0)) + 1))
        votes[np.arange(count), detections.class_id] = detections.score
        return cls(
            track_id=np.arange(first_id, first_id + count),
            state=state,
            votes=votes,
            score=detections.score.astype(np.float64),
            hits=np.ones(count, np.int64),
            born_frame=np.full(count, frame),
            born_s=np.full(count, time_s),
            seen_s=np.full(count, time_s),
            confirmed=np.zeros(count, np.bool_),
        )

    def keep(self, alive: Bool) -> None:
        """Forget every track where ``alive`` (T,) is false."""
        if alive.all():
            return
        self.state = self.state[:, alive]
        for name in _ONE_A_TRACK:
            setattr(self, name, getattr(self, name)[alive])

    def extend(self, more: "TrackTable") -> None:
        """Append the tracks of ``more``."""
        self.widen(more.votes.shape[1])
        more.widen(self.votes.shape[1])
        self.state = np.concatenate((self.state, more.state), axis=1)
        for name in _ONE_A_TRACK:
            setattr(self, name, np.concatenate((getattr(self, name), getattr(more, name))))

    def widen(self, classes: int) -> None:
        """Make room for votes on at least so many classes."""
        missing = classes - self.votes.shape[1]
        if missing > 0:
            self.votes = np.pad(self.votes, ((0, 0), (0, missing)))

    def values(self, *, frame: int, time_s: float) -> tuple[Track, ...]:
        """The tracks as they stand after the frame of that number and time."""
        place, speed = self.state[PLACE], self.state[SPEED]
        half = 0.5 * place[:, 2:]
        corners = np.concatenate((place[:, :2] - half, place[:, :2] + half), axis=1).clip(0.0, 1.0)
        columns = zip(
            self.track_id.tolist(),
            corners.tolist(),
            self.votes.argmax(axis=1).tolist(),
            self.score.tolist(),
            self._states(time_s),
            speed[:, :2].tolist(),
            (frame - self.born_frame).tolist(),
            strict=True,
        )
        return tuple(
            [
                Track(track_id, tuple(xyxy), class_id, score, state, tuple(velocity), age_frames)
                for track_id, xyxy, class_id, score, state, velocity, age_frames in columns
            ]
        )

    def _states(self, time_s: float) -> list[TrackState]:
        return [
            (TrackState.CONFIRMED if seen_s == time_s else TrackState.LOST)
            if confirmed
            else TrackState.TENTATIVE
            for confirmed, seen_s in zip(self.confirmed.tolist(), self.seen_s.tolist(), strict=True)
        ]


_ONE_A_TRACK = tuple(field.name for field in fields(TrackTable) if field.name != "state")
