import itertools
import random

import pytest

from vigil.host.sampling import Sampler


def due_times(sampler: Sampler, times: list[float]) -> list[float]:
    return [time_s for time_s in times if sampler.is_due(time_s)]


def at(fps: float, seconds: float) -> list[float]:
    return [index / fps for index in range(round(fps * seconds))]


@pytest.mark.parametrize(
    ("source_fps", "detect_fps"),
    [(25, 5), (25, 25), (30, 5), (25, 4), (29.97, 7), (15, 2), (60, 1)],
)
def test_the_rate_is_the_one_that_is_asked_for(source_fps: float, detect_fps: float) -> None:
    due = due_times(Sampler(detect_fps), at(source_fps, 60))
    assert len(due) == pytest.approx(60 * detect_fps, abs=1)
    gaps = [after - before for before, after in itertools.pairwise(due)]
    assert max(gaps) <= 1 / detect_fps + 1 / source_fps + 1e-6


def test_a_source_slower_than_the_rate_is_analysed_whole() -> None:
    times = at(3, 20)
    assert due_times(Sampler(10), times) == times


def test_jitter_of_arrival_moves_nothing() -> None:
    draw = random.Random(4)
    times = [time_s + draw.uniform(-0.008, 0.008) for time_s in at(25, 60)]
    assert len(due_times(Sampler(5), times)) == pytest.approx(300, abs=2)


def test_a_gap_is_not_made_up_for() -> None:
    sampler = Sampler(5)
    assert len(due_times(sampler, at(25, 2))) == 10
    after = [10.0 + time_s for time_s in at(25, 2)]
    due = due_times(sampler, after)
    assert due[0] == 10.0, "the first frame after a gap is due"
    assert len(due) == 10


def test_the_first_frame_is_due() -> None:
    assert Sampler(0.1).is_due(123.4)
