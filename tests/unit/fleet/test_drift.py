"""The test's level, by simulation: one in a hundred where nothing changed, whatever the distribution."""

import itertools

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from vigil.fleet.drift import CURRENT, REFERENCE, DriftWatch
from vigil.fleet.rank_test import rank_sum_p

TRACKS = 25


def watched(blocks: np.ndarray) -> dict[str, bool]:
    watch = DriftWatch()
    for score, fragments in blocks:
        watch.take("gate", score=float(score), fragments=float(fragments))
    return {reading.of: reading.changed for reading in watch.readings()}


def blocks(rng: np.random.Generator, count: int, *, score: float, lost: float) -> np.ndarray:
    """Means of 25 tracks whose scores are skewed and whose ends within the picture are rare."""
    scores = rng.beta(8 * score, 8 * (1 - score), (count, TRACKS)).mean(axis=1)
    return np.stack((scores, rng.binomial(TRACKS, lost, count) / TRACKS), axis=1)


def test_the_p_value_is_scipys_exact_one() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        reference, current = rng.normal(0, 1, 9), rng.normal(0.7, 1, 5)
        exact = mannwhitneyu(current, reference, method="exact").pvalue
        assert rank_sum_p(list(reference), list(current)) == pytest.approx(exact)


def test_false_alarms_are_one_in_a_hundred_where_nothing_changed() -> None:
    """2,000 cameras; 4,000 tests at 1 %: 40 alarms expected, 20 to 60 are within three deviations."""
    rng = np.random.default_rng(2)
    alarms = {"score": 0, "fragmentation": 0}
    for _ in range(2000):
        told = watched(blocks(rng, REFERENCE + CURRENT, score=0.7, lost=0.1))
        for kind, changed in told.items():
            alarms[kind] += changed
    assert 6 <= alarms["score"] <= 34
    assert 4 <= alarms["fragmentation"] <= 36, "ties, too"


def test_a_change_is_found() -> None:
    rng = np.random.default_rng(3)
    before = blocks(rng, REFERENCE, score=0.7, lost=0.1)
    found = {"score": 0, "fragmentation": 0}
    for _ in range(100):
        for kind, changed in watched(
            np.concatenate((before, blocks(rng, CURRENT, score=0.62, lost=0.22)))
        ).items():
            found[kind] += changed
    assert min(found.values()) >= 90


def test_nothing_is_said_before_there_is_enough_and_after_a_stream_is_gone() -> None:
    watch = DriftWatch()
    for number in range(REFERENCE + CURRENT - 1):
        watch.take("gate", score=number / 50, fragments=0.0)
    assert watch.readings() == []
    watch.take("gate", score=0.9, fragments=0.0)
    score, fragmentation = watch.readings()
    assert (score.changed, fragmentation.changed) == (True, False), "all alike is no change"
    watch.forget("gate")
    assert watch.readings() == []


def test_windows_do_not_overlap() -> None:
    watch = DriftWatch()
    p_values = []
    for number in range(REFERENCE + 2 * CURRENT):
        watch.take("gate", score=float(number % 5), fragments=0.0)
        p_values.append([reading.p_value for reading in watch.readings()])
    changes = [a != b for a, b in itertools.pairwise(p_values)]
    assert sum(changes) <= 2, "one test for each full window"
