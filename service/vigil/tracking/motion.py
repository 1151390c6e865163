"""Kalman filters of constant velocity for all boxes of a stream at once.

The four numbers of a box (cx, cy, w, h) are filtered apart from each other, which for diagonal
measurement noise is exactly the eight-dimensional filter of SORT (Bewley et al., 2016) without its
8×8 matrices. Process noise is white acceleration in continuous time (Bar-Shalom, Li, Kirubarajan,
Estimation with Applications to Tracking and Navigation, 2001, 6.2.2), so any frame interval is
handled by the same constants.

A state is (5, T, 4) float64: for each of T tracks and each of cx, cy, w, h its value, its speed per
second, and the variances and covariance of the two.
"""

import numpy as np
from numpy.typing import NDArray

from vigil.tracking.settings import MotionNoise

F64 = NDArray[np.float64]

PLACE, SPEED, VAR_PLACE, COVARIANCE, VAR_SPEED = range(5)
LEAST_SIZE = 1e-4  # of the picture; keeps a degenerate box's noise above 0
MOST_STEP_S = 1.0  # a box is not carried on further than this by one prediction


class Motion:
    """The filter with its noise. Holds no tracks: states go in and come out."""

    def __init__(self, noise: MotionNoise) -> None:
        moved, grown = noise.acceleration**2, noise.growth**2
        self._acceleration = np.array([moved, moved, grown, grown])
        self._start_variance = np.array(
            [noise.start_speed, noise.start_speed, noise.start_growth, noise.start_growth]
        )
        self._start_variance **= 2
        self._measured_variance = noise.measured**2

    def begin(self, cxcywh: F64) -> F64:
        """States of new tracks at (N, 4) boxes: (5, N, 4), at rest with an uncertain speed."""
        area = _area(cxcywh)
        state = np.zeros((5, *cxcywh.shape))
        state[PLACE] = cxcywh
        state[VAR_PLACE] = area * self._measured_variance
        state[VAR_SPEED] = area * self._start_variance
        return state

    def predict(self, state: F64, *, step_s: float) -> F64:
        """Carry every state on by ``step_s`` seconds, in place; returns the areas for the rest.

        The place moves by at most `MOST_STEP_S` of it: after a longer gap nobody knows where an
        object went, and a standing one is still where it was.
        """
        place, speed, var_place, covariance, var_speed = state
        place += speed * min(step_s, MOST_STEP_S)
        area = _area(place)
        gained = (step_s * area) * self._acceleration  # variance of speed
        var_place += step_s * (2.0 * covariance + step_s * (var_speed + gained / 3.0))
        covariance += step_s * (var_speed + 0.5 * gained)
        var_speed += gained
        return area

    def update(self, state: F64, area: F64, cxcywh: F64, *, seen: NDArray[np.bool_]) -> None:
        """Correct, in place, the states where ``seen`` (T,) by measured boxes (T, 4).

        ``area`` (T, 1) is what `predict` returned. Rows that were not seen stay as they are,
        whatever their box says.
        """
        place, speed, var_place, covariance, var_speed = state
        gain = seen[:, None] / (var_place + area * self._measured_variance)
        surprise = cxcywh - place
        speed_gain = covariance * gain
        gain *= var_place
        place += gain * surprise
        speed += speed_gain * surprise
        var_speed -= speed_gain * covariance
        left = 1.0 - gain
        covariance *= left
        var_place *= left

    def spread(self, state: F64, area: F64) -> F64:
        """Standard deviation of where a detection is expected, (T,), in sizes of its box."""
        variance = state[VAR_PLACE, :, :2].max(axis=1) / area[:, 0]
        return np.asarray(np.sqrt(variance + self._measured_variance))


def _area(cxcywh: F64) -> F64:
    """(N, 4) boxes to (N, 1), normalised; never 0."""
    return np.maximum(cxcywh[:, 2:3] * cxcywh[:, 3:4], LEAST_SIZE**2)
