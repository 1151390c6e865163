"""What truly happens by occupancy, absence and intrusion rules."""

import numpy as np
import pytest

from vigil.scene.compose import SceneObject
from vigil.scene.truth import truth_events
from vigil.spec import AbsenceRule, IntrusionRule, OccupancyRule, Point, ZoneRule

RIGHT = (Point(0.5, 0.0), Point(1.0, 0.0), Point(1.0, 1.0), Point(0.5, 1.0))


def walker(object_id, x, *, visible=1.0):
    return SceneObject(object_id, "person", (x - 0.02, 0.4, x + 0.02, 0.6), visible, 1.0)


def scene(seconds, *ways):
    """Ten frames a second; each way gives x, or x and how much is seen, or None at a time."""
    moments = []
    for time_s in np.arange(0.0, seconds, 0.1).round(1).tolist():
        things = []
        for number, way in enumerate(ways):
            place = way(time_s)
            if place is not None:
                x, visible = place if isinstance(place, tuple) else (place, 1.0)
                things.append(walker(number, x, visible=visible))
        moments.append((time_s, things))
    return moments


def there_and_back(time_s):
    """In the right half from 3 s to 9 s."""
    return 0.7 if 3.0 <= time_s < 9.0 else 0.3


def told(moments, rule):
    return [
        (event.type, pytest.approx(event.time_s, abs=0.11), event.required)
        for event in truth_events(moments, [rule])
        if event.required
    ]


def test_occupancy_happens_after_its_duration():
    rule = OccupancyRule(rule_id="o", polygon=RIGHT, above=0.0, duration_s=2.0)
    assert told(scene(15, there_and_back), rule) == [("occupancy.above", 5.0, True)]


def test_two_are_more_than_one():
    rule = OccupancyRule(rule_id="o", polygon=RIGHT, above=1.0, duration_s=1.0)

    def later(time_s):
        return 0.8 if 5.0 <= time_s < 8.0 else 0.2

    assert told(scene(15, there_and_back), rule) == []
    assert told(scene(15, there_and_back, later), rule) == [("occupancy.above", 6.0, True)]


def test_a_span_about_as_long_as_the_duration_may_be_told_or_not():
    rule = OccupancyRule(rule_id="o", polygon=RIGHT, above=0.0, duration_s=5.8)
    events = truth_events(scene(15, there_and_back), [rule])
    assert {event.required for event in events} == {False}


def test_a_dip_of_a_moment_may_begin_another_event_or_not():
    rule = OccupancyRule(rule_id="o", polygon=RIGHT, above=0.0, duration_s=1.0)

    def next_one(time_s):
        return 0.8 if 9.1 <= time_s < 14.0 else 0.2

    events = truth_events(scene(18, there_and_back, next_one), [rule])
    assert [(e.time_s, e.required) for e in events if e.required] == [
        (pytest.approx(4.0, abs=0.11), True)
    ]
    assert any(abs(e.time_s - 10.1) < 0.5 for e in events if not e.required)


def test_who_vanishes_inside_is_counted_while_a_tracker_waits_and_not_missed_by_absence():
    def vanishes(time_s):
        return None if time_s >= 9.0 else there_and_back(time_s)

    rule = AbsenceRule(rule_id="a", polygon=RIGHT, duration_s=1.0)
    assert told(scene(15, vanishes), rule)[-1] == ("absence", 10.0, True)

    def soon(time_s):
        return 0.8 if time_s >= 11.0 else 0.2

    crowd = OccupancyRule(rule_id="o", polygon=RIGHT, above=1.0, duration_s=0.5)
    events = truth_events(scene(16, vanishes, soon), [crowd])
    assert {event.required for event in events} == {False}  # two, while the first is awaited


def test_absence_begins_when_the_last_one_leaves():
    rule = AbsenceRule(rule_id="a", polygon=RIGHT, duration_s=3.0)
    assert told(scene(18, there_and_back), rule) == [("absence", 12.0, True)]


def test_who_comes_in_intrudes():
    rule = IntrusionRule(rule_id="i", polygon=RIGHT)
    assert told(scene(15, there_and_back), rule) == [("intrusion", 3.0, True)]


def test_what_happens_behind_something_need_not_be_told():
    """Hidden from 2 s to 5 s, and in the zone from 3 s."""

    def hidden(time_s):
        return there_and_back(time_s), (0.0 if 2.0 <= time_s < 5.0 else 1.0)

    events = truth_events(scene(15, hidden), [ZoneRule(rule_id="z", polygon=RIGHT)])
    required = [(e.type, e.required) for e in events if e.required]
    assert required == [("zone.exit", True)]
    optional = [(e.type, round(e.time_s, 1)) for e in events if not e.required]
    assert ("zone.enter", 3.0) in optional  # the tracker may bridge it …
    assert ("zone.enter", 5.0) in optional  # … or see somebody appear
