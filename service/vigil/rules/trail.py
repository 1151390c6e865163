"""Where an object was in the last second or two."""

import math
from collections import deque

from vigil.spec import Point

MOST_PLACES = 64


class Trail:
    """Places with their times, not older than ``span_s`` but for one, and at most 64."""

    def __init__(self, span_s: float) -> None:
        self._span_s = span_s
        self._places: deque[tuple[float, Point]] = deque(maxlen=MOST_PLACES)

    def add(self, time_s: float, place: Point) -> None:
        """The newest place; those that it makes too old are dropped."""
        self._places.append((time_s, place))
        while len(self._places) > 2 and self._places[1][0] <= time_s - self._span_s:
            self._places.popleft()

    @property
    def lasts_s(self) -> float:
        """From the oldest place to the newest."""
        return self._places[-1][0] - self._places[0][0]

    @property
    def begun_s(self) -> float:
        """When the oldest place was."""
        return self._places[0][0]

    def error(self) -> float:
        """The standard error of `moved`, a second: how far the places lie from its line; 0 for two places."""
        count = len(self._places)
        if count < 3:
            return 0.0
        way = self.moved()
        mean_s = sum(time_s for time_s, _ in self._places) / count
        mean_x = sum(place.x for _, place in self._places) / count
        mean_y = sum(place.y for _, place in self._places) / count
        apart = sum(
            (place.x - mean_x - way.x * (time_s - mean_s)) ** 2
            + (place.y - mean_y - way.y * (time_s - mean_s)) ** 2
            for time_s, place in self._places
        )
        spread = sum((time_s - mean_s) ** 2 for time_s, _ in self._places)
        return math.sqrt(apart / (count - 2) / spread) if spread > 0.0 else 0.0

    def moved(self) -> Point:
        """From the oldest place to the newest, per second: the slope of a least-squares line."""
        count = len(self._places)
        mean_s = sum(time_s for time_s, _ in self._places) / count
        mean_x = sum(place.x for _, place in self._places) / count
        mean_y = sum(place.y for _, place in self._places) / count
        spread = sum((time_s - mean_s) ** 2 for time_s, _ in self._places)
        if spread == 0.0:
            return Point(0.0, 0.0)
        return Point(
            sum((time_s - mean_s) * (place.x - mean_x) for time_s, place in self._places) / spread,
            sum((time_s - mean_s) * (place.y - mean_y) for time_s, place in self._places) / spread,
        )
