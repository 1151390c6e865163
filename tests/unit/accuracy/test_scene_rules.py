"""Rules at random for rendered scenes."""

import numpy as np
import pytest

from vigil.accuracy.events import JUDGED_TYPES
from vigil.accuracy.scene_rules import TrueBoxes, random_scene_rules
from vigil.scene.compose import SceneObject
from vigil.scene.moving import Scene
from vigil.scene.script import HALTS, THINGS
from vigil.scene.truth import truth_events
from vigil.spec import (
    DirectionRule,
    IntrusionRule,
    LoiteringRule,
    ParkingRule,
    SpeedRule,
    StationaryRule,
)
from vigil.spec.rule_checks import rule_violations


@pytest.mark.parametrize("kind", ["plaza", HALTS, THINGS])
def test_rules_are_accepted_and_the_same_for_the_same_scene(kind: str) -> None:
    rules = random_scene_rules(Scene(3, duration_s=20.0, kind=kind), count=70)
    assert rules == random_scene_rules(Scene(3, duration_s=20.0, kind=kind), count=70)
    assert rules != random_scene_rules(Scene(4, duration_s=20.0, kind=kind), count=70)
    assert [violation for rule in rules for violation in rule_violations("rule", rule)] == []
    kinds = {type(rule) for rule in rules}
    expected = {HALTS: {LoiteringRule, ParkingRule}, THINGS: {StationaryRule}}.get(
        kind, {SpeedRule}
    )
    assert kinds >= expected
    assert len(kinds) == len(expected) or kind == "plaza"


def test_everybody_in_a_scene_of_halts_stands_for_a_while() -> None:
    scene = Scene(5, duration_s=40.0, kind=HALTS)
    kinds = {name for actor in scene.actors for name in actor.figure.classes}
    assert {"person", "car"} <= kinds
    for actor in scene.actors:
        way = actor.journey
        steps = abs(way.xy_m[1:] - way.xy_m[:-1]).sum(axis=1)
        assert 3.9 <= (steps < 1e-6).sum() * 0.04 <= 14.2


@pytest.mark.parametrize("seed", [2, 3])
def test_nobody_in_a_scene_of_halts_stands_in_somebody_else(seed: int) -> None:
    scene = Scene(seed, duration_s=40.0, kind=HALTS)
    least_m = {"person": 0.4, "motorcycle": 1.1, "car": 2.4, "truck": 2.8}
    places = [
        (actor.journey.place(np.array([actor.journey.halt_s]))[0], least_m[actor.figure.classes[0]])
        for actor in scene.actors
    ]
    assert len(places) >= 12
    for index, (at_m, reach_m) in enumerate(places):
        for other_m, other_reach_m in places[:index]:
            assert np.linalg.norm(at_m - other_m) >= reach_m + other_reach_m - 0.01


def test_tracker_and_rules_say_of_true_boxes_what_truth_says() -> None:
    """Somebody walks from left to right through a zone that is a one-way street the other way."""
    scene = Scene(3, duration_s=20.0, kind="plaza")
    drawn = {type(rule): rule for rule in random_scene_rules(scene, count=14)}
    zone = drawn[IntrusionRule].polygon
    middle = sum(point.y for point in zone) / len(zone)
    rules = (
        drawn[IntrusionRule],
        DirectionRule(
            rule_id="d", start=zone[0]._replace(x=1.0, y=0.5), end=zone[0]._replace(x=0.0, y=0.5)
        ),
    )
    boxes = TrueBoxes(rules, ("person",))
    moments = []
    for index in range(100):
        x = 0.01 * index
        thing = SceneObject(1, "person", (x - 0.03, middle - 0.2, x + 0.03, middle), 1.0, 1.0)
        moments.append((index / 10, [thing]))
        if index % 2 == 0:
            boxes.frame(index / 10, [thing], np.zeros((90, 160, 3), np.uint8))
    told = {event.type for event in boxes.finish()}
    happened = {event.type for event in truth_events(moments, rules)}
    assert told == happened == {"intrusion", "direction.wrong"} <= set(JUDGED_TYPES)
