import itertools
import random

import pytest

from vigil.host.timeline import (
    JITTER_S,
    TRUST_AFTER_S,
    WINDOW_S,
    WRAPS_S,
    FileTimeline,
    LiveTimeline,
    TimeWentBack,
)

RATE = 25.0


def play(
    timeline: LiveTimeline, *, seconds: float, pts_from_s: float = 0.0, start_s: float = 100.0
) -> list[float]:
    """Frames that arrive 50 ms after they were taken, as they were placed."""
    steps = [index / RATE for index in range(round(seconds * RATE))]
    return [timeline.place(pts_from_s + step, start_s + step + 0.05) for step in steps]


def increases(times: list[float]) -> bool:
    return all(after > before for before, after in itertools.pairwise(times))


def test_a_file_is_placed_at_its_own_times() -> None:
    timeline = FileTimeline(100.0, interval_s=0.04)
    assert [timeline.place(pts_s, 0.0) for pts_s in (7.0, 7.04, 7.5)] == pytest.approx(
        [100.0, 100.04, 100.5]
    )


def test_a_file_without_times_goes_on_at_its_rate() -> None:
    timeline = FileTimeline(100.0, interval_s=0.04)
    times = [timeline.place(0.0, 0.0) for _ in range(10)]
    assert times == pytest.approx([100.0 + 0.04 * index for index in range(10)])


def test_a_file_whose_time_stands_still_goes_on() -> None:
    timeline = FileTimeline(100.0, interval_s=0.04)
    assert increases([timeline.place(pts_s, 0.0) for pts_s in (3.0, 4.0, 4.0, 4.0, 4.04)])


def test_a_file_whose_time_jumps_back_ends_its_run() -> None:
    timeline = FileTimeline(100.0, interval_s=0.04)
    timeline.place(0.0, 0.0)
    timeline.place(5.0, 0.0)
    timeline.place(5.0 - JITTER_S / 2, 0.0)
    with pytest.raises(TimeWentBack):
        timeline.place(4.0, 0.0)


def test_a_live_source_is_placed_by_arrival_until_its_clock_is_trusted() -> None:
    timeline = LiveTimeline()
    times = play(timeline, seconds=TRUST_AFTER_S - 0.1, pts_from_s=5000.0)
    assert times[0] == pytest.approx(100.05)
    assert increases(times)


def test_jitter_of_the_network_does_not_reach_frame_times_of_a_trusted_clock() -> None:
    draw, timeline = random.Random(1), LiveTimeline()
    placed = []
    for index in range(500):
        step_s = index / RATE
        arrival_s = 100.0 + step_s + draw.uniform(0.0, 0.03)
        placed.append(timeline.place(step_s, arrival_s))
    late = placed[round((TRUST_AFTER_S + 1) * RATE) :]
    gaps = [after - before for before, after in itertools.pairwise(late)]
    assert gaps == pytest.approx([1 / RATE] * len(gaps), abs=0.002)
    assert increases(placed)


def test_no_frame_is_placed_after_its_arrival() -> None:
    draw, timeline = random.Random(2), LiveTimeline()
    arrival_s = 0.0
    for index in range(1000):
        arrival_s = max(arrival_s, 100.0 + index / RATE + draw.uniform(0.0, 0.1))
        assert timeline.place(index / RATE, arrival_s) <= arrival_s + 0.001


def test_a_clock_that_does_not_run_at_real_time_is_not_believed() -> None:
    """Motion JPEG over HTTP says 1.6 s in 7.6 s."""
    timeline = LiveTimeline()
    for index in range(200):
        arrival_s = 100.0 + index * 0.2
        assert timeline.place(index * 0.04, arrival_s) == arrival_s


@pytest.mark.parametrize("wrap_s", WRAPS_S)
def test_a_wrap_is_unrolled(wrap_s: float) -> None:
    timeline = LiveTimeline()
    before = play(timeline, seconds=10, pts_from_s=wrap_s - 10)
    after = play(timeline, seconds=5, pts_from_s=0.0, start_s=110.0)
    assert increases([*before, *after])
    assert after[0] - before[-1] == pytest.approx(1 / RATE, abs=0.002)


def test_a_jump_back_ends_the_run() -> None:
    timeline = LiveTimeline()
    play(timeline, seconds=5, pts_from_s=50.0)
    with pytest.raises(TimeWentBack):
        timeline.place(20.0, 106.0)


def test_a_small_step_back_is_jitter() -> None:
    timeline = LiveTimeline()
    times = play(timeline, seconds=5)
    times.append(timeline.place(4.9 - JITTER_S * 0.8, 105.1))
    assert increases(times)


def test_a_burst_at_connection_is_judged_anew() -> None:
    """A server that sends its last 2 s at once makes the clock look too fast at first."""
    timeline = LiveTimeline()
    for index in range(50):
        timeline.place(index / RATE, 100.0 + index * 0.001)
    placed = []
    for index in range(50, 50 + round(2 * WINDOW_S * RATE)):
        arrival_s = 100.05 + (index - 50) / RATE
        placed.append((timeline.place(index / RATE, arrival_s), arrival_s))
    assert increases([place_s for place_s, _ in placed])
    assert all(arrival_s - place_s < 0.25 for place_s, arrival_s in placed[-100:])


def test_a_slowly_drifting_clock_is_followed() -> None:
    timeline = LiveTimeline()
    place_s = arrival_s = 0.0
    for index in range(round(300 * RATE)):
        arrival_s = 100.0 + index / RATE
        place_s = timeline.place(index / RATE * 1.001, arrival_s)
    assert abs(arrival_s - place_s) < 0.1, "0.3 s of drift in 5 minutes"


def test_a_camera_that_slows_down_and_does_not_say_so_is_placed_by_arrival_soon() -> None:
    """Motion JPEG says 25 frames a second of itself: true by day, and of a burst; 10 come by night."""
    timeline = LiveTimeline()
    play(timeline, seconds=20)
    late_s = []
    for index in range(300):
        arrival_s = 120.05 + index / 10.0
        placed_s = timeline.place(20.0 + index / RATE, arrival_s)
        if arrival_s - placed_s > 1.0:
            late_s.append(arrival_s - 120.0)
    assert late_s, "by its own time it is late"
    assert late_s[-1] < 5.0


def test_a_stall_of_the_network_leaves_the_clock_trusted() -> None:
    timeline = LiveTimeline()
    play(timeline, seconds=20)
    placed = [timeline.place(20.0 + index / RATE, 125.0 + index / 250.0) for index in range(125)]
    placed += play(timeline, seconds=10, pts_from_s=25.0, start_s=125.5)
    gaps = [after - before for before, after in itertools.pairwise(placed)]
    assert gaps == pytest.approx([1 / RATE] * len(gaps), abs=0.002)
