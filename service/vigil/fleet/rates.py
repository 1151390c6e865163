"""How often each stream is really analysed, and whether that is as often as was asked for."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from vigil.clock import Clock
from vigil.data import OfflineReason, StreamState
from vigil.fleet.book import StreamBook
from vigil.metrics.totals import AccountTotals

WINDOW_S = 5.0
ENOUGH = 0.9  # of the rate that was asked for
_FAILS = "the model failed on its pictures again and again: one is tried by itself now and then"


@dataclass(frozen=True, slots=True)
class _Reading:
    at_s: float
    analysed: int
    late: int  # frames that were dropped because others were before them
    came: int  # frames that were read and have their outcome


class RateWatch:
    """A stream's analysed frames over the last few seconds."""

    def __init__(self) -> None:
        self._readings: deque[_Reading] = deque()

    def read(self, at_s: float, analysed: int, late: int, came: int) -> float | None:
        """Note the counts of frames; the analysed rate over the window, None while it is not full."""
        self._readings.append(_Reading(at_s, analysed, late, came))
        while len(self._readings) > 2 and at_s - self._readings[1].at_s >= WINDOW_S:
            self._readings.popleft()
        first = self._readings[0]
        elapsed_s = at_s - first.at_s
        if elapsed_s < WINDOW_S:
            return None
        return (analysed - first.analysed) / elapsed_s

    @property
    def came_hz(self) -> float:
        """How many frames came a second, over the window."""
        first, last = self._readings[0], self._readings[-1]
        return (last.came - first.came) / max(last.at_s - first.at_s, 1e-9)

    @property
    def drops_late(self) -> bool:
        """Whether frames were dropped in the window because the machine did not get to them."""
        return self._readings[-1].late > self._readings[0].late


def shortfall(*, analysed_fps: float, detect_fps: float, source_fps: float, came_fps: float) -> str:
    """Why a stream counts as DEGRADED, for people; empty if it does not.

    ``source_fps`` is what the source says of itself, ``came_fps`` what came.
    """
    wanted_fps = min(detect_fps, source_fps) if source_fps else detect_fps
    if analysed_fps >= ENOUGH * wanted_fps:
        return ""
    said = f"analysed {analysed_fps:.1f} of {wanted_fps:g} frames a second"
    if came_fps < ENOUGH * wanted_fps:
        return f"{said}: no more than {came_fps:.1f} come from the source"
    return said


class RateJudge:
    """Looks at every stream now and then, and says in the book how it does."""

    def __init__(
        self,
        book: StreamBook,
        accounts: AccountTotals,
        clock: Clock,
        *,
        has_engine: Callable[[], bool],
    ) -> None:
        self._has_engine = has_engine
        self._book = book
        self._accounts = accounts
        self._clock = clock
        self._watches: dict[str, RateWatch] = {}
        self._failing: set[str] = set()  # on whose pictures the model fails

    def forget(self, stream_id: str) -> None:
        """The stream is gone, or its process."""
        self._watches.pop(stream_id, None)
        self._failing.discard(stream_id)

    def note_model(self, stream_id: str, *, fails: bool) -> None:
        """The model failed on a stream's pictures until few are tried, or no longer."""
        if not fails or stream_id not in self._book:
            self._failing.discard(stream_id)
            return
        self._failing.add(stream_id)
        if self._book.get(stream_id).status.state.has_pictures:
            self._book.set(
                stream_id,
                state=StreamState.DEGRADED,
                reason=OfflineReason.QUARANTINED,
                detail=_FAILS,
            )

    def judge(self, stream_id: str) -> None:
        """Note how often a stream is analysed; below what was asked for, it is DEGRADED.

        A pushed stream is analysed as often as its client sends.
        """
        stream = self._book.get(stream_id)
        if not stream.status.state.has_pictures:
            self._watches.pop(stream_id, None)
            return
        outcomes = self._accounts.outcomes(stream_id)
        watch = self._watches.setdefault(stream_id, RateWatch())
        analysed = outcomes["analysed"] + outcomes["skipped_motion"]  # looked at, in either case
        late = outcomes["dropped_newer"] + outcomes["dropped_stale"]
        now_s, came = self._clock.monotonic_s(), sum(outcomes.values())
        rate_hz = watch.read(now_s, analysed, late, came)
        if rate_hz is None:
            return
        detail = ""
        if not stream.spec.source.pushed:
            detail = shortfall(
                analysed_fps=rate_hz,
                detect_fps=stream.spec.detect_fps,
                source_fps=stream.status.source_fps,
                came_fps=watch.came_hz,
            )
        reason = OfflineReason.OVERLOADED if detail and watch.drops_late else None
        if detail and not self._has_engine():
            reason, detail = OfflineReason.ENGINE_UNAVAILABLE, f"{detail}: the engine is starting"
        elif stream_id in self._failing:
            reason, detail = OfflineReason.QUARANTINED, _FAILS
        self._book.set(
            stream_id,
            analysed_fps=round(rate_hz, 2),
            state=StreamState.DEGRADED if detail else StreamState.ONLINE,
            reason=reason,
            detail=detail,
        )
