"""Cameras carried on without change: false alarms are rare, whatever neighbouring tracks have in common."""

import numpy as np
import pytest

from vigil.accuracy.drift_level import LEAST_TRACKS, false_alarms


def camera(rng: np.random.Generator, count: int, *, pairs: int = 1) -> np.ndarray:
    """Tracks of which ``pairs`` in a row are alike."""
    scores = np.repeat(rng.beta(6, 3, count), pairs)[:count]
    return np.stack((scores, rng.random(count) < 0.1), axis=1).astype(np.float64)


def test_false_alarms_are_about_one_in_a_hundred() -> None:
    rng = np.random.default_rng(5)
    alarms = false_alarms([camera(rng, 40) for _ in range(2)], repeats=200, seed=1)
    assert set(alarms) == {"score", "fragmentation"}
    assert max(alarms.values()) <= 12, "4 of 400 expected; 12 are four deviations"


def test_tracks_that_depend_on_all_that_came_before_are_found_out() -> None:
    """The planted fault: were runs longer than blocks, blocks would depend on each other."""
    rng = np.random.default_rng(5)
    tracks = camera(rng, 4000, pairs=500)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vigil.accuracy.drift_level.RUN", 300)
        assert max(false_alarms([tracks], repeats=100, seed=1).values()) >= 10


def test_the_same_seed_gives_the_same() -> None:
    tracks = camera(np.random.default_rng(5), 30)
    assert false_alarms([tracks], repeats=20, seed=7) == false_alarms([tracks], repeats=20, seed=7)


def test_a_camera_with_too_few_tracks_is_refused() -> None:
    with pytest.raises(ValueError, match=f"at least {LEAST_TRACKS}"):
        false_alarms([camera(np.random.default_rng(5), LEAST_TRACKS - 1)], repeats=1, seed=1)
