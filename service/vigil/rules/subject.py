"""What rules look at: a moment of a run, and the objects in it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from vigil.data import Attributes, Track, TrackState
from vigil.spec import ObjectRule, Point, Voted, classes_of


class Moment(msgspec.Struct, frozen=True):
    """One analysed frame's time in three readings."""

    time_s: float  # the frame's own time, monotonic; rules reckon in it
    utc_s: float  # the same instant in UTC
    captured_s: float  # monotonic, when the frame was captured; latency is measured from it

    def utc_at(self, time_s: float) -> float:
        """UTC of another frame time of this run."""
        return self.utc_s + (time_s - self.time_s)


class Reason(StrEnum):
    """Why an object's stay or episode ended; published as an attribute."""

    LEFT = "left"  # it was seen to go
    LOST = "lost"  # the tracker gave it up; it ended when it was last seen
    CAME = "came"  # of an absence, of too few: somebody came
    RECOVERED = "recovered"  # of a camera's fault: its pictures are as ever again
    ACCEPTED = "accepted"  # of another view: it has stayed, and is the camera's own now
    CAMERA = "camera"  # the camera showed nothing to judge by
    SCHEDULE = "schedule"  # the rule does not watch at this hour
    RULE_CHANGED = "rule_changed"
    RUN_ENDED = "run_ended"


@dataclass(slots=True)
class Subject:
    """A track as rules follow it: where it was seen last and before.

    Frames in which it was not detected leave it as it is: predicted boxes make no events.
    """

    track: Track
    foot: Point  # bottom centre of the box, the point that stands on the ground
    seen_s: float
    previous_foot: Point
    previous_s: float
    first_s: float
    best_score: float
    lost: bool = False  # it is tracked no more
    counts: dict[tuple[str, str], int] = field(default_factory=dict)  # events by rule and edge

    @classmethod
    def begin(cls, track: Track, time_s: float) -> "Subject":
        """A track seen for the first time."""
        foot = foot_point(track)
        return cls(
            track=track,
            foot=foot,
            seen_s=time_s,
            previous_foot=foot,
            previous_s=time_s,
            first_s=time_s,
            best_score=track.score,
        )

    def see(self, track: Track, time_s: float) -> None:
        """Take the track's new place."""
        self.previous_foot, self.previous_s = self.foot, self.seen_s
        self.track, self.foot, self.seen_s = track, foot_point(track), time_s
        self.best_score = max(self.best_score, track.score)

    def time_at(self, part: float) -> float:
        """When it was at this part, 0 to 1, of the way from its previous place to its present."""
        return self.previous_s + part * (self.seen_s - self.previous_s)

    def place_at(self, time_s: float) -> Point:
        """Where it was at a time of its last step; its ends stand for what was before and after."""
        step_s = self.seen_s - self.previous_s
        part = min(max((time_s - self.previous_s) / step_s, 0.0), 1.0) if step_s > 0.0 else 1.0
        x, y = self.previous_foot
        return Point(x + part * (self.foot.x - x), y + part * (self.foot.y - y))

    def next_occurrence(self, rule_id: str, edge: str) -> int:
        """How many events of this edge there were; the one that asks is counted."""
        count = self.counts.get((rule_id, edge), 0)
        self.counts[rule_id, edge] = count + 1
        return count


@dataclass(frozen=True, slots=True)
class Admission:
    """Which objects a rule is about."""

    class_ids: frozenset[int] | None  # None: all
    min_score: float
    voted: tuple[Voted, ...]
    traits: Mapping[int, Attributes]  # of tracks by id, as `report.Reporter` has them

    @classmethod
    def of(
        cls, rule: ObjectRule, *, class_names: tuple[str, ...], traits: Mapping[int, Attributes]
    ) -> "Admission":
        """As a rule says; classes that the model does not have match nothing."""
        classes = classes_of(rule)
        ids = frozenset(index for index, name in enumerate(class_names) if name in classes)
        return cls(ids if classes else None, rule.min_score, rule.voted, traits)

    def admits(self, subject: Subject) -> bool:
        """Whether it is confirmed, of the right class and vote now, and was sure enough in some frame."""
        track = subject.track
        return (
            track.state is TrackState.CONFIRMED
            and subject.best_score >= self.min_score
            and (self.class_ids is None or track.class_id in self.class_ids)
            and all(self._is_voted(track.track_id, voted) for voted in self.voted)
        )

    def _is_voted(self, track_id: int, voted: Voted) -> bool:
        held = self.traits.get(track_id, {}).get(voted.classifier)
        return isinstance(held, dict) and held.get("class") in voted.classes


def size_of(track: Track) -> float:
    """The root of its box's area, as a fraction of the picture: what steps and places are measured by."""
    left, top, right, bottom = track.xyxy
    return math.sqrt(max((right - left) * (bottom - top), 0.0))


def foot_point(track: Track) -> Point:
    """The bottom centre of a track's box."""
    left, _, right, bottom = track.xyxy
    return Point(0.5 * (left + right), bottom)
