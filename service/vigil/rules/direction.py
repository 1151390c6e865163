"""direction.wrong. Specification: docs/rules/direction.md."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from vigil.data import Event
from vigil.rules.area import PLAIN_HYSTERESIS, Area, Departure, Member
from vigil.rules.condition import Condition
from vigil.rules.report import TOLERANCE_S, Episode, Reporter
from vigil.rules.subject import Moment, Reason, Subject, size_of
from vigil.rules.trail import Trail
from vigil.spec import DirectionRule

TRAIL_S = 1.0
LEAST_TRAIL_S = 0.35  # shorter ones say too little
LEAST_SPEED = 0.35  # in sizes of the box a second; slower objects have no direction
CALM_S = 1.0  # an episode ends when the object has not gone wrong for so long


@dataclass(slots=True)
class _Way:
    trail: Trail
    wrong: Condition
    right_since_s: float | None = None


class DirectionWatch:
    """One direction rule at work on one run."""

    def __init__(self, rule: DirectionRule, reporter: Reporter) -> None:
        self.rule = rule
        self.area = Area(rule.polygon, reporter.admission(rule), hysteresis=PLAIN_HYSTERESIS)
        self._reporter = reporter
        self._allowed = math.atan2(rule.end.y - rule.start.y, rule.end.x - rule.start.x)
        self._ways: dict[int, _Way] = {}

    def entered(self, member: Member, moment: Moment) -> Iterator[Event]:
        """Begin to look where it goes."""
        self._ways[member.track_id] = _Way(
            Trail(TRAIL_S), Condition(partial(self._begin, member.subject), self.rule.duration_s)
        )
        yield from ()

    def stayed(self, member: Member, moment: Moment) -> Iterator[Event]:
        """Compare its way with the allowed one."""
        way = self._ways[member.track_id]
        way.trail.add(moment.time_s, member.subject.foot)
        angle = self._angle(member.subject, way.trail)
        if angle is not None and angle > self.rule.tolerance_degrees:
            way.right_since_s = None
            came_so = way.trail.lasts_s < TRAIL_S - TOLERANCE_S  # wrong since it is here
            since_s = way.trail.begun_s if came_so else moment.time_s
            yield from way.wrong.hold(moment, at_s=since_s, angle_degrees=round(angle, 1))
            return
        if way.right_since_s is None:
            way.right_since_s = moment.time_s
        if not way.wrong.is_open or moment.time_s - way.right_since_s >= CALM_S:
            at_s = way.right_since_s
            yield from way.wrong.cease(moment, at_s=at_s, reason=Reason.LEFT)

    def left(self, member: Member, departure: Departure, moment: Moment) -> Iterator[Event]:
        """Its way in the area is over."""
        way = self._ways.pop(member.track_id)
        yield from way.wrong.cease(moment, at_s=departure.at_s, reason=departure.reason)

    def settle(self, moment: Moment, *, frame: int) -> Iterator[Event]:
        """Nothing is about the area as a whole."""
        yield from ()

    def resume(self, moment: Moment) -> Iterator[Event]:
        """Nothing is about the area as a whole."""
        yield from ()

    def close(self, moment: Moment, reason: Reason) -> Iterator[Event]:
        """Nothing else is open."""
        yield from ()

    def _angle(self, subject: Subject, trail: Trail) -> float | None:
        """Degrees between its way and the allowed one; None where it hardly moves."""
        if trail.lasts_s < LEAST_TRAIL_S:
            return None
        speed = trail.moved()
        if math.hypot(*speed) < LEAST_SPEED * size_of(subject.track):
            return None
        turn = math.atan2(speed.y, speed.x) - self._allowed
        return abs(math.degrees(math.remainder(turn, math.tau)))

    def _begin(self, subject: Subject) -> Episode:
        return self._reporter.episode(
            "direction.wrong", rule_id=self.rule.rule_id, edge="wrong", subject=subject
        )
