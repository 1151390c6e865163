"""The tracker of one stream's run.

Two-stage association by score (ByteTrack, Zhang et al., ECCV 2022): sure detections are matched to
all tracks, unsure ones to what is left of the tracks seen a moment ago. Boxes are compared by an
IoU that is widened by how uncertain the track's place is, which carries fast objects over the long
steps of five frames a second and keeps slow ones apart.
"""

import numpy as np
from numpy.typing import NDArray

from vigil.data import Detections, Track
from vigil.tracking.association import best_pairs, buffered_iou
from vigil.tracking.motion import PLACE, Motion
from vigil.tracking.settings import TrackerSettings
from vigil.tracking.table import TrackTable

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

NOTHING = np.zeros(0, np.int64)
VOTE_MEMORY = 0.9  # what a class's votes keep from one detection to the next
PLAIN_SETTINGS = TrackerSettings()


class Tracker:
    """Follows the objects of one run. Deterministic: the same detections give the same tracks.

    Called by one thread, once for each analysed frame in the order of time.
    """

    def __init__(self, settings: TrackerSettings = PLAIN_SETTINGS) -> None:
        self._settings = settings
        self._motion = Motion(settings.noise)
        self._frame = -1
        self._time_s = -np.inf
        self._next_id = 1
        self._tracks = TrackTable.begin(
            Detections.empty(), np.zeros((5, 0, 4)), first_id=1, frame=0, time_s=0.0
        )

    def advance(self, detections: Detections, *, time_s: float) -> tuple[Track, ...]:
        """Take one frame's detections and return every track that is alive, oldest first.

        ``detections.xyxy`` is normalised to [0, 1] of the picture. ``time_s`` is the frame's time
        in monotonic seconds and never decreases within a run. Tentative and lost tracks are
        returned, too; a lost track that is missing from the next answer was given up.
        """
        settings, tracks = self._settings, self._tracks
        before_s, self._time_s = self._time_s, time_s
        self._frame += 1
        detections = detections[detections.score >= settings.low_score]
        boxes = _cxcywh(detections)
        rows = columns = NOTHING
        if len(tracks):
            self._motion.predict(tracks.state, step_s=max(time_s - before_s, 0.0))
            rows, columns = self._associate(detections, boxes, before_s=before_s)
            seen = self._correct(rows, columns, detections=detections, boxes=boxes)
            if not seen.all():
                tracks.keep(seen | self._is_awaited(time_s))
        self._begin(detections, boxes, matched=columns)
        return tracks.values(frame=self._frame, time_s=time_s)

    def _associate(self, detections: Detections, boxes: F64, *, before_s: float) -> tuple[I64, I64]:
        """Rows of tracks and the columns of detections that are theirs."""
        if not len(boxes):
            return NOTHING, NOTHING
        tracks, settings = self._tracks, self._settings
        spread = self._motion.spread(tracks.state)
        buffer = np.minimum(settings.buffer + settings.buffer_sigmas * spread, settings.most_buffer)
        gain = buffered_iou(tracks.state[PLACE], boxes, buffer)
        differs = tracks.votes.argmax(axis=1)[:, None] != detections.class_id
        if differs.any():
            gain[differs] *= settings.class_factor
        gain -= settings.least_similarity
        sure = detections.score >= settings.high_score
        pairing = _Pairing(gain)
        pairing.match(tracks.confirmed, sure)
        if not sure.all():
            pairing.match(tracks.confirmed & (tracks.seen_s >= before_s), ~sure)
        if not tracks.confirmed.all():
            pairing.match(~tracks.confirmed, sure)
        return pairing.pairs()

    def _correct(self, rows: I64, columns: I64, *, detections: Detections, boxes: F64) -> Bool:
        """Update the tracks that were detected; returns which they are, (T,)."""
        tracks, settings = self._tracks, self._settings
        seen = np.zeros(len(tracks), np.bool_)
        if not len(rows):
            return seen
        seen[rows] = True
        measured = tracks.state[PLACE].copy()
        measured[rows] = boxes[columns]
        self._motion.update(tracks.state, measured, seen)
        class_id, score = detections.class_id[columns], detections.score[columns]
        tracks.widen(int(class_id.max()) + 1)
        tracks.votes[rows] *= VOTE_MEMORY
        tracks.votes[rows, class_id] += score
        tracks.score[rows] = score
        tracks.seen_s[rows] = self._time_s
        tracks.hits += seen
        if not tracks.confirmed.all():
            old_enough = self._time_s - tracks.born_s >= settings.confirm_s
            tracks.confirmed |= old_enough & (tracks.hits >= settings.confirm_hits)
        return seen

    def _is_awaited(self, time_s: float) -> Bool:
        """Which tracks are worth keeping unseen, (T,): confirmed, recent, and in the picture."""
        tracks = self._tracks
        recent = time_s - tracks.seen_s <= self._settings.lost_s
        centre = tracks.state[PLACE, :, :2]
        return tracks.confirmed & recent & ((centre > 0.0) & (centre < 1.0)).all(axis=1)

    def _begin(self, detections: Detections, boxes: F64, *, matched: I64) -> None:
        """Begin tracks at the sure detections that are no track's and no other one's double."""
        free = detections.score >= self._settings.start_score
        free[matched] = False
        if not free.any():
            return
        taken: list[int] = matched.tolist()
        chosen: list[int] = []
        for column in np.flatnonzero(free).tolist():
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


class _Pairing:
    """Stages of matching over one table of gains: what one stage paired is gone for the next."""

    def __init__(self, gain: F64) -> None:
        self._gain = gain
        self._row_free = np.ones(gain.shape[0], np.bool_)
        self._column_free = np.ones(gain.shape[1], np.bool_)
        self._pairs: list[tuple[I64, I64]] = []

    def match(self, rows: Bool, columns: Bool) -> None:
        """Pair the rows and columns of these masks as well as can be, as far as they are free."""
        row_at = np.flatnonzero(rows & self._row_free)
        column_at = np.flatnonzero(columns & self._column_free)
        if not len(row_at) or not len(column_at):
            return
        paired_rows, paired_columns = best_pairs(self._gain[row_at[:, None], column_at])
        new_rows, new_columns = row_at[paired_rows], column_at[paired_columns]
        self._row_free[new_rows] = False
        self._column_free[new_columns] = False
        self._pairs.append((new_rows, new_columns))

    def pairs(self) -> tuple[I64, I64]:
        """All pairs so far: their rows and their columns."""
        if len(self._pairs) == 1:
            return self._pairs[0]
        return (
            np.concatenate([NOTHING, *(rows for rows, _ in self._pairs)]),
            np.concatenate([NOTHING, *(columns for _, columns in self._pairs)]),
        )


def _cxcywh(detections: Detections) -> F64:
    """The boxes of detections as (N, 4) centre, width and height in float64."""
    corners = detections.xyxy.astype(np.float64)
    boxes = np.empty_like(corners)
    boxes[:, :2] = 0.5 * (corners[:, :2] + corners[:, 2:])
    boxes[:, 2:] = corners[:, 2:] - corners[:, :2]
    return boxes
