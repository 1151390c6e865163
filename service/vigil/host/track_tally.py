"""What a camera's tracks were like, in blocks: for telling that a picture changed, never how good it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from vigil.data import Track, TrackState

BLOCK = 25  # tracks that ended
BORDER = 0.03  # a box that comes so near to the picture's edge may have left it


class TrackBlock(NamedTuple):
    """Of 25 tracks (`BLOCK`) that ended one after the other."""

    score: float  # the mean of their mean scores
    fragments: float  # the share that was lost within the picture


@dataclass(slots=True)
class _Life:
    scores: float = 0.0
    frames: int = 0
    inside: bool = True


class TrackTally:
    """Follows the confirmed tracks of one run after the other. Belongs to the host's loop."""

    def __init__(self, *, block: int = BLOCK) -> None:
        self._block = block
        self._run = 0
        self._lives: dict[int, _Life] = {}
        self._ended: list[_Life] = []

    def take(self, run: int, tracks: Sequence[Track]) -> TrackBlock | None:
        """One analysed frame's tracks; a block, where this frame completes one.

        Tracks that a run's end cuts off are not counted.
        """
        if run != self._run:
            self._run, self._lives = run, {}
        alive = {track.track_id for track in tracks}
        for track_id in self._lives.keys() - alive:
            self._ended.append(self._lives.pop(track_id))
        for track in tracks:
            if track.state is TrackState.CONFIRMED:
                life = self._lives.setdefault(track.track_id, _Life())
                life.scores += track.score
                life.frames += 1
                x1, y1, x2, y2 = track.xyxy
                life.inside = min(x1, y1, 1 - x2, 1 - y2) > BORDER
        if len(self._ended) < self._block:
            return None
        block, self._ended = self._ended[: self._block], self._ended[self._block :]
        return TrackBlock(
            score=sum(life.scores / life.frames for life in block) / len(block),
            fragments=sum(life.inside for life in block) / len(block),
        )
