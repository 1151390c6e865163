"""Since when a reader's thread is inside a library that may never return."""

from types import TracebackType

from vigil.clock import Clock


class LibraryCalls:
    """Entered around each call of OpenCV and FFmpeg by a reader's thread; the host's loop looks at it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since_s = 0.0

    def lasting_s(self) -> float:
        """How long the present call has taken so far; 0 where there is none."""
        since_s = self._since_s
        return self._clock.monotonic_s() - since_s if since_s else 0.0

    def __enter__(self) -> None:
        self._since_s = self._clock.monotonic_s()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._since_s = 0.0
