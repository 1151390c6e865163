"""Whether two samples are of one kind: Wilcoxon's rank-sum test, exact for any distribution.

Under no change every order of the values is equally likely, so the level holds whatever the values are,
as long as they are independent (Wilcoxon, Biometrics Bulletin 1945; Mann and Whitney 1947).
"""

import random
from collections.abc import Sequence
from functools import cache


def rank_sum_p(reference: Sequence[float], current: Sequence[float]) -> float:
    """The two-sided p-value; ties are ranked by lot, the same lot each time."""
    values = [*reference, *current]
    lots = random.Random(len(values)).sample(range(len(values)), len(values))
    ranked = sorted(range(len(values)), key=lambda index: (values[index], lots[index]))
    statistic = sum(rank for rank, index in enumerate(ranked) if index >= len(reference))
    counts = _counts(len(reference), len(current))
    total = sum(counts)
    at_most, at_least = sum(counts[: statistic + 1]), sum(counts[statistic:])
    return min(1.0, 2 * min(at_most, at_least) / total)


@cache
def _counts(reference: int, current: int) -> list[int]:
    """In how many orders the ranks (from 0) of ``current`` values sum up to each sum."""
    size = reference + current
    most = sum(range(size - current, size))
    ways = [[0] * (most + 1) for _ in range(current + 1)]
    ways[0][0] = 1
    for rank in range(size):
        for chosen in range(min(rank + 1, current), 0, -1):
            row, fewer = ways[chosen], ways[chosen - 1]
            for total in range(most, rank - 1, -1):
                row[total] += fewer[total - rank]
    return ways[current]
