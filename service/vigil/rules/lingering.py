"""loitering and parking: staying at one place, remembered through occlusion.

Specifications: docs/rules/loitering.md, docs/rules/parking.md.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from vigil.data import Event
from vigil.rules.area import PLAIN_HYSTERESIS, SETTLED_S, Area, Departure, Member
from vigil.rules.report import TOLERANCE_S, Episode, Reporter, seconds
from vigil.rules.subject import Moment, Reason, Subject, size_of
from vigil.spec import LoiteringRule, ParkingRule, Point

LOITERING_UPDATE_S = 10.0
LOITERING_MEMORY_S = 30.0  # who comes back to the place within this has not left it
PARKING_MEMORY_S = 120.0  # a bus may hide a parked car for long
KNOWN_PART = 1 / 3  # of the duration: who stays for less is passing
MOST_PLACES = 64  # sightings that the beginning of a halt is found among
MOST_REMEMBERED = 256  # the oldest gives way
PARKED_RADIUS = 0.3  # of the size of its box: what a standing vehicle seems to move


@dataclass(slots=True)
class _Halt:
    """An object near one place, which is the mean of where it was seen since the halt began."""

    subject: Subject
    since_s: float
    seen_s: float  # when it was last at the place
    sightings: deque[tuple[float, Point]] = field(default_factory=lambda: deque(maxlen=MOST_PLACES))
    away: list[tuple[float, Point]] = field(default_factory=list)  # those since it was last there
    count: int = 0
    sum_x: float = 0.0
    sum_y: float = 0.0
    episode: Episode | None = None
    told_s: float = 0.0
    back_s: float = -math.inf  # when it came back, if it was away
    departed: Reason = Reason.LOST  # why it is remembered

    @classmethod
    def newest(
        cls, subject: Subject, sightings: Sequence[tuple[float, Point]], radius: float
    ) -> "_Halt":
        """The halt that the last of some sightings, in order, belongs to: as long as it can be."""
        halt = cls(subject, math.inf, -math.inf)
        for time_s, foot in sightings[-MOST_PLACES:]:
            halt._count(foot, 1)
            halt.sightings.append((time_s, foot))
            halt.since_s, halt.seen_s = min(halt.since_s, time_s), time_s
            halt._trim(radius)
            while not halt.is_near(foot, radius):
                halt._forget_first()
        return halt

    def is_near(self, foot: Point, radius: float) -> bool:
        """Whether a foot point is at this place."""
        return math.dist(foot, (self.sum_x / self.count, self.sum_y / self.count)) <= radius

    def may_be(self, subject: Subject, moment: Moment, radius: float) -> bool:
        """Whether this halt is the subject's: it is the same track, or one that was last seen there.

        Who is still seen, or was seen to go, is somebody else.
        """
        track, before = subject.track, self.subject.track
        if track.track_id == before.track_id:
            return True
        gone = self.subject.seen_s >= moment.time_s or self.went(radius)
        return track.class_id == before.class_id and not gone

    def went(self, radius: float) -> bool:
        """Whether the object was last seen somewhere else."""
        return not self.is_near(self.subject.foot, radius)

    def see(self, foot: Point, time_s: float, radius: float) -> bool:
        """Take a sighting; answers whether the object is still at its place."""
        if not self.is_near(foot, radius):
            self.away.append((time_s, foot))
            return time_s - self.away[0][0] < SETTLED_S - TOLERANCE_S
        self.away.clear()
        self._count(foot, 1)
        self.sightings.append((time_s, foot))
        self.seen_s = time_s
        if self.episode is None:
            self._trim(radius)
        return True

    def _trim(self, radius: float) -> None:
        """Let the halt begin within the radius of what has become its place."""
        while self.count == len(self.sightings) and not self.is_near(self.sightings[0][1], radius):
            self._forget_first()

    def _forget_first(self) -> None:
        _, foot = self.sightings.popleft()
        self._count(foot, -1)
        self.since_s = self.sightings[0][0]

    def _count(self, foot: Point, sign: int) -> None:
        self.count += sign
        self.sum_x += sign * foot.x
        self.sum_y += sign * foot.y


class LingeringWatch:
    """One loitering or parking rule at work on one run."""

    def __init__(self, rule: LoiteringRule | ParkingRule, reporter: Reporter) -> None:
        self.rule = rule
        parking = isinstance(rule, ParkingRule)
        self.area = Area(rule.polygon, reporter.admission(rule), hysteresis=PLAIN_HYSTERESIS)
        self._reporter = reporter
        self._kind = "parking" if parking else "loitering"
        self._radius = None if isinstance(rule, ParkingRule) else rule.radius
        self._memory_s = PARKING_MEMORY_S if parking else LOITERING_MEMORY_S
        self._update_s = math.inf if parking else LOITERING_UPDATE_S
        self._halts: dict[int, _Halt] = {}
        self._remembered: list[_Halt] = []  # of objects that are out of sight, oldest first

    def entered(self, member: Member, moment: Moment) -> Iterator[Event]:
        """Begin a halt, or go on with the remembered one of this place."""
        subject = member.subject
        for halt in self._remembered:
            radius = self._radius_of(subject)
            if halt.may_be(subject, moment, radius) and halt.is_near(subject.foot, radius):
                self._remembered.remove(halt)
                halt.subject, halt.back_s = subject, moment.time_s
                if halt.episode is not None:
                    halt.episode.subject = subject
                self._halts[member.track_id] = halt
                return
        entered = (member.entered_s, subject.place_at(member.entered_s))
        self._halts[member.track_id] = _Halt.newest(subject, [entered], self._radius_of(subject))
        yield from ()

    def stayed(self, member: Member, moment: Moment) -> Iterator[Event]:
        """See whether it is still near its place, and for how long."""
        halt = self._halts[member.track_id]
        radius = self._radius_of(member.subject)
        if not halt.see(member.subject.foot, moment.time_s, radius):
            yield from self._end(halt, moment, reason=Reason.LEFT)
            sightings = (*halt.sightings, *halt.away)
            self._halts[member.track_id] = _Halt.newest(member.subject, sightings, radius)
            return
        stayed_s = halt.seen_s - halt.since_s
        if halt.episode is None:
            if stayed_s >= self.rule.duration_s - TOLERANCE_S and self._is_known(
                halt.seen_s - halt.back_s
            ):
                halt.episode = self._reporter.episode(
                    self._kind, rule_id=self.rule.rule_id, edge=self._kind, subject=halt.subject
                )
                halt.told_s = halt.since_s + self.rule.duration_s
                yield halt.episode.new(
                    moment, at_s=halt.told_s, duration_s=seconds(self.rule.duration_s)
                )
        elif moment.time_s - halt.told_s >= self._update_s - TOLERANCE_S:
            halt.told_s = moment.time_s
            yield halt.episode.update(moment, at_s=moment.time_s, duration_s=seconds(stayed_s))

    def left(self, member: Member, departure: Departure, moment: Moment) -> Iterator[Event]:
        """Out of sight is remembered for a while; out of the area, loiterers may come back.

        Not those who were just passing: the next one who comes through the same door is somebody else.
        """
        halt = self._halts.pop(member.track_id)
        may_return = departure.reason in (Reason.LOST, Reason.CAMERA) or (
            departure.reason is Reason.LEFT and self._radius is not None
        )
        if may_return and self._is_known(halt.seen_s - halt.since_s):
            halt.departed = Reason.LEFT if departure.reason is Reason.LEFT else Reason.LOST
            self._remembered.append(halt)
            if len(self._remembered) > MOST_REMEMBERED:
                yield from self._forget(self._remembered[0], moment)
        else:
            yield from self._end(halt, moment, reason=departure.reason)

    def settle(self, moment: Moment, *, frame: int) -> Iterator[Event]:
        """Forget those who did not come back in time, or can no more."""
        for halt in [h for h in self._remembered if not self._may_return(h, moment)]:
            yield from self._forget(halt, moment)

    def resume(self, moment: Moment) -> Iterator[Event]:
        """Who was there before is remembered, and may still be."""
        yield from ()

    def close(self, moment: Moment, reason: Reason) -> Iterator[Event]:
        """Those who are remembered end, too."""
        for halt in self._remembered:
            yield from self._end(halt, moment, reason=reason)
        self._remembered.clear()

    def _may_return(self, halt: _Halt, moment: Moment) -> bool:
        """Not after its time, nor once a track that was seen to go is no more: `_Halt.may_be`."""
        if halt.subject.lost and halt.went(self._radius_of(halt.subject)):
            return False
        return moment.time_s - halt.seen_s <= self._memory_s

    def _forget(self, halt: _Halt, moment: Moment) -> Iterator[Event]:
        self._remembered.remove(halt)
        yield from self._end(halt, moment, reason=halt.departed)

    def _is_known(self, stayed_s: float) -> bool:
        """Whether it stayed for long enough not to be just passing."""
        return stayed_s >= KNOWN_PART * self.rule.duration_s - TOLERANCE_S

    def _radius_of(self, subject: Subject) -> float:
        if self._radius is not None:
            return self._radius
        return PARKED_RADIUS * size_of(subject.track)

    def _end(self, halt: _Halt, moment: Moment, *, reason: Reason) -> Iterator[Event]:
        """The halt ended when the object was last seen at its place."""
        if halt.episode is not None:
            stayed_s = seconds(halt.seen_s - halt.since_s)
            yield halt.episode.end(
                moment, at_s=halt.seen_s, duration_s=stayed_s, reason=reason.value
            )
