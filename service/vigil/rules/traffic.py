"""traffic.above and traffic.below: how many cross a line in a while. Specification: docs/rules/traffic.md."""

from collections import deque
from collections.abc import Iterator
from functools import partial

from vigil.data import Event
from vigil.rules.condition import Condition
from vigil.rules.learning import LimitWatch
from vigil.rules.line import LineWatch
from vigil.rules.report import TOLERANCE_S, Episode, Reporter
from vigil.rules.subject import Moment, Reason, Subject
from vigil.spec import Edge, LineRule, TrafficRule

UPDATE_S = 60.0


class TrafficWatch:
    """One traffic rule at work on one run. Who crosses is for a line rule to say."""

    def __init__(self, rule: TrafficRule, reporter: Reporter) -> None:
        self.rule = rule
        self._reporter = reporter
        self._line = LineWatch(
            LineRule(
                rule_id=rule.rule_id,
                points=rule.points,
                direction=rule.direction,
                classes=rule.classes,
                min_score=rule.min_score,
                voted=rule.voted,
            ),
            reporter,
        )
        self._crossed_s: deque[float] = deque()
        self._since_s: float | None = None
        self._frame = 0
        self._limits = [
            (
                LimitWatch(rule.rule_id, edge, limit, duration_s=0.0),
                Condition(partial(self._begin, edge), 0.0, UPDATE_S),
            )
            for edge, limit in ((Edge.ABOVE, rule.above), (Edge.BELOW, rule.below))
            if limit is not None
        ]

    @property
    def limits(self) -> list[LimitWatch]:
        """Its limits, above and below, as far as it has them."""
        return [limit for limit, _ in self._limits]

    def see(self, subject: Subject, changed: bool, moment: Moment) -> Iterator[Event]:
        """Count the object's crossings."""
        self._crossed_s.extend(moment.time_s for _ in self._line.see(subject, changed, moment))
        yield from ()

    def lose(self, subject: Subject, moment: Moment) -> Iterator[Event]:
        """Nobody follows this object any more: count what it crossed last."""
        self._crossed_s.extend(moment.time_s for _ in self._line.lose(subject, moment))
        yield from ()

    def settle(self, moment: Moment, *, frame: int) -> Iterator[Event]:
        """Compare the last window's crossings with the limits."""
        self._frame = frame
        if self._since_s is None:
            self._since_s = moment.time_s
        while self._crossed_s and self._crossed_s[0] <= moment.time_s - self.rule.window_s:
            self._crossed_s.popleft()
        count = len(self._crossed_s)
        whole = moment.time_s - self._since_s >= self.rule.window_s - TOLERANCE_S
        for limit_watch, condition in self._limits:
            if whole:
                limit_watch.see(moment, count)
            limit = limit_watch.now(moment, count)
            known = limit is not None and (whole or limit_watch.edge is Edge.ABOVE)
            if known and limit is not None and limit_watch.is_past(count, limit):
                yield from condition.hold(moment, at_s=moment.time_s, **limit_watch.told)
            else:
                over = Reason.LEFT if limit_watch.edge is Edge.ABOVE else Reason.CAME
                yield from condition.cease(
                    moment, at_s=moment.time_s, reason=over, **limit_watch.told
                )

    def resume(self, moment: Moment) -> Iterator[Event]:
        """What was open ends, and the window begins anew."""
        yield from self.close(moment, Reason.CAMERA)
        self._crossed_s.clear()
        self._since_s = None
        for limit in self.limits:
            limit.forget_present()

    def close(self, moment: Moment, reason: Reason) -> Iterator[Event]:
        """End what is open."""
        for limit_watch, condition in self._limits:
            yield from condition.cease(
                moment, at_s=moment.time_s, reason=reason, **limit_watch.told
            )

    def _begin(self, edge: Edge) -> Episode:
        return self._reporter.scene_episode(
            f"traffic.{edge}", rule_id=self.rule.rule_id, edge=edge.value, occurrence=self._frame
        )
