"""What a scene looks like without the things that come and go, and what has come to stand before it.

A cell has the colour that is usual, and may have another that has come and stays. Two models with
different memories, as in Porikli et al., "Robust detection of abandoned and removed objects in complex
surveillance videos" (EURASIP J. Adv. Signal Process. 2008); here the short one is a candidate with an
age, which counts only the time in which it was in view.
"""

import numpy as np
from numpy.typing import NDArray

from vigil.data import F32, Glance

Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]

LEAST_DIFFERENCE = 16.0  # grey levels of the colour that differs most; a cell's noise is 1 to 3
MEMORY_S = 30.0  # of usual colours
KNOWN_S = 2.0  # in view before a cell's usual colour is known
HIDDEN_S = 120.0  # a candidate that is out of view for longer is forgotten
UNLIKE_S = 1.0  # what looks unlike both for longer is another candidate
MOST_GAIN = 0.5  # of the light's change, as a natural logarithm
# Where only the light has changed, all channels have by about the same factor, and slopes with them.
SHADE_SPREAD = 0.15  # of the factor's natural logarithm, between channels
SHADE_FACTOR = 3.0
SHADE_SLOPE = 4.0  # grey levels


class Backdrop:
    """Colours (3, 72, 128) and slopes (72, 128) of a scene, usual and candidate."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._usual: F32 = np.zeros((3, *shape), np.float32)
        self._usual_edges: F32 = np.zeros(shape, np.float32)
        self._edges: F32 = np.zeros(shape, np.float32)  # of the picture without passers-by
        self._in_view_s: F32 = np.zeros(shape, np.float32)
        self._other: F32 = np.zeros((3, *shape), np.float32)
        self._before: F32 = np.full(
            (3, *shape), np.inf, np.float32
        )  # usual until a candidate was accepted
        self._last: F32 = np.zeros((3, *shape), np.float32)  # when nobody stood before it
        self._unlike_s: F32 = np.zeros(shape, np.float32)
        self._hidden_s: F32 = np.zeros(shape, np.float32)
        self.age_s: F32 = np.zeros(shape, np.float32)
        """For how long a cell's candidate has been in view; 0 where there is none."""
        self.usual_s: F32 = np.zeros(shape, np.float32)
        """For how long a cell has been seen with its usual colour."""
        self.is_candidate: Bool = np.zeros(shape, np.bool_)
        """Where the last picture showed the candidate's colour, and nobody stood before it."""
        self.is_usual: Bool = np.zeros(shape, np.bool_)
        """Where the last picture showed the usual colour, and nobody stood before it."""

    def take(self, glance: Glance, *, free: Bool, step_s: float) -> None:
        """The next picture; ``free`` is where nobody is before the scene, (72, 128)."""
        known = self._in_view_s >= KNOWN_S
        # Colour by colour: a reduction over a last axis of three takes most of a millisecond.
        colour = np.moveaxis(glance.colour, 2, 0).astype(np.float32)
        colour /= self._gain(colour, free & known)[:, None, None]
        usual = free & known & _alike(colour, self._usual)
        other = free & known & ~usual
        same = other & (self.age_s > 0) & _alike(colour, self._other)
        self._learn(colour, glance.edges, (usual | (free & ~known)), step_s)
        self._in_view_s += np.where(free, np.float32(step_s), np.float32(0.0))
        self.age_s[same] += step_s
        self.age_s[usual] = np.maximum(self.age_s[usual] - 2.0 * step_s, 0.0)
        # For a second it has to be the same colour: an owner's shadow is not his thing.
        new = other & ~same
        steady = self._stays(colour, self._last, new)
        self._unlike_s[new] = np.where(steady, self._unlike_s[new], 0.0) + step_s
        np.copyto(self._last, colour, where=free)
        self._unlike_s[same | usual] = 0.0  # while somebody is before it, nothing is known
        self._hidden_s = np.where(free | (self.age_s == 0), 0.0, self._hidden_s + step_s).astype(
            np.float32
        )
        self.age_s[self._hidden_s > HIDDEN_S] = 0.0
        begun = self._unlike_s >= UNLIKE_S
        stays = self._stays(colour, self._other, begun)
        self.age_s[begun] = self._unlike_s[begun] + np.where(stays, self.age_s[begun], 0.0)
        self._other[:, begun] = colour[:, begun]
        self._unlike_s[begun] = 0.0
        seen = same | usual
        self._edges[seen] += 0.2 * (glance.edges[seen] - self._edges[seen])
        self._edges[begun] = glance.edges[begun]
        self.usual_s += np.where(usual | (free & ~known), np.float32(step_s), np.float32(0.0))
        self.is_usual, self.is_candidate = usual, same | begun

    def accept(self, cells: Bool) -> None:
        """Take the candidates of these cells for usual."""
        self._before[:, cells] = self._usual[:, cells]
        self._usual[:, cells] = self._other[:, cells]
        self._usual_edges[cells] = self._edges[cells]
        self.usual_s[cells] = self.age_s[cells]
        self.age_s[cells] = 0.0

    def forget(self, cells: Bool) -> None:
        """Give up the candidates of these cells, and of those beside them."""
        self.age_s[grown(grown(cells))] = 0.0

    def is_as_before(self, cells: Bool) -> Bool:
        """Where candidates have the colour that was usual before the last was accepted, (N,)."""
        return _alike(self._other[:, cells], self._before[:, cells])

    def levels(self, cells: Bool) -> F32:
        """By how many grey levels the candidates of these cells differ from what is usual, (N,)."""
        return np.asarray(np.abs(self._other[:, cells] - self._usual[:, cells]).max(axis=0))

    def outline_gain(self, cells: Bool) -> float:
        """How much steeper the slopes around a candidate are than they were without it.

        Above 0 where something stands that did not; below where something stood that does not.
        """
        ring = grown(cells) & grown(~cells)  # a cell to each side of its edge
        return float(self._edges[ring].mean() - self._usual_edges[ring].mean())

    def contrast_gain(self, cells: Bool) -> float:
        """How much more a candidate differs from what is around it than what it replaced did.

        Of the border's contrasts the lower decile, before and after each: high where an outline is
        closed, so that neither a line on the ground nor a post that a thing hides decides.
        """
        now = np.where(self.age_s > 0, self._other, self._usual)
        sides = []
        for down, across in ((0, 2), (0, -2), (2, 0), (-2, 0)):  # what is between is a mixture
            beside = moved(cells, down, across) & ~cells
            sides.append((moved(beside, -down, -across), beside))
        return _closed_contrast(now, sides) - _closed_contrast(self._usual, sides)

    def is_shade(self) -> Bool:
        """Where a cell's candidate is its usual colour in another light: shadows, and what they leave."""
        factor = np.exp(_log_factor(self._other, self._usual).mean(axis=0))
        other_slope = np.abs(self._edges - self._usual_edges * factor)
        return np.asarray(_relit(self._other, self._usual) & (other_slope < SHADE_SLOPE))

    def _stays(self, colour: F32, before: F32, where: Bool) -> Bool:
        """Which cells, of ``where``, have the colour of before, be it that a shadow came or went, (N,).

        What is the usual colour in another light is a shadow itself, and then only the same is the same.
        """
        now, then = colour[:, where], before[:, where]
        return _alike(now, then) | (_relit(now, then) & ~_relit(now, self._usual[:, where]))

    def _learn(self, colour: F32, edges: NDArray[np.uint8], where: Bool, step_s: float) -> None:
        share = np.maximum(step_s / MEMORY_S, step_s / (self._in_view_s + step_s)) * where
        self._usual += share * (colour - self._usual)
        self._usual_edges += share * (edges - self._usual_edges)
        young = where & (self._in_view_s < KNOWN_S)
        self._edges[young] = self._usual_edges[young]

    def _gain(self, colour: F32, where: Bool) -> F32:
        """The light's change since the usual colours, by channel; 1 where it cannot be told."""
        if where.sum() < 0.1 * where.size:
            return np.ones(3, np.float32)
        where = where[::2, ::2]  # a quarter of the cells tells a median to a thousandth
        ratio = (colour[:, ::2, ::2][:, where] + 4.0) / (self._usual[:, ::2, ::2][:, where] + 4.0)
        gain = np.exp(np.clip(np.log(np.median(ratio, axis=1)), -MOST_GAIN, MOST_GAIN))
        return np.asarray(gain, np.float32)


def regions(cells: Bool) -> list[Bool]:
    """The connected parts of a mask, corners included, in the order of their first cells."""
    left, found = cells.copy(), []
    while left.any():
        part = np.zeros_like(left)
        part.flat[int(np.argmax(left))] = True
        while not np.array_equal(part, wider := grown(part) & left):
            part = wider
        left &= ~part
        found.append(part)
    return found


def grown(cells: Bool) -> Bool:
    """The mask with its eight neighbours."""
    across = cells.copy()
    across[:, 1:] |= cells[:, :-1]
    across[:, :-1] |= cells[:, 1:]
    down = across.copy()
    down[1:] |= across[:-1]
    down[:-1] |= across[1:]
    return down


def moved(cells: Bool, down: int, across: int) -> Bool:
    """The mask moved by so many cells; what leaves the picture is lost."""
    rows, columns = cells.shape
    there = np.zeros_like(cells)
    there[max(down, 0) : rows + min(down, 0), max(across, 0) : columns + min(across, 0)] = cells[
        max(-down, 0) : rows - max(down, 0), max(-across, 0) : columns - max(across, 0)
    ]
    return there


def _closed_contrast(colour: F32, sides: list[tuple[Bool, Bool]]) -> float:
    """The lower decile of how much colours differ between the cells of a border and those beside them."""
    differences = [
        np.abs(colour[:, inner] - colour[:, beside]).max(axis=0) for inner, beside in sides
    ]
    return float(np.quantile(np.concatenate(differences), 0.1))


def _log_factor(now: F32, before: F32) -> F32:
    """The natural logarithm of how much lighter each channel has become."""
    return np.asarray(np.log((now + 4.0) / (before + 4.0)))


def _relit(now: F32, before: F32) -> Bool:
    """Where colours, (3, ...), differ as by another light: in all channels by about the same factor."""
    factor = _log_factor(now, before)
    spread = factor.max(axis=0) - factor.min(axis=0)
    return np.asarray(
        (spread < SHADE_SPREAD) & (np.abs(factor.mean(axis=0)) < np.log(SHADE_FACTOR))
    )


def _alike(colour: F32, other: F32) -> Bool:
    return np.asarray(np.abs(colour - other).max(axis=0) < LEAST_DIFFERENCE)
