"""What can be tuned about tracking, with the measured defaults."""

from dataclasses import dataclass, field

import numpy as np

from vigil.data import F32


@dataclass(frozen=True, slots=True)
class MotionNoise:
    """How far boxes are expected to stray from constant velocity, in sizes of the box.

    A box's size is the square root of its area, normalised, so that one setting fits near and far.
    """

    measured: float = 0.06  # standard deviation of a detected centre, width or height
    acceleration: float = 0.7  # spectral density of the centre's acceleration, sizes / s^1.5
    growth: float = 0.06  # the same of width and height
    start_speed: float = 2.0  # standard deviation of a new track's speed, sizes / s
    start_growth: float = 0.5  # who comes in at the lower edge grows by that much


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """How detections become tracks. Times are in seconds, so that any frame rate fits."""

    low_score: float = 0.1  # below it a detection is not looked at
    high_score: float = 0.4  # from here on a detection may bring back a lost track
    start_score: float = 0.45  # from here on it may begin a track
    confirm_hits: int = 2  # a track is confirmed after this many detections
    confirm_s: float = 0.15  # and this long after the first
    confirm_score: float = 1.3  # and once their scores, fading by VOTE_MEMORY, add up to this
    lost_s: float = 3.0  # how long an unseen track is kept for its object to come back
    least_similarity: float = 0.1  # buffered IoU that a pair needs
    faint: float = 0.2  # of its class's threshold; from here on a detection may carry a track on
    faint_iou: float = 0.45  # IoU with the predicted box, not widened, that it needs for that
    buffer: float = 0.08  # by this part of its size a box is widened for comparison, at least
    buffer_sigmas: float = 1.0  # and by so many standard deviations of its predicted place
    most_buffer: float = 0.8  # but not by more than this part
    class_factor: float = 0.6  # similarity of a pair whose classes differ is multiplied by it
    duplicate_iou: float = 0.35  # no track begins on a box that overlaps a seen one of its class so
    most_tracks: int = 512  # bounds memory: no track begins beyond it
    noise: MotionNoise = field(default_factory=MotionNoise)
    class_thresholds: tuple[float, ...] = ()  # by class; in place of the three scores, where given

    def levels(self) -> F32:
        """Faint, low, high and start score by class, (4, C); classes beyond the last have its levels.

        In the precision of scores, so that a score that is written like its level reaches it.
        From class thresholds, which are the scores from which a detector's boxes count, a track
        begins a good deal above and goes on at its class's. Measured on PETS with vigil-det-n in
        training (threshold 0.21), beginnings at 1.0 to 1.8 of it and least scores at 0.4 to 1.2, by
        MOTA and by precision and recall of 200 zones and lines. Fainter ones carry a track on only
        where they lie: DECISIONS.md. Without class thresholds nothing is faint.
        """
        if not self.class_thresholds:
            low = self.low_score
            return np.array([[low], [low], [self.high_score], [self.start_score]], np.float32)
        least = np.array(self.class_thresholds, np.float32)
        start = np.minimum(1.4 * least, 0.5 * (1.0 + least))
        return np.stack((self.faint * least, least, 0.9 * start, start)).astype(np.float32)
