"""A Kalman filter of constant velocity for one box.

The four numbers of a box (cx, cy, w, h) are filtered apart from each other, which for diagonal
measurement noise is exactly the eight-dimensional filter of SORT (Bewley et al., 2016) without its
8×8 matrices. Process noise is white acceleration in continuous time (Bar-Shalom, Li, Kirubarajan,
Estimation with Applications to Tracking and Navigation, 2001, 6.2.2), so any frame interval is
handled by the same constants.

Plain floats: a scene has few objects, and one call of numpy costs as much as a box's whole step.
"""

import math
from typing import TypeAlias

from vigil.tracking.settings import MotionNoise

Box: TypeAlias = tuple[float, float, float, float]  # normalised cxcywh

LEAST_SIZE = 1e-4  # of the picture; keeps a degenerate box's noise above 0
MOST_STEP_S = 1.0  # a box is not carried on further than this by one prediction


class Pair:
    """Two numbers that are equally uncertain: a box's centre, or its size."""

    __slots__ = ("covariance", "place", "speed", "var_place", "var_speed")

    def __init__(self, place: tuple[float, float], *, var_place: float, var_speed: float) -> None:
        """At rest, with an uncertain speed."""
        self.place = place
        self.speed = (0.0, 0.0)  # a second
        self.var_place = var_place  # these three hold for either number
        self.covariance = 0.0  # of place and speed
        self.var_speed = var_speed

    def carry(self, step_s: float) -> None:
        """Move on by ``step_s`` seconds at the present speed."""
        (a, b), (speed_a, speed_b) = self.place, self.speed
        self.place = (a + speed_a * step_s, b + speed_b * step_s)

    def blur(self, step_s: float, *, gained: float) -> None:
        """Grow less sure over ``step_s`` seconds; ``gained`` is what the speed's variance grows by."""
        covariance, var_speed = self.covariance, self.var_speed
        self.var_place += step_s * (2.0 * covariance + step_s * (var_speed + gained / 3.0))
        self.covariance = covariance + step_s * (var_speed + 0.5 * gained)
        self.var_speed = var_speed + gained

    def correct(self, measured_a: float, measured_b: float, *, variance: float) -> None:
        """Take a measurement of both, each of that variance."""
        (a, b), (speed_a, speed_b) = self.place, self.speed
        covariance = self.covariance
        gain = 1.0 / (self.var_place + variance)
        speed_gain = covariance * gain
        gain *= self.var_place
        surprise_a, surprise_b = measured_a - a, measured_b - b
        self.place = (a + gain * surprise_a, b + gain * surprise_b)
        self.speed = (speed_a + speed_gain * surprise_a, speed_b + speed_gain * surprise_b)
        left = 1.0 - gain
        self.var_speed -= speed_gain * covariance
        self.covariance = covariance * left
        self.var_place *= left


class Noise:
    """`MotionNoise` as variances, for a box of area 1."""

    def __init__(self, noise: MotionNoise) -> None:
        self.measured = noise.measured**2
        self.acceleration = noise.acceleration**2
        self.growth = noise.growth**2
        self.start_speed = noise.start_speed**2
        self.start_growth = noise.start_growth**2


class Motion:
    """The filter of one box."""

    __slots__ = ("area", "centre", "size")

    def __init__(self, box: Box, noise: Noise) -> None:
        """A new track's, at its first detection."""
        cx, cy, width, height = box
        self.area = area = _area(width, height)  # as predicted; what variances are measured by
        measured = area * noise.measured
        self.centre = Pair((cx, cy), var_place=measured, var_speed=area * noise.start_speed)
        self.size = Pair((width, height), var_place=measured, var_speed=area * noise.start_growth)

    def predict(self, step_s: float, noise: Noise) -> None:
        """Carry the box on by ``step_s`` seconds.

        Its place moves by at most `MOST_STEP_S` of it: after a longer gap nobody knows where an object
        went, and a standing one is still where it was.
        """
        carried_s = min(step_s, MOST_STEP_S)
        self.centre.carry(carried_s)
        self.size.carry(carried_s)
        self.area = _area(*self.size.place)
        blurred = step_s * self.area
        self.centre.blur(step_s, gained=blurred * noise.acceleration)
        self.size.blur(step_s, gained=blurred * noise.growth)

    def update(self, box: Box, noise: Noise) -> None:
        """Correct the prediction by a detection."""
        cx, cy, width, height = box
        variance = self.area * noise.measured
        self.centre.correct(cx, cy, variance=variance)
        self.size.correct(width, height, variance=variance)

    def rest(self) -> None:
        """Go nowhere while unseen."""
        self.centre.speed = self.size.speed = (0.0, 0.0)

    def spread(self, noise: Noise) -> float:
        """Standard deviation of where a detection is expected, in sizes of the box."""
        return math.sqrt(self.centre.var_place / self.area + noise.measured)


def _area(width: float, height: float) -> float:
    """Normalised; never 0."""
    return max(width * height, LEAST_SIZE**2)
