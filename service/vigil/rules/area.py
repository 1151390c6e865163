"""Who is in an area, and since when: hysteresis, admission and departure in one place.

All rules over a polygon stand on this; the zone rule's page (docs/rules/zone.md) specifies it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from vigil.data import Event
from vigil.rules.geometry import crossings, distance, inner_edges, most_hysteresis, off_border
from vigil.rules.subject import Admission, Moment, Reason, Subject
from vigil.spec import Point, Rule

WHOLE_PICTURE = (Point(0.0, 0.0), Point(1.0, 0.0), Point(1.0, 1.0), Point(0.0, 1.0))
PLAIN_HYSTERESIS = 0.01  # of rules that have no such parameter
# What has been past the edge for so long, three looks at 5 a second, is past it, however near: hysteresis
# alone misses who stops, or walks along, just behind it (measured: DECISIONS.md).
SETTLED_S = 0.4


@dataclass(slots=True)
class _Stay:
    """Where one object stands towards the area, admitted or not."""

    inside: bool  # by the edge itself, when last seen
    within: bool  # after hysteresis
    turned_s: float  # when it last crossed the edge
    entered_s: float  # of the present stay, or of the last
    appeared: bool  # it was inside when first seen


@dataclass(slots=True)
class Member:
    """An object that is in the area and that the rule is about."""

    subject: Subject
    entered_s: float
    appeared: bool

    @property
    def track_id(self) -> int:
        """The number of its track."""
        return self.subject.track.track_id


@dataclass(frozen=True, slots=True)
class Departure:
    """When and why a member left."""

    at_s: float
    reason: Reason


class Area:
    """One polygon and its members, those who are in it now, in the order in which they were admitted."""

    def __init__(
        self, polygon: tuple[Point, ...], admission: Admission, *, hysteresis: float
    ) -> None:
        self.polygon = polygon or WHOLE_PICTURE
        self.members: dict[int, Member] = {}
        self._admission = admission
        self._edges = inner_edges(self.polygon)
        self._hysteresis = min(hysteresis, most_hysteresis(self.polygon))
        self._stays: dict[int, _Stay] = {}

    def see(
        self, subject: Subject, inside: bool, moment: Moment
    ) -> tuple[Member, Departure | None] | None:
        """Take one object's new place; ``inside`` is its foot point's, by the polygon.

        Answers a member that has just left with its departure, or one that was just admitted.
        """
        track_id = subject.track.track_id
        stay = self._stays.get(track_id)
        if stay is None:
            stay = _Stay(inside, inside, moment.time_s, moment.time_s, appeared=True)
            self._stays[track_id] = stay
        elif inside != stay.inside:
            stay.inside, stay.turned_s = inside, self._turning_s(subject)
        if inside != stay.within and self._is_settled(subject, stay, moment):
            stay.within = inside
            if inside:
                stay.entered_s, stay.appeared = stay.turned_s, False
            elif track_id in self.members:
                return self.members.pop(track_id), Departure(stay.turned_s, Reason.LEFT)
        if not (inside and stay.within) or track_id in self.members:
            return None
        if not self._admission.admits(subject):
            return None
        self.members[track_id] = Member(subject, stay.entered_s, stay.appeared)
        return self.members[track_id], None

    def lose(self, subject: Subject) -> tuple[Member, Departure] | None:
        """The tracker gave an object up; answers the member that it was."""
        stay = self._stays.pop(subject.track.track_id, None)
        member = self.members.pop(subject.track.track_id, None)
        if stay is None or member is None:
            return None
        return member, self._departure(member, stay, Reason.LOST)

    def empty(self, reason: Reason) -> list[tuple[Member, Departure]]:
        """Everybody leaves, when last seen: the rule or the run is over."""
        left = [
            (member, self._departure(member, self._stays[track_id], reason))
            for track_id, member in self.members.items()
        ]
        self.members.clear()
        self._stays.clear()
        return left

    def _departure(self, member: Member, stay: _Stay, reason: Reason) -> Departure:
        return Departure(member.subject.seen_s if stay.inside else stay.turned_s, reason)

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


class AreaWatch(Protocol):
    """A rule over an area at work. Its methods are called frame by frame, in this order."""

    @property
    def rule(self) -> Rule:
        """The rule."""

    @property
    def area(self) -> Area:
        """Where it watches."""

    def left(self, member: Member, departure: Departure, moment: Moment) -> Iterator[Event]:
        """A member left."""

    def entered(self, member: Member, moment: Moment) -> Iterator[Event]:
        """An object was admitted; `stayed` follows."""

    def stayed(self, member: Member, moment: Moment) -> Iterator[Event]:
        """A member was seen inside in this frame."""

    def settle(self, moment: Moment, *, frame: int) -> Iterator[Event]:
        """Everybody in this frame was heard; ``frame`` is its index in the run."""

    def resume(self, moment: Moment) -> Iterator[Event]:
        """The camera shows something again; the members have left."""

    def close(self, moment: Moment, reason: Reason) -> Iterator[Event]:
        """The rule or the run is over; the members have left."""
