"""The tracker of one stream's run.

Association by score in stages (ByteTrack, Zhang et al., ECCV 2022): sure detections are matched to
all tracks, unsure ones to what is left of the tracks seen a moment ago. Boxes are compared by an
IoU that is widened by how uncertain the track's place is, which carries fast objects over the long
steps of five frames a second and keeps slow ones apart. Last come faint detections, which would not
count by themselves: they carry a track on where they lie just where it was expected.

Who stands is the easier to keep, since its place is known: any detection that lies there competes with
sure ones elsewhere, a box that loses its foot to somebody who stands before it keeps its height, and an
object that never reaches its start score is known once it has stood for a while.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import TypeAlias

from vigil.data import Detections, Track
from vigil.tracking.association import best_pairs, buffered_iou
from vigil.tracking.life import Candidate, Life
from vigil.tracking.motion import Box, Motion, Noise
from vigil.tracking.occlusion import whole_box
from vigil.tracking.settings import TrackerSettings

PLAIN_SETTINGS = TrackerSettings()
SURELY_NEAR = 0.5  # boxes that are so like are not far from each other
# The worth, above 0, of a detection as the track that is expected at a box, give or take a part of it.
Gain: TypeAlias = Callable[[Life, Box, float, Candidate], float]


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
            faint, low, high, stay, start = levels[min(class_id, last_class)]
            if score >= faint:
                box = (0.5 * x1 + 0.5 * x2, 0.5 * y1 + 0.5 * y2, x2 - x1, y2 - y1)
                sure, is_faint = score >= high, score < low
                stays, begins = score >= stay, score >= start
                found.append(Candidate(box, score, class_id, sure, is_faint, stays, begins))
        return found

    def _associate(self, found: list[Candidate]) -> None:
        """Give the detections to the tracks in stages: what one stage paired is gone for the next."""
        lives, before = self._lives, self._frame - 1
        confirmed = [life for life in lives if life.confirmed]
        near, there = self._near_gain, self._there_gain
        self._pair(confirmed, found, found, sure=near, unsure=self._still_gain)
        left = [one for one in found if not one.taken]
        if left:
            recent = [life for life in confirmed if life.seen_frame == before]
            known = [life for life in confirmed if life.seen_frame == before or life.stands]
            self._pair(recent, [one for one in left if not one.faint], found, unsure=near)
            self._pair(known, left, found, unsure=there)
            if len(confirmed) < len(lives):
                new = [life for life in lives if not life.confirmed]
                self._pair([life for life in new if not life.doubtful], left, found, sure=near)
                doubtful = [life for life in new if life.doubtful]
                enough = [one for one in left if one.stays]
                self._pair(doubtful, enough, found, sure=there, unsure=there)
        for life in confirmed:
            if life.stands and life.seen_frame <= before:
                life.motion.rest()

    def _pair(
        self,
        lives: Iterable[Life],
        offered: Iterable[Candidate],
        found: list[Candidate],
        *,
        sure: Gain | None = None,
        unsure: Gain | None = None,
    ) -> None:
        """Pair tracks with what is offered of all that was found, as far as either is free.

        Pairs are worth what ``sure`` says of a sure detection and ``unsure`` of another; without it, nothing.
        """
        lives = [life for life in lives if life.seen_frame < self._frame]
        offered = [
            one for one in offered if not one.taken and (sure if one.sure else unsure) is not None
        ]
        if not lives or not offered:
            return
        for row, column in best_pairs(self._gains(lives, offered, sure, unsure)):
            self._take(lives[row], offered[column], found)

    def _gains(
        self, lives: list[Life], found: list[Candidate], sure: Gain | None, unsure: Gain | None
    ) -> list[dict[int, float]]:
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
                    gain = sure if one.sure else unsure
                    assert gain is not None  # it was not offered else
                    worth = gain(life, (x, y, width, height), buffer, one)
                    if worth > 0.0:
                        of_life[column] = worth
            gains.append(of_life)
        return gains

    def _near_gain(self, life: Life, box: Box, buffer: float, found: Candidate) -> float:
        """By the widened boxes' likeness; who stands is not at once somewhere else."""
        settings = self._settings
        likeness = buffered_iou(box, found.box, buffer)
        if found.class_id != life.class_id:
            if not self._are_alike(found.class_id, life.class_id):
                return 0.0
            likeness *= settings.class_factor
        if life.stands and likeness < SURELY_NEAR:
            most = settings.still_step + settings.still_speed * (self._time_s - life.seen_s)
            if math.dist(box[:2], found.box[:2]) > most * math.sqrt(life.motion.area):
                return 0.0
        return likeness - settings.least_similarity

    def _still_gain(self, life: Life, box: Box, _: float, found: Candidate) -> float:
        """Of what lies just where somebody stands, who then takes no surer box beside it."""
        if not life.stands or not self._may_be(life, found):
            return 0.0
        return buffered_iou(box, found.box) - self._settings.still_iou

    def _there_gain(self, life: Life, box: Box, _: float, found: Candidate) -> float:
        """Of what has to lie just where the track is expected."""
        if not self._may_be(life, found):
            return 0.0
        return buffered_iou(box, found.box) - self._settings.faint_iou

    def _may_be(self, life: Life, found: Candidate) -> bool:
        """Whether a detection that is not sure may be of a track: of its kind, and not faint for too long."""
        if found.faint and self._time_s - life.sure_s > self._settings.faint_s:
            return False
        return found.class_id == life.class_id or self._are_alike(
            found.class_id, life.class_id, known=True
        )

    def _are_alike(self, class_id: int, other_id: int, *, known: bool = False) -> bool:
        """Whether two classes may be the same object's; ``known``: are known to be taken for each other."""
        kinds = self._settings.class_kinds
        if max(class_id, other_id) >= len(kinds):
            return not known
        kind, other = kinds[class_id], kinds[other_id]
        return kind == other != 0 or (not known and 0 in (kind, other))

    def _take(self, life: Life, one: Candidate, found: list[Candidate]) -> None:
        """A detection, one of those ``found``, is this track's."""
        settings = self._settings
        one.taken = True
        box = self._whole(life, one, found) if life.confirmed else one.box
        life.motion.update(box, self._noise)
        life.note(one, frame=self._frame, time_s=self._time_s)
        life.settle(still=settings.still, still_s=settings.still_s)
        if life.doubtful and one.begins:
            life.begin_again(one)
        elif life.doubtful:
            life.confirmed = (
                life.hits >= settings.confirm_hits and life.stands and not self._is_doubled(life)
            )
            life.doubtful = not life.confirmed
        elif not life.confirmed:
            life.confirmed = (
                self._time_s - life.born_s >= settings.confirm_s
                and life.hits >= settings.confirm_hits
                and sum(life.votes.values()) >= settings.confirm_score
            )

    def _whole(self, life: Life, one: Candidate, found: list[Candidate]) -> Box:
        """A detection's box, with the foot that somebody hides who walks past a slow track."""
        settings, centre, size = self._settings, life.motion.centre, life.motion.size
        _, y, _, height = one.box
        foot = centre.place[1] + 0.5 * size.place[1]
        if foot - (y + 0.5 * height) < settings.short * size.place[1]:
            return one.box
        if math.hypot(*centre.speed) > settings.slow * math.sqrt(life.motion.area):
            return one.box
        expected = (*centre.place, *size.place)
        others = (other.box for other in found)
        return whole_box(one.box, expected, others, short=settings.short)

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
            if one.taken or not (one.stays or one.begins) or self._is_double(one, found):
                continue
            one.taken = True
            life = Life(
                track_id=self._next_id,
                motion=Motion(one.box, self._noise),
                class_id=one.class_id,
                score=one.score,
                born_frame=self._frame,
                born_s=self._time_s,
                seen_frame=self._frame,
                seen_s=self._time_s,
                doubtful=not one.begins,
                sure_s=self._time_s,
                rest=one.box[:2],
                rest_s=self._time_s,
                votes={one.class_id: one.score},
            )
            self._lives.append(life)
            self._next_id += 1

    def _is_double(self, one: Candidate, found: list[Candidate]) -> bool:
        """Whether a box lies on that of a seen track of its class."""
        return any(
            other.taken
            and other.class_id == one.class_id
            and buffered_iou(one.box, other.box) >= self._settings.duplicate_iou
            for other in found
        )

    def _is_doubled(self, life: Life) -> bool:
        """Whether a seen and confirmed track of its kind lies on this one."""
        box = (*life.motion.centre.place, *life.motion.size.place)
        return any(
            other.confirmed
            and other.seen_frame == self._frame
            and self._are_alike(other.class_id, life.class_id)
            and buffered_iou(box, (*other.motion.centre.place, *other.motion.size.place))
            >= self._settings.duplicate_iou
            for other in self._lives
        )
