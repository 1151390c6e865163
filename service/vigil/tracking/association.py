"""Which detection is which track: similarity of boxes, and the best pairing under it."""

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
I64 = NDArray[np.int64]
Pairs = tuple[I64, I64]

NOTHING = np.zeros(0, np.int64)


def buffered_iou(tracks_cxcywh: F64, detections_cxcywh: F64, buffer: F64) -> F64:
    """Intersection over union of every pair after widening: (T, 4) and (N, 4) to (T, N).

    Both boxes of a pair are widened on each side by ``buffer`` (T,) of their width and height, so
    that an object which moved further than its own width between two frames still overlaps (C-BIoU,
    Yang et al., WACV 2023; there the buffer is a constant). Boxes without an area give 0.
    """
    widened = (1.0 + 2.0 * buffer)[:, None, None]
    of_tracks = tracks_cxcywh[:, None, 2:] * widened  # (T, 1, 2)
    of_detections = detections_cxcywh[:, 2:] * widened  # (T, N, 2)
    apart = np.abs(tracks_cxcywh[:, None, :2] - detections_cxcywh[:, :2])  # (T, N, 2)
    overlap = 0.5 * (of_tracks + of_detections) - apart
    np.minimum(overlap, of_tracks, out=overlap)
    np.minimum(overlap, of_detections, out=overlap)
    np.maximum(overlap, 0.0, out=overlap)
    shared = overlap[..., 0] * overlap[..., 1]
    union = of_tracks[..., 0] * of_tracks[..., 1] + of_detections[..., 0] * of_detections[..., 1]
    union -= shared
    np.maximum(union, np.finfo(np.float64).tiny, out=union)
    return np.asarray(shared / union)


def best_pairs(gain: F64) -> Pairs:
    """The one-to-one pairing of rows and columns with the greatest sum of gains.

    Takes (R, C) gains; pairs whose gain is not above 0 are never made. Returns the paired rows and
    their columns. Exact: rows take their best column where no two want the same, and each of the
    others is placed by a shortest augmenting path (Jonker and Volgenant, Computing 38, 1987).
    """
    if not gain.size:
        return NOTHING, NOTHING
    able = np.flatnonzero(gain.max(axis=1) > 0.0)
    wanted = gain[able].argmax(axis=1)
    if len(set(wanted.tolist())) == len(able):
        return able, wanted
    usable = np.flatnonzero(gain.max(axis=0) > 0.0)
    part = np.maximum(gain[able[:, None], usable], 0.0)
    if len(able) <= len(usable):
        row_at, column_at = np.arange(len(able)), _assign(part)
    else:
        row_at, column_at = _assign(part.T), np.arange(len(usable))
    paired = part[row_at, column_at] > 0.0
    return able[row_at[paired]], usable[column_at[paired]]


class Pairing:
    """Stages of matching over one table of gains: what one stage paired is gone for the next."""

    def __init__(self, gain: F64) -> None:
        self._gain = gain  # (T, N)
        self._row_free = np.ones(gain.shape[0], np.bool_)
        self._column_free = np.ones(gain.shape[1], np.bool_)
        self._pairs: list[Pairs] = []

    def match_all(self) -> None:
        """Pair everything as well as can be; the one stage where there is one."""
        self._pairs.append(best_pairs(self._gain))

    def match(self, rows: Bool, columns: Bool) -> None:
        """Pair the rows and columns of these masks as well as can be, as far as they are free."""
        row_at = np.flatnonzero(rows & self._row_free)
        column_at = np.flatnonzero(columns & self._column_free)
        if not len(row_at) or not len(column_at):
            return
        paired_rows, paired_columns = best_pairs(self._gain[row_at[:, None], column_at])
        new_rows, new_columns = row_at[paired_rows], column_at[paired_columns]
        self._row_free[new_rows] = False
        self._column_free[new_columns] = False
        self._pairs.append((new_rows, new_columns))

    def pairs(self) -> Pairs:
        """All pairs so far: their rows and their columns."""
        if len(self._pairs) == 1:
            return self._pairs[0]
        return (
            np.concatenate([NOTHING, *(rows for rows, _ in self._pairs)]),
            np.concatenate([NOTHING, *(columns for _, columns in self._pairs)]),
        )


def _assign(gain: F64) -> I64:
    """The column of each row, (R,), all different, for (R, C) gains of at least 0, R ≤ C."""
    rows, columns = gain.shape
    row_price = gain.max(axis=1)  # row_price + column_price ≥ gain, equal where paired
    column_price = np.zeros(columns)
    row_of = np.full(columns, -1)
    column_of = np.full(rows, -1)
    waiting = []
    for row, column in enumerate(gain.argmax(axis=1)):
        if row_of[column] < 0:
            row_of[column], column_of[row] = row, column
        else:
            waiting.append(row)
    for row in waiting:
        _augment(row, gain, row_price, column_price, row_of, column_of)
    return column_of


def _augment(
    start: int,
    gain: F64,
    row_price: F64,
    column_price: F64,
    row_of: I64,
    column_of: I64,
) -> None:
    """Pair row ``start`` along the cheapest path, in place: other pairs and the prices move."""
    cost = row_price[start] + column_price - gain[start]  # (C,) of reaching each column
    via = np.full(len(cost), start)
    open_cost = cost.copy()  # inf where the column is reached for good
    reached: list[int] = []
    while True:
        column = int(open_cost.argmin())
        total = float(open_cost[column])
        row = int(row_of[column])
        if row < 0:
            break
        reached.append(column)
        open_cost[column] = np.inf
        through = total + row_price[row] + column_price - gain[row]
        better = through < open_cost
        better[reached] = False
        open_cost[better] = cost[better] = through[better]
        via[better] = row
    row_price[start] -= total
    if reached:
        lead = total - cost[reached]
        row_price[row_of[reached]] -= lead
        column_price[reached] += lead
    while True:
        row = int(via[column])
        row_of[column] = row
        column_of[row], column = column, int(column_of[row])
        if row == start:
            return
