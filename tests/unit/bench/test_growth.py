"""A leak is seen through kills, and kills are not taken for leaks or for their cure."""

import random
from dataclasses import replace

import pytest

from vigil.bench.growth import Growth, Sample, growth
from vigil.bench.processes import Holdings

WARM_UP_S = 600.0
MB = 1e6


def life(
    pid: int, *, born_s: float, ends_s: float, mb_per_h: float = 0.0, level_mb: float = 100.0
) -> list[Sample]:
    """A process that grows by 20 MB while it is young, then steadily; its memory is noisy."""
    noise = random.Random(pid)
    samples = []
    for at_s in range(round(born_s), round(ends_s), 10):
        age_s = at_s - born_s
        young_mb = 20.0 * min(1.0, age_s / WARM_UP_S)
        rss_mb = level_mb + young_mb + mb_per_h * age_s / 3600 + noise.uniform(-0.3, 0.3)
        held = Holdings(descriptors=20, memfds=2, threads=9, rss_bytes=round(rss_mb * MB))
        samples.append(Sample(float(at_s), "hosts", pid, held))
    return samples


def only(samples: list[Sample]) -> Growth:
    (found,) = growth(samples, warm_up_s=WARM_UP_S)
    return found


def test_a_steady_process_is_flat_however_often_it_was_killed() -> None:
    """The lives begin lower than the last ended; a line through all would rise or fall by tens of MB."""
    first, second = life(1, born_s=0, ends_s=2400), life(2, born_s=2400, ends_s=7200, level_mb=130)
    found = only(first + second)
    assert found.flat
    assert found.lives == 2
    assert abs(found.rss_bytes_per_h) < 0.2 * MB


@pytest.mark.parametrize("mb_per_h", [1.5, 20.0])
def test_a_leak_is_found_within_lives_though_kills_give_the_memory_back(mb_per_h: float) -> None:
    samples = [
        sample
        for number in range(3)
        for sample in life(
            number, born_s=2400 * number, ends_s=2400 * (number + 1), mb_per_h=mb_per_h
        )
    ]
    found = only(samples)
    assert found.rss_bytes_per_h == pytest.approx(mb_per_h * MB, abs=0.3 * MB)
    assert not found.flat


@pytest.mark.parametrize("name", ["descriptors", "memfds", "threads"])
def test_one_more_of_anything_that_is_counted_is_growth(name: str) -> None:
    found = only([more(each, name, by=each.at_s > 4000) for each in life(1, born_s=0, ends_s=7200)])
    assert getattr(found, name) == 1
    assert not found.flat


def test_what_is_open_at_the_moment_of_some_samples_is_no_growth() -> None:
    samples = [
        more(each, "descriptors", by=each.at_s > 4000 and number % 3 > 0)
        for number, each in enumerate(life(1, born_s=0, ends_s=7200))
    ]
    assert only(samples).flat


def test_a_connection_that_is_away_in_a_few_samples_is_no_growth() -> None:
    samples = [
        more(each, "descriptors", by=not 600 < each.at_s < 640)
        for each in life(1, born_s=0, ends_s=7200)
    ]
    assert only(samples).flat


def test_lives_too_short_to_be_judged_are_not() -> None:
    assert growth(life(1, born_s=0, ends_s=1100), warm_up_s=WARM_UP_S) == []


def more(sample: Sample, name: str, *, by: bool) -> Sample:
    held = replace(sample.holdings, **{name: getattr(sample.holdings, name) + by})
    return replace(sample, holdings=held)
