"""Which of a stream's frames are due for analysis."""


class Sampler:
    """Picks frames on a grid of ``detect_fps``, by frame time, so that arrival jitter moves nothing.

    A frame is due when it is the one nearest to the next place on the grid. After a gap the grid
    begins anew: frames that never came are not made up for.
    """

    def __init__(self, detect_fps: float) -> None:
        self._period_s = 1.0 / detect_fps
        self._next_s: float | None = None
        self._last_s: float | None = None
        self._interval_s = 0.0

    def is_due(self, time_s: float) -> bool:
        """Whether the frame of this time is to be analysed; times must increase."""
        if self._last_s is not None:
            step_s = time_s - self._last_s
            # a running mean of the frame interval; half of it is how early a frame may be
            self._interval_s += 0.2 * (step_s - self._interval_s) if self._interval_s else step_s
        self._last_s = time_s
        early_s = min(self._interval_s, self._period_s) / 2
        if self._next_s is not None and time_s < self._next_s - early_s:
            return False
        if self._next_s is None or time_s - self._next_s > self._period_s:
            self._next_s = time_s
        self._next_s += self._period_s
        return True
