"""Which frames are traced, and what is told of them when they are back."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FrameTrace:
    """The times of a traced frame that its camera knows when it leaves for the engine; monotonic."""

    began_s: float  # its picture was there, to be drawn into a slot
    ready_s: float


class TraceSampler:
    """Draws the frames that are traced by lot. Readers' threads call it."""

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio

    def draw(self, *, began_s: float, ready_s: float) -> FrameTrace | None:
        """The frame's times where it is traced; None for the others."""
        return FrameTrace(began_s, ready_s) if random.random() < self._ratio else None
