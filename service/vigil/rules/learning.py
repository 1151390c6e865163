"""A limit that is given, or learnt: what rules ask, and what they remember for it."""

from collections import deque

from vigil.data import JsonScalar
from vigil.rules.subject import Moment
from vigil.rules.usual import BUCKET_S, Baseline, Sample
from vigil.spec import Edge, Learnt, Limit

LEAST_COVER = 0.8  # of a bucket has to be seen for it to count
LONGEST_STEP_S = 5.0  # between pictures; more is a gap that nothing was seen in


class LimitWatch:
    """One limit of one rule: above or below, a number or what was learnt.

    For a learnt one it remembers, bucket by bucket, the most that was there for ``duration_s`` at a
    stretch (below: the least), which is what the event is about.
    """

    def __init__(self, rule_id: str, edge: Edge, limit: Limit, *, duration_s: float) -> None:
        self.edge = edge
        self.learnt = isinstance(limit, Learnt)
        self.samples: list[Sample] = []  # whoever takes them empties it
        self.told: dict[
            str, JsonScalar
        ] = {}  # of the last frame: what events say of count and limit
        self._rule_id = rule_id
        self._given = None if isinstance(limit, Learnt) else limit
        self._baseline: Baseline | None = None
        self._held = _Held(duration_s, most=edge is Edge.ABOVE)
        self._bucket = -1
        self._value: float | None = None
        self._cover_s = 0.0
        self._last_s: float | None = None

    def learn(self, baseline: Baseline) -> None:
        """Take a newly learnt curve."""
        if self.learnt and (baseline.rule_id, baseline.edge) == (self._rule_id, self.edge):
            self._baseline = baseline

    def at(self, moment: Moment) -> float | None:
        """The limit now; None where none is known."""
        if not self.learnt:
            return self._given
        return None if self._baseline is None else self._baseline.at(moment.utc_s).limit

    def now(self, moment: Moment, count: int) -> float | None:
        """The limit that a frame's count is compared with; None where none is known."""
        limit = self.at(moment)
        self.told = {"count": count, "limit": None if limit is None else round(limit, 2)}
        return limit

    def is_past(self, count: float, limit: float) -> bool:
        """Whether a count is on the wrong side."""
        return count > limit if self.edge is Edge.ABOVE else count < limit

    def see(self, moment: Moment, count: float) -> None:
        """Remember a count for learning."""
        if not self.learnt:
            return
        held = self._held.take(moment.time_s, count)
        bucket = int(moment.utc_s // BUCKET_S)
        if bucket != self._bucket:
            self._finish()
            self._bucket, self._value, self._cover_s = bucket, None, 0.0
        if self._last_s is not None and moment.time_s - self._last_s <= LONGEST_STEP_S:
            self._cover_s += moment.time_s - self._last_s
        self._last_s = moment.time_s
        if held is not None:
            pick = max if self.edge is Edge.ABOVE else min
            self._value = held if self._value is None else pick(self._value, held)

    def forget_present(self) -> None:
        """Nothing was seen for a while: what is held begins anew."""
        self._held.forget()
        self._last_s = None

    def _finish(self) -> None:
        if self._value is not None and self._cover_s >= LEAST_COVER * BUCKET_S:
            self.samples.append(
                Sample(
                    rule_id=self._rule_id,
                    edge=self.edge,
                    begun_s=self._bucket * BUCKET_S,
                    value=self._value,
                )
            )


class _Held:
    """The least (most: False: the greatest) count of a sliding window; None until it is full."""

    def __init__(self, window_s: float, *, most: bool) -> None:
        self._window_s = window_s
        self._sign = 1.0 if most else -1.0
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self._since_s: float | None = None
        self._counts: deque[tuple[float, float]] = deque()  # (until when, signed count), rising

    def take(self, time_s: float, count: float) -> float | None:
        """The next count."""
        if self._since_s is None:
            self._since_s = time_s
        signed = self._sign * count
        while self._counts and self._counts[-1][1] >= signed:
            self._counts.pop()
        self._counts.append((time_s, signed))
        while self._counts[0][0] < time_s - self._window_s:
            self._counts.popleft()
        full = time_s - self._since_s >= self._window_s
        return self._sign * self._counts[0][1] if full else None
