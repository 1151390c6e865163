import numpy as np
import pytest

from vigil.tracking.motion import COVARIANCE, PLACE, SPEED, VAR_PLACE, VAR_SPEED, Motion
from vigil.tracking.settings import MotionNoise

NOISE = MotionNoise()
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


def test_it_is_the_kalman_filter_of_the_textbook_at_any_frame_rate():
    rng = np.random.default_rng(0)
    steps = rng.uniform(0.04, 0.5, 20)
    place = np.cumsum([0.2, *(0.05 * steps + rng.normal(scale=0.004, size=20))])
    motion = Motion(NOISE)
    box = np.array([[place[0], 0.5, 0.04, 0.12]])
    state = motion.begin(box)
    for x, step_s in zip(place[1:], steps, strict=True):
        area = motion.predict(state, step_s=step_s)
        motion.update(state, area, np.array([[x, 0.5, 0.04, 0.12]]), seen=np.array([True]))
    mean, cov = matrix_filter(place, steps)
    np.testing.assert_allclose(state[PLACE, 0, 0], mean[0], rtol=1e-9)
    np.testing.assert_allclose(state[SPEED, 0, 0], mean[1], rtol=1e-9)
    np.testing.assert_allclose(state[VAR_PLACE, 0, 0], cov[0, 0], rtol=1e-9)
    np.testing.assert_allclose(state[COVARIANCE, 0, 0], cov[0, 1], rtol=1e-9)
    np.testing.assert_allclose(state[VAR_SPEED, 0, 0], cov[1, 1], rtol=1e-9)


def test_two_half_steps_spread_as_one_whole_step():
    motion = Motion(NOISE)
    one = motion.begin(np.array([[0.5, 0.5, 0.04, 0.12]]))
    two = one.copy()
    motion.predict(one, step_s=0.4)
    motion.predict(two, step_s=0.2)
    motion.predict(two, step_s=0.2)
    np.testing.assert_allclose(one, two, rtol=1e-12)


def test_rows_that_were_not_seen_stay_as_they_were():
    motion = Motion(NOISE)
    state = motion.begin(np.array([[0.2, 0.5, 0.1, 0.1], [0.8, 0.5, 0.1, 0.1]]))
    area = motion.predict(state, step_s=0.2)
    before = state.copy()
    boxes = np.array([[0.25, 0.5, 0.1, 0.1], [0.1, 0.1, 0.4, 0.4]])
    motion.update(state, area, boxes, seen=np.array([True, False]))
    np.testing.assert_array_equal(state[:, 1], before[:, 1])
    assert before[PLACE, 0, 0] < state[PLACE, 0, 0] <= 0.25
    assert (state[VAR_PLACE, 0] < before[VAR_PLACE, 0]).all()


def test_speed_is_learnt_within_a_few_frames():
    motion = Motion(NOISE)
    state = motion.begin(np.array([[0.1, 0.5, 0.04, 0.12]]))
    for frame in range(1, 6):
        area = motion.predict(state, step_s=0.2)
        box = np.array([[0.1 + 0.03 * frame, 0.5, 0.04, 0.12]])
        motion.update(state, area, box, seen=np.array([True]))
    assert state[SPEED, 0, 0] == pytest.approx(0.15, rel=0.05)


def test_after_a_long_gap_nothing_is_carried_far():
    motion = Motion(NOISE)
    state = motion.begin(np.array([[0.1, 0.5, 0.04, 0.12]]))
    state[SPEED, 0, 0] = 0.2
    motion.predict(state, step_s=60.0)
    assert state[PLACE, 0, 0] == pytest.approx(0.3)
    assert np.isfinite(state).all()


def test_boxes_without_size_keep_the_filter_finite():
    motion = Motion(NOISE)
    state = motion.begin(np.zeros((1, 4)))
    for _ in range(100):
        area = motion.predict(state, step_s=0.2)
        motion.update(state, area, np.zeros((1, 4)), seen=np.array([True]))
    assert np.isfinite(state).all()
    assert np.isfinite(motion.spread(state, area)).all()
