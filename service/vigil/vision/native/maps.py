"""Where a picture's maps lie in its workspace, and in what numbers they are."""

from collections.abc import Mapping
from dataclasses import dataclass

from vigil.vision.native.filters import LANES, round_up

LEVELS = 255  # of a byte
PAIRED_LEVELS = 127  # of maps whose neighbours are added and subtracted, see `cpp/winograd.h`
_LINE = 64  # bytes, of a cache's line


@dataclass(frozen=True, slots=True)
class Map:
    """A map of features: pixels row after row, each with its channels. Places and distances in bytes.

    A border of one pixel, always zero, lies around it: the convolutions' padding.
    """

    first: int  # the first byte of the first pixel
    down: int
    right: int
    height: int
    width: int
    scale: float  # what a step is worth; 1 where elements are no bytes
    levels: int = LEVELS  # the largest step
    zero: int = 0  # the element that stands for nothing


class Workspace:
    """Room for one picture's maps, in 8 bits with ``ranges`` of activations, else in bfloat16."""

    def __init__(self, ranges: Mapping[str, float] | None) -> None:
        self.bytes = 0
        self.element = 1 if ranges else 2  # bytes
        self._ranges = ranges

    @property
    def whole(self) -> bool:
        """Whether elements are bytes."""
        return self._ranges is not None

    def place(self, count: int) -> int:
        """Room for so many bytes."""
        first = self.bytes
        self.bytes = round_up(first + count, _LINE)
        return first

    def map(
        self, height: int, width: int, channels: int, name: str, *, levels: int = LEVELS
    ) -> Map:
        """A map of the activations that ``name`` has the range of."""
        right = round_up(channels, LANES) * self.element
        down = right * (width + 2)
        first = self.place(down * (height + 2)) + down + right
        scale = self._scale(name, levels)
        return Map(first, down, right, height, width, scale=scale, levels=levels)

    def floats(self, height: int, width: int, channels: int, name: str) -> Map:
        """A map of float32, without a border, that is added to what ``name`` has the range of."""
        right = round_up(channels, LANES) * 4
        down = right * width
        scale = self._scale(name, PAIRED_LEVELS)
        return Map(self.place(down * height), down, right, height, width, scale=scale)

    def _scale(self, name: str, levels: int) -> float:
        return self._ranges[name] / levels if self._ranges else 1.0
