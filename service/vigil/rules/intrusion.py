"""intrusion: anybody in an area while nobody should be there. Specification: docs/rules/intrusion.md."""

from collections.abc import Iterator
from functools import partial

from vigil.data import Event
from vigil.rules.area import PLAIN_HYSTERESIS, Area, Departure, Member
from vigil.rules.condition import Condition
from vigil.rules.report import Episode, Reporter
from vigil.rules.schedule import Hours
from vigil.rules.subject import Moment, Reason, Subject
from vigil.spec import IntrusionRule

UPDATE_S = 10.0


class IntrusionWatch:
    """One intrusion rule at work on one run: an episode for each intruder."""

    def __init__(self, rule: IntrusionRule, reporter: Reporter) -> None:
        self.rule = rule
        self.area = Area(rule.polygon, reporter.admission(rule), hysteresis=PLAIN_HYSTERESIS)
        self._reporter = reporter
        self._hours = Hours(rule.schedule)
        self._watching_s: float | None = None  # since when the schedule watches
        self._intruders: dict[int, Condition] = {}

    def entered(self, member: Member, moment: Moment) -> Iterator[Event]:
        """`stayed` says it."""
        yield from ()

    def stayed(self, member: Member, moment: Moment) -> Iterator[Event]:
        """Tell of the intruder, while the schedule watches."""
        if not self._hours.watch_at(moment.utc_s):
            return
        intruder = self._intruders.get(member.track_id)
        if intruder is None:
            intruder = self._intruders[member.track_id] = Condition(
                partial(self._begin, member.subject), duration_s=0.0, update_s=UPDATE_S
            )
        watching_s = moment.time_s if self._watching_s is None else self._watching_s
        since_s = max(member.entered_s, watching_s)
        yield from intruder.hold(moment, at_s=since_s, count=len(self.area.members))

    def left(self, member: Member, departure: Departure, moment: Moment) -> Iterator[Event]:
        """The intruder is gone."""
        intruder = self._intruders.pop(member.track_id, None)
        if intruder is not None:
            yield from intruder.cease(moment, at_s=departure.at_s, reason=departure.reason)

    def settle(self, moment: Moment, *, frame: int) -> Iterator[Event]:
        """Notice when the schedule begins and ends to watch."""
        if self._hours.watch_at(moment.utc_s):
            self._watching_s = moment.time_s if self._watching_s is None else self._watching_s
            return
        self._watching_s = None
        for intruder in self._intruders.values():
            yield from intruder.cease(moment, at_s=moment.time_s, reason=Reason.SCHEDULE)
        self._intruders.clear()

    def resume(self, moment: Moment) -> Iterator[Event]:
        """The intruders have left."""
        yield from ()

    def close(self, moment: Moment, reason: Reason) -> Iterator[Event]:
        """The intruders have left."""
        yield from ()

    def _begin(self, subject: Subject) -> Episode:
        return self._reporter.episode(
            "intrusion", rule_id=self.rule.rule_id, edge="intrusion", subject=subject
        )
