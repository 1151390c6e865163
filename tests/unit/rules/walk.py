"""Tracks and rule sets for tests: objects whose foot points go where a test says."""

from collections.abc import Iterable, Sequence

from vigil.data import Event, Track, TrackState
from vigil.rules import Moment, RuleSet
from vigil.spec import Point, Rule

UTC_S = 1_000_000.0  # small enough for times to be exact to a nanosecond
CLASSES = ("person", "car")
CONFIRMED, LOST, TENTATIVE = TrackState.CONFIRMED, TrackState.LOST, TrackState.TENTATIVE

LOWER_HALF = (Point(0.0, 0.5), Point(1.0, 0.5), Point(1.0, 1.0), Point(0.0, 1.0))
MIDDLE = (Point(0.3, 0.3), Point(0.7, 0.3), Point(0.7, 0.7), Point(0.3, 0.7))


def rule_set(*rules: Rule, labels: dict[str, str] | None = None) -> RuleSet:
    return RuleSet(rules, stream_id="yard", run=3, class_names=CLASSES, labels=labels or {})


def moment(time_s: float) -> Moment:
    return Moment(time_s=time_s, utc_s=UTC_S + time_s, captured_s=time_s + 0.01)


def track(
    foot: Sequence[float],
    *,
    track_id: int = 1,
    state: TrackState = CONFIRMED,
    class_id: int = 0,
    score: float = 0.8,
) -> Track:
    x, y = foot
    return Track(
        track_id=track_id,
        xyxy=(x - 0.02, y - 0.1, x + 0.02, y),
        class_id=class_id,
        score=score,
        state=state,
        velocity=(0.0, 0.0),
        age_frames=0,
    )


def play(
    rules: RuleSet, frames: Iterable[tuple[Track, ...]], *, step_s: float = 0.2
) -> list[tuple[float, Event]]:
    """Each event with the time of the frame that brought it; the run ends after the last frame."""
    events, time_s = [], 0.0
    for index, tracks in enumerate(frames):
        time_s = index * step_s
        events += [(time_s, event) for event in rules.advance(moment(time_s), tracks)]
    return events + [(time_s, event) for event in rules.finish(moment(time_s))]


def walk(rules: RuleSet, feet: Iterable[Sequence[float]], *, step_s: float = 0.2) -> list[Event]:
    """The events of one confirmed object going from foot point to foot point, a frame each."""
    return [event for _, event in play(rules, [(track(foot),) for foot in feet], step_s=step_s)]


def happened_s(event: Event) -> float:
    """Frame time of what the event tells."""
    return round(event.occurred_at_s - UTC_S, 9)
