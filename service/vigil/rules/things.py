"""object.left and object.removed. Specification: docs/rules/stationary.md."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.data import Event, Glance, Track
from vigil.rules.backdrop import Backdrop, grown, moved, regions
from vigil.rules.report import TOLERANCE_S, Episode, Reporter, seconds
from vigil.rules.subject import Moment, Reason
from vigil.spec import StationaryRule

Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]

LEAST_CELLS = 7.0  # of 72 x 128, not only in another light, times their share: less is noise
LEAST_BODY = 3  # of such cells side by side
MOST_PART = 0.15  # of the picture: larger ones are light
# By how many grey levels an outline is steeper than it was, and differs more from what is around it, as
# a logistic regression on 834 things of 114 rendered scenes weighs them: 23 are odds of ten to one.
OUTLINE_WEIGHT, CONTRAST_WEIGHT = 2.0, 3.0
LEAST_EVIDENCE = 23.0  # and both of the same sign: shadows and reflections have no outline
YOUNG_S = 1.0  # a cell of such an age belongs to the region of an old one beside it
STRONG_PART = 0.5  # of how much a region's cells changed in the middle: less is its shadow
FIRST_PART = 0.2  # of its cells; when they have been in view for long enough, it is due
ALONE_S = 1.5  # since somebody stood at a thing: until then not all of it may have been seen
NEAR_CELLS = 3  # what changes so near to a thing is part of it, if it is due within NEAR_S of it
NEAR_S = 4.0
ABOVE_CELLS = 6  # straight above or below it, as where something hides its middle, within ABOVE_S
ABOVE_S = 1.0
MARGIN = 0.1  # of a box: what moves with somebody beyond it
LOOK_S = 1.0  # regions are looked for so often
GONE_PART = 0.6  # of a thing's cells that show what was there before
GONE_S = 2.0
# What a candidate replaced is usual if it was seen for this part of the rule's duration, or for so long;
# else the candidate is what is usual there.
USUAL_PART = 0.8
USUAL_S = 10.0
ACCEPTED_S = 3600.0  # what has stood for so long belongs to the scene
MOST_THINGS = 64
MOST_CANDIDATES = 72 * 128 // 2  # regions in one picture
LONGEST_STEP_S = 1.0  # a gap in the pictures counts for no longer


@dataclass(slots=True, eq=False)  # arrays have no one truth
class _Thing:
    """Something that was left, or a place from which something was taken."""

    cells: Bool
    since_s: float
    episode: Episode
    gone_s: float | None = None  # since when its place looks as before


class ThingsWatch:
    """One stationary rule at work on one run. ``within`` (72, 128) are the cells that it watches."""

    def __init__(self, rule: StationaryRule, reporter: Reporter, within: Bool) -> None:
        self.rule = rule
        self._reporter = reporter
        self._within = within
        self._backdrop = Backdrop((within.shape[0], within.shape[1]))
        self._covered_s: F64 = np.full(within.shape, -np.inf)  # when somebody was before a cell
        self._due_s: F64 = np.full(within.shape, np.inf)  # when a cell's candidate was old enough
        self._things: list[_Thing] = []
        self._last_s: float | None = None
        self._looked_s = -math.inf

    def look(self, moment: Moment, glance: Glance, tracks: Sequence[Track]) -> Iterator[Event]:
        """Take the next picture, and who is in it."""
        last_s, self._last_s = self._last_s, moment.time_s
        if last_s is None or moment.time_s <= last_s:
            return
        covered = _covered(tracks, self._within)
        self._covered_s[covered] = moment.time_s
        free = self._within & ~covered
        self._backdrop.take(glance, free=free, step_s=min(moment.time_s - last_s, LONGEST_STEP_S))
        over_s = self._backdrop.age_s - (self.rule.duration_s - TOLERANCE_S)
        due_s = np.minimum(self._due_s, moment.time_s - over_s)
        self._due_s = np.where(over_s >= 0.0, due_s, np.inf)
        yield from self._follow(moment, free)
        if moment.time_s - self._looked_s >= LOOK_S - TOLERANCE_S:
            self._looked_s = moment.time_s
            yield from self._find(moment, glance.seq)

    def resume(self, moment: Moment) -> Iterator[Event]:
        """The camera shows something again: things are remembered."""
        self._last_s = moment.time_s
        yield from ()

    def close(self, moment: Moment, reason: Reason) -> Iterator[Event]:
        """The rule or the run is over."""
        for thing in self._things:
            yield self._end(thing, moment, at_s=moment.time_s, reason=reason)
        self._things.clear()

    def _follow(self, moment: Moment, free: Bool) -> Iterator[Event]:
        """See which things are there no more; those that are hidden still are."""
        for thing in list(self._things):
            in_view = free & thing.cells
            usual = self._backdrop.is_usual & in_view
            back = in_view.sum() >= 0.5 * thing.cells.sum() and (
                usual.sum() >= GONE_PART * in_view.sum()
            )
            if not back:
                thing.gone_s = None
            elif thing.gone_s is None:
                thing.gone_s = moment.time_s
            if thing.gone_s is not None and moment.time_s - thing.gone_s >= GONE_S - TOLERANCE_S:
                left = thing.episode.kind == "object.left"
                reason = Reason.LEFT if left else Reason.CAME
                yield self._end(thing, moment, at_s=thing.gone_s, reason=reason)
                self._things.remove(thing)
                self._backdrop.forget(thing.cells)
            elif moment.time_s - thing.since_s >= ACCEPTED_S:
                self._backdrop.accept(thing.cells)
                yield self._end(thing, moment, at_s=moment.time_s, reason=Reason.ACCEPTED)
                self._things.remove(thing)

    def _find(self, moment: Moment, seq: int) -> Iterator[Event]:
        """See which candidates have stood for long enough, are there now, and have nobody beside them."""
        untold = np.ones_like(self._within)
        for thing in self._things:
            untold &= ~thing.cells
        old = np.isfinite(self._due_s) & untold
        if not old.any():
            return
        changed = (self._backdrop.age_s >= YOUNG_S - TOLERANCE_S) & untold
        # Shadows neither join things nor begin them: a thing's is often in view before it is.
        clear = changed & ~self._backdrop.is_shade()
        for index, body in enumerate(regions(clear)):
            if not (body & old).any() or body.sum() < LEAST_BODY:
                continue
            due_s = self._due(body)
            if due_s > moment.time_s:
                continue
            cells = grown(body) & changed
            shown = (cells & self._backdrop.is_candidate).sum() >= GONE_PART * cells.sum()
            alone_s = moment.time_s - float(self._covered_s[grown(cells)].max())
            if not shown or alone_s < ALONE_S - TOLERANCE_S or len(self._things) >= MOST_THINGS:
                continue
            kind = self._kind(cells)
            if self._belongs(body, due_s, kind):
                continue
            if self._is_wanted(kind) and self._is_thing(cells, clear=int((cells & clear).sum())):
                yield self._tell(cells, kind, due_s, moment, seq * MOST_CANDIDATES + index)
            else:
                self._backdrop.accept(cells)

    def _due(self, body: Bool) -> float:
        """When a fifth of its cells, its shadow's apart, had been in view for long enough; inf before."""
        levels = self._backdrop.levels(body)
        due_s = np.sort(self._due_s[body][levels >= STRONG_PART * np.median(levels)])
        return float(due_s[int(FIRST_PART * (len(due_s) - 1))])

    def _belongs(self, body: Bool, due_s: float, kind: str) -> bool:
        """Whether this is a part of a thing that was told; from now on it is."""
        near = body
        for _ in range(NEAR_CELLS):
            near = grown(near)
        above = near
        for _ in range(ABOVE_CELLS - NEAR_CELLS):
            above = above | moved(above, 1, 0) | moved(above, -1, 0)
        for thing in self._things:
            if kind and kind != thing.episode.kind:
                continue
            apart_s = abs(due_s - self.rule.duration_s - thing.since_s)
            if (apart_s <= NEAR_S and (near & thing.cells).any()) or (
                apart_s <= ABOVE_S and (above & thing.cells).any()
            ):
                thing.cells |= body
                return True
        return False

    def _kind(self, cells: Bool) -> str:
        """Whether something has come there or has gone; empty where neither is clear."""
        outline = OUTLINE_WEIGHT * self._backdrop.outline_gain(cells)
        evidence = outline + CONTRAST_WEIGHT * self._backdrop.contrast_gain(cells)
        if abs(evidence) < LEAST_EVIDENCE or outline * evidence < 0.0:
            return ""
        return "object.left" if evidence > 0.0 else "object.removed"

    def _is_wanted(self, kind: str) -> bool:
        return {"object.left": self.rule.left, "object.removed": self.rule.removed}.get(kind, False)

    def _is_thing(self, cells: Bool, *, clear: int) -> bool:
        """Whether it is no noise, no light and nothing usual; ``clear`` cells differ not by light alone."""
        size = int(cells.sum())
        usual_s = float(self._backdrop.usual_s[cells].mean())
        known = usual_s >= min(USUAL_PART * self.rule.duration_s, USUAL_S)
        # What was not told when it came is not missed when it goes.
        back = usual_s < ACCEPTED_S and self._backdrop.is_as_before(cells).mean() >= GONE_PART
        return (
            known
            and not back
            and size <= MOST_PART * cells.size
            and clear * clear >= LEAST_CELLS * size
        )

    def _tell(self, cells: Bool, kind: str, at_s: float, moment: Moment, occurrence: int) -> Event:
        episode = self._reporter.scene_episode(
            kind, rule_id=self.rule.rule_id, edge=kind, occurrence=occurrence
        )
        episode.bbox = _box(cells)
        self._things.append(_Thing(cells, at_s - self.rule.duration_s, episode))
        return episode.new(moment, at_s=at_s, duration_s=seconds(self.rule.duration_s))

    def _end(self, thing: _Thing, moment: Moment, *, at_s: float, reason: Reason) -> Event:
        stood_s = seconds(at_s - thing.since_s)
        return thing.episode.end(moment, at_s=at_s, duration_s=stood_s, reason=reason.value)


def _covered(tracks: Sequence[Track], like: Bool) -> Bool:
    """The cells that tracked objects stand before, seen or predicted."""
    covered = np.zeros_like(like)
    rows, columns = like.shape
    for track in tracks:
        left, top, right, bottom = track.xyxy
        wide, high = MARGIN * (right - left), MARGIN * (bottom - top)
        first = math.floor((top - high) * rows), math.floor((left - wide) * columns)
        last = math.ceil((bottom + high) * rows), math.ceil((right + wide) * columns)
        covered[max(first[0], 0) : max(last[0], 0), max(first[1], 0) : max(last[1], 0)] = True
    return covered


def _box(cells: Bool) -> tuple[float, float, float, float]:
    """The normalised box around cells."""
    rows, columns = cells.shape
    down, across = np.flatnonzero(cells.any(axis=1)), np.flatnonzero(cells.any(axis=0))
    return (
        float(across[0] / columns),
        float(down[0] / rows),
        float((across[-1] + 1) / columns),
        float((down[-1] + 1) / rows),
    )
