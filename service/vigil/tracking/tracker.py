"""The tracker of one stream's run.

Association by score in stages (ByteTrack, Zhang et al., ECCV 2022): sure detections are matched to
all tracks, unsure ones to what is left of the tracks seen a moment ago. Boxes are compared by an
IoU that is widened by how uncertain the track's place is, which carries fast objects over the long
steps of five frames a second and keeps slow ones apart. Last come faint detections, which would not
count by themselves: they carry a track on where they lie just where it was expected.
"""

import numpy as np
from numpy.typing import NDArray

from vigil.data import F32, Detections, Track
from vigil.tracking.association import Pairing, buffered_iou
from vigil.tracking.motion import PLACE, Motion
from vigil.tracking.settings import TrackerSettings
from vigil.tracking.table import TrackTable

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

VOTE_MEMORY = 0.9  # what a class's votes keep from one detection to the next
PLAIN_SETTINGS = TrackerSettings()


class Tracker:
    """Follows the objects of one run. Deterministic: the same detections give the same tracks.

    Called by one thread, once for each analysed frame in the order of time.
    """

    def __init__(self, settings: TrackerSettings = PLAIN_SETTINGS) -> None:
        self.retune(settings)
        self._frame = -1
        self._time_s = -np.inf
        self._next_id = 1
        self._tracks = TrackTable.begin(
            Detections.empty(), np.zeros((5, 0, 4)), first_id=1, frame=0, time_s=0.0
        )

    def retune(self, settings: TrackerSettings) -> None:
        """Go on with other settings; the tracks stay as they are."""
        self._settings = settings
        self._levels = settings.levels()  # (4, C)
        self._motion = Motion(settings.noise)

    def advance(self, detections: Detections, *, time_s: float) -> tuple[Track, ...]:
        """Take one frame's detections and return every track that is alive, oldest first.

        ``detections.xyxy`` is normalised to [0, 1] of the picture; with class thresholds give what is
        below them, too. ``time_s`` is the frame's time
        in monotonic seconds and never decreases within a run. Tentative and lost tracks are
        returned, too; a lost track that is missing from the next answer was given up.
        """
        before_s, self._time_s = self._time_s, time_s
        self._frame += 1
        last_class = self._levels.shape[1] - 1
        levels = self._levels[:, np.minimum(detections.class_id, last_class)]
        worth = detections.score >= levels[0]
        if not worth.all():
            detections, levels = detections[worth], levels[:, worth]
        _, low, high, start = levels
        boxes = _cxcywh(detections)
        sure, faint = detections.score >= high, detections.score < low
        free = np.ones(len(boxes), np.bool_)  # (N,), detections that are no track's
        tracks = self._tracks
        if len(tracks):
            area = self._motion.predict(tracks.state, step_s=max(time_s - before_s, 0.0))
            gain = self._gain(detections, boxes, area)
            if faint.any():
                gain[:, faint] = self._faint_gain(detections[faint], boxes[faint])
            rows, columns = self._associate(gain, sure, faint, before_s=before_s)
            seen = np.zeros(len(tracks), np.bool_)
            if len(rows):
                seen[rows] = True
                free[columns] = False
                measured = tracks.state[PLACE].copy()
                measured[rows] = boxes[columns]
                self._motion.update(tracks.state, area, measured, seen=seen)
                self._note(rows, detections.class_id[columns], detections.score[columns])
            if not seen.all():
                tracks.keep(seen | self._is_awaited())
        self._begin(detections, boxes, free=free, worthy=detections.score >= start)
        return tracks.values(frame=self._frame, time_s=time_s)

    def forget(self) -> None:
        """Give all tracks up; their ids are not used again."""
        self._tracks.keep(np.zeros(len(self._tracks), np.bool_))

    def _gain(self, detections: Detections, boxes: F64, area: F64) -> F64:
        """How much each pair of a track and a detection is worth, (T, N); above 0 it may be made."""
        tracks, settings = self._tracks, self._settings
        spread = self._motion.spread(tracks.state, area)
        buffer = np.minimum(settings.buffer + settings.buffer_sigmas * spread, settings.most_buffer)
        gain = buffered_iou(tracks.state[PLACE], boxes, buffer)
        differs = tracks.votes.argmax(axis=1)[:, None] != detections.class_id
        if differs.any():
            gain[differs] *= settings.class_factor
        gain -= settings.least_similarity
        return gain

    def _faint_gain(self, detections: Detections, boxes: F64) -> F64:
        """The same for faint detections, which have to lie where a track of their class is expected."""
        tracks = self._tracks
        gain = buffered_iou(tracks.state[PLACE], boxes, np.zeros(len(tracks)))
        gain[tracks.votes.argmax(axis=1)[:, None] != detections.class_id] = 0.0
        gain -= self._settings.faint_iou
        return gain

    def _associate(self, gain: F64, sure: Bool, faint: Bool, *, before_s: float) -> tuple[I64, I64]:
        """Rows of tracks and the columns of detections that are theirs."""
        tracks = self._tracks
        all_sure, all_known = sure.all(), tracks.confirmed.all()
        pairing = Pairing(gain)
        if all_sure and all_known:
            pairing.match_all()
            return pairing.pairs()
        pairing.match(tracks.confirmed, sure)
        if not all_sure:
            seen_before = tracks.confirmed & (tracks.seen_s >= before_s)
            pairing.match(seen_before, ~sure & ~faint)
            pairing.match(seen_before, faint)
        if not all_known:
            pairing.match(~tracks.confirmed, sure)
        return pairing.pairs()

    def _note(self, rows: I64, class_id: I64, score: F32) -> None:
        """Take what the detections say, besides their place, into the tracks of these rows."""
        tracks, settings = self._tracks, self._settings
        tracks.widen(int(class_id.max()) + 1)
        tracks.votes[rows] *= VOTE_MEMORY
        tracks.votes[rows, class_id] += score
        tracks.score[rows] = score
        tracks.seen_s[rows] = self._time_s
        tracks.hits[rows] += 1
        if not tracks.confirmed.all():
            old_enough = self._time_s - tracks.born_s >= settings.confirm_s
            sure_enough = tracks.votes.sum(axis=1) >= settings.confirm_score
            tracks.confirmed |= old_enough & sure_enough & (tracks.hits >= settings.confirm_hits)

    def _is_awaited(self) -> Bool:
        """Which tracks are worth keeping unseen, (T,): confirmed, recent, and in the picture."""
        tracks = self._tracks
        recent = self._time_s - tracks.seen_s <= self._settings.lost_s
        off_middle = np.abs(tracks.state[PLACE, :, :2] - 0.5).max(axis=1)
        return np.asarray(tracks.confirmed & recent & (off_middle < 0.5))

    def _begin(self, detections: Detections, boxes: F64, *, free: Bool, worthy: Bool) -> None:
        """Begin tracks at detections that are ``free``, ``worthy`` (N,) and no other one's double."""
        wanted = free & worthy
        if not wanted.any():
            return
        taken: list[int] = np.flatnonzero(~free).tolist()
        chosen: list[int] = []
        for column in np.flatnonzero(wanted).tolist():
            rivals = [at for at in taken if detections.class_id[at] == detections.class_id[column]]
            overlap = buffered_iou(boxes[[column]], boxes[rivals], np.zeros(1))
            if overlap.max(initial=0.0) < self._settings.duplicate_iou:
                chosen.append(column)
                taken.append(column)
        chosen = chosen[: max(self._settings.most_tracks - len(self._tracks), 0)]
        if not chosen:
            return
        newcomers = TrackTable.begin(
            detections[np.array(chosen)],
            self._motion.begin(boxes[chosen]),
            first_id=self._next_id,
            frame=self._frame,
            time_s=self._time_s,
        )
        self._next_id += len(chosen)
        self._tracks.extend(newcomers)


def _cxcywh(detections: Detections) -> F64:
    """The boxes of detections as (N, 4) centre, width and height in float64."""
    return np.asarray(detections.xyxy @ TO_CXCYWH)


TO_CXCYWH = np.array(
    [[0.5, 0.0, -1.0, 0.0], [0.0, 0.5, 0.0, -1.0], [0.5, 0.0, 1.0, 0.0], [0.0, 0.5, 0.0, 1.0]]
)
