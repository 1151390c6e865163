"""Whether the machine has head-room for one more stream, from what those that run are seen to cost."""

from collections import deque
from dataclasses import dataclass

from vigil.clock import Clock

WINDOW_S = 5.0
LEAST_CORES = 1e-4  # that a stream is taken to cost, so that what fits is a number


@dataclass(frozen=True, slots=True)
class Demand:
    """What streams ask for together."""

    streams: int
    frames_per_s: float  # to be analysed: the sum of their `detect_fps`


@dataclass(frozen=True, slots=True)
class _Reading:
    at_s: float
    cpu_s: dict[int, float]  # of each child, by process id
    engine_pid: int
    engine_threads: int
    demand: Demand


@dataclass(frozen=True, slots=True)
class HeadRoom:
    """What the running streams use of the machine, in cores, and how many more of one kind fit."""

    used: float
    limit: float
    a_stream: float
    what: str  # of what: all processes, or the engine
    streams: int  # more that fit; below 0: too many run


class Admission:
    """Judges by processor time: of all children beside the cores, and of the engine beside its threads.

    Processor time a stream is what a machine runs out of first, and it does not wait until frames are
    late. Streams that have begun since the window did count as much as the others do in the mean: with
    the engine a frame that is to be analysed as much as another, elsewhere a stream. While
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
        demand: Demand,
        elastic: bool,
    ) -> None:
        """What the children have used so far, now and then. ``elastic``: some take what there is."""
        now_s = self._clock.monotonic_s()
        if elastic or not demand.streams:
            self._readings.clear()
            return
        self._readings.append(_Reading(now_s, cpu_s, engine_pid, engine_threads, demand))
        while len(self._readings) > 2 and now_s - self._readings[1].at_s >= WINDOW_S:
            self._readings.popleft()

    def head_room(self, placed: Demand, *, frames_per_s: float) -> HeadRoom | None:
        """How many streams of ``frames_per_s`` fit beside those that are placed; None while not known."""
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
        engine = used.get(last.engine_pid, 0.0)
        others = sum(used.values()) - engine
        streams = min(reading.demand.streams for reading in self._readings)
        frames = min(reading.demand.frames_per_s for reading in self._readings)
        one_more = engine * frames_per_s / frames
        engine *= max(1.0, placed.frames_per_s / frames)
        one_more_of_all = others / streams + one_more
        of_all = others * max(1.0, placed.streams / streams) + engine
        rooms = [
            self._room("all processes", of_all, one_more_of_all, self._cores),
            self._room("the engine", engine, one_more, last.engine_threads),
        ]
        return min(rooms, key=lambda room: room.streams)

    def _room(self, what: str, used: float, a_stream: float, whole: float) -> HeadRoom:
        limit, a_stream = whole * self._max_load, max(a_stream, LEAST_CORES)
        more = int((limit - used) / a_stream) if used <= limit else -1
        return HeadRoom(what=what, used=used, limit=limit, a_stream=a_stream, streams=more)
