"""Which detection is which track: similarity of boxes, and the best pairing under it."""

import heapq
import math
import sys
from collections.abc import Mapping, Sequence

from vigil.tracking.motion import Box

_TINY = sys.float_info.min


def buffered_iou(one: Box, other: Box, buffer: float = 0.0) -> float:
    """Intersection over union of two boxes after widening both.

    Each is widened on each side by ``buffer`` of its width and height, so that an object which moved
    further than its own width between two frames still overlaps (C-BIoU, Yang et al., WACV 2023; there the
    buffer is a constant). Boxes without an area give 0.
    """
    x, y, width, height = one
    other_x, other_y, other_width, other_height = other
    if buffer:
        widened = 1.0 + 2.0 * buffer
        width, height = width * widened, height * widened
        other_width, other_height = other_width * widened, other_height * widened
    across = min(0.5 * (width + other_width) - abs(x - other_x), width, other_width)
    down = min(0.5 * (height + other_height) - abs(y - other_y), height, other_height)
    if across <= 0.0 or down <= 0.0:
        return 0.0
    shared = across * down
    return shared / max(width * height + other_width * other_height - shared, _TINY)


def best_pairs(gains: Sequence[Mapping[int, float]]) -> list[tuple[int, int]]:
    """The one-to-one pairing of rows and columns with the greatest sum of gains.

    Takes, for each row, the columns that it may be paired with, from 0, and their gains, above 0. Returns
    pairs of row and column. Exact: rows take their best column where no two want the same, and each of
    the others is placed by a shortest augmenting path (Jonker and Volgenant, Computing 38, 1987).
    """
    column_of: dict[int, int] = {}
    row_of: dict[int, int] = {}
    waiting = []
    for row, of_row in enumerate(gains):
        if of_row:
            column = max(of_row, key=of_row.__getitem__) if len(of_row) > 1 else next(iter(of_row))
            if column in row_of:
                waiting.append(row)
            else:
                row_of[column], column_of[row] = row, column
    if waiting:
        # row_price + column_price ≥ gain, equal where paired
        row_price = [max(of_row.values(), default=0.0) for of_row in gains]
        column_price: dict[int, float] = {}
        for row in waiting:
            _augment(row, gains, row_price, column_price, row_of, column_of)
    return [(row, column) for row, column in column_of.items() if column >= 0]


def _augment(
    start: int,
    gains: Sequence[Mapping[int, float]],
    row_price: list[float],
    column_price: dict[int, float],
    row_of: dict[int, int],
    column_of: dict[int, int],
) -> None:
    """Pair row ``start`` along the cheapest path, in place: other pairs and the prices move.

    Beside its own columns each row has one of no gain, ``~row``, to stay without a pair.
    """
    cost: dict[int, float] = {}  # of reaching each column
    via: dict[int, int] = {}
    open_costs: list[tuple[float, int]] = []
    reached: dict[int, float] = {}  # the columns reached for good, and their cost
    row, total = start, 0.0
    while True:
        level = total + row_price[row]
        for column, gain in (*gains[row].items(), (~row, 0.0)):
            through = level + column_price.get(column, 0.0) - gain
            if column not in reached and through < cost.get(column, math.inf):
                cost[column], via[column] = through, row
                heapq.heappush(open_costs, (through, column))
        total, column = heapq.heappop(open_costs)
        while column in reached:
            total, column = heapq.heappop(open_costs)
        if column not in row_of:
            break
        reached[column] = total
        row = row_of[column]
    row_price[start] -= total
    for each, its_cost in reached.items():
        row_price[row_of[each]] -= total - its_cost
        column_price[each] = column_price.get(each, 0.0) + total - its_cost
    while True:
        row = via[column]
        row_of[column] = row
        if row == start:
            column_of[row] = column
            return
        column_of[row], column = column, column_of[row]
