"""line.cross. Specification: docs/rules/line.md."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from vigil.data import Event
from vigil.rules.geometry import crossings, distance
from vigil.rules.report import Reporter
from vigil.rules.subject import Moment, Subject, size_of
from vigil.spec import Direction, LineRule

SETTLED_S = 1.0  # what has been across for so long has crossed, however near the line it stays
# Of its size, the root of its area: who comes across by a longer step has to be seen across twice. A foot
# that comes out from behind something jumps, and is often back the frame after.
SURE_STEP = 0.2
HELD_S = 2.0  # a crossing of an object that is not admitted yet is kept this long
MOST_HELD = 4


@dataclass(slots=True)
class _Passage:
    """Where one object stands towards the line."""

    net: int = 0  # crossings since it was last clear of the line, to the right less to the left
    crossed_s: float = 0.0  # the last of them
    held: list[tuple[Direction, float]] = field(default_factory=list)  # not admitted yet


class LineWatch:
    """One line rule at work on one run."""

    def __init__(self, rule: LineRule, reporter: Reporter) -> None:
        self.rule = rule
        self._reporter = reporter
        self._admission = reporter.admission(rule)
        self._segments = list(pairwise(rule.points))
        self._passages: dict[int, _Passage] = {}
        self._counts = {Direction.RIGHT: 0, Direction.LEFT: 0}

    def see(self, subject: Subject, changed: bool, moment: Moment) -> Iterator[Event]:
        """Take one object's new place; ``changed``: its path may have crossed the line."""
        passage = self._passages.get(subject.track.track_id)
        if passage is None:
            self._passages[subject.track.track_id] = _Passage()
            return
        if changed:
            self._cross(subject, passage)
        if passage.net and self._is_settled(subject, passage, moment):
            self._settle(passage)
        if passage.held:
            yield from self._announce(subject, passage, moment)

    def lose(self, subject: Subject, moment: Moment) -> Iterator[Event]:
        """Nobody follows this object any more: what it had not finished crossing it did not cross."""
        passage = self._passages.pop(subject.track.track_id, None)
        if passage is None:
            return
        if passage.net and self._is_clear(subject):
            self._settle(passage)
        if passage.held:
            yield from self._announce(subject, passage, moment)

    def _is_settled(self, subject: Subject, passage: _Passage, moment: Moment) -> bool:
        """Whether it is clear of the line that it crossed, for sure, or has long been across."""
        if moment.time_s - passage.crossed_s >= SETTLED_S:
            return True
        if not self._is_clear(subject):
            return False
        seen_twice = passage.crossed_s <= subject.previous_s
        return seen_twice or _step(subject) <= SURE_STEP or not self.rule.hysteresis

    def _is_clear(self, subject: Subject) -> bool:
        return distance(subject.foot, self._segments) >= self.rule.hysteresis

    def _settle(self, passage: _Passage) -> None:
        """What was crossed on balance is one crossing."""
        direction = Direction.RIGHT if passage.net > 0 else Direction.LEFT
        passage.net = 0
        if self.rule.direction in (Direction.BOTH, direction):
            passage.held = [*passage.held, (direction, passage.crossed_s)][-MOST_HELD:]

    def _cross(self, subject: Subject, passage: _Passage) -> None:
        found = list(crossings(subject.previous_foot, subject.foot, self._segments))
        step = sum(crossing.sign for crossing in found)
        if step:
            sign = 1 if step > 0 else -1
            passage.net += step
            part = max(crossing.part for crossing in found if crossing.sign == sign)
            passage.crossed_s = subject.time_at(part)

    def _announce(self, subject: Subject, passage: _Passage, moment: Moment) -> Iterator[Event]:
        if not self._admission.admits(subject):
            passage.held = [held for held in passage.held if moment.time_s - held[1] <= HELD_S]
            return
        held, passage.held = passage.held, []
        for direction, crossed_s in held:
            self._counts[direction] += 1
            episode = self._reporter.episode(
                "line.cross", rule_id=self.rule.rule_id, edge=direction.value, subject=subject
            )
            yield episode.new(
                moment, at_s=crossed_s, direction=direction.value, count=self._counts[direction]
            )


def _step(subject: Subject) -> float:
    """How far its foot went since it was last seen, in sizes of its box."""
    size = size_of(subject.track)
    return math.dist(subject.previous_foot, subject.foot) / size if size > 0.0 else math.inf
