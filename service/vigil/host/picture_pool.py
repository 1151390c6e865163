"""Full-resolution pictures that are written again and again, instead of made anew for each frame."""

from collections import deque

from vigil.data import U8
from vigil.ipc.slab import SLOTS_A_STREAM


class PicturePool:
    """The spare pictures of one reader: as many as can be on their way at once, and the next one.

    The reader takes; whoever is done with a picture, on any thread, gives it back.
    """

    def __init__(self) -> None:
        self._spare: deque[U8] = deque(maxlen=SLOTS_A_STREAM + 1)

    def take(self) -> U8 | None:
        """A picture to write, with old pixels in it; None where all are in use."""
        try:
            return self._spare.pop()
        except IndexError:
            return None

    def give_back(self, picture: U8) -> None:
        """Nobody looks at the picture any more."""
        self._spare.append(picture)
