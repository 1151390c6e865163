"""Whether a reader's thread is inside a library that may never return, and whose turn it is to open."""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from vigil.clock import Clock

SLACK_S = 10.0  # beyond its time-outs, before a call of OpenCV or FFmpeg counts as hung
# Asking a source where it leads, opening it and asking why it did not open have a time-out each.
TIME_OUTS_TO_OPEN = 3
_TURN = threading.Lock()  # OpenCV's own is not to be seen: who waits for it would look hung


class LibraryCalls:
    """The calls of one reader's thread: `opening` and `reading` are entered around them.

    The host's loop looks at `hung`.
    """

    def __init__(self, clock: Clock, *, open_timeout_s: float, read_timeout_s: float) -> None:
        self._clock = clock
        self._ends_s = math.inf  # when the present call must have returned
        self.opening = Call(self, TIME_OUTS_TO_OPEN * open_timeout_s)
        self.reading = Call(self, read_timeout_s)

    @property
    def hung(self) -> bool:
        """Whether the present call has taken longer than its time-outs allow."""
        return self._clock.monotonic_s() > self._ends_s

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other reader of the process opens by OpenCV, within `opening`.

        OpenCV opens one source after the other. The wait is no call of a library: who hangs is the one
        whose turn it is.
        """
        self.end()
        with _TURN:
            self.begin(self.opening.limit_s)
            yield

    def begin(self, limit_s: float) -> None:
        """A call begins, which has this long and some slack."""
        self._ends_s = self._clock.monotonic_s() + limit_s + SLACK_S

    def end(self) -> None:
        """It has returned."""
        self._ends_s = math.inf


class Call:
    """Entered around one call, or a few that have a limit together."""

    def __init__(self, calls: LibraryCalls, limit_s: float) -> None:
        self._calls = calls
        self.limit_s = limit_s

    def __enter__(self) -> None:
        self._calls.begin(self.limit_s)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._calls.end()
