"""camera.frozen, camera.dark, camera.covered, camera.defocused, camera.moved, camera.slow.

Specification: docs/rules/camera_health.md.
"""

import math
from collections import Counter, deque
from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vigil.data import Event, Glance
from vigil.rules.condition import Condition
from vigil.rules.report import TOLERANCE_S, Episode, Reporter
from vigil.rules.subject import Moment, Reason
from vigil.rules.view import View
from vigil.spec import CameraCheck, CameraHealthRule

Bool = NDArray[np.bool_]

UPDATE_S = 60.0
CALM_S = 1.0  # a picture is well again once it has been for so long
ACCEPTED_S = 300.0  # a view that has stayed for so long is the camera's own from then on
DARK_LUMA = 24.0  # 95 % of the picture are darker
PLAIN_LUMA = 2.5  # standard deviation: there is nothing in the picture
LOST_VIEW = 0.6  # of the usual likeness: another view, or something before the lens
BLURRED = 0.55  # of the usual sharpness …
BLURRED_DETAIL = 0.75  # … where detail is less, too: a bus close by has few slopes, and steep ones
SAME_VIEW = 0.28  # likeness that a blurred picture of the view keeps, and a covered one does not
COVERED_DETAIL, COVERED_CONTRAST = 0.5, 0.35  # less than these parts of the usual
STILL_CHANGE = 2.0  # grey levels: what a codec changes in a picture that stands
STILL_SHARE = 0.7  # of the pictures of STILL_S; key frames change more
STILL_S = 8.0  # an empty street has 0.48 of such pictures in so long, and 0.72 in 5 s
LEAST_PICTURES = 5
SAME_S = 1.0  # pictures that are the same to the bit for so long say nothing
SLOW, SLOW_OVER = 0.4, 0.7  # of the usual rate: an episode begins and ends
RATE_MEMORY_S = 120.0
BLINDING = frozenset(CameraCheck) - {CameraCheck.SLOW}


class HealthWatch:
    """The checks of one camera at work on one run. ``hidden`` cells (72, 128) are masked ones."""

    def __init__(self, rule: CameraHealthRule, reporter: Reporter, hidden: Bool) -> None:
        self.rule = rule
        self._reporter = reporter
        self._checks = frozenset(rule.checks) or frozenset(CameraCheck)
        self._sight = _Sight(hidden)
        self._standing = _Standing(rule.duration_s)
        self._rate = _Rate(rule.duration_s)
        self._conditions = {
            check: Condition(partial(self._begin, check), rule.duration_s, UPDATE_S)
            for check in self._checks
        }
        self._seq = 0
        self._fault_s: float | None = None  # since when the picture has been faulty
        self._faults: Counter[CameraCheck] = Counter()  # what it was, frame by frame
        self._well_s: float | None = None
        self._doubtful = False

    @property
    def sick(self) -> bool:
        """Whether an event says that there is nothing to be seen."""
        return any(self._conditions[check].is_open for check in self._checks & BLINDING)

    @property
    def blind(self) -> bool:
        """Whether this picture is one that rules should not judge by."""
        return self._doubtful or self.sick

    def judge(self, moment: Moment, glance: Glance) -> Iterator[Event]:
        """Take the next analysed picture."""
        self._seq = glance.seq
        self._doubtful = False
        yield from self._judge_rate(moment, glance)
        yield from self._judge_standing(moment, glance)
        yield from self._judge_sight(moment, glance)

    def close(self, moment: Moment, reason: Reason) -> Iterator[Event]:
        """The rule or the run is over."""
        for check, condition in self._conditions.items():
            told = self._rate.told() if check is CameraCheck.SLOW else {}
            yield from condition.cease(moment, at_s=moment.time_s, reason=reason, **told)

    def _judge_rate(self, moment: Moment, glance: Glance) -> Iterator[Event]:
        condition = self._conditions.get(CameraCheck.SLOW)
        slow = self._rate.take(moment.time_s, glance.seq)
        if condition is None or slow is None:
            return
        told = self._rate.told()
        if slow < (SLOW_OVER if condition.is_open else SLOW):
            yield from condition.hold(moment, at_s=self._rate.since_s, **told)
        else:
            at_s = moment.time_s
            yield from condition.cease(moment, at_s=at_s, reason=Reason.RECOVERED, **told)

    def _judge_standing(self, moment: Moment, glance: Glance) -> Iterator[Event]:
        condition = self._conditions.get(CameraCheck.FROZEN)
        if condition is None:
            return
        standing = self._standing.take(moment.time_s, glance)
        self._doubtful |= self._standing.same_s >= SAME_S - TOLERANCE_S
        if standing and (
            condition.is_open or self._fault_s is None
        ):  # a dark picture may stand, too
            yield from condition.hold(moment, at_s=self._standing.since_s)
        else:
            at_s = moment.time_s
            yield from condition.cease(moment, at_s=at_s, reason=Reason.RECOVERED)

    def _judge_sight(self, moment: Moment, glance: Glance) -> Iterator[Event]:
        fault = self._sight.fault(glance)
        if fault not in self._checks:
            fault = None
        if fault is None:
            yield from self._see_well(moment, glance)
            return
        self._doubtful = True
        self._well_s = None
        if self._fault_s is None:
            self._fault_s = moment.time_s
        self._faults[fault] += 1
        told = next((one for one in _BY_SIGHT if self._is_open(one)), None)
        # what it was in most frames; once told, it keeps its name
        most = told or self._faults.most_common(1)[0][0]
        lasts_s = moment.time_s - self._fault_s
        if most in _ACCEPTABLE and lasts_s >= ACCEPTED_S:
            self._sight.forget()
            self._doubtful = False
            yield from self._recover(moment, moment.time_s, Reason.ACCEPTED)
        elif told or (
            lasts_s >= self.rule.duration_s - TOLERANCE_S and not self._is_open(CameraCheck.FROZEN)
        ):
            yield from self._conditions[most].hold(moment, at_s=self._fault_s)

    def _see_well(self, moment: Moment, glance: Glance) -> Iterator[Event]:
        if self._fault_s is not None:
            if self._well_s is None:
                self._well_s = moment.time_s
            if moment.time_s - self._well_s < CALM_S - TOLERANCE_S:
                return
            yield from self._recover(moment, self._well_s, Reason.RECOVERED)
        if not self.blind:
            self._sight.learn(glance, moment.time_s)

    def _recover(self, moment: Moment, at_s: float, reason: Reason) -> Iterator[Event]:
        self._fault_s = self._well_s = None
        self._faults.clear()
        self._standing.forget()  # a dark picture stands, and that is over
        for check in _BY_SIGHT:
            if (condition := self._conditions.get(check)) is not None:
                yield from condition.cease(moment, at_s=at_s, reason=reason)

    def _is_open(self, check: CameraCheck) -> bool:
        condition = self._conditions.get(check)
        return condition is not None and condition.is_open

    def _begin(self, check: CameraCheck) -> Episode:
        name = f"camera.{check.value}"
        return self._reporter.camera_episode(name, occurrence=self._seq)


_BY_SIGHT = (CameraCheck.DARK, CameraCheck.COVERED, CameraCheck.DEFOCUSED, CameraCheck.MOVED)
_ACCEPTABLE = frozenset((CameraCheck.DEFOCUSED, CameraCheck.MOVED))


class _Sight:
    """What is wrong with a picture by itself, or beside the camera's usual ones."""

    def __init__(self, hidden: Bool) -> None:
        self._view = View(hidden)
        self._usual = 0.0  # likeness of good pictures
        self._best = math.nan

    def forget(self) -> None:
        """Learn the usual view anew."""
        self._view.forget()
        self._usual = 0.0

    def learn(self, glance: Glance, time_s: float) -> None:
        """Take a good picture for usual."""
        if not math.isnan(self._best):
            self._usual += (0.02 if self._usual else 1.0) * (self._best - self._usual)
        self._view.learn(glance, time_s)

    def fault(self, glance: Glance) -> CameraCheck | None:
        """The fault that this one picture shows."""
        self._best = math.nan
        brightest, spread = self._view.brightness(glance)
        if brightest < DARK_LUMA:
            return CameraCheck.DARK
        if spread < PLAIN_LUMA:
            return CameraCheck.COVERED
        if not self._view.known:
            return None
        now = self._view.compare(glance)
        if math.isnan(now.best):  # the usual view is as plain
            return None
        soft = now.sharpness < BLURRED and now.detail < BLURRED_DETAIL
        if soft and now.contrast >= COVERED_CONTRAST and now.best >= SAME_VIEW:
            return CameraCheck.DEFOCUSED
        if self._usual and now.best < LOST_VIEW * self._usual and now.median < 0.5 * self._usual:
            plain = now.detail < COVERED_DETAIL or now.contrast < COVERED_CONTRAST
            return CameraCheck.COVERED if plain else CameraCheck.MOVED
        self._best = now.best
        return None


class _Standing:
    """Whether the picture stands: the same to the bit, or but for a codec's noise."""

    def __init__(self, duration_s: float) -> None:
        self._duration_s = duration_s
        self._window_s = max(duration_s, STILL_S)
        self._changes: deque[tuple[float, float]] = deque()  # time and change of each picture
        self._same: int = 0  # pictures in a row
        self._same_since_s = 0.0
        self.since_s = 0.0
        self.same_s = 0.0  # for how long pictures have been the same to the bit

    def forget(self) -> None:
        """What was seen before says nothing."""
        self._changes.clear()

    def take(self, time_s: float, glance: Glance) -> bool:
        """Whether it stands, and has for long enough; then since_s is when it began to."""
        self._same += 1
        if glance.change > 0.0:
            self._same, self._same_since_s = 0, time_s
        self.same_s = time_s - self._same_since_s
        changes = self._changes
        changes.append((time_s, glance.change))
        while len(changes) > 1 and time_s - changes[1][0] >= self._window_s:
            changes.popleft()
        if self._same >= LEAST_PICTURES and self.same_s >= self._duration_s - TOLERANCE_S:
            self.since_s = self._same_since_s
            return True
        self.since_s = changes[0][0]
        if time_s - self.since_s < self._window_s - TOLERANCE_S or len(changes) < LEAST_PICTURES:
            return False
        return sum(change <= STILL_CHANGE for _, change in changes) >= STILL_SHARE * len(changes)


class _Rate:
    """The source's frame rate, from frame numbers, beside its usual one."""

    def __init__(self, window_s: float) -> None:
        self._window_s = max(window_s, 2.0)
        self._frames: deque[tuple[float, int]] = deque()
        self._taken_s = 0.0
        self.since_s = 0.0  # when the window begins
        self.now = 0.0
        self.usual = 0.0

    def told(self) -> dict[str, float]:
        """What events say of it."""
        return {"fps": round(self.now, 2), "usual_fps": round(self.usual, 2)}

    def take(self, time_s: float, seq: int) -> float | None:
        """The rate of the last window as a part of the usual; None before there is one."""
        frames = self._frames
        frames.append((time_s, seq))
        while len(frames) > 2 and time_s - frames[1][0] >= self._window_s:
            frames.popleft()
        self.since_s = frames[0][0]
        lasts_s = time_s - self.since_s
        if lasts_s < self._window_s - TOLERANCE_S:
            return None
        self.now = (seq - frames[0][1]) / lasts_s
        step_s, self._taken_s = time_s - self._taken_s, time_s
        if not self.usual or self.now > SLOW_OVER * self.usual:
            share = min(step_s / RATE_MEMORY_S, 1.0) if self.usual else 1.0
            self.usual += share * (self.now - self.usual)
        return self.now / max(self.usual, 1e-6)
