"""What truly happens by rules about how many are in an area: occupancy, absence, intrusion.

From stays of exact foot points, as `vigil.scene.truth` has them. An event is optional where a detector
could rightly differ by a moment: where it hangs on somebody who has not been in view for SEEN_S, on a
span that is within SLACK_S of the duration asked for, or on a gap shorter than that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vigil.spec import AbsenceRule, IntrusionRule, OccupancyRule

SLACK_S = 0.6


@dataclass(frozen=True, slots=True)
class Stay:
    """Somebody is in the area. ``known``: in view for long enough before coming in."""

    object_id: int
    class_name: str
    start_s: float
    end_s: float
    known: bool


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of an area, not yet a `TruthEvent`."""

    type: str
    time_s: float
    object_id: int
    class_name: str
    required: bool


@dataclass(frozen=True, slots=True)
class _Span:
    """A count holds from start to end; ``sure``: whoever began and ended it was known."""

    start_s: float
    end_s: float
    count: int
    sure: bool


def area_events(
    rule: OccupancyRule | AbsenceRule | IntrusionRule,
    stays: Sequence[Stay],
    *,
    start_s: float,
    end_s: float,
) -> list[Happened]:
    """The events of one rule in a scene from ``start_s`` to ``end_s``."""
    if isinstance(rule, IntrusionRule):
        return [
            Happened("intrusion", stay.start_s, stay.object_id, stay.class_name, stay.known)
            for stay in stays
        ]
    spans = _spans(stays, start_s=start_s, end_s=end_s)
    if isinstance(rule, AbsenceRule):
        return _past("absence", [(s, s.count == 0) for s in spans], rule.duration_s)
    found = []
    for kind, limit, sign in (("above", rule.above, 1), ("below", rule.below, -1)):
        if isinstance(limit, int | float):
            beyond = [(span, sign * span.count > sign * limit) for span in spans]
            found += _past(f"occupancy.{kind}", beyond, rule.duration_s)
    return found


def _spans(stays: Sequence[Stay], *, start_s: float, end_s: float) -> list[_Span]:
    """The count over time."""
    turns = sorted(
        [(stay.start_s, 1, stay.known) for stay in stays]
        + [(stay.end_s, -1, stay.known) for stay in stays]
    )
    spans, count, since_s, sure = [], 0, start_s, False  # nobody is known at the beginning
    for at_s, step, known in turns:
        if at_s > since_s:
            spans.append(_Span(since_s, at_s, count, sure and known))
        count, since_s, sure = count + step, at_s, known
    if end_s > since_s:
        spans.append(_Span(since_s, end_s, count, sure))
    return spans


def _past(kind: str, spans: Sequence[tuple[_Span, bool]], duration_s: float) -> list[Happened]:
    """An event for each time that the condition holds for ``duration_s``."""
    found: list[Happened] = []
    start_s, sure, last_end_s = 0.0, True, -1e9
    held = False
    for span, past in [*spans, (_Span(1e9, 1e9, 0, True), False)]:
        if past and not held:
            start_s, sure = span.start_s, span.start_s - last_end_s >= SLACK_S
            held = True
        if past:
            sure &= span.sure
        elif held:
            held = False
            end_s = spans[-1][0].end_s if span.start_s == 1e9 else span.start_s
            last_end_s, lasts_s = end_s, end_s - start_s
            if lasts_s >= duration_s - SLACK_S:
                clear = sure and lasts_s >= duration_s + SLACK_S
                found.append(Happened(kind, start_s + duration_s, -1, "", clear))
    return found
