"""Streams that take the process that reads them down with them."""

from dataclasses import dataclass

from vigil.clock import Clock

TOLERATED = 1  # deaths: a second one is no accident
FIRST_WAIT_S = 30.0
LONGEST_WAIT_S = 600.0
FORGOTTEN_S = 600.0  # a death so long ago counts no more


@dataclass(slots=True)
class _Record:
    deaths: int
    last_s: float


class Quarantine:
    """How often each stream killed its host, and how long it then has to stay away. No I/O."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._records: dict[str, _Record] = {}

    def blame(self, stream_id: str) -> float | None:
        """One more death by this stream; the wait before it may try again, alone.

        None while it may stay where it is.
        """
        now_s = self._clock.monotonic_s()
        record = self._records.get(stream_id)
        if record is None or now_s - record.last_s > FORGOTTEN_S:
            record = self._records[stream_id] = _Record(0, now_s)
        record.deaths += 1
        record.last_s = now_s
        beyond = record.deaths - TOLERATED
        if beyond <= 0:
            return None
        return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(beyond - 1, 16))

    def deaths(self, stream_id: str) -> int:
        """How often it killed its host of late."""
        record = self._records.get(stream_id)
        return record.deaths if record else 0

    def forgive(self, stream_id: str) -> None:
        """It was calm for long enough, or is another stream by now, or none."""
        self._records.pop(stream_id, None)
