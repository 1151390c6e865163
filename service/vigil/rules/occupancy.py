"""occupancy.above, occupancy.below and absence: how many there are, and for how long.

Specifications: docs/rules/occupancy.md, docs/rules/absence.md.
"""

from collections.abc import Iterator
from functools import partial

from vigil.data import Event
from vigil.rules.area import PLAIN_HYSTERESIS, Area, Departure, Member
from vigil.rules.condition import Condition
from vigil.rules.learning import LimitWatch
from vigil.rules.report import Episode, Reporter
from vigil.rules.schedule import Hours
from vigil.rules.subject import Moment, Reason
from vigil.spec import AbsenceRule, Edge, OccupancyRule

ABSENCE_UPDATE_S = 60.0


class OccupancyWatch:
    """One occupancy rule at work on one run."""

    def __init__(self, rule: OccupancyRule, reporter: Reporter) -> None:
        self.rule = rule
        self.area = Area(rule.polygon, reporter.admission(rule), hysteresis=PLAIN_HYSTERESIS)
        self._reporter = reporter
        self._frame = 0
        self._changed_s: float | None = None  # when somebody came or went last
        self._limits = [
            (
                LimitWatch(rule.rule_id, edge, limit, duration_s=rule.duration_s),
                Condition(partial(self._begin, edge), rule.duration_s, rule.update_s),
            )
            for edge, limit in ((Edge.ABOVE, rule.above), (Edge.BELOW, rule.below))
            if limit is not None
        ]

    @property
    def limits(self) -> list[LimitWatch]:
        """Its limits, above and below, as far as it has them."""
        return [limit for limit, _ in self._limits]

    def entered(self, member: Member, moment: Moment) -> Iterator[Event]:
        """One more."""
        self._changed_s = member.entered_s
        yield from ()

    def stayed(self, member: Member, moment: Moment) -> Iterator[Event]:
        """No news."""
        yield from ()

    def left(self, member: Member, departure: Departure, moment: Moment) -> Iterator[Event]:
        """One less."""
        self._changed_s = departure.at_s
        yield from ()

    def settle(self, moment: Moment, *, frame: int) -> Iterator[Event]:
        """Compare the count with the limits."""
        self._frame = frame
        count = len(self.area.members)
        at_s = moment.time_s if self._changed_s is None else self._changed_s
        for limit_watch, condition in self._limits:
            limit_watch.see(moment, count)
            limit = limit_watch.now(moment, count)
            if limit is not None and limit_watch.is_past(count, limit):
                yield from condition.hold(moment, at_s=at_s, **limit_watch.told)
            else:
                over = Reason.LEFT if limit_watch.edge is Edge.ABOVE else Reason.CAME
                yield from condition.cease(moment, at_s=at_s, reason=over, **limit_watch.told)

    def resume(self, moment: Moment) -> Iterator[Event]:
        """What was open ends, and nobody has been counted yet."""
        yield from self.close(moment, Reason.CAMERA)
        self._changed_s = moment.time_s
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
            f"occupancy.{edge}", rule_id=self.rule.rule_id, edge=edge.value, occurrence=self._frame
        )


class AbsenceWatch:
    """One absence rule at work on one run."""

    def __init__(self, rule: AbsenceRule, reporter: Reporter) -> None:
        self.rule = rule
        self.area = Area(rule.polygon, reporter.admission(rule), hysteresis=PLAIN_HYSTERESIS)
        self._reporter = reporter
        self._hours = Hours(rule.schedule)
        self._frame = 0
        self._changed_s: float | None = None  # when somebody came or went last
        self._watching_s: float | None = None  # since when the schedule watches
        self._absence = Condition(self._begin, rule.duration_s, ABSENCE_UPDATE_S)

    def entered(self, member: Member, moment: Moment) -> Iterator[Event]:
        """Somebody is there."""
        self._changed_s = member.entered_s
        yield from ()

    def stayed(self, member: Member, moment: Moment) -> Iterator[Event]:
        """No news."""
        yield from ()

    def left(self, member: Member, departure: Departure, moment: Moment) -> Iterator[Event]:
        """Perhaps nobody is."""
        self._changed_s = departure.at_s
        yield from ()

    def settle(self, moment: Moment, *, frame: int) -> Iterator[Event]:
        """See whether anybody is there."""
        self._frame = frame
        if not self._hours.watch_at(moment.utc_s):
            self._watching_s = None
            yield from self._absence.cease(moment, at_s=moment.time_s, reason=Reason.SCHEDULE)
            return
        if self._watching_s is None:
            self._watching_s = moment.time_s
        changed_s = self._watching_s if self._changed_s is None else self._changed_s
        if self.area.members:
            yield from self._absence.cease(moment, at_s=changed_s, reason=Reason.CAME)
        else:
            yield from self._absence.hold(moment, at_s=max(changed_s, self._watching_s))

    def resume(self, moment: Moment) -> Iterator[Event]:
        """No picture is no absence: it is reckoned anew."""
        yield from self.close(moment, Reason.CAMERA)
        self._changed_s = moment.time_s

    def close(self, moment: Moment, reason: Reason) -> Iterator[Event]:
        """End what is open."""
        yield from self._absence.cease(moment, at_s=moment.time_s, reason=reason)

    def _begin(self) -> Episode:
        return self._reporter.scene_episode(
            "absence", rule_id=self.rule.rule_id, edge="absence", occurrence=self._frame
        )
