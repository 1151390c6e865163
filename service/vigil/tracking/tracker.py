"""The tracker of one stream's run.

Association by score in stages (ByteTrack, Zhang et al., ECCV 2022): sure detections are matched to
all tracks, unsure ones to what is left of the tracks seen a moment ago. Boxes are compared by an
IoU that is widened by how uncertain the track's place is, which carries fast objects over the long
steps of five frames a second and keeps slow ones apart. Last come faint detections, which would not
count by themselves: they carry a track on where they lie just where it was expected.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from vigil.data import Detections, Track
from vigil.tracking.association import best_pairs, buffered_iou
from vigil.tracking.life import Candidate, Life
from vigil.tracking.motion import Box, Motion, Noise
from vigil.tracking.settings import TrackerSettings

PLAIN_SETTINGS = TrackerSettings()


class Tracker:
    """Follows the objects of one run. Deterministic: the same detections give the same tracks.

    Called by one thread, once for each analysed frame in the order of time.
    """

    def __init__(self, settings: TrackerSettings = PLAIN_SETTINGS) -> None:
        self.retune(settings)
        self._frame = -1
        self._time_s = 0.0  # of the last frame
        self._next_id = 1
        self._lives: list[Life] = []

    def retune(self, settings: TrackerSettings) -> None:
        """Go on with other settings; the tracks stay as they are."""
        self._settings = settings
        self._levels: list[list[float]] = settings.levels().T.tolist()  # by class
        self._noise = Noise(settings.noise)

    def advance(self, detections: Detections, *, time_s: float) -> tuple[Track, ...]:
        """Take one frame's detections and return every track that is alive, oldest first.

        ``detections.xyxy`` is normalised to [0, 1] of the picture; with class thresholds give what is
        below them, too. ``time_s`` is the frame's time in monotonic seconds and never decreases within
        a run. Tentative and lost tracks are returned, too; a lost track that is missing from the next
        answer was given up.
        """
        step_s, self._time_s = max(time_s - self._time_s, 0.0), time_s
        self._frame = frame = self._frame + 1
        found = self._candidates(detections)
        if self._lives:
            for life in self._lives:
                life.motion.predict(step_s, self._noise)
            self._associate(found)
            self._lives = [
                life for life in self._lives if life.seen_frame == frame or self._is_awaited(life)
            ]
        self._begin(found)
        return tuple([life.value(frame) for life in self._lives])

    def forget(self) -> None:
        """Give all tracks up; their ids are not used again."""
        self._lives = []

    def _candidates(self, detections: Detections) -> list[Candidate]:
        """The detections that are worth a look, best score first."""
        found = []
        levels, last_class = self._levels, len(self._levels) - 1
        columns = detections.xyxy.tolist(), detections.score.tolist(), detections.class_id.tolist()
        for (x1, y1, x2, y2), score, class_id in zip(*columns, strict=True):
            faint, low, high, start = levels[min(class_id, last_class)]
            if score >= faint:
                box = (0.5 * x1 + 0.5 * x2, 0.5 * y1 + 0.5 * y2, x2 - x1, y2 - y1)
                found.append(
                    Candidate(box, score, class_id, score >= high, score < low, score >= start)
                )
        return found

    def _associate(self, found: list[Candidate]) -> None:
        """Give the detections to the tracks in stages: what one stage paired is gone for the next."""
        confirmed = [life for life in self._lives if life.confirmed]
        recent = [life for life in confirmed if life.seen_frame == self._frame - 1]
        tentative = [life for life in self._lives if not life.confirmed]
        sure = [one for one in found if one.sure]
        self._pair(confirmed, sure)
        self._pair(recent, [one for one in found if not (one.sure or one.faint)])
        self._pair(recent, [one for one in found if one.faint])
        self._pair(tentative, sure)

    def _pair(self, lives: Iterable[Life], found: Iterable[Candidate]) -> None:
        """Pair tracks and detections as well as can be, as far as they are free."""
        lives = [life for life in lives if life.seen_frame < self._frame]
        found = [one for one in found if not one.taken]
        if not lives or not found:
            return
        for row, column in best_pairs(self._gains(lives, found)):
            self._take(lives[row], found[column])

    def _gains(self, lives: list[Life], found: list[Candidate]) -> list[dict[int, float]]:
        """For each track the detections that may be its, and how much each pair is worth, above 0."""
        settings = self._settings
        # only what is near enough across: the detections from left to right, and the widest of them
        columns = sorted(range(len(found)), key=lambda column: found[column].box[0])
        places = [found[column].box[0] for column in columns]
        widest = max(one.box[2] for one in found)
        gains = []
        for life in lives:
            (x, y), (width, height) = life.motion.centre.place, life.motion.size.place
            spread = life.motion.spread(self._noise)
            buffer = min(settings.buffer + settings.buffer_sigmas * spread, settings.most_buffer)
            reach = (0.5 + buffer) * (max(width, 0.0) + widest)
            of_life = {}
            for column in columns[bisect_left(places, x - reach) : bisect_right(places, x + reach)]:
                one = found[column]
                if abs(one.box[1] - y) < (0.5 + buffer) * (height + one.box[3]):
                    gain = self._gain(life, (x, y, width, height), buffer, one)
                    if gain > 0.0:
                        of_life[column] = gain
            gains.append(of_life)
        return gains

    def _gain(self, life: Life, box: Box, buffer: float, found: Candidate) -> float:
        """How much it is worth that a detection is the track that is expected at ``box``.

        A faint one has to lie where a track of its class is expected.
        """
        settings = self._settings
        same = found.class_id == life.class_id
        if found.faint:
            return buffered_iou(box, found.box) - settings.faint_iou if same else 0.0
        likeness = buffered_iou(box, found.box, buffer)
        return (likeness if same else likeness * settings.class_factor) - settings.least_similarity

    def _take(self, life: Life, found: Candidate) -> None:
        """A detection is this track's."""
        settings = self._settings
        found.taken = True
        life.motion.update(found.box, self._noise)
        life.note(found, frame=self._frame, time_s=self._time_s)
        if not life.confirmed:
            life.confirmed = (
                self._time_s - life.born_s >= settings.confirm_s
                and life.hits >= settings.confirm_hits
                and sum(life.votes.values()) >= settings.confirm_score
            )

    def _is_awaited(self, life: Life) -> bool:
        """Whether a track is worth keeping unseen: confirmed, recent, and in the picture."""
        x, y = life.motion.centre.place
        return (
            life.confirmed
            and self._time_s - life.seen_s <= self._settings.lost_s
            and abs(x - 0.5) < 0.5
            and abs(y - 0.5) < 0.5
        )

    def _begin(self, found: list[Candidate]) -> None:
        """Begin tracks at detections that are free, worth it, and no other one's double."""
        for one in found:
            if len(self._lives) >= self._settings.most_tracks:
                return
            if one.taken or not one.begins or self._is_double(one, found):
                continue
            one.taken = True
            self._lives.append(
                Life(
                    track_id=self._next_id,
                    motion=Motion(one.box, self._noise),
                    class_id=one.class_id,
                    score=one.score,
                    born_frame=self._frame,
                    born_s=self._time_s,
                    seen_frame=self._frame,
                    seen_s=self._time_s,
                    votes={one.class_id: one.score},
                )
            )
            self._next_id += 1

    def _is_double(self, one: Candidate, found: list[Candidate]) -> bool:
        """Whether a box lies on that of a seen track of its class."""
        return any(
            other.taken
            and other.class_id == one.class_id
            and buffered_iou(one.box, other.box) >= self._settings.duplicate_iou
            for other in found
        )
