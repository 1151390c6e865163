"""What can be tuned about tracking, with the measured defaults."""

from dataclasses import dataclass, field

import numpy as np

from vigil.data import F32

# Classes that a detector mistakes for each other, and those that it does not, where they are known.
KINDS = {"person": 1, "bicycle": 2, "motorcycle": 2, "car": 3, "bus": 3, "truck": 3, "vehicle": 3}


def kinds_of(classes: tuple[str, ...]) -> tuple[int, ...]:
    """The kind of each class: two known ones of different kinds are never one object. 0: unknown."""
    return tuple(KINDS.get(name, 0) for name in classes)


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
    still: float = 0.25  # of its size: what stays so near to one place stands there
    still_s: float = 1.2  # once it has stayed for so long
    doubtful: float = (
        1.2  # of its class's threshold; from here on a detection may begin a track that stands
    )
    confirm_hits: int = 2  # a track is confirmed after this many detections
    confirm_s: float = 0.15  # and this long after the first
    confirm_score: float = 1.3  # and once their scores, fading by VOTE_MEMORY, add up to this
    lost_s: float = 3.0  # how long an unseen track is kept for its object to come back
    least_similarity: float = 0.1  # buffered IoU that a pair needs
    faint: float = 0.2  # of its class's threshold; from here on a detection may carry a track on
    faint_iou: float = 0.45  # IoU with the predicted box, not widened, that it needs for that
    faint_s: float = 10.0  # for so long without a better one
    still_iou: float = 0.6  # IoU from which what is not sure competes with sure ones for who stands
    still_step: float = 0.2  # sizes that who stands may be off its place at once, and
    still_speed: float = 1.5  # sizes that it may go in a second unseen
    short: float = 0.1  # of its height: a box that lacks so much at its foot may be partly hidden
    slow: float = 0.5  # sizes a second: who is faster is taken as it is seen
    buffer: float = 0.08  # by this part of its size a box is widened for comparison, at least
    buffer_sigmas: float = 1.0  # and by so many standard deviations of its predicted place
    most_buffer: float = 0.8  # but not by more than this part
    class_factor: float = 0.6  # similarity of a pair whose classes differ is multiplied by it
    duplicate_iou: float = 0.35  # no track begins on a box that overlaps a seen one of its class so
    most_tracks: int = 512  # bounds memory: no track begins beyond it
    noise: MotionNoise = field(default_factory=MotionNoise)
    class_thresholds: tuple[float, ...] = ()  # by class; in place of the three scores, where given
    class_kinds: tuple[int, ...] = ()  # by class, see `kinds_of`; none: any may be any

    def levels(self) -> F32:
        """Faint, low, high, doubtful and start score by class, (5, C); those beyond have the last's.

        In the precision of scores, so that a score that is written like its level reaches it.
        From class thresholds, which are the scores from which a detector's boxes count, a track
        begins a good deal above and goes on at its class's. Measured on PETS with vigil-det-n in
        training (threshold 0.21), beginnings at 1.0 to 1.8 of it and least scores at 0.4 to 1.2, by
        MOTA and by precision and recall of 200 zones and lines. Fainter ones carry a track on only
        where they lie, and what is a little above its class's and stays begins a track, too:
        DECISIONS.md. Without class thresholds nothing is faint or doubtful.
        """
        if not self.class_thresholds:
            low = self.low_score
            start = self.start_score
            return np.array([[low], [low], [self.high_score], [start], [start]], np.float32)
        least = np.array(self.class_thresholds, np.float32)
        start = np.minimum(1.4 * least, 0.5 * (1.0 + least))
        levels = (self.faint * least, least, 0.9 * start, self.doubtful * least, start)
        return np.stack(levels).astype(np.float32)
