"""Something that holds or does not, frame by frame, and where nobody could say which for sure.

Rules speak of what has held for a while. Where exact truth is a matter of a moment (a foot on an edge,
somebody behind somebody else, a second after coming into view) two fair observers differ. So truth is two
masks over the frames, where it surely holds and where it possibly does, and what must and what may be told
follows from them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.scene.foot_paths import runs

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

JITTER_S = 0.3  # a turn is seen so much earlier or later: analysed frames are 0.2 s apart
LATEST_S = 1.2  # a beginning that is doubtful for longer is not asked for
APART_S = 0.5  # beginnings that are possible are listed so far apart


@dataclass(frozen=True, slots=True)
class Doubt:
    """Where something surely holds, and where it possibly does, (T,) each; sure is within possible.

    ``noticed``, where it is given, is where an observer who waits for the missing knows that it holds.
    """

    sure: Bool
    possible: Bool
    noticed: Bool | None = None

    def blurred(self, times_s: F64, by_s: float = JITTER_S) -> "Doubt":
        """With every turn doubtful by ``by_s`` in either way; the ends of the scene are no turns."""
        return Doubt(~_widened(~self.sure, times_s, by_s), _widened(self.possible, times_s, by_s))


@dataclass(frozen=True, slots=True)
class Beginning:
    """When something that has to last has begun; one that is not ``sure`` may have."""

    time_s: float
    sure: bool


def beginnings(
    doubt: Doubt,
    times_s: F64,
    *,
    lasts_s: float,
    asked_s: float = 0.0,
    calm_s: float = 0.0,
    latest_s: float = LATEST_S,
) -> list[Beginning]:
    """When it began and then held for ``lasts_s``; it is sure where it surely holds for ``asked_s``, too.

    Gaps of up to ``calm_s`` are none, so that what follows one may be a new beginning or not. A beginning
    that is doubtful for longer than ``latest_s`` is not sure.
    """
    possible = doubt.possible.copy()
    for low, high, held in runs(possible):
        if not held and low and high < len(possible) and times_s[high] - times_s[low] <= calm_s:
            possible[low:high] = True
    found: list[Beginning] = []
    for low, high, held in runs(possible):
        if held:
            found += _of_span(
                doubt,
                times_s,
                (low, high),
                lasts_s=lasts_s,
                asked_s=max(asked_s, lasts_s),
                latest_s=latest_s,
            )
    return found


def _of_span(
    doubt: Doubt,
    times_s: F64,
    span: tuple[int, int],
    *,
    lasts_s: float,
    asked_s: float,
    latest_s: float,
) -> list[Beginning]:
    """Beginnings within one span of what possibly holds."""
    low, high = span
    sure = doubt.sure
    found: list[Beginning] = []
    last = min(high, len(times_s) - 1)
    after = low  # from here on a beginning is possible that is not the sure one
    for first, end, held in runs(sure[low:high]):
        if not held:
            continue
        since, until = low + first, min(low + end, len(times_s) - 1)
        if times_s[until] - times_s[since] >= asked_s:
            in_time = times_s[since] - times_s[low] <= latest_s
            if in_time and (doubt.noticed is None or doubt.noticed[since:until].any()):
                middle_s = float(0.5 * (times_s[low] + times_s[since]))
                found.append(Beginning(middle_s, sure=True))
                after = low + end
            break
    told_s = -np.inf
    for index in range(after, last):
        begins = index == low or not sure[index - 1]
        fits = times_s[last] - times_s[index] >= lasts_s - JITTER_S
        if begins and fits and times_s[index] - told_s >= APART_S:
            told_s = float(times_s[index])
            found.append(Beginning(told_s, sure=False))
    return found


def _widened(mask: Bool, times_s: F64, by_s: float) -> Bool:
    wide = mask.copy()
    for low, high, held in runs(mask):
        if held:
            first = int(np.searchsorted(times_s, times_s[low] - by_s - 1e-9))
            end = int(np.searchsorted(times_s, times_s[high - 1] + by_s + 1e-9, side="right"))
            wide[first:end] = True
    return wide
