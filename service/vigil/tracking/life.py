"""One track from its first detection to its last."""

from dataclasses import dataclass, field

from vigil.data import Track, TrackState
from vigil.tracking.motion import Box, Motion

VOTE_MEMORY = 0.9  # what a class's votes keep from one detection to the next


@dataclass(slots=True)
class Candidate:
    """A detection as the tracker sees it; where levels overlap, it may be both sure and faint."""

    box: Box
    score: float
    class_id: int
    sure: bool  # it may bring back a lost track, or confirm a new one
    faint: bool  # it does not count by itself
    stays: bool  # it may begin a track that is doubtful until it stands
    begins: bool  # it may begin a track
    taken: bool = False  # it is a track's


@dataclass(slots=True)
class Life:
    """What is known of a track."""

    track_id: int
    motion: Motion
    class_id: int  # of the most votes
    score: float  # of the last detection
    born_frame: int
    born_s: float
    seen_frame: int  # when last detected
    seen_s: float
    hits: int = 1  # detections so far
    confirmed: bool = False
    doubtful: bool = False  # nothing reached its start score: only who stands is confirmed
    sure_s: float = 0.0  # when last detected not just faintly
    rest: tuple[float, float] = (0.0, 0.0)  # the place that it has stayed near
    rest_s: float = 0.0  # since when
    stands: bool = False  # it did when it was last seen
    votes: dict[int, float] = field(default_factory=dict)  # scores summed by class, fading

    def note(self, found: Candidate, *, frame: int, time_s: float) -> None:
        """Take what a detection says besides its place."""
        votes = self.votes
        for class_id in votes:
            votes[class_id] *= VOTE_MEMORY
        votes[found.class_id] = votes.get(found.class_id, 0.0) + found.score
        if len(votes) > 1:
            self.class_id = min(votes, key=lambda class_id: (-votes[class_id], class_id))
        self.score = found.score
        self.seen_frame, self.seen_s = frame, time_s
        self.hits += 1
        if not found.faint:
            self.sure_s = time_s

    def settle(self, *, still: float, still_s: float) -> None:
        """See whether it stands: for ``still_s`` it has been within ``still`` of its size of one place."""
        (x, y), (rest_x, rest_y) = self.motion.centre.place, self.rest
        off_x, off_y = x - rest_x, y - rest_y
        if off_x * off_x + off_y * off_y > still * still * self.motion.area:
            self.rest, self.rest_s = (x, y), self.seen_s
        self.stands = self.seen_s - self.rest_s >= still_s

    def begin_again(self, found: Candidate) -> None:
        """What was doubtful has reached its start score: this is its first detection that counts."""
        self.doubtful = False
        self.born_s, self.hits = self.seen_s, 1
        self.votes = {found.class_id: found.score}

    def value(self, frame: int) -> Track:
        """The track as it stands after the frame of that number."""
        (cx, cy), (width, height) = self.motion.centre.place, self.motion.size.place
        half_width, half_height = 0.5 * width, 0.5 * height
        if not self.confirmed:
            state = TrackState.TENTATIVE
        else:
            state = TrackState.CONFIRMED if self.seen_frame == frame else TrackState.LOST
        return Track(
            self.track_id,
            (
                _within(cx - half_width),
                _within(cy - half_height),
                _within(cx + half_width),
                _within(cy + half_height),
            ),
            self.class_id,
            self.score,
            state,
            self.motion.centre.speed,
            frame - self.born_frame,
        )


def _within(place: float) -> float:
    return 0.0 if place < 0.0 else 1.0 if place > 1.0 else place
