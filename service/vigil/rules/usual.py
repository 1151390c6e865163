"""What is usual at an hour of the week, learnt from a rule's own history.

Specification: docs/rules/learnt.md. Pure: samples in, curve out; `vigil.store.history` keeps them.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from vigil.data import F32
from vigil.spec import Edge, Learnt

HOUR_S = 3600
HOURS = 168  # of a week; hour 0 is Monday from midnight, UTC
BUCKET_S = 300.0
LEAST_SAMPLES = 12  # an hour's worth
LEAST_SPREAD = 0.5  # counts are whole: a place that always holds two may hold three
NEIGHBOURS = (-1, 0, 1)  # hours that speak for an hour, too
_MONDAY = 4 * 24  # hours from 1970-01-01, a Thursday
TO_SIGMA = 1.4826  # from median absolute deviation to standard deviation, if it is normal


class Usual(msgspec.Struct, frozen=True):
    """One hour of the week. ``limit`` None: too little is known."""

    usual: float
    spread: float
    samples: int
    limit: float | None


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """A learnt curve: 168 hours of the week."""

    rule_id: str
    edge: Edge
    hours: tuple[Usual, ...]
    warm_at_s: float | None  # UTC; None: nothing was seen yet
    warm: bool

    def at(self, utc_s: float) -> Usual:
        """The hour that an instant lies in."""
        return self.hours[hour_of_week(int(utc_s // HOUR_S))]


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """The value of one bucket of time: how many there were, at most or at least, or crossed."""

    rule_id: str
    edge: Edge
    begun_s: float  # UTC
    value: float


def hour_of_week(hour: int) -> int:
    """Of an hour since 1970-01-01: 0 is Monday from midnight, UTC."""
    return (hour - _MONDAY) % HOURS


def learn(
    rule_id: str,
    edge: Edge,
    learnt: Learnt,
    history: Mapping[int, Sequence[float]],
    *,
    now_s: float,
) -> Baseline:
    """The curve of a history: values by hour since 1970-01-01, several an hour.

    Median and median absolute deviation over all weeks of an hour and its neighbours, so that neither
    one odd week nor one odd evening moves the curve. No hour has a limit before the warm-up is over.
    """
    by_hour: dict[int, list[float]] = defaultdict(list)
    for hour, values in history.items():
        by_hour[hour_of_week(hour)] += values
    warm_at_s = min(history) * HOUR_S + learnt.warm_up_s if history else None
    warm = warm_at_s is not None and now_s >= warm_at_s
    hours = []
    for hour in range(HOURS):
        around = [value for step in NEIGHBOURS for value in by_hour.get((hour + step) % HOURS, ())]
        hours.append(_usual(np.array(around, np.float32), edge, learnt, warm=warm))
    return Baseline(rule_id=rule_id, edge=edge, hours=tuple(hours), warm_at_s=warm_at_s, warm=warm)


def _usual(values: F32, edge: Edge, learnt: Learnt, *, warm: bool) -> Usual:
    if not len(values):
        return Usual(0.0, 0.0, 0, None)
    middle = float(np.median(values))
    spread = max(TO_SIGMA * float(np.median(np.abs(values - middle))), LEAST_SPREAD)
    known = warm and len(values) >= LEAST_SAMPLES
    sign = 1.0 if edge is Edge.ABOVE else -1.0
    limit = middle + sign * learnt.deviations * spread if known else None
    return Usual(middle, spread, len(values), limit)
