"""Boxes that lost their foot to somebody who stands before them."""

from collections.abc import Iterable

from vigil.tracking.motion import Box

SAME_TOP = 0.15  # of its height: a box whose upper edge moved by more has moved


def whole_box(box: Box, expected: Box, others: Iterable[Box], *, short: float) -> Box:
    """A box down to where its foot was expected, if one of the ``others`` hides that; else as it is.

    It has to lack ``short`` of the expected height at its foot and nothing at its top. The other is
    before it if it reaches further down in the picture, as what stands on the same ground does.
    """
    x, y, width, height = box
    _, expected_y, _, expected_height = expected
    top, bottom = y - 0.5 * height, expected_y + 0.5 * expected_height
    lacks = bottom - (y + 0.5 * height)
    moved = abs(top - (expected_y - 0.5 * expected_height))
    if lacks < short * expected_height or moved > SAME_TOP * expected_height:
        return box
    hidden_y = bottom - 0.5 * lacks
    for other in others:
        other_x, other_y, other_width, other_height = other
        if (
            other is not box
            and abs(other_x - x) < 0.5 * other_width
            and abs(other_y - hidden_y) < 0.5 * other_height
            and other_y + 0.5 * other_height > bottom
        ):
            return x, 0.5 * (top + bottom), width, bottom - top
    return box
