"""zone.enter, zone.exit and zone.dwell. Specification: docs/rules/zone.md."""

from collections.abc import Iterator
from dataclasses import dataclass

from vigil.data import Event
from vigil.rules.geometry import crossings, distance, inner_edges, most_hysteresis, off_border
from vigil.rules.report import TOLERANCE_S, Episode, Reporter, seconds
from vigil.rules.subject import SETTLED_S, Admission, Moment, Reason, Subject
from vigil.spec import ZoneRule


@dataclass(slots=True)
class _Stay:
    """Where one object stands towards the zone."""

    inside: bool  # by the edge itself, when last seen
    within: bool  # after hysteresis
    turned_s: float  # when it last crossed the edge
    entered_s: float  # of the present stay, or of the last
    appeared: bool  # it was in the zone when first seen
    announced: bool = False  # zone.enter was published, zone.exit was not
    dwell: Episode | None = None
    updated_s: float = 0.0


class ZoneWatch:
    """One zone rule at work on one run."""

    def __init__(self, rule: ZoneRule, reporter: Reporter) -> None:
        self.rule = rule
        self._reporter = reporter
        self._admission = Admission.of(
            rule.classes, min_score=rule.min_score, class_names=reporter.class_names
        )
        self._edges = inner_edges(rule.polygon)
        self._hysteresis = min(rule.hysteresis, most_hysteresis(rule.polygon))
        self._stays: dict[int, _Stay] = {}
        self._count = 0  # announced objects inside

    def see(self, subject: Subject, inside: bool, moment: Moment) -> Iterator[Event]:
        """Take one object's new place; ``inside`` is its foot point's, by the polygon."""
        stay = self._stays.get(subject.track.track_id)
        if stay is None:
            stay = _Stay(inside, inside, moment.time_s, moment.time_s, appeared=True)
            self._stays[subject.track.track_id] = stay
        elif inside != stay.inside:
            stay.inside, stay.turned_s = inside, self._turning_s(subject)
        if inside != stay.within and self._is_settled(subject, stay, moment):
            if inside:
                stay.within, stay.entered_s, stay.appeared = True, stay.turned_s, False
            else:
                yield from self._leave(
                    subject, stay, moment, at_s=stay.turned_s, reason=Reason.LEFT
                )
        if not (stay.within and inside):
            return
        if not stay.announced and self._admission.admits(subject):
            yield self._enter(subject, stay, moment)
        if stay.announced and self.rule.dwell_s > 0.0:
            yield from self._dwell(subject, stay, moment)

    def lose(self, subject: Subject, moment: Moment) -> Iterator[Event]:
        """The tracker gave this object up."""
        stay = self._stays.pop(subject.track.track_id, None)
        if stay is not None and stay.within:
            at_s = subject.seen_s if stay.inside else stay.turned_s
            yield from self._leave(subject, stay, moment, at_s=at_s, reason=Reason.LOST)

    def close(
        self, subjects: dict[int, Subject], moment: Moment, reason: Reason
    ) -> Iterator[Event]:
        """The rule or the run is over: every stay ends where it was last seen."""
        for track_id, stay in self._stays.items():
            subject = subjects[track_id]
            if stay.within:
                at_s = subject.seen_s if stay.inside else stay.turned_s
                yield from self._leave(subject, stay, moment, at_s=at_s, reason=reason)
        self._stays.clear()

    def _turning_s(self, subject: Subject) -> float:
        """When the foot point crossed the edge on its way to its present place."""
        path = off_border(subject.previous_foot), off_border(subject.foot)
        return subject.time_at(max((c.part for c in crossings(*path, self._edges)), default=1.0))

    def _is_settled(self, subject: Subject, stay: _Stay, moment: Moment) -> bool:
        """Whether it is well past the edge that it crossed last, or has long been past it."""
        return (
            moment.time_s - stay.turned_s >= SETTLED_S
            or distance(off_border(subject.foot), self._edges) >= self._hysteresis
        )

    def _enter(self, subject: Subject, stay: _Stay, moment: Moment) -> Event:
        stay.announced = True
        self._count += 1
        episode = self._reporter.episode(
            "zone.enter", rule_id=self.rule.rule_id, edge="enter", subject=subject
        )
        return episode.new(moment, at_s=stay.entered_s, appeared=stay.appeared, count=self._count)

    def _dwell(self, subject: Subject, stay: _Stay, moment: Moment) -> Iterator[Event]:
        rule, stayed_s = self.rule, moment.time_s - stay.entered_s
        if stay.dwell is None:
            if stayed_s >= rule.dwell_s - TOLERANCE_S:
                stay.dwell = self._reporter.episode(
                    "zone.dwell", rule_id=rule.rule_id, edge="dwell", subject=subject
                )
                stay.updated_s = at_s = stay.entered_s + rule.dwell_s
                yield stay.dwell.new(moment, at_s=at_s, duration_s=seconds(rule.dwell_s))
        elif moment.time_s - stay.updated_s >= rule.update_s - TOLERANCE_S:
            stay.updated_s = moment.time_s
            yield stay.dwell.update(moment, at_s=moment.time_s, duration_s=seconds(stayed_s))

    def _leave(
        self, subject: Subject, stay: _Stay, moment: Moment, *, at_s: float, reason: Reason
    ) -> Iterator[Event]:
        stay.within = False
        if not stay.announced:
            return
        stay.announced = False
        self._count -= 1
        stayed_s = seconds(at_s - stay.entered_s)
        if stay.dwell is not None:
            yield stay.dwell.end(moment, at_s=at_s, duration_s=stayed_s, reason=reason.value)
            stay.dwell = None
        episode = self._reporter.episode(
            "zone.exit", rule_id=self.rule.rule_id, edge="exit", subject=subject
        )
        yield episode.new(
            moment,
            at_s=at_s,
            duration_s=stayed_s,
            count=self._count,
            lost=reason is Reason.LOST,
            reason=reason.value,
        )
