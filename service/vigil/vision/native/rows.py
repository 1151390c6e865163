"""In which order the rows of a net's maps are computed: each soon after those that it is made of.

A layer that is computed as a whole reads what has left the L2 cache meanwhile. So the last layer of a chain
asks for some rows at a time, and each layer asks those before it for as many as it needs.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from vigil.vision.native.steps import Step


@dataclass(slots=True, eq=False)
class Layer:
    """What makes the rows of one map, in order."""

    height: int
    steps: Callable[[int, int], Iterable[Step]]  # for the rows from one up to another
    sources: Sequence[tuple["Layer", Callable[[int], int]]]  # with how many rows our rows need
    grain: int = 1  # rows are made in multiples of this
    done: int = 0

    def advance(self, rows: int, out: list[Step]) -> None:
        """Add the steps that make all rows up to ``rows``, and before them what those need."""
        rows = min(self.height, -(-rows // self.grain) * self.grain)
        if rows <= self.done:
            return
        for source, needed in self.sources:
            source.advance(needed(rows), out)
        out.extend(self.steps(self.done, rows))
        self.done = rows

    def finish(self, out: list[Step], *, rows: int) -> None:
        """Add the steps for all rows, so many at a time."""
        for end in range(rows, self.height + rows, rows):
            self.advance(end, out)
