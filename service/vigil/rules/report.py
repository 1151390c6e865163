"""Events as rules write them: ids, times and what is known of the object, in one place."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from vigil.data import Attributes, Event, JsonScalar, Occurrence, Phase
from vigil.rules.subject import Admission, Moment, Subject
from vigil.spec import ObjectRule

NO_TRAITS: Mapping[int, Attributes] = MappingProxyType({})


class Reporter:
    """Writes the events of one stream's run.

    ``traits`` is what is known of a track beside its boxes, by track id: attributes that every event about
    it carries. It belongs to whoever made it, and changes between frames.
    """

    def __init__(
        self,
        *,
        stream_id: str,
        run: int,
        class_names: tuple[str, ...],
        labels: dict[str, str],
        traits: Mapping[int, Attributes] = NO_TRAITS,
    ) -> None:
        self.stream_id = stream_id
        self.run = run
        self.class_names = class_names
        self.labels = dict(labels)
        self.traits = traits

    def admission(self, rule: ObjectRule) -> Admission:
        """Which objects a rule is about."""
        return Admission.of(rule, class_names=self.class_names, traits=self.traits)

    def episode(self, kind: str, *, rule_id: str, edge: str, subject: Subject) -> "Episode":
        """The next episode of this edge of the object, not yet announced."""
        occurrence = Occurrence(
            stream_id=self.stream_id,
            run=self.run,
            rule=rule_id,
            track=subject.track.track_id,
            edge=edge,
            occurrence=subject.next_occurrence(rule_id, edge),
        )
        return Episode(self, kind, occurrence, subject, rule_id=rule_id)

    def scene_episode(self, kind: str, *, rule_id: str, edge: str, occurrence: int) -> "Episode":
        """An episode that is about no one track."""
        return self._of_no_track(
            kind, rule=rule_id, rule_id=rule_id, edge=edge, occurrence=occurrence
        )

    def camera_episode(self, kind: str, *, occurrence: int) -> "Episode":
        """An episode of a camera check, which is no rule's: its type names it."""
        return self._of_no_track(kind, rule=kind, rule_id=None, edge=kind, occurrence=occurrence)

    def _of_no_track(
        self, kind: str, *, rule: str, rule_id: str | None, edge: str, occurrence: int
    ) -> "Episode":
        happened = Occurrence(
            stream_id=self.stream_id,
            run=self.run,
            rule=rule,
            track=None,
            edge=edge,
            occurrence=occurrence,
        )
        return Episode(self, kind, happened, None, rule_id=rule_id)

    def class_name(self, class_id: int) -> str | None:
        """The model's name of a class; None where it has none."""
        return self.class_names[class_id] if 0 <= class_id < len(self.class_names) else None


@dataclass(slots=True)
class Episode:
    """One event from its beginning to its end; an instant one has a beginning only."""

    reporter: Reporter
    kind: str  # the event's type
    occurrence: Occurrence
    subject: Subject | None
    rule_id: str | None  # None: a camera check's
    step: int = 0
    bbox: tuple[float, float, float, float] | None = None  # of what is no track

    def new(self, moment: Moment, *, at_s: float, **attributes: JsonScalar) -> Event:
        """Its beginning, at frame time ``at_s``, noticed at ``moment``."""
        return self._event(Phase.NEW, moment, at_s=at_s, attributes={**attributes})

    def update(self, moment: Moment, *, at_s: float, **attributes: JsonScalar) -> Event:
        """Another word on it while it lasts."""
        self.step += 1
        return self._event(Phase.UPDATE, moment, at_s=at_s, attributes={**attributes})

    def end(self, moment: Moment, *, at_s: float, **attributes: JsonScalar) -> Event:
        """Its end."""
        return self._event(Phase.END, moment, at_s=at_s, attributes={**attributes})

    def _event(self, phase: Phase, moment: Moment, *, at_s: float, attributes: Attributes) -> Event:
        occurrence, reporter = self.occurrence, self.reporter
        track = None if self.subject is None else self.subject.track
        return Event(
            event_id=occurrence.event_id(phase, self.step if phase is Phase.UPDATE else 0),
            episode_id=occurrence.episode_id(),
            type=self.kind,
            phase=phase,
            stream_id=occurrence.stream_id,
            run=occurrence.run,
            rule_id=self.rule_id,
            track_id=occurrence.track,
            class_name=None if track is None else reporter.class_name(track.class_id),
            score=None if track is None else round(track.score, 4),
            bbox=self.bbox if track is None else track.xyxy,
            occurred_at_s=moment.utc_at(at_s),
            captured_s=moment.captured_s,
            labels=reporter.labels,
            attributes=attributes
            if track is None
            else {**reporter.traits.get(track.track_id, {}), **attributes},
        )


TOLERANCE_S = 1e-6  # sums of frame times stray by less; no frame is shorter


def seconds(duration_s: float) -> float:
    """A duration as it is published: to the millisecond, never below 0."""
    return round(max(duration_s, 0.0), 3)
