"""What a video's annotation remembers between frames: where tracks were, which events are recent."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from vigil.data import Event, Phase, Track, TrackState
from vigil.spec import Point

_PLAIN_TYPES = {
    "zone.enter": "entered",
    "zone.exit": "left",
    "zone.dwell": "stays in",
    "line.cross": "crossed",
}


@dataclass(frozen=True, slots=True)
class EventLabel:
    """A recent event: what is written, where (the box of its object), and how fresh it is, 1 to 0."""

    text: str
    xyxy: tuple[float, float, float, float] | None
    freshness: float


class Trails:
    """The foot points of tracks over the last seconds, forgotten with the track."""

    def __init__(self, keep_s: float = 3.0) -> None:
        self._keep_s = keep_s
        self._points: dict[int, deque[tuple[float, Point]]] = {}

    def add(self, tracks: Sequence[Track], time_s: float) -> None:
        """Take one frame's tracks; those that are missing are forgotten."""
        present = {track.track_id for track in tracks}
        for gone in self._points.keys() - present:
            del self._points[gone]
        for track in tracks:
            if track.state is TrackState.TENTATIVE:
                continue
            trail = self._points.setdefault(track.track_id, deque())
            left, _, right, bottom = track.xyxy
            if track.state is TrackState.CONFIRMED:
                trail.append((time_s, Point((left + right) / 2, bottom)))
            while trail and time_s - trail[0][0] > self._keep_s:
                trail.popleft()

    def points(self) -> dict[int, list[Point]]:
        """Each track's trail, oldest point first."""
        return {track_id: [point for _, point in trail] for track_id, trail in self._points.items()}


class EventLabels:
    """Events that were just announced, fading over ``keep_s``."""

    def __init__(self, keep_s: float = 2.5, most: int = 12) -> None:
        self._keep_s = keep_s
        self._recent: deque[tuple[float, Event]] = deque(maxlen=most)

    def add(self, events: Sequence[Event], time_s: float) -> None:
        """Take one frame's events. Updates and ends of an episode are not shown."""
        self._recent.extend((time_s, event) for event in events if event.phase is Phase.NEW)

    def labels(self, time_s: float) -> list[EventLabel]:
        """What is still fresh, oldest first."""
        return [
            EventLabel(describe(event), event.bbox, 1.0 - (time_s - at_s) / self._keep_s)
            for at_s, event in self._recent
            if 0.0 <= time_s - at_s < self._keep_s and event.type != "marker"
        ]


def describe(event: Event) -> str:
    """An event in a few words for people: ``person 4 crossed door, right``."""
    who = " ".join(str(part) for part in (event.class_name, event.track_id) if part is not None)
    what = _PLAIN_TYPES.get(event.type, event.type)
    direction = event.attributes.get("direction")
    text = " ".join(part for part in (who, what, event.rule_id or "") if part)
    return f"{text}, {direction}" if isinstance(direction, str) else text
