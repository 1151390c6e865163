"""What truly happens by direction, speed, loitering and parking rules."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.scene.test_area_truth import RIGHT
from vigil.scene.compose import SceneObject
from vigil.scene.journey import travel
from vigil.scene.truth import truth_events
from vigil.spec import DirectionRule, GroundPoint, LoiteringRule, ParkingRule, Point, SpeedRule

WHOLE = (Point(0.0, 0.0), Point(1.0, 0.0), Point(1.0, 1.0), Point(0.0, 1.0))


def moments(way, *, name="person", seconds=20):
    """Ten frames a second of one object whose foot is at ``way(time)``; None where it is not there."""
    found = []
    for time_s in np.arange(0.0, seconds, 0.1).round(1).tolist():
        foot = way(time_s)
        boxes = []
        if foot is not None:
            x, y = foot
            boxes = [SceneObject(1, name, (x - 0.02, y - 0.1, x + 0.02, y), 1.0, 1.0)]
        found.append((time_s, boxes))
    return found


def asked(events):
    return [(e.type, pytest.approx(e.time_s, abs=0.31)) for e in events if e.required]


def rightward(time_s):
    """Into the right half at 5 s."""
    return 0.25 + 0.05 * time_s, 0.5


@pytest.mark.parametrize(("end_x", "told"), [(1.0, []), (0.0, [("direction.wrong", 5.0)])])
def test_who_comes_in_against_the_way_goes_wrong_since_then(end_x, told):
    rule = DirectionRule(rule_id="d", polygon=RIGHT, start=Point(0.5, 0.5), end=Point(end_x, 0.5))
    assert asked(truth_events(moments(rightward, seconds=13), [rule])) == told


def test_who_stands_goes_no_way():
    rule = DirectionRule(rule_id="d", start=Point(0.5, 0.5), end=Point(1.0, 0.5))
    assert truth_events(moments(lambda _: (0.7, 0.5)), [rule]) == []


@pytest.mark.parametrize(("limit", "required"), [(0.7, {True}), (1.0, {False}), (1.4, set())])
def test_speed_is_that_of_the_figure_on_the_ground(limit, required):
    rule = SpeedRule(
        rule_id="s",
        polygon=RIGHT,
        calibration=WHOLE,
        ground=tuple(GroundPoint(20 * x, 20 * y) for x, y in WHOLE),
        above_m_per_s=limit,
    )
    way = travel([(5.0, 10.0), (18.0, 10.0)], speed_mps=1.0, start_s=0.0)
    scene = moments(rightward, seconds=12)
    events = truth_events(scene, [rule], journeys={1: way})
    assert {event.required for event in events} >= required
    assert asked(events) == ([("speed.above", 5.75)] if required == {True} else [])
    assert truth_events(scene, [rule]) == []  # nobody knows how fast it truly was


def halting(time_s):
    """Comes, stands from 5 s to 12 s, and goes on."""
    return 0.2 + 0.1 * (min(time_s, 5.0) + max(time_s - 12.0, 0.0)), 0.5


@pytest.mark.parametrize(("duration_s", "count"), [(4.0, 1), (9.5, 0)])
def test_loitering_is_due_a_while_after_the_halt(duration_s, count):
    rule = LoiteringRule(rule_id="l", duration_s=duration_s, radius=0.03)
    events = truth_events(moments(halting, seconds=15), [rule])
    assert asked(events) == [("loitering", 4.7 + duration_s)] * count


def test_only_vehicles_park():
    rule = ParkingRule(rule_id="p", duration_s=4.0)
    assert truth_events(moments(halting, seconds=15), [rule]) == []
    parked = truth_events(moments(halting, seconds=15, name="car"), [rule])
    assert asked(parked) == [("parking", 8.9)]


@pytest.mark.parametrize(("seen_again_s", "required"), [(5.5, True), (8.0, False)])
def test_when_a_halt_began_that_nobody_saw_begin_is_not_asked_for(seen_again_s, required):
    rule = ParkingRule(rule_id="p", duration_s=3.0)
    scene = [
        (time_s, [replace(thing, visible=0.0 if 4.8 < time_s < seen_again_s else 1.0)])
        for time_s, (thing,) in moments(halting, seconds=15, name="car")
    ]
    events = truth_events(scene, [rule])
    assert events
    assert [event.required for event in events if event.required] == [True] * required


@pytest.mark.parametrize(("edge_y", "required"), [(0.45, True), (0.498, False)])
def test_nobody_can_say_on_which_side_of_an_edge_something_stands_that_is_on_it(edge_y, required):
    polygon = (Point(0.0, edge_y), Point(1.0, edge_y), Point(1.0, 1.0), Point(0.0, 1.0))
    rule = LoiteringRule(rule_id="l", polygon=polygon, duration_s=4.0, radius=0.03)
    events = truth_events(moments(halting, seconds=15), [rule])
    assert events
    assert any(event.required for event in events) is required
