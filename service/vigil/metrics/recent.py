"""A quantile of what has come lately, from buckets that have been counted since the start."""

from collections import deque
from collections.abc import Mapping

_SAMPLE_S = 5.0
_LEAST_S = 60.0


class Recent:
    """Remembers what buckets held a while ago. Whoever looks shows it what they hold now."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._past: deque[tuple[float, Mapping[float, float]]] = deque()  # one each _SAMPLE_S

    def quantile(
        self, share: float, buckets: Mapping[float, float], now_s: float
    ) -> tuple[float | None, float]:
        """That of the last window, and how long that was; None where nothing came.

        ``buckets`` are cumulative counts by upper bound. Before there are looks of a minute and more ago, it
        is about all since the start, and the time 0.
        """
        while len(self._past) > 1 and now_s - self._past[1][0] >= self._window_s:
            self._past.popleft()
        since_s, before = self._past[0] if self._past else (now_s, {})
        if now_s - since_s < _LEAST_S:
            since_s, before = now_s, {}
        if not self._past or now_s - self._past[-1][0] >= _SAMPLE_S:
            self._past.append((now_s, buckets))
        grown = {bound: count - before.get(bound, 0.0) for bound, count in buckets.items()}
        return quantile(share, grown), now_s - since_s


def quantile(share: float, buckets: Mapping[float, float]) -> float | None:
    """As Prometheus' histogram_quantile: evenly spread within a bucket, the last bound at the most."""
    total = max(buckets.values(), default=0.0)
    if total <= 0:
        return None
    rank, low, below = share * total, 0.0, 0.0
    for bound, count in sorted(buckets.items()):
        if count >= rank and count > below:
            inside = (rank - below) / (count - below)
            return low if bound == float("inf") else low + (bound - low) * inside
        low, below = bound, count
    return low
