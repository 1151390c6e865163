"""zone.enter, zone.exit and zone.dwell. Specification: docs/rules/zone.md."""

from collections.abc import Iterator
from dataclasses import dataclass

from vigil.data import Event
from vigil.rules.area import Area, Departure, Member
from vigil.rules.report import TOLERANCE_S, Episode, Reporter, seconds
from vigil.rules.subject import Moment, Reason
from vigil.spec import ZoneRule


@dataclass(slots=True)
class _Dwell:
    episode: Episode
    told_s: float  # frame time that the last new or update told of


class ZoneWatch:
    """One zone rule at work on one run."""

    def __init__(self, rule: ZoneRule, reporter: Reporter) -> None:
        self.rule = rule
        self.area = Area(rule.polygon, reporter.admission(rule), hysteresis=rule.hysteresis)
        self._reporter = reporter
        self._dwells: dict[int, _Dwell] = {}

    def entered(self, member: Member, moment: Moment) -> Iterator[Event]:
        """Say zone.enter."""
        episode = self._reporter.episode(
            "zone.enter", rule_id=self.rule.rule_id, edge="enter", subject=member.subject
        )
        yield episode.new(
            moment,
            at_s=member.entered_s,
            appeared=member.appeared,
            count=len(self.area.members),
        )

    def stayed(self, member: Member, moment: Moment) -> Iterator[Event]:
        """Say zone.dwell once the stay is long enough, and again every so often."""
        rule, stayed_s = self.rule, moment.time_s - member.entered_s
        if not 0.0 < rule.dwell_s <= stayed_s + TOLERANCE_S:
            return
        dwell = self._dwells.get(member.track_id)
        if dwell is None:
            episode = self._reporter.episode(
                "zone.dwell", rule_id=rule.rule_id, edge="dwell", subject=member.subject
            )
            due_s = member.entered_s + rule.dwell_s
            self._dwells[member.track_id] = _Dwell(episode, due_s)
            yield episode.new(moment, at_s=due_s, duration_s=seconds(rule.dwell_s))
        elif moment.time_s - dwell.told_s >= rule.update_s - TOLERANCE_S:
            dwell.told_s = moment.time_s
            yield dwell.episode.update(moment, at_s=moment.time_s, duration_s=seconds(stayed_s))

    def left(self, member: Member, departure: Departure, moment: Moment) -> Iterator[Event]:
        """End the dwell, if there is one, and say zone.exit."""
        reason, at_s = departure.reason, departure.at_s
        stayed_s = seconds(at_s - member.entered_s)
        dwell = self._dwells.pop(member.track_id, None)
        if dwell is not None:
            yield dwell.episode.end(moment, at_s=at_s, duration_s=stayed_s, reason=reason.value)
        episode = self._reporter.episode(
            "zone.exit", rule_id=self.rule.rule_id, edge="exit", subject=member.subject
        )
        yield episode.new(
            moment,
            at_s=at_s,
            duration_s=stayed_s,
            count=len(self.area.members),
            lost=reason is Reason.LOST,
            reason=reason.value,
        )

    def settle(self, moment: Moment, *, frame: int) -> Iterator[Event]:
        """Nothing is about the zone as a whole."""
        yield from ()

    def resume(self, moment: Moment) -> Iterator[Event]:
        """Nothing is about the area as a whole."""
        yield from ()

    def close(self, moment: Moment, reason: Reason) -> Iterator[Event]:
        """Nothing else is open."""
        yield from ()
