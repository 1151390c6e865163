"""track and marker events. Specifications: docs/rules/track.md, docs/rules/marker.md."""

from collections.abc import Iterator
from dataclasses import dataclass

from vigil.data import Event, Track, TrackState
from vigil.rules.report import TOLERANCE_S, Episode, Reporter, seconds
from vigil.rules.subject import Moment, Reason, Subject
from vigil.spec import MarkerRule, TrackRule


@dataclass(slots=True)
class _Presence:
    episode: Episode
    updated_s: float


class TrackWatch:
    """One track rule at work on one run."""

    def __init__(self, rule: TrackRule, reporter: Reporter) -> None:
        self.rule = rule
        self._reporter = reporter
        self._admission = reporter.admission(rule)
        self._present: dict[int, _Presence] = {}

    def see(self, subject: Subject, moment: Moment) -> Iterator[Event]:
        """Take one object's new place."""
        present = self._present.get(subject.track.track_id)
        if present is None:
            if self._admission.admits(subject):
                episode = self._reporter.episode(
                    "track", rule_id=self.rule.rule_id, edge="track", subject=subject
                )
                self._present[subject.track.track_id] = _Presence(episode, moment.time_s)
                yield episode.new(moment, at_s=subject.first_s, duration_s=self._age_s(subject))
        elif moment.time_s - present.updated_s >= self.rule.update_s - TOLERANCE_S:
            present.updated_s = moment.time_s
            yield present.episode.update(
                moment, at_s=moment.time_s, duration_s=self._age_s(subject)
            )

    def lose(self, subject: Subject, moment: Moment) -> Iterator[Event]:
        """The tracker gave this object up."""
        present = self._present.pop(subject.track.track_id, None)
        if present is not None:
            yield self._end(subject, present, moment, Reason.LOST)

    def close(
        self, subjects: dict[int, Subject], moment: Moment, reason: Reason
    ) -> Iterator[Event]:
        """The rule or the run is over."""
        for track_id, present in self._present.items():
            yield self._end(subjects[track_id], present, moment, reason)
        self._present.clear()

    def _end(self, subject: Subject, present: _Presence, moment: Moment, reason: Reason) -> Event:
        return present.episode.end(
            moment, at_s=subject.seen_s, duration_s=self._age_s(subject), reason=reason.value
        )

    @staticmethod
    def _age_s(subject: Subject) -> float:
        return seconds(subject.seen_s - subject.first_s)


class MarkerWatch:
    """One marker rule at work on one run."""

    def __init__(self, rule: MarkerRule, reporter: Reporter) -> None:
        self.rule = rule
        self._reporter = reporter

    def mark(self, moment: Moment, tracks: tuple[Track, ...], *, frame: int) -> Event:
        """The event of the analysed frame of this index."""
        seen = sum(track.state is TrackState.CONFIRMED for track in tracks)
        episode = self._reporter.scene_episode(
            "marker", rule_id=self.rule.rule_id, edge="marker", occurrence=frame
        )
        return episode.new(moment, at_s=moment.time_s, count=seen)
