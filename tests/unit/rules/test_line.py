from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.rules.walk import (
    LOST,
    TENTATIVE,
    happened_s,
    moment,
    play,
    rule_set,
    track,
    walk,
)
from vigil.rules.geometry import crossings
from vigil.spec import Direction, LineRule, Point

ACROSS = (Point(0.0, 0.5), Point(1.0, 0.5))
coordinate = st.floats(0.01, 0.99)
foot = st.tuples(coordinate, coordinate)


def line(points=ACROSS, **more):
    return LineRule(rule_id="l", points=points, **more)


def directions(events):
    return [event.attributes["direction"] for event in events]


def test_crossing_is_one_event_with_its_direction_and_interpolated_time():
    (event,) = walk(rule_set(line()), [(0.5, 0.41), (0.5, 0.44), (0.5, 0.56), (0.5, 0.6)])
    assert event.type == "line.cross"
    assert event.attributes == {"direction": "right", "count": 1}
    assert happened_s(event) == pytest.approx(0.3)
    (event,) = walk(rule_set(line()), [(0.5, 0.6), (0.5, 0.4)])
    assert event.attributes == {"direction": "left", "count": 1}


def test_only_the_direction_that_is_asked_for_is_told():
    above, below = [(0.5, 0.4)] * 2, [(0.5, 0.6)] * 2
    feet = above + below + above + below
    assert directions(walk(rule_set(line(direction=Direction.RIGHT)), feet)) == ["right"] * 2
    assert directions(walk(rule_set(line(direction=Direction.LEFT)), feet)) == ["left"]
    assert directions(walk(rule_set(line()), feet)) == ["right", "left", "right"]


def test_walking_along_the_line_with_jitter_counts_nothing():
    feet = [(0.1 + 0.02 * n, 0.5 + 0.009 * (-1) ** n) for n in range(40)]
    assert walk(rule_set(line()), [(0.08, 0.45), *feet, (0.9, 0.45)]) == []


def test_crossing_with_jitter_on_the_line_counts_once_at_the_last_passage():
    feet = [(0.5, 0.4), (0.5, 0.495), (0.5, 0.505), (0.5, 0.495), (0.5, 0.505), (0.5, 0.6)]
    (event,) = walk(rule_set(line()), feet)
    assert happened_s(event) == pytest.approx(0.7)


def test_a_crossing_is_told_once_the_object_is_clear_of_the_line_with_the_time_of_passage():
    frames = [(track((0.5, 0.4976 + 0.003 * n)),) for n in range(10)]
    ((frame_s, event),) = play(rule_set(line(hysteresis=0.01)), frames)
    assert happened_s(event) == pytest.approx(0.16)
    assert frame_s == pytest.approx(1.0)


def test_who_stops_just_past_the_line_is_told_after_a_second():
    frames = [(track((0.5, 0.499)),), *[(track((0.5, 0.501)),)] * 9]
    ((frame_s, event),) = play(rule_set(line(hysteresis=0.1)), frames)
    assert happened_s(event) == pytest.approx(0.1)
    assert frame_s == pytest.approx(1.2)


def test_going_around_the_end_of_a_line_is_no_crossing():
    middle = line((Point(0.4, 0.5), Point(0.6, 0.5)))
    around = [(0.5, 0.4), (0.7, 0.4), (0.7, 0.6), (0.5, 0.6)]
    assert walk(rule_set(middle), around) == []
    assert directions(walk(rule_set(middle), [*around, (0.5, 0.4)])) == ["left"]


def test_passing_both_arms_of_a_polyline_in_one_step_cancels_out():
    wedge = line((Point(0.3, 0.3), Point(0.5, 0.6), Point(0.7, 0.3)))
    assert walk(rule_set(wedge), [(0.2, 0.4), (0.8, 0.4)]) == []
    assert directions(walk(rule_set(wedge), [(0.2, 0.4), (0.5, 0.4)])) == ["left"]


def test_an_object_that_jumps_far_over_the_line_is_counted():
    assert directions(walk(rule_set(line()), [(0.1, 0.05), (0.9, 0.95)])) == ["right"]


def test_a_long_step_across_is_told_when_the_object_is_seen_there_again():
    frames = [(track((0.5, 0.4)),), (track((0.5, 0.6)),), (track((0.5, 0.6)),)]
    ((frame_s, event),) = play(rule_set(line()), frames)
    assert (frame_s, happened_s(event)) == (pytest.approx(0.4), pytest.approx(0.1))


def test_a_short_step_across_is_told_at_once():
    frames = [(track((0.5, 0.4891)),), (track((0.5, 0.5011)),)]  # 0.19 of its size
    ((frame_s, _),) = play(rule_set(line(hysteresis=0.001)), [*frames, frames[-1]])
    assert frame_s == pytest.approx(0.2)


def test_a_foot_that_jumps_across_for_one_frame_crosses_nothing():
    feet = [(0.5, 0.4), (0.5, 0.6), (0.5, 0.41), (0.5, 0.42)]
    assert walk(rule_set(line()), feet) == []


def test_who_is_lost_after_a_long_step_across_has_crossed():
    frames = [(track((0.5, 0.4)),), (track((0.5, 0.6)),)]
    frames += [(track((0.5, 0.6), state=LOST),)] * 3 + [()]
    ((frame_s, event),) = play(rule_set(line()), frames)
    assert (frame_s, happened_s(event)) == (pytest.approx(1.0), pytest.approx(0.1))
    assert event.attributes == {"direction": "right", "count": 1}


def test_who_is_lost_on_the_line_has_not_crossed():
    frames = [(track((0.5, 0.4)),), (track((0.5, 0.501)),), ()]
    assert play(rule_set(line()), frames) == []


def test_a_crossing_while_hidden_is_counted_when_the_object_is_back():
    hidden = (track((0.5, 0.3), state=LOST),)
    frames = [(track((0.5, 0.4)),), hidden, hidden, hidden, (track((0.5, 0.6)),)]
    ((frame_s, event),) = play(rule_set(line()), frames)
    assert frame_s == pytest.approx(0.8)
    assert happened_s(event) == pytest.approx(0.4)


def test_predicted_places_cross_nothing():
    frames = [(track((0.5, 0.4)),), (track((0.5, 0.6), state=LOST),), (track((0.5, 0.4)),)]
    assert play(rule_set(line()), frames) == []


def test_a_crossing_before_confirmation_is_told_on_confirmation_with_its_time():
    frames = [
        (track((0.5, 0.4), state=TENTATIVE),),
        (track((0.5, 0.6), state=TENTATIVE),),
        (track((0.5, 0.7)),),
    ]
    ((frame_s, event),) = play(rule_set(line()), frames)
    assert (frame_s, happened_s(event)) == (pytest.approx(0.4), pytest.approx(0.1))


def test_a_crossing_long_before_the_object_was_of_the_rules_class_is_not_told():
    frames = [(track((0.5, 0.4)),), (track((0.5, 0.6)),)]
    frames += [(track((0.5, 0.7)),)] * 20 + [(track((0.5, 0.7), class_id=1),)] * 5
    assert play(rule_set(line(classes=("car",))), frames) == []


def test_counts_are_kept_by_direction():
    feet = [(0.5, 0.4), (0.5, 0.4), (0.5, 0.6), (0.5, 0.6)] * 3
    events = walk(rule_set(line()), feet)
    assert [(e.attributes["direction"], e.attributes["count"]) for e in events] == [
        ("right", 1),
        ("left", 1),
        ("right", 2),
        ("left", 2),
        ("right", 3),
    ]
    assert len({event.event_id for event in events}) == 5


@given(
    st.lists(foot, min_size=2, max_size=40),
    st.lists(st.builds(Point, coordinate, coordinate), min_size=2, max_size=6),
)
def test_without_hysteresis_every_net_crossing_of_a_step_is_an_event(feet, points):
    rules = rule_set(line(tuple(points), hysteresis=0.0))
    told = [
        (frame_s, e.attributes["direction"])
        for frame_s, e in play(rules, [(track(f),) for f in feet])
    ]
    seen = [Point(0.5 * (t.xyxy[0] + t.xyxy[2]), t.xyxy[3]) for t in map(track, feet)]
    truth = []
    for frame, (before, after) in enumerate(pairwise(seen), start=1):
        net = sum(c.sign for c in crossings(before, after, list(pairwise(points))))
        if net:
            truth.append((pytest.approx(0.2 * frame), "right" if net > 0 else "left"))
    assert told == truth


@given(st.lists(foot, min_size=2, max_size=60), st.floats(0.0, 0.1))
def test_directions_alternate_across_a_line_through_the_whole_picture(feet, hysteresis):
    events = walk(rule_set(line(hysteresis=hysteresis)), feet)
    assert all(a != b for a, b in pairwise(directions(events)))
    clear = [y > 0.5 for _, y in feet if abs(y - 0.5) > hysteresis + 1e-6]
    if events and clear and abs(feet[-1][1] - 0.5) > hysteresis + 1e-6:
        assert (directions(events)[-1] == "right") == clear[-1]


@given(st.lists(foot, min_size=2, max_size=30), st.integers(1, 8))
def test_more_frames_of_the_same_way_make_the_same_crossings(feet, parts):
    fine = [
        (a[0] + (b[0] - a[0]) * n / parts, a[1] + (b[1] - a[1]) * n / parts)
        for a, b in pairwise(feet)
        for n in range(parts)
    ] + [feet[-1]]
    slow = walk(rule_set(line(hysteresis=0.0)), feet, step_s=0.2)
    fast = walk(rule_set(line(hysteresis=0.0)), fine, step_s=0.2 / parts)
    assert directions(slow) == directions(fast)
    for one, other in zip(slow, fast, strict=True):
        assert happened_s(one) == pytest.approx(happened_s(other), abs=1e-4)


def test_states_of_tracks_that_are_gone_are_forgotten():
    rules = rule_set(line())
    for frame in range(300):
        rules.advance(moment(0.2 * frame), (track((0.5, 0.5), track_id=frame),))
    assert len(rules._lines[0]._passages) == 1
