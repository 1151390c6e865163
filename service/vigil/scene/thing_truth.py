"""What truly happens by rules about things left and taken: from exact places, people and colours.

A thing is told of once its first part has been in view for the rule's duration, where "in view" is not
before or behind somebody. Which part that is, and where people's boxes end, is known to a few percent: the
event is due between the time of the first cell that changes (`vigil.data.GRID_HW`), with tight boxes, and
that of a fifth of the thing's own cells, with wide ones. It is asked for where
- these two are close;
- a connected part of the thing, its shadow apart, changes clearly more cells than the rule's page says, by
  more grey levels, and with an outline;
- all but a few of the cells that it changes are within the rule's area;
- what was there before had been in view for longer than the rule waits;
- nobody is at it for NOTICE_S after it is due.
Else it may be told or not; where it reaches over the area's edge, as either kind.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.data import F32, GRID_HW, U8
from vigil.scene.compose import SceneObject
from vigil.scene.foot_paths import LEAST_VISIBLE, inside, runs
from vigil.scene.luggage import THING
from vigil.spec import StationaryRule

Bool = NDArray[np.bool_]
Moments = Sequence[tuple[float, Sequence[SceneObject]]]
Box = tuple[float, float, float, float]
Told = tuple[str, float, int, bool]  # type, time, object, whether it must be told

SURE_CELLS, SURE_LEVELS = 9, 22.0  # the rule's page says 7 cells, 16 grey levels
POSSIBLE_CELLS, POSSIBLE_LEVELS = 4, 11.0
NOTICED_LEVELS = 16.0
SURE_OUTLINE = 5.0  # grey levels
SURE_WITHIN = 0.85  # of its cells, in the rule's area
TIGHT, WIDE = 0.0, 0.2  # of a box, around it, that is not in view
FIRST_CELLS = 0.2  # of a thing's; when so many have been in view for long enough it is surely due
MOST_CELLS = 0.6  # of what was there before, which is then known
KNOWN_S = 2.0
LATEST_S = 1.4  # an event that is due within a longer span is not asked for
NOTICE_S = 3.0  # and there has to be so much time to notice it in
STEP_S = 0.5  # times at which an event is possible are listed so far apart
JITTER_S = 0.3


@dataclass(frozen=True, slots=True)
class ThingLook:
    """What a thing changes where it stands in the empty scene, cell by cell, (72, 128) each."""

    levels: F32  # grey levels of a cell's colour, of the channel that changes most
    slope: F32  # grey levels a pixel of how steep the picture is there


@dataclass(frozen=True, slots=True)
class _Change:
    """A thing that came or went, and from when to when it was so."""

    kind: str
    object_id: int
    xyxy: Box
    since: int  # indices of frames
    until: int


class ThingTruth:
    """The things of one scene, and how each looks: `vigil.scene.moving.Scene.thing_looks`."""

    def __init__(self, moments: Moments, looks: Mapping[int, ThingLook]) -> None:
        self._looks = looks
        self._times_s = np.array([time_s for time_s, _ in moments])
        shape = GRID_HW if looks else (0, 0)
        self._in_view = tuple(_in_view(moments, shape, margin) for margin in (TIGHT, WIDE))
        self._changes = list(_changes(moments))

    def events(self, rule: StationaryRule) -> Iterator[Told]:
        """What is told by one rule."""
        for change in self._changes:
            wanted = rule.left if change.kind == "object.left" else rule.removed
            if wanted or not (rule.left or rule.removed):
                yield from self._told(change, rule)

    def _told(self, change: _Change, rule: StationaryRule) -> Iterator[Told]:
        look = self._looks[change.object_id]
        differs = look.levels
        watched = _middles_inside(rule, differs.shape)
        possible = (differs >= POSSIBLE_LEVELS) & watched
        sure = (differs >= SURE_LEVELS) & watched & _within_box(change.xyxy)  # not its shadow
        within = possible.sum() / max((differs >= POSSIBLE_LEVELS).sum(), 1)
        if possible.sum() < POSSIBLE_CELLS:
            return
        first_s = self._due(change, rule, possible)[0]
        last_s = self._due(change, rule, sure if sure.any() else possible)[1]
        end_s = float(self._times_s[change.until])
        if first_s > end_s + JITTER_S:
            return
        if (
            _largest(sure) >= SURE_CELLS
            and abs(_outline(look, differs >= NOTICED_LEVELS)) >= SURE_OUTLINE
            and within >= SURE_WITHIN
            and last_s - first_s <= LATEST_S
            and self._is_alone(change, sure, last_s)
            and self._is_known(change, sure, rule.duration_s)
        ):
            yield change.kind, 0.5 * (first_s + last_s), change.object_id, True
            return
        kinds = [change.kind] if within >= SURE_WITHIN else ["object.left", "object.removed"]
        for at_s in np.arange(first_s, min(last_s, end_s) + STEP_S, STEP_S).tolist():
            for kind in kinds:
                yield kind, at_s, change.object_id, False

    def _due(self, change: _Change, rule: StationaryRule, cells: Bool) -> tuple[float, float]:
        """When the first cell, and a fifth of them, have been in view for long enough; inf where never."""
        when_s = []
        for in_view in self._in_view:
            seen = in_view[change.since : change.until + 1, cells]  # (T, cells)
            steps_s = np.diff(self._times_s[change.since : change.until + 1], append=np.nan)
            age_s = np.cumsum(seen * np.nan_to_num(steps_s)[:, None], axis=0)
            old = age_s >= rule.duration_s
            times_s = self._times_s[change.since : change.until + 1]
            reached = np.where(old.any(axis=0), times_s[old.argmax(axis=0)], np.inf)
            when_s.append(np.sort(reached))
        return float(when_s[0][0]), float(when_s[1][int(FIRST_CELLS * (len(when_s[1]) - 1))])

    def _is_alone(self, change: _Change, cells: Bool, from_s: float) -> bool:
        """Whether nobody is at it for a while after it is due."""
        alone = self._in_view[1][change.since : change.until + 1, cells].all(axis=1)
        times_s = self._times_s[change.since : change.until + 1]
        alone &= times_s >= from_s
        return any(
            there and times_s[min(high, len(times_s) - 1)] - times_s[low] >= NOTICE_S
            for low, high, there in runs(alone)
        )

    def _is_known(self, change: _Change, cells: Bool, duration_s: float) -> bool:
        """Whether what was there before had been in view for longer than the rule waits."""
        before = self._in_view[1][: change.since, cells]
        steps_s = np.diff(self._times_s[: change.since + 1])
        seen_s = (before * steps_s[:, None]).sum(axis=0)
        return bool((seen_s >= duration_s + KNOWN_S).mean() >= MOST_CELLS)


def cells_of(image: U8) -> tuple[F32, F32]:
    """Colour (72, 128, 3) and steepness (72, 128) of a picture, (H, W, 3) BGR, in cells of a glance."""
    rows, columns = GRID_HW
    small = cv2.resize(image, (4 * columns, 4 * rows), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    across, down = (np.abs(side).astype(np.float32) for side in cv2.spatialGradient(grey))
    colour = cv2.resize(small, (columns, rows), interpolation=cv2.INTER_AREA)
    steep = cv2.resize(
        np.minimum(across, 255) * 0.5 + np.minimum(down, 255) * 0.5,
        (columns, rows),
        interpolation=cv2.INTER_AREA,
    )
    return np.asarray(colour, np.float32), np.asarray(steep, np.float32)


def _outline(look: ThingLook, cells: Bool) -> float:
    """How much steeper the picture is along a thing's edge than without it."""
    mask, square = cells.astype(np.uint8), np.ones((3, 3), np.uint8)
    ring = (cv2.dilate(mask, square) > 0) & (cv2.dilate(1 - mask, square) > 0)
    return float(look.slope[ring].mean()) if ring.any() else 0.0


def _changes(moments: Moments) -> Iterator[_Change]:
    """Things that come, and those of the beginning that go. One that came and goes leaves all as it was."""
    there: dict[int, list[int]] = {}
    boxes: dict[int, Box] = {}
    for index, (_, objects) in enumerate(moments):
        for thing in objects:
            if thing.class_name == THING:
                there.setdefault(thing.object_id, []).append(index)
                boxes[thing.object_id] = thing.xyxy
    last = len(moments) - 1
    for object_id, frames in there.items():
        if frames[0] > 0:
            yield _Change("object.left", object_id, boxes[object_id], frames[0], frames[-1])
        elif frames[-1] < last:
            yield _Change("object.removed", object_id, boxes[object_id], frames[-1] + 1, last)


def _in_view(moments: Moments, shape: tuple[int, ...], margin: float) -> Bool:
    """(T, 72, 128): where nobody is, by their boxes; with a margin those who are hardly seen count, too."""
    rows, columns = shape
    in_view = np.ones((len(moments), rows, columns), bool)
    for index, (_, objects) in enumerate(moments):
        for somebody in objects:
            hidden = somebody.visible < LEAST_VISIBLE and margin == TIGHT
            if somebody.class_name == THING or hidden:
                continue
            left, top, right, bottom = somebody.xyxy
            wide, high = margin * (right - left), margin * (bottom - top)
            down = slice(*_span(top - high, bottom + high, rows))
            across = slice(*_span(left - wide, right + wide, columns))
            in_view[index, down, across] = False
    return in_view


def _largest(cells: Bool) -> int:
    """How many cells the largest connected part has, corners included."""
    _, _, parts, _ = cv2.connectedComponentsWithStats(cells.astype(np.uint8), connectivity=8)
    return int(parts[1:, cv2.CC_STAT_AREA].max(initial=0))


def _within_box(xyxy: Box) -> Bool:
    """The cells that a box reaches into."""
    rows, columns = GRID_HW
    left, top, right, bottom = xyxy
    within = np.zeros(GRID_HW, bool)
    within[slice(*_span(top, bottom, rows)), slice(*_span(left, right, columns))] = True
    return within


def _span(low: float, high: float, count: int) -> tuple[int, int]:
    return max(int(np.floor(low * count)), 0), max(int(np.ceil(high * count)), 0)


def _middles_inside(rule: StationaryRule, shape: tuple[int, ...]) -> Bool:
    """Which cells have their middle in the rule's area."""
    rows, columns = shape
    if not rule.polygon:
        return np.ones((rows, columns), bool)
    y, x = np.mgrid[:rows, :columns]
    middles = np.stack(((x + 0.5) / columns, (y + 0.5) / rows), axis=-1).reshape(-1, 2)
    return inside(rule.polygon, middles).reshape(rows, columns)
