"""Scoring of events: one to one, in time, with intervals."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigil.accuracy.events import Claim, score_claims, score_events
from vigil.accuracy.interval import Share
from vigil.data import Event, Phase
from vigil.scene.truth import TruthEvent


def truth(
    time_s: float, kind: str = "line.cross", way: str = "right", *, required: bool = True
) -> TruthEvent:
    return TruthEvent(time_s, "r", kind, 1, "person", way if kind == "line.cross" else "", required)


def claim(time_s: float, kind: str = "line.cross", way: str = "right") -> Claim:
    return Claim(time_s, "r", kind, way if kind == "line.cross" else "")


def test_everything_right_is_one() -> None:
    scores = score_claims([truth(1), truth(5)], [claim(1.4), claim(4.5)])
    assert scores.precision.value == scores.recall.value == 1.0
    assert scores.delay_s == pytest.approx(-0.05)


def test_one_claim_does_not_meet_two_truths() -> None:
    scores = score_claims([truth(1.0), truth(1.5)], [claim(1.2)])
    assert (len(scores.matched), len(scores.misses), len(scores.false_alarms)) == (1, 1, 0)


def test_crowded_events_are_matched_as_many_as_can_be() -> None:
    # The nearest first would pair 1.0 with 1.9 and lose 2.8.
    scores = score_claims([truth(1.0), truth(2.0)], [claim(1.9), claim(2.8)])
    assert len(scores.matched) == 2


@pytest.mark.parametrize("other", [claim(3.1), claim(1, "zone.enter"), claim(1, way="left")])
def test_late_another_type_or_direction_is_a_miss_and_a_false_alarm(other: Claim) -> None:
    scores = score_claims([truth(2.0)], [other])
    assert len(scores.misses) == len(scores.false_alarms) == 1


def test_optional_truth_excuses_but_need_not_be_met() -> None:
    optional = truth(1.0, "zone.enter", required=False)
    met = score_claims([optional], [claim(1.1, "zone.enter")])
    assert (len(met.excused), len(met.false_alarms)) == (1, 0)
    assert not score_claims([optional], []).misses


def test_events_are_judged_once_and_by_their_beginning_only() -> None:
    def event(event_id: str, phase: Phase, kind: str = "zone.enter") -> Event:
        return Event(
            event_id=event_id, episode_id="p", type=kind, phase=phase, stream_id="s", run=1,
            rule_id="r", track_id=1, class_name="person", score=0.5, bbox=None,
            occurred_at_s=1002.3, captured_s=0.0, labels={}, attributes={},
        )  # fmt: skip

    published = [
        event("a", Phase.NEW),
        event("a", Phase.NEW),
        event("b", Phase.END),
        event("c", Phase.NEW, "track"),
    ]
    scores = score_events([truth(2.0, "zone.enter")], published, start_s=1000.0)
    assert len(scores.matched) == 1
    assert not scores.false_alarms


def test_wilson_intervals_as_published() -> None:
    # Newcombe 1998, table I: 81 of 263 is 0.2553 to 0.3662.
    assert Share(81, 263).interval() == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert Share(0, 0).interval() == (0.0, 1.0)
    assert math.isnan(Share(0, 0).value)
    assert "none" in str(Share(0, 0))


@given(st.integers(1, 500), st.floats(0, 1))
def test_intervals_hold_the_share(of: int, part: float) -> None:
    share = Share(round(of * part), of)
    low, high = share.interval()
    assert 0.0 <= low <= share.value + 1e-9
    assert share.value - 1e-9 <= high <= 1.0
