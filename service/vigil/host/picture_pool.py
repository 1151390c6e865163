"""Full-resolution pictures that are written again and again, instead of made anew for each frame."""

import queue
import threading
from types import TracebackType

from vigil.clock import Clock
from vigil.data import U8

IDLE_S = 10.0  # a spare picture that nobody took for so long is let go
MOST_SPARE = 32


class Turns:
    """Entered by ``at_once`` threads at a time; a twentieth of what a semaphore of `threading` costs."""

    def __init__(self, at_once: int) -> None:
        self._free: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(at_once):
            self._free.put(None)

    def __enter__(self) -> None:
        self._free.get()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._free.put(None)


class PicturePool:
    """The spare pictures of a host's readers, one pool for all: most are drawn into a slot and free again.

    Readers take; whoever is done with a picture, on any thread, gives it back. The last one that was given
    back is taken first, so that those which only a busy moment needed lie idle and are let go: a 1080p one
    is 6 MiB. ``at_once`` readers may draw at a time, one a core: more of them would hold their pictures while
    they wait for a core.
    """

    def __init__(self, clock: Clock, *, at_once: int) -> None:
        self._clock = clock
        self.turn = Turns(at_once)  # entered to take a picture and draw it
        self._lock = threading.Lock()
        self._spare: list[tuple[float, U8]] = []  # since when, the longest first

    def take(self, shape: tuple[int, ...]) -> U8 | None:
        """A picture (H, W, 3) to write, with old pixels in it; None where there is none of this shape."""
        with self._lock:
            for index in reversed(range(len(self._spare))):
                if self._spare[index][1].shape == shape:
                    return self._spare.pop(index)[1]
        return None

    def give_back(self, picture: U8) -> None:
        """Nobody looks at the picture any more."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            self._spare.append((now_s, picture))
            while now_s - self._spare[0][0] > IDLE_S or len(self._spare) > MOST_SPARE:
                del self._spare[0]
