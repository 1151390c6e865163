"""How often each stream is really analysed, and whether that is as often as was asked for."""

from collections import deque
from dataclasses import dataclass

WINDOW_S = 5.0
ENOUGH = 0.9  # of the rate that was asked for


@dataclass(frozen=True, slots=True)
class _Reading:
    at_s: float
    analysed: int


class RateWatch:
    """A stream's analysed frames over the last few seconds."""

    def __init__(self) -> None:
        self._readings: deque[_Reading] = deque()

    def read(self, at_s: float, analysed: int) -> float | None:
        """Note the count of analysed frames; the rate over the window, None while it is not full."""
        self._readings.append(_Reading(at_s, analysed))
        while len(self._readings) > 2 and at_s - self._readings[1].at_s >= WINDOW_S:
            self._readings.popleft()
        first = self._readings[0]
        elapsed_s = at_s - first.at_s
        if elapsed_s < WINDOW_S:
            return None
        return (analysed - first.analysed) / elapsed_s


def shortfall(*, analysed_fps: float, detect_fps: float, source_fps: float) -> str:
    """Why a stream counts as DEGRADED, for people; empty if it does not."""
    wanted_fps = min(detect_fps, source_fps) if source_fps else detect_fps
    if analysed_fps >= ENOUGH * wanted_fps:
        return ""
    return f"analysed {analysed_fps:.1f} of {wanted_fps:g} frames a second"
