"""Streams on whose frames the model fails: after a few failures they cost the others nothing more."""

from vigil.engine.queue import Key

MOST_FAILURES = 5  # in a row; then the stream's frames are not inferred
RETRY_S = 30.0  # but for one so often, by itself


class Suspects:
    """Counts failures in a row by stream. Pure policy, bounded by the streams that fail."""

    def __init__(self) -> None:
        self._failures: dict[Key, int] = {}
        self._next_s: dict[Key, float] = {}

    def failed(self, key: Key, now_s: float) -> bool:
        """The model failed on a frame of this stream; whether that puts it into quarantine."""
        self._failures[key] = count = self._failures.get(key, 0) + 1
        if count >= MOST_FAILURES:
            self._next_s[key] = now_s + RETRY_S
        return count == MOST_FAILURES

    def succeeded(self, key: Key) -> None:
        """A frame of this stream was inferred."""
        self._failures.pop(key, None)
        self._next_s.pop(key, None)

    def quarantined(self, key: Key) -> bool:
        """Whether a frame of this stream must not share a batch."""
        return key in self._next_s

    def may_try(self, key: Key, now_s: float) -> bool:
        """Whether a frame of a quarantined stream is to be tried now."""
        return now_s >= self._next_s[key]

    def forget(self, host_id: str) -> None:
        """The host is gone, and its cameras' numbers with it."""
        for kept in (self._failures, self._next_s):
            for key in [key for key in kept if key[0] == host_id]:
                del kept[key]
