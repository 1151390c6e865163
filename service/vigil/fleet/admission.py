"""Whether the machine has head-room for one more stream, from what those that run are seen to cost."""

from collections import deque
from dataclasses import dataclass

from vigil.clock import Clock

WINDOW_S = 5.0


@dataclass(frozen=True, slots=True)
class _Reading:
    at_s: float
    cpu_s: dict[int, float]  # of each child, by process id
    engine_pid: int
    engine_threads: int
    streams: int


@dataclass(frozen=True, slots=True)
class HeadRoom:
    """What the running streams use of the machine, in cores, and how many more fit."""

    used: float
    limit: float
    a_stream: float
    what: str  # of what: all processes, or the engine
    streams: int  # more that fit; below 0: too many run


class Admission:
    """Judges by processor time: of all children beside the cores, and of the engine beside its threads.

    Processor time a stream is what a machine runs out of first, and it does not wait until frames are
    late. Streams that have begun since the window did count as much as the others do in the mean. While
    nothing is measured, everything is admitted; so it is where files are played as fast as they are
    analysed, which take whatever there is.
    """

    def __init__(self, *, cores: int, max_load: float, clock: Clock) -> None:
        """``max_load`` is the share of the cores that streams may use; 0: no limit."""
        self._cores = cores
        self._max_load = max_load
        self._clock = clock
        self._readings: deque[_Reading] = deque()

    def note(
        self,
        cpu_s: dict[int, float],
        *,
        engine_pid: int,
        engine_threads: int,
        streams: int,
        elastic: bool,
    ) -> None:
        """What the children have used so far, now and then. ``elastic``: some take what there is."""
        now_s = self._clock.monotonic_s()
        if elastic or not streams:
            self._readings.clear()
            return
        self._readings.append(_Reading(now_s, cpu_s, engine_pid, engine_threads, streams))
        while len(self._readings) > 2 and now_s - self._readings[1].at_s >= WINDOW_S:
            self._readings.popleft()

    def head_room(self, *, streams: int) -> HeadRoom | None:
        """How many streams fit beside the ``streams`` that are placed; None while that is not known."""
        if not self._max_load or not self._readings:
            return None
        first, last = self._readings[0], self._readings[-1]
        elapsed_s = last.at_s - first.at_s
        if elapsed_s < WINDOW_S or last.engine_pid != first.engine_pid:
            return None
        used = {
            pid: (used_s - first.cpu_s[pid]) / elapsed_s
            for pid, used_s in last.cpu_s.items()
            if pid in first.cpu_s
        }
        measured = max(1, min(reading.streams for reading in self._readings))
        rooms = [
            self._room("all processes", sum(used.values()), self._cores, measured, streams),
            self._room(
                "the engine",
                used.get(last.engine_pid, 0.0),
                last.engine_threads,
                measured,
                streams,
            ),
        ]
        return min(rooms, key=lambda room: room.streams)

    def _room(self, what: str, used: float, whole: float, measured: int, streams: int) -> HeadRoom:
        limit, a_stream = whole * self._max_load, max(used / measured, 1e-4)
        expected = used + a_stream * max(0, streams - measured)
        more = int((limit - expected) / a_stream) if expected <= limit else -1
        return HeadRoom(what=what, used=expected, limit=limit, a_stream=a_stream, streams=more)
