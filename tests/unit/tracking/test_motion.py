import copy
import math

import numpy as np
import pytest

from vigil.tracking.motion import Motion, Noise
from vigil.tracking.settings import MotionNoise

NOISE = MotionNoise()
VARIANCES = Noise(NOISE)
SIZE = np.sqrt(0.04 * 0.12)


def matrix_filter(boxes, steps):
    """The same filter for one coordinate in textbook matrices, noise from a box of fixed size."""
    measured = (NOISE.measured * SIZE) ** 2
    density = (NOISE.acceleration * SIZE) ** 2
    mean = np.array([boxes[0], 0.0])
    cov = np.diag([measured, (NOISE.start_speed * SIZE) ** 2])
    for box, dt in zip(boxes[1:], steps, strict=True):
        move = np.array([[1.0, dt], [0.0, 1.0]])
        noise = density * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        mean, cov = move @ mean, move @ cov @ move.T + noise
        gain = cov[:, 0] / (cov[0, 0] + measured)
        mean = mean + gain * (box - mean[0])
        cov = cov - np.outer(gain, cov[0])
    return mean, cov


def numbers(motion):
    """All that the filter holds of its box."""
    return [
        value
        for pair in (motion.centre, motion.size)
        for value in (*pair.place, *pair.speed, pair.var_place, pair.covariance, pair.var_speed)
    ]


def test_it_is_the_kalman_filter_of_the_textbook_at_any_frame_rate():
    rng = np.random.default_rng(0)
    steps = rng.uniform(0.04, 0.5, 20)
    place = np.cumsum([0.2, *(0.05 * steps + rng.normal(scale=0.004, size=20))])
    motion = Motion((place[0], 0.5, 0.04, 0.12), VARIANCES)
    for x, step_s in zip(place[1:], steps, strict=True):
        motion.predict(step_s, VARIANCES)
        motion.update((x, 0.5, 0.04, 0.12), VARIANCES)
    mean, cov = matrix_filter(place, steps)
    centre = motion.centre
    assert centre.place[0] == pytest.approx(mean[0], rel=1e-9)
    assert centre.speed[0] == pytest.approx(mean[1], rel=1e-9)
    assert centre.var_place == pytest.approx(cov[0, 0], rel=1e-9)
    assert centre.covariance == pytest.approx(cov[0, 1], rel=1e-9)
    assert centre.var_speed == pytest.approx(cov[1, 1], rel=1e-9)


def test_two_half_steps_spread_as_one_whole_step():
    one = Motion((0.5, 0.5, 0.04, 0.12), VARIANCES)
    two = copy.deepcopy(one)
    one.predict(0.4, VARIANCES)
    two.predict(0.2, VARIANCES)
    two.predict(0.2, VARIANCES)
    np.testing.assert_allclose(numbers(one), numbers(two), rtol=1e-12)


def test_a_detection_draws_the_box_towards_itself_and_makes_it_surer():
    motion = Motion((0.2, 0.5, 0.1, 0.1), VARIANCES)
    motion.predict(0.2, VARIANCES)
    before = copy.deepcopy(motion)
    motion.update((0.25, 0.5, 0.1, 0.1), VARIANCES)
    assert before.centre.place[0] < motion.centre.place[0] <= 0.25
    assert motion.centre.var_place < before.centre.var_place
    assert motion.size.var_place < before.size.var_place


def test_speed_is_learnt_within_a_few_frames():
    motion = Motion((0.1, 0.5, 0.04, 0.12), VARIANCES)
    for frame in range(1, 6):
        motion.predict(0.2, VARIANCES)
        motion.update((0.1 + 0.03 * frame, 0.5, 0.04, 0.12), VARIANCES)
    assert motion.centre.speed[0] == pytest.approx(0.15, rel=0.05)


def test_after_a_long_gap_nothing_is_carried_far():
    motion = Motion((0.1, 0.5, 0.04, 0.12), VARIANCES)
    motion.centre.speed = (0.2, 0.0)
    motion.predict(60.0, VARIANCES)
    assert motion.centre.place[0] == pytest.approx(0.3)
    assert all(map(math.isfinite, numbers(motion)))


def test_boxes_without_size_keep_the_filter_finite():
    nothing = (0.0, 0.0, 0.0, 0.0)
    motion = Motion(nothing, VARIANCES)
    for _ in range(100):
        motion.predict(0.2, VARIANCES)
        motion.update(nothing, VARIANCES)
    assert all(map(math.isfinite, numbers(motion)))
    assert math.isfinite(motion.spread(VARIANCES))
