"""Where an object was in the last second or two."""

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from vigil.spec import Point

MOST_PLACES = 64
ROUNDING_S = 1e-6  # of times that are compared


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

    def speed_without_jump(self, jump_s: float) -> float:
        """The least speed that is left if any one jump, of up to ``jump_s``, is left out.

        A foot that comes out from behind something, and a track that goes on with somebody else, are
        a shift of level (Chen and Liu, 1993) and no way made: the lines before and after it have one
        slope.
        """
        rows = np.array([(time_s, place.x, place.y) for time_s, place in self._places])
        t, x, y = (rows - rows[0]).T
        one = np.ones_like(t)
        sums = np.cumsum(np.stack((one, t, x, y, t * t, t * x, t * y), axis=1), axis=0)  # (N, 7)
        ends = np.searchsorted(t, t + jump_s - ROUNDING_S)  # of a jump after each place
        tt, tx, ty = (_about_mean(sums) + _about_mean(sums[-1] - sums[ends - 1])).T
        lasts = tt > ROUNDING_S
        return float(np.min(np.hypot(tx[lasts], ty[lasts]) / tt[lasts], initial=math.inf))

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


def _about_mean(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of 1, t, x, y, tt, tx and ty, (N, 7), as sums of tt, tx and ty about the means, (N, 3)."""
    count, t = sums[:, :1], sums[:, 1:2]
    about: NDArray[np.float64] = sums[:, 4:] - t * sums[:, 1:4] / np.maximum(count, 1.0)
    return about
