"""All rules of one stream at work on one run."""

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vigil.data import GRID_HW, Attributes, Event, Glance, Track, TrackState
from vigil.rules.area import WHOLE_PICTURE, AreaWatch
from vigil.rules.camera_health import HealthWatch
from vigil.rules.direction import DirectionWatch
from vigil.rules.geometry import LineField, ZoneField
from vigil.rules.intrusion import IntrusionWatch
from vigil.rules.line import LineWatch
from vigil.rules.lingering import LingeringWatch
from vigil.rules.occupancy import AbsenceWatch, OccupancyWatch
from vigil.rules.presence import MarkerWatch, TrackWatch
from vigil.rules.report import NO_TRAITS, Reporter
from vigil.rules.speed import SpeedWatch
from vigil.rules.subject import Moment, Reason, Subject
from vigil.rules.things import ThingsWatch
from vigil.rules.traffic import TrafficWatch
from vigil.rules.usual import Baseline, Sample
from vigil.rules.zone import ZoneWatch
from vigil.spec import (
    AbsenceRule,
    CameraHealthRule,
    DirectionRule,
    Edge,
    IntrusionRule,
    LineRule,
    LoiteringRule,
    MarkerRule,
    OccupancyRule,
    ParkingRule,
    Point,
    Rule,
    SpeedRule,
    StationaryRule,
    TrackRule,
    TrafficRule,
    ZoneRule,
)

Bool = NDArray[np.bool_]
Watch: TypeAlias = (
    AreaWatch | LineWatch | TrafficWatch | TrackWatch | MarkerWatch | HealthWatch | ThingsWatch
)
Polygon: TypeAlias = tuple[Point, ...]


class RuleSet:
    """Turns the tracks of one stream's run into events.

    Deterministic: the same rules, moments and tracks give the same events with the same ids. Objects
    are followed from their first detection, and spoken of once they are confirmed, of a class that
    the rule is about, and sure enough; events then bear the time at which they happened. Frames in
    which an object was not detected change nothing for it. Called by one thread, frame by frame:
    `judge` first, where there is a glance, then `advance`.
    """

    def __init__(
        self,
        rules: tuple[Rule, ...],
        *,
        stream_id: str,
        run: int,
        class_names: tuple[str, ...],
        labels: dict[str, str],
        masks: Sequence[Polygon] = (),
        traits: Mapping[int, Attributes] = NO_TRAITS,
    ) -> None:
        self._hidden = _cells_within(masks)
        self._reporter = Reporter(
            stream_id=stream_id, run=run, class_names=class_names, labels=labels, traits=traits
        )
        self._subjects: dict[int, Subject] = {}
        self._frame = -1
        self._glance: Glance | None = None  # of the frame that `advance` is called with next
        self._baselines: dict[tuple[str, Edge], Baseline] = {}
        self._arrange([_watch(rule, self._reporter, self._hidden) for rule in rules])

    @property
    def wants_glances(self) -> bool:
        """Whether a rule looks at the pictures themselves."""
        return self._health is not None or bool(self._things)

    @property
    def blind(self) -> bool:
        """Whether the picture that was judged last is not fit to track and judge objects by."""
        return self._health is not None and self._health.blind

    @property
    def sick(self) -> bool:
        """Whether an open event says that the camera shows nothing."""
        return self._health is not None and self._health.sick

    def judge(self, moment: Moment, glance: Glance) -> list[Event]:
        """Take one frame's picture. Where the camera is well again, objects begin anew: see `sick`."""
        self._glance = glance
        if self._health is None:
            return []
        was_sick = self._health.sick
        events = list(self._health.judge(moment, glance))
        if was_sick and not self._health.sick:
            events += self._resume(moment)
        return events

    def advance(self, moment: Moment, tracks: tuple[Track, ...]) -> list[Event]:
        """Take one frame's tracks, lost and tentative ones too, and return what happened.

        A track that was given before and is missing now is given up. Events come in the order in
        which they happened, as far as this frame tells. A frame that was judged blind counts as not seen:
        nothing begins or ends by it.
        """
        self._frame += 1
        events: list[Event] = []
        if not self.blind:
            events += self._lose(moment, tracks)
            seen = self._follow(moment, tracks)
            if seen:
                events += self._see(moment, seen)
            for watch in self._areas:
                events += watch.settle(moment, frame=self._frame)
            for traffic in self._traffic:
                events += traffic.settle(moment, frame=self._frame)
            if self._glance is not None:
                for things in self._things:
                    events += things.look(moment, self._glance, tracks)
        self._glance = None
        for marker in self._markers:
            events.append(marker.mark(moment, tracks, frame=self._frame))
        if len(events) > 1:
            events.sort(key=attrgetter("occurred_at_s"))
        return events

    def learn(self, baselines: Sequence[Baseline]) -> None:
        """Take newly learnt limits, of any rules."""
        self._baselines |= {(curve.rule_id, curve.edge): curve for curve in baselines}
        for limit in self._limits:
            for baseline in baselines:
                limit.learn(baseline)

    def samples(self) -> list[Sample]:
        """What there is to learn from since it was asked for last."""
        taken = []
        for limit in self._limits:
            if limit.samples:
                taken += limit.samples
                limit.samples.clear()
        return taken

    def replace(
        self,
        rules: tuple[Rule, ...],
        *,
        labels: dict[str, str],
        moment: Moment,
        masks: Sequence[Polygon] = (),
    ) -> list[Event]:
        """Put other rules in place of the present ones, on the running stream.

        Rules that are the same as before go on undisturbed; those that changed begin anew, and what
        they and removed ones had open ends, as seen by their reason ``rule_changed``.
        """
        self._hidden = _cells_within(masks)
        present = {watch.rule.rule_id: watch for watch in self._watches}
        kept = {rule.rule_id for rule in rules if _is_same(rule, present.get(rule.rule_id))}
        events: list[Event] = []
        for rule_id, watch in present.items():
            if rule_id not in kept:
                events += self._close(watch, moment, Reason.RULE_CHANGED)
        self._reporter.labels = dict(labels)
        self._arrange(
            [
                present[rule.rule_id]
                if rule.rule_id in kept
                else _watch(rule, self._reporter, self._hidden)
                for rule in rules
            ]
        )
        self.learn(tuple(self._baselines.values()))  # of rules that begin anew
        return events

    def finish(self, moment: Moment) -> list[Event]:
        """The run is over: everything open ends, when its object was last seen."""
        events = [
            event
            for watch in self._watches
            for event in self._close(watch, moment, Reason.RUN_ENDED)
        ]
        self._subjects.clear()
        return sorted(events, key=attrgetter("occurred_at_s"))

    def _arrange(self, watches: list[Watch]) -> None:
        self._watches = watches
        apart = LineWatch | TrafficWatch | TrackWatch | MarkerWatch | HealthWatch | ThingsWatch
        self._areas = [watch for watch in watches if not isinstance(watch, apart)]
        self._lines = [watch for watch in watches if isinstance(watch, LineWatch | TrafficWatch)]
        self._traffic = [watch for watch in watches if isinstance(watch, TrafficWatch)]
        counted = [watch for watch in watches if isinstance(watch, OccupancyWatch | TrafficWatch)]
        self._limits = [limit for watch in counted for limit in watch.limits if limit.learnt]

        self._presences = [watch for watch in watches if isinstance(watch, TrackWatch)]
        self._markers = [watch for watch in watches if isinstance(watch, MarkerWatch)]
        self._health = next((watch for watch in watches if isinstance(watch, HealthWatch)), None)
        self._things = [watch for watch in watches if isinstance(watch, ThingsWatch)]
        self._zone_field = ZoneField([watch.area.polygon for watch in self._areas])
        self._line_field = LineField([watch.rule.points for watch in self._lines])

    def _follow(self, moment: Moment, tracks: tuple[Track, ...]) -> list[Subject]:
        """The objects that were detected in this frame, brought up to date."""
        seen = []
        for track in tracks:
            if track.state is TrackState.LOST:
                continue
            subject = self._subjects.get(track.track_id)
            if subject is None:
                subject = self._subjects[track.track_id] = Subject.begin(track, moment.time_s)
            else:
                subject.see(track, moment.time_s)
            seen.append(subject)
        return seen

    def _see(self, moment: Moment, seen: list[Subject]) -> Iterator[Event]:
        if self._areas or self._lines:
            feet = np.array([subject.foot for subject in seen])
        if self._areas:
            for watch, insides in zip(self._areas, self._zone_field.inside(feet), strict=True):
                yield from _visit(watch, seen, insides, moment)
        if self._lines:
            before = np.array([subject.previous_foot for subject in seen])
            changes = self._line_field.changed(before, feet)
            for line, changed in zip(self._lines, changes, strict=True):
                for subject, may_have in zip(seen, changed, strict=True):
                    yield from line.see(subject, may_have, moment)
        for presence in self._presences:
            for subject in seen:
                yield from presence.see(subject, moment)

    def _lose(self, moment: Moment, tracks: tuple[Track, ...]) -> Iterator[Event]:
        """Events of the objects that are tracked no more, which are then forgotten."""
        present = {track.track_id for track in tracks}
        if present.issuperset(self._subjects):
            return
        for track_id in [known for known in self._subjects if known not in present]:
            subject = self._subjects.pop(track_id)
            for area_watch in self._areas:
                if (departed := area_watch.area.lose(subject)) is not None:
                    yield from area_watch.left(*departed, moment)
            yield from self._give_up(subject, moment)

    def _give_up(self, subject: Subject, moment: Moment) -> Iterator[Event]:
        """Tell whatever follows an object by itself that it is tracked no more."""
        subject.lost = True
        for line in self._lines:
            yield from line.lose(subject, moment)
        for presence in self._presences:
            yield from presence.lose(subject, moment)

    def _resume(self, moment: Moment) -> Iterator[Event]:
        """The camera is well again: whoever was there before was last seen before."""
        for subject in self._subjects.values():
            yield from self._give_up(subject, moment)
        self._subjects.clear()
        for watch in self._areas:
            for member, departure in watch.area.empty(Reason.CAMERA):
                yield from watch.left(member, departure, moment)
            yield from watch.resume(moment)
        for traffic in self._traffic:
            yield from traffic.resume(moment)
        for things in self._things:
            yield from things.resume(moment)

    def _close(self, watch: Watch, moment: Moment, reason: Reason) -> Iterator[Event]:
        if isinstance(watch, MarkerWatch):
            return  # its events are instant: nothing is open
        if isinstance(watch, LineWatch):
            for subject in self._subjects.values():
                yield from watch.lose(subject, moment)
            return
        if isinstance(watch, HealthWatch | ThingsWatch | TrafficWatch):
            yield from watch.close(moment, reason)
            return
        if isinstance(watch, TrackWatch):
            yield from watch.close(self._subjects, moment, reason)
            return
        for member, departure in watch.area.empty(reason):
            yield from watch.left(member, departure, moment)
        yield from watch.close(moment, reason)


def _visit(
    watch: AreaWatch, seen: list[Subject], insides: list[bool], moment: Moment
) -> Iterator[Event]:
    """Tell one rule over an area where everybody is."""
    area = watch.area
    for subject, inside in zip(seen, insides, strict=True):
        change = area.see(subject, inside, moment)
        if change is not None:
            member, departure = change
            if departure is not None:
                yield from watch.left(member, departure, moment)
            else:
                yield from watch.entered(member, moment)
        if inside and (present := area.members.get(subject.track.track_id)) is not None:
            yield from watch.stayed(present, moment)


def _cells_within(polygons: Sequence[Polygon]) -> Bool:
    """Which cells of a glance, (72, 128), have their middle in one of the polygons."""
    rows, columns = GRID_HW
    y, x = np.mgrid[:rows, :columns]
    middles = np.stack(((x + 0.5) / columns, (y + 0.5) / rows), axis=-1).reshape(-1, 2)
    within = np.array(ZoneField(polygons).inside(middles), np.bool_).reshape(-1, rows, columns)
    return np.asarray(within.any(axis=0))


def _watch(rule: Rule, reporter: Reporter, hidden: Bool) -> Watch:  # noqa: C901  # one line a kind
    match rule:
        case ZoneRule():
            return ZoneWatch(rule, reporter)
        case TrafficRule():
            return TrafficWatch(rule, reporter)
        case LineRule():
            return LineWatch(rule, reporter)
        case TrackRule():
            return TrackWatch(rule, reporter)
        case MarkerRule():
            return MarkerWatch(rule, reporter)
        case OccupancyRule():
            return OccupancyWatch(rule, reporter)
        case AbsenceRule():
            return AbsenceWatch(rule, reporter)
        case IntrusionRule():
            return IntrusionWatch(rule, reporter)
        case DirectionRule():
            return DirectionWatch(rule, reporter)
        case SpeedRule():
            return SpeedWatch(rule, reporter)
        case LoiteringRule() | ParkingRule():
            return LingeringWatch(rule, reporter)
        case CameraHealthRule():
            return HealthWatch(rule, reporter, hidden)
        case StationaryRule(polygon=polygon):
            return ThingsWatch(rule, reporter, _cells_within([polygon or WHOLE_PICTURE]) & ~hidden)


def _is_same(rule: Rule, watch: Watch | None) -> bool:
    return watch is not None and watch.rule == rule
