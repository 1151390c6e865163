"""What truly happens by rules about things left and taken."""

import numpy as np
import pytest

from vigil.data import GRID_HW
from vigil.scene.compose import SceneObject
from vigil.scene.luggage import THING
from vigil.scene.moving import Scene
from vigil.scene.script import THINGS
from vigil.scene.thing_truth import ThingLook
from vigil.scene.truth import truth_events
from vigil.spec import Point, StationaryRule

RULE = StationaryRule(rule_id="t", duration_s=4.0)
BAG = (0.5, 0.5, 0.58, 0.62)


def look(*, levels=60.0, slope=30.0):
    """A bag that fills its box, of a colour that differs by so much."""
    rows, columns = GRID_HW
    cells = np.zeros(GRID_HW, np.float32)
    cells[int(0.5 * rows) : int(0.62 * rows), int(0.5 * columns) : int(0.58 * columns)] = 1.0
    return ThingLook(levels * cells, np.full(GRID_HW, slope, np.float32))


def moments(*, bag, person=lambda _: False):
    """Thirty seconds, ten frames each; whether the bag is there, and somebody before it, by the time."""
    found = []
    for time_s in np.arange(0.0, 30.0, 0.1).round(1).tolist():
        objects = [SceneObject(1, THING, BAG, 1.0, 1.0)] if bag(time_s) else []
        if person(time_s):
            objects.append(SceneObject(2, "person", (0.48, 0.3, 0.6, 0.64), 1.0, 1.0))
        found.append((time_s, objects))
    return found


def told(scene, rule=RULE, **changes):
    events = truth_events(scene, [rule], looks={1: look(**changes)})
    return [(event.type, event.time_s, event.required) for event in events]


@pytest.mark.parametrize(
    ("bag", "kind"),
    [(lambda t: t >= 12.0, "object.left"), (lambda t: t < 12.0, "object.removed")],
    ids=["left", "removed"],
)
def test_a_thing_is_due_once_it_has_been_in_view_for_the_duration(bag, kind):
    assert told(moments(bag=bag)) == [(kind, pytest.approx(16.0, abs=0.2), True)]


def test_the_time_in_which_somebody_stands_before_it_does_not_count():
    scene = moments(bag=lambda t: t >= 12.0, person=lambda t: 13.0 < t < 18.0)
    assert told(scene) == [("object.left", pytest.approx(21.0, abs=0.3), True)]


def test_a_thing_that_somebody_stands_at_to_the_end_is_not_asked_for():
    scene = moments(bag=lambda t: t >= 12.0, person=lambda t: t > 16.2)
    events = told(scene)
    assert events
    assert not any(required for *_, required in events)


@pytest.mark.parametrize(
    "changes", [{"levels": 17.0}, {"slope": 2.0}], ids=["hardly another colour", "no outline"]
)
def test_what_hardly_shows_may_be_told_or_not(changes):
    events = told(moments(bag=lambda t: t >= 12.0), **changes)
    assert events
    assert not any(required for *_, required in events)


def test_a_thing_of_the_ground_s_colour_does_not_happen():
    assert told(moments(bag=lambda t: t >= 12.0), levels=3.0) == []


def test_what_was_hardly_seen_before_is_not_asked_for():
    events = told(moments(bag=lambda t: t < 3.0))
    assert [required for *_, required in events] == [False] * len(events)


def test_a_thing_over_the_area_s_edge_may_be_told_as_either():
    left_half = (Point(0.0, 0.0), Point(0.54, 0.0), Point(0.54, 1.0), Point(0.0, 1.0))
    rule = StationaryRule(rule_id="t", duration_s=4.0, polygon=left_half)
    events = told(moments(bag=lambda t: t >= 12.0), rule)
    assert {(kind, required) for kind, _, required in events} == {
        ("object.left", False),
        ("object.removed", False),
    }


def test_in_scenes_of_things_people_come_to_put_them_down_and_to_take_them():
    scene = Scene(201, duration_s=60.0, fps=2.0, kind=THINGS, width_px=256, height_px=144)
    things = [actor for actor in scene.actors if actor.figure.classes == (THING,)]
    people = [actor for actor in scene.actors if actor.figure.classes == ("person",)]
    ways = [actor.journey for actor in people]
    halts_s = [way.halt_s for way in ways if (np.diff(way.xy_m, axis=0) == 0).all(axis=1).any()]
    for thing in things:
        for at_s in (thing.journey.start_s, thing.journey.end_s):
            if 0.0 < at_s < 60.0:
                assert min(abs(at_s - halt_s) for halt_s in halts_s) < 0.1
    looks = scene.thing_looks()
    assert looks.keys() == {thing.object_id for thing in things}
    assert sum((seen.levels >= 16.0).sum() >= 9 for seen in looks.values()) >= 7
