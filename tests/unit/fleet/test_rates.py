from typing import get_args

import pytest

from vigil.data import OfflineReason, Outcome, StreamState
from vigil.fleet.book import StreamBook
from vigil.fleet.contract import StreamStatus
from vigil.fleet.rates import WINDOW_S, RateJudge, RateWatch, shortfall
from vigil.metrics.totals import AccountTotals
from vigil.spec import Source, StreamSpec


def test_no_rate_before_the_window_is_full() -> None:
    watch = RateWatch()
    assert [watch.read(second, 5 * second, 0, 0) for second in range(5)] == [None] * 5
    assert watch.read(WINDOW_S, 25, 0, 0) == 5.0


def test_the_rate_is_that_of_the_last_seconds() -> None:
    watch = RateWatch()
    for second in range(60):
        watch.read(float(second), 5 * second, 0, 0)
    for second in range(60, 70):
        rate = watch.read(float(second), 300, 0, 0)
    assert rate == 0.0
    assert len(watch._readings) <= WINDOW_S + 2, "it forgets what is past"


def test_irregular_readings_give_the_rate_all_the_same() -> None:
    watch = RateWatch()
    rates = [
        watch.read(at_s, int(4 * at_s), 0, 0) for at_s in (0.0, 0.9, 2.5, 4.0, 6.1, 7.0, 11.5, 13)
    ]
    assert [rate for rate in rates if rate is not None] == pytest.approx([4.0] * 4, abs=0.25)


def test_what_was_dropped_late_counts_while_it_is_in_the_window() -> None:
    watch = RateWatch()
    seen = []
    for second in range(30):
        watch.read(float(second), 5 * second, min(second, 10), 0)
        seen.append(watch.drops_late)
    assert not seen[0]
    assert all(seen[1:15])
    assert not any(seen[17:])


@pytest.mark.parametrize(
    ("analysed_fps", "source_fps", "degraded"),
    [
        (5.0, 25, False),
        (4.6, 25, False),
        (4.4, 25, True),
        (2.9, 3, False),
        (0.0, 25, True),
        (0, 0, True),
    ],
)
def test_a_stream_is_degraded_below_nine_tenths_of_what_it_could_have(
    analysed_fps: float, source_fps: float, degraded: bool
) -> None:
    text = shortfall(
        analysed_fps=analysed_fps, detect_fps=5.0, source_fps=source_fps, came_fps=25.0
    )
    assert bool(text) is degraded


def test_a_source_that_sends_too_little_is_named_as_the_reason() -> None:
    """An MJPEG camera says 25 frames a second of itself, or nothing, whatever it sends."""
    watch = RateWatch()
    for second in range(10):
        watch.read(float(second), 2 * second, 0, 2 * second)
    text = shortfall(analysed_fps=2.0, detect_fps=5.0, source_fps=25.0, came_fps=watch.came_hz)
    assert text == "analysed 2.0 of 5 frames a second: no more than 2.0 come from the source"
    busy = shortfall(analysed_fps=2.0, detect_fps=5.0, source_fps=25.0, came_fps=25.0)
    assert busy == "analysed 2.0 of 5 frames a second"


class Clock:
    now_s = 1000.0

    def monotonic_s(self) -> float:
        return self.now_s

    def utc_s(self) -> float:
        return self.now_s


class Counts(AccountTotals):
    """What became of frames, as a test says."""

    counts = dict.fromkeys(get_args(Outcome), 0)

    def outcomes(self, stream_id: str) -> dict[Outcome, int]:
        return self.counts


def test_a_stream_without_an_engine_says_so() -> None:
    """Its frames are dropped for newer ones meanwhile, and the machine is not to blame."""
    clock, counts, engine = Clock(), Counts(), [True]
    book = StreamBook(clock)
    source = Source(uri="rtsp://camera/1")
    book.enter(StreamSpec(stream_id="gate", source=source), 1)
    book.set("gate", state=StreamState.ONLINE, source_fps=25.0)
    judge = RateJudge(book, counts, clock, has_engine=lambda: engine[0])

    def go_on(seconds: int, outcome: Outcome) -> StreamStatus:
        for _ in range(seconds):
            clock.now_s += 1.0
            counts.counts = counts.counts | {outcome: counts.counts[outcome] + 5}
            judge.judge("gate")
        return book.get("gate").status

    assert go_on(8, "analysed").state is StreamState.ONLINE
    engine[0] = False
    status = go_on(8, "dropped_newer")
    assert (status.state, status.reason) == (StreamState.DEGRADED, OfflineReason.ENGINE_UNAVAILABLE)
    assert status.detail == "analysed 0.0 of 5 frames a second: the engine is starting"
    engine[0] = True
    assert go_on(8, "dropped_newer").reason is OfflineReason.OVERLOADED
    status = go_on(8, "analysed")
    assert (status.state, status.reason) == (StreamState.ONLINE, None)
