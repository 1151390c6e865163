"""What truly happens by rules about how many are in an area: occupancy and absence.

Who is surely in the area and who only possibly is (`vigil.scene.doubt`) gives the least and the most that
can be counted in each frame. Doubtful is who
- has been in view for less than SEEN_S, or has been hidden for longer than HIDDEN_S;
- crosses the edge while hidden;
- is on the other side for less than SETTLE_S, or for less than GRAZE_S without going further past the edge
  than the rule's hysteresis;
- was inside when it went out of view: it counts for as long as a tracker waits for it, and when that is over
  it has not been there since it was last seen. So fewer than before is noticed late, but with the true time.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vigil.scene.doubt import JITTER_S, Doubt, beginnings
from vigil.scene.foot_paths import HIDDEN_S, FootPath, inside, reach, runs
from vigil.spec import AbsenceRule, OccupancyRule, Point

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

SEEN_S = 1.0
SETTLE_S = 0.4
GRAZE_S = 1.0
AWAITED_S = 3.0  # trackers wait so long for somebody who is out of sight
PLAIN_HYSTERESIS = 0.01  # of rules that have no such parameter


def count_events(
    rule: OccupancyRule | AbsenceRule, paths: Sequence[FootPath], times_s: F64
) -> list[tuple[str, float, bool]]:
    """The events of one rule as (type, time, whether it must be told).

    ``paths`` are of everything in view, hidden or not; ``times_s`` (T,) are the scene's frames.
    """
    about = [path for path in paths if not rule.classes or path.class_name in rule.classes]
    count = np.zeros(
        (3, len(times_s)), np.int64
    )  # at least, at most, at most with who is waited for
    for path in about:
        count += presence(path, rule.polygon, times_s)
    least, most, awaited = count
    if isinstance(rule, AbsenceRule):
        kinds = [("absence", Doubt(most == 0, least == 0, noticed=awaited == 0))]
    else:
        kinds = []
        if isinstance(rule.above, int | float):
            kinds.append(("occupancy.above", Doubt(least > rule.above, awaited > rule.above)))
        if isinstance(rule.below, int | float):
            fewer = Doubt(most < rule.below, least < rule.below, noticed=awaited < rule.below)
            kinds.append(("occupancy.below", fewer))
    return [
        (kind, begun.time_s + rule.duration_s, begun.sure)
        for kind, doubt in kinds
        for begun in beginnings(doubt, times_s, lasts_s=rule.duration_s, calm_s=2 * SETTLE_S)
    ]


def presence(
    path: FootPath,
    polygon: Sequence[Point],
    times_s: F64,
    *,
    hysteresis: float = PLAIN_HYSTERESIS,
) -> Bool:
    """Whether an object is in a polygon (none: the picture) at each of the scene's frames: (3, T).

    Surely, possibly, and possibly or waited for.
    """
    within = inside(polygon, path.xy) if polygon else np.ones(len(path.xy), bool)
    doubtful = np.zeros(len(within), bool)  # in or out
    for low, high, _ in runs(within):
        lasts_s = path.time_s[min(high, len(within) - 1)] - path.time_s[low]
        grazes = lasts_s < SETTLE_S or (
            lasts_s < GRAZE_S
            and len(polygon) > 0
            and reach(polygon, path.xy[low:high]).max() < hysteresis
        )
        if grazes:
            doubtful[low:high] = True
    unknown = path.time_s - path.time_s[0] < SEEN_S  # if in, then perhaps nobody knows
    waits_s = _hide(path, within, doubtful, unknown)
    at = np.searchsorted(times_s, path.time_s - 1e-9)
    sure, possible = np.zeros(len(times_s), bool), np.zeros(len(times_s), bool)
    sure[at], possible[at] = within & ~doubtful & ~unknown, within | doubtful
    gaps = np.setdiff1d(np.arange(at[0], at[-1]), at)  # out of view for a moment
    possible[gaps] = possible[at[np.searchsorted(at, gaps) - 1]]
    seen = Doubt(sure, possible).blurred(times_s)
    awaited = seen.possible.copy()
    for since_s, until_s in waits_s:
        awaited |= (times_s >= since_s) & (times_s <= until_s + JITTER_S)
    return np.stack((seen.sure, seen.possible, awaited))


def _hide(path: FootPath, within: Bool, doubtful: Bool, unknown: Bool) -> list[tuple[float, float]]:
    """Mark what nobody saw, in place; answers when somebody who is out of sight is waited for."""
    waited = []
    for low, high, hidden in runs(path.hidden):
        if not hidden:
            continue
        began_s, over_s = float(path.time_s[low]), float(path.time_s[high - 1])
        if over_s - began_s > HIDDEN_S:
            unknown[low:] |= path.time_s[low:] < over_s + SEEN_S
        around = within[max(low - 1, 0) : high + 1]
        if around.any() and not around.all():
            doubtful[low:high] = True
        if within[max(low - 1, 0)]:
            waited.append((began_s, began_s + AWAITED_S))
    if within[-1]:
        waited.append((float(path.time_s[-1]), float(path.time_s[-1]) + AWAITED_S))
    return waited
