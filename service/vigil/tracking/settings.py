"""What can be tuned about tracking, with the measured defaults."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MotionNoise:
    """How far boxes are expected to stray from constant velocity, in sizes of the box.

    A box's size is the square root of its area, normalised, so that one setting fits near and far.
    """

    measured: float = 0.06  # standard deviation of a detected centre, width or height
    acceleration: float = 0.7  # spectral density of the centre's acceleration, sizes / s^1.5
    growth: float = 0.06  # the same of width and height
    start_speed: float = 1.0  # standard deviation of a new track's speed, sizes / s
    start_growth: float = 0.2


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """How detections become tracks. Times are in seconds, so that any frame rate fits."""

    low_score: float = 0.1  # below it a detection is not looked at
    high_score: float = 0.4  # from here on a detection may bring back a lost track
    start_score: float = 0.45  # from here on it may begin a track
    confirm_hits: int = 2  # a track is confirmed after this many detections
    confirm_s: float = 0.15  # and this long after the first
    lost_s: float = 3.0  # how long an unseen track is kept for its object to come back
    least_similarity: float = 0.2  # buffered IoU that a pair needs
    buffer: float = 0.08  # by this part of its size a box is widened for comparison, at least
    buffer_sigmas: float = 2.0  # and by so many standard deviations of its predicted place
    most_buffer: float = 1.3  # but not by more than this part
    class_factor: float = 0.6  # similarity of a pair whose classes differ is multiplied by it
    duplicate_iou: float = 0.6  # no track begins on a box so like a seen one of its class
    most_tracks: int = 512  # bounds memory: no track begins beyond it
    noise: MotionNoise = field(default_factory=MotionNoise)
